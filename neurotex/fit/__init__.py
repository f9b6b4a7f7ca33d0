"""Images → latents, weights, or plain pixels."""

from . import losses
from .best import Best
from .optimise import Fit
from .rehearsal import Rehearsal, start_codes
from .run import Interrupted, Options, fit_views
from .search import search_latent

__all__ = ["Best", "Fit", "Interrupted", "Options", "Rehearsal", "fit_views", "losses", "search_latent", "start_codes"]
