"""Images → latents, weights, or plain pixels."""

from ..core.interrupts import Interrupted
from . import losses
from .best import Best
from .optimise import Fit
from .plan import Options
from .rehearsal import Rehearsal, start_codes
from .run import fit_views
from .search import search_latent

__all__ = ["Best", "Fit", "Interrupted", "Options", "Rehearsal", "fit_views", "losses", "search_latent", "start_codes"]
