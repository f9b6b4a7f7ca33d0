"""Adversarial training: textures, or nothing but pictures of objects wearing them → a generator."""

from ..core.interrupts import Interrupted
from .augment import AdaptiveAugment, Augmentation
from .average import Average
from .discriminators import PatchDiscriminator, StyleGAN2Discriminator, TextureDiscriminator
from .folder import ImageFolder
from .losses import Hinge, LeastSquares, NonSaturating, Wasserstein
from .materials import ProceduralMaterials, materials
from .parts import Loss, Penalty, Source
from .penalties import R1, R2, GradientPenalty, PathLength, Smoothness
from .pictures import picture, sheet
from .plan import Options, make_trainer
from .processes import launch
from .reconstruction import Encoder, Reconstruction, sliced_distance
from .render_data import RenderedSource, ViewSource
from .renders import Renders
from .run import train_generator
from .schedules import Constant, Cosine, HoldThenLinear
from .trainer import Trainer, adam_pair

__all__ = [
    "R1",
    "R2",
    "AdaptiveAugment",
    "Augmentation",
    "Average",
    "Constant",
    "Cosine",
    "Encoder",
    "GradientPenalty",
    "Hinge",
    "HoldThenLinear",
    "ImageFolder",
    "Interrupted",
    "LeastSquares",
    "Loss",
    "NonSaturating",
    "Options",
    "PatchDiscriminator",
    "PathLength",
    "Penalty",
    "ProceduralMaterials",
    "Reconstruction",
    "RenderedSource",
    "Renders",
    "Smoothness",
    "Source",
    "StyleGAN2Discriminator",
    "TextureDiscriminator",
    "Trainer",
    "ViewSource",
    "Wasserstein",
    "adam_pair",
    "launch",
    "make_trainer",
    "materials",
    "picture",
    "sheet",
    "sliced_distance",
    "train_generator",
]
