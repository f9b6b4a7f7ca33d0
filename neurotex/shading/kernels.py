"""Compiled CPU kernels of the shading functions; see `neurotex.core.jit` for the rules they keep."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ..core.jit import jit_simd
from .lights import NEAREST

BLOCK = 64  # points at a time: their intermediate values stay in the first cache, in rows that fill vector registers


def in_rows(
    lights: Tensor, intensity: Tensor, ambient: Tensor | None, visibility: Tensor | None
) -> tuple[Float[Tensor, "rows channels"], Float[Tensor, "rows2 lights"]]:
    """Ambient light and visibility as kernels take them: with no rows where there is none."""
    ambient = intensity.new_empty((0, intensity.shape[1])) if ambient is None else ambient[None]
    return ambient, intensity.new_empty((0, len(lights))) if visibility is None else visibility


@jit_simd
def diffuse(start, stop, position, normal, eye, lights, intensity, ambient, visibility, out):
    """`diffuse.diffuse_reference` for points [start, stop), one pass over memory."""
    real = position.dtype.type
    tiny, nearest, pi = real(1e-12), real(NEAREST**2), real(math.pi)
    n = np.empty((4, BLOCK), position.dtype)  # unit normals, and what each receives from a light, over π
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        p, m, o = position[first : first + count], normal[first : first + count], out[first : first + count]
        for s in range(count):
            nx, ny, nz = m[s, 0], m[s, 1], m[s, 2]
            vx, vy, vz = eye[0] - eye[3] * p[s, 0], eye[1] - eye[3] * p[s, 1], eye[2] - eye[3] * p[s, 2]
            scale = 1 / max(np.sqrt(nx * nx + ny * ny + nz * nz), tiny)
            scale = -scale if nx * vx + ny * vy + nz * vz < 0 else scale
            n[0, s], n[1, s], n[2, s] = nx * scale, ny * scale, nz * scale
        for c in range(o.shape[1]):
            for s in range(count):
                o[s, c] = 0
        for k in range(ambient.shape[0]):
            for c in range(o.shape[1]):
                for s in range(count):
                    o[s, c] += (n[0, s] * n[0, s] + n[1, s] * n[1, s] + n[2, s] * n[2, s]) * ambient[k, c]
        for k in range(lights.shape[0]):
            lx, ly, lz, lw = lights[k, 0], lights[k, 1], lights[k, 2], lights[k, 3]
            if lw != 0:
                lx, ly, lz = lx / lw, ly / lw, lz / lw
                for s in range(count):
                    x, y, z = lx - p[s, 0], ly - p[s, 1], lz - p[s, 2]
                    square = x * x + y * y + z * z
                    square = square if square > nearest else real(np.inf)
                    cosine = max(n[0, s] * x + n[1, s] * y + n[2, s] * z, real(0))
                    n[3, s] = cosine / (square * np.sqrt(square) * pi)
            else:
                scale = 1 / (max(np.sqrt(lx * lx + ly * ly + lz * lz), tiny) * pi)
                for s in range(count):
                    n[3, s] = max(n[0, s] * lx + n[1, s] * ly + n[2, s] * lz, real(0)) * scale
            if visibility.shape[0] > 0:
                for s in range(count):
                    n[3, s] *= visibility[first + s, k]
            for c in range(o.shape[1]):
                for s in range(count):
                    o[s, c] += n[3, s] * intensity[k, c]
