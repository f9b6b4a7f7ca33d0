"""Images → latents, weights, or plain pixels."""

from ..core.interrupts import Interrupted
from . import losses
from .best import Best
from .optimise import Fit
from .options import Options
from .run import fit_views
from .search import search_latent
from .starts import start_codes
from .validation import Reference, Validation

__all__ = [
    "Best",
    "Fit",
    "Interrupted",
    "Options",
    "Reference",
    "Validation",
    "fit_views",
    "losses",
    "search_latent",
    "start_codes",
]
