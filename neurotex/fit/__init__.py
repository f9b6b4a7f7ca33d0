"""Images → latents, weights, or plain pixels."""

from . import losses
from .optimise import Fit
from .run import Interrupted, Options, fit_views
from .search import search_latent

__all__ = ["Fit", "Interrupted", "Options", "fit_views", "losses", "search_latent"]
