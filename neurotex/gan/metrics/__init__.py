"""How good a generator is: feature networks, and scores of what it makes."""

from importlib import import_module
from typing import TYPE_CHECKING

from .features import TextureFeatures
from .perceptual import perceptual_distance

if TYPE_CHECKING:
    from .evaluating import evaluate
    from .inception import Inception
    from .scores import FID, KID, Features, InceptionScore, Perceptual, PrecisionRecall

__all__ = [
    "FID",
    "KID",
    "Features",
    "Inception",
    "InceptionScore",
    "Perceptual",
    "PrecisionRecall",
    "TextureFeatures",
    "evaluate",
    "perceptual_distance",
]

# torchmetrics is imported with the first score
_PLACES = {
    "FID": "scores",
    "Features": "scores",
    "Inception": "inception",
    "InceptionScore": "scores",
    "KID": "scores",
    "Perceptual": "scores",
    "PrecisionRecall": "scores",
    "evaluate": "evaluating",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)
