"""The public names, and where they are defined: `__init__.py` reads them here."""

from .evaluating import evaluate as evaluate
from .features import TextureFeatures as TextureFeatures
from .inception import Inception as Inception
from .perceptual import perceptual_distance as perceptual_distance
from .scores import FID as FID
from .scores import KID as KID
from .scores import Features as Features
from .scores import InceptionScore as InceptionScore
from .scores import Perceptual as Perceptual
from .scores import PrecisionRecall as PrecisionRecall
