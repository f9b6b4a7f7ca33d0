"""The public names, and where they are defined: `__init__.py` reads them here. For them all, one line each."""

from . import losses as losses
from .best import Best as Best
from .optimise import Fit as Fit
from .options import Options as Options
from .run import fit_views as fit_views
from .search import search_latent as search_latent
from .stages import Interrupted as Interrupted
from .starts import start_codes as start_codes
from .validation import Reference as Reference
from .validation import Validation as Validation
