"""Lambert's law on NVIDIA GPUs; see `diffuse`."""

import math

import warp as wp
from torch import Tensor

from ..core.warp import launch
from .kernels import in_rows
from .lights import NEAREST, scaled

wp.set_module_options({"enable_backward": False})

pi, nearest = wp.constant(math.pi), wp.constant(NEAREST**2)


@wp.kernel
def shade(
    position: wp.array(dtype=wp.vec3),
    normal: wp.array(dtype=wp.vec3),
    eye: wp.array(dtype=wp.float32),
    lights: wp.array2d(dtype=wp.float32),
    intensity: wp.array2d(dtype=wp.float32),
    ambient: wp.array2d(dtype=wp.float32),
    visibility: wp.array2d(dtype=wp.float32),
    out: wp.array2d(dtype=wp.float32),
):
    """One point under all lights."""
    s = wp.tid()
    p = position[s]
    n = normal[s] / wp.max(wp.length(normal[s]), 1.0e-12)
    if wp.dot(n, wp.vec3(eye[0], eye[1], eye[2]) - eye[3] * p) < 0.0:
        n = -n
    for c in range(out.shape[1]):
        out[s, c] = 0.0
        for k in range(ambient.shape[0]):
            out[s, c] = out[s, c] + wp.dot(n, n) * ambient[k, c]  # 0 where there is no normal
    for k in range(lights.shape[0]):
        light = wp.vec3(lights[k, 0], lights[k, 1], lights[k, 2])
        received = float(0.0)
        if lights[k, 3] != 0.0:
            offset = light - p
            square = wp.dot(offset, offset)
            if square > nearest:
                received = wp.max(wp.dot(n, offset), 0.0) / (square * wp.sqrt(square) * pi)
        elif wp.dot(light, light) > 0.0:
            received = wp.max(wp.dot(n, light), 0.0) / (wp.length(light) * pi)
        if visibility.shape[0] > 0:
            received = received * visibility[s, k]
        for c in range(out.shape[1]):
            out[s, c] = out[s, c] + received * intensity[k, c]


def diffuse(
    position: Tensor,
    normal: Tensor,
    eye: Tensor,
    lights: Tensor,
    intensity: Tensor,
    ambient: Tensor | None,
    visibility: Tensor | None,
) -> Tensor:
    """`diffuse.diffuse_reference`."""
    out = position.new_empty((len(position), intensity.shape[1]))
    rows = [x.contiguous() for x in (intensity, *in_rows(lights, intensity, ambient, visibility))]
    launch(shade, len(position), position.contiguous(), normal.contiguous(), scaled(eye), scaled(lights), *rows, out)
    return out
