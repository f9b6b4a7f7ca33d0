"""How much light a metallic-roughness surface sends back of what comes evenly from everywhere, by angle of view.

The split-sum approximation needs it for images of environments (Karis, Real Shading in Unreal Engine 4, 2013), and
even light needs nothing else.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

# What `ggx` shades with. Roughness 0 would be a mirror: a point light in it is a spike that no sample hits and whose
# gradient is 0 almost everywhere. 0.045 keeps alpha² at 4e-6, which single precision still tells from 0 in the
# distribution's denominator (Filament's limit, for the same reason).
MIN_ROUGHNESS = 0.045
# Cosine between normal and view below which the surface is taken to be seen at just that angle, since the visibility
# term is 0 / 0 where view and light both graze.
MIN_COSINE = 1e-4
DIELECTRIC = 0.04  # head-on reflectance of a refractive index of 1.5
NODES = 32


def directional_albedo(cosine: Float[Tensor, "n"], roughness: Float[Tensor, "n"]) -> Float[Tensor, "n 3"]:
    """Reflected share of even light as (scale, bias, loss), for the cosine between normal and view, and a roughness.

    A surface with reflectance f0 head on sends back f0 · scale + bias from its specular layer; of what the diffuse
    body below it would send back, the share (1 − f0) (1 − loss) comes through. Both follow from Schlick's
    F = f0 + (1 − f0) (1 − v · h)⁵. Interpolated in a table, to about 1e-3 on average; differentiable.
    """
    table = torch.from_numpy(albedo_table()).to(cosine)
    place = torch.stack([cosine.clamp(MIN_COSINE, 1).sqrt(), _above_minimum(roughness)], 1) * (NODES - 1)
    low = place.detach().floor().clamp(0, NODES - 2).nan_to_num(0).long()
    x, y = (place - low)[:, :, None].unbind(1)
    first = low[:, 0] * NODES + low[:, 1]
    a, b, c, d = (table.flatten(0, 1)[first + step] for step in (0, 1, NODES, NODES + 1))
    return (a + (b - a) * y) * (1 - x) + (c + (d - c) * y) * x


def _above_minimum(roughness: Tensor) -> Tensor:
    return (roughness.clamp(MIN_ROUGHNESS, 1) - MIN_ROUGHNESS) / (1 - MIN_ROUGHNESS)


@lru_cache(maxsize=1)
def albedo_table() -> np.ndarray:
    """(NODES, NODES, 3) float64: even steps in √cosine, where it bends most near 0, and in roughness."""
    cosine = np.maximum(np.linspace(0, 1, NODES) ** 2, MIN_COSINE)[:, None]
    roughness = np.linspace(MIN_ROUGHNESS, 1, NODES)[None, :]
    scale, bias = np.stack([_specular_albedo(cosine, r) for r in roughness.T], 2)
    loss = np.broadcast_to(_diffuse_loss(cosine), scale.shape)
    return np.stack([scale, bias, loss], 2)


def _grid(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Midpoints of n × m cells of (0, 1) × (0, π): half the circle, as all is symmetric in the plane of view."""
    u, phi = np.meshgrid((np.arange(n) + 0.5) / n, (np.arange(m) + 0.5) / m * math.pi, indexing="ij")
    return u.ravel(), phi.ravel()


def _specular_albedo(cosine: np.ndarray, roughness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """∫ D V (n · l) over light directions, split as f0 · scale + bias: the mean over visible normals of G₂ / G₁.

    The quadrature's points are the visible normals of an even grid (Dupuy and Benyoub, Sampling Visible GGX Normals
    with Spherical Caps, 2023).
    """
    u, phi = _grid(64, 32)
    a = roughness**2
    sine = np.sqrt(1 - np.minimum(cosine, 1) ** 2)
    stretched = np.hypot(a * sine, cosine)
    sx, sz = a * sine / stretched, cosine / stretched
    z = (1 - u) * (1 + sz) - sz
    r = np.sqrt(np.maximum(1 - z * z, 0))
    h = np.stack([a * (r * np.cos(phi) + sx), a * (r * np.sin(phi) + 0 * sx), z + sz])
    h /= np.linalg.norm(h, axis=0)
    vh = sine * h[0] + cosine * h[2]
    nl = np.maximum(2 * vh * h[2] - cosine, 0)
    view, light = (np.sqrt(c * c * (1 - a * a) + a * a) for c in (cosine, nl))
    weight = nl * (cosine + view) / (nl * view + cosine * light)
    fresnel = np.clip(1 - vh, 0, 1) ** 5
    return (weight * (1 - fresnel)).mean(1), (weight * fresnel).mean(1)


def _diffuse_loss(cosine: np.ndarray) -> np.ndarray:
    """∫ (1 − v · h)⁵ cos / π over light directions l: (n, 1). As v · h = √((1 + v · l) / 2), whatever the roughness."""
    u, phi = _grid(64, 32)
    vl = np.sqrt(1 - np.minimum(cosine, 1) ** 2) * np.sqrt(u) * np.cos(phi) + cosine * np.sqrt(1 - u)
    return ((1 - np.sqrt((1 + vl) / 2)) ** 5).mean(1, keepdims=True)
