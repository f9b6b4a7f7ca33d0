"""Compiled CPU kernels of the shading functions; see `neurotex.jit` for the rules they keep."""

from __future__ import annotations

import math

import numpy as np

from ..jit import jit


@jit
def diffuse(start, stop, position, normal, eye, lights, intensity, out):
    """`diffuse.diffuse_reference` for points [start, stop), one pass over memory."""
    for s in range(start, stop):
        px, py, pz = position[s, 0], position[s, 1], position[s, 2]
        nx, ny, nz = normal[s, 0], normal[s, 1], normal[s, 2]
        scale = 1 / max(np.sqrt(nx * nx + ny * ny + nz * nz), position.dtype.type(1e-12))
        facing = nx * (eye[0] - eye[3] * px) + ny * (eye[1] - eye[3] * py) + nz * (eye[2] - eye[3] * pz)
        if facing < 0:
            scale = -scale
        nx, ny, nz = nx * scale, ny * scale, nz * scale
        for c in range(out.shape[1]):
            out[s, c] = 0
        for k in range(lights.shape[0]):
            lx, ly, lz, lw = lights[k, 0], lights[k, 1], lights[k, 2], lights[k, 3]
            if lw != 0:
                lx, ly, lz = lx / lw - px, ly / lw - py, lz / lw - pz
                inverse = 1 / max(lx * lx + ly * ly + lz * lz, position.dtype.type(1e-12))
                factor = (nx * lx + ny * ly + nz * lz) * inverse * np.sqrt(inverse)
            elif lx != 0 or ly != 0 or lz != 0:
                factor = (nx * lx + ny * ly + nz * lz) / np.sqrt(lx * lx + ly * ly + lz * lz)
            else:
                factor = position.dtype.type(math.pi) * (nx * nx + ny * ny + nz * nz)
            if factor > 0:
                for c in range(out.shape[1]):
                    out[s, c] += factor * intensity[k, c]
        for c in range(out.shape[1]):
            out[s, c] /= position.dtype.type(math.pi)
