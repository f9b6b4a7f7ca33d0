"""BRDFs, lights and colour as plain tensor functions."""

from ..images.colour import linear_to_srgb, srgb_to_linear
from .diffuse import diffuse, lambert
from .environment import (
    environment_diffuse,
    environment_reflection,
    environment_specular,
    irradiance,
    prefilter,
    sh_irradiance,
)
from .environment_samples import environment_samples, on_sphere
from .ggx import MetallicRoughness, metallic_roughness, metallic_roughness_brdf
from .lights import incident
from .normal_map import apply_normal_map, face_tangents

__all__ = [
    "MetallicRoughness",
    "apply_normal_map",
    "diffuse",
    "environment_diffuse",
    "environment_reflection",
    "environment_samples",
    "environment_specular",
    "face_tangents",
    "incident",
    "irradiance",
    "lambert",
    "linear_to_srgb",
    "metallic_roughness",
    "metallic_roughness_brdf",
    "on_sphere",
    "prefilter",
    "sh_irradiance",
    "srgb_to_linear",
]
