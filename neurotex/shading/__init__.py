"""BRDFs, lights and colour as plain tensor functions."""

from ..images.colour import linear_to_srgb, srgb_to_linear
from .diffuse import diffuse
from .environment import (
    environment_diffuse,
    environment_reflection,
    environment_specular,
    irradiance,
    prefilter,
    sh_irradiance,
)
from .ggx import metallic_roughness
from .lights import incident
from .normal_map import apply_normal_map, face_tangents

__all__ = [
    "apply_normal_map",
    "diffuse",
    "environment_diffuse",
    "environment_reflection",
    "environment_specular",
    "face_tangents",
    "incident",
    "irradiance",
    "linear_to_srgb",
    "metallic_roughness",
    "prefilter",
    "sh_irradiance",
    "srgb_to_linear",
]
