"""Kernels for NVIDIA GPUs between lists of pixels and images; see `pixels`."""

import warp as wp
from torch import Tensor

from ..core.warp import launch

wp.set_module_options({"enable_backward": False})


@wp.kernel
def place_pixels(
    colour: wp.array2d(dtype=wp.float32),
    alpha: wp.array(dtype=wp.float32),
    pixel: wp.array(dtype=wp.int64),
    out: wp.array(dtype=wp.vec4),
):
    """out[pixel[k]] = the first three channels of colour[k], alpha[k]."""
    k = wp.tid()
    out[int(pixel[k])] = wp.vec4(colour[k, 0], colour[k, 1], colour[k, 2], alpha[k])


@wp.kernel
def pick_pixels(image: wp.array2d(dtype=wp.float32), pixel: wp.array(dtype=wp.int64), out: wp.array(dtype=wp.vec4)):
    """out[k] = the colour of pixel[k]; the last channel is not a colour."""
    k = wp.tid()
    p = int(pixel[k])
    out[k] = wp.vec4(image[p, 0], image[p, 1], image[p, 2], 0.0)


def place(colour: Tensor, alpha: Tensor, pixel: Tensor, total: int) -> Tensor:
    """`pixels.place_reference`."""
    out = colour.new_zeros((total, 4))
    launch(place_pixels, len(pixel), colour, alpha, pixel, out)
    return out


def pick(image: Tensor, pixel: Tensor) -> Tensor:
    """The transpose of `place`, in colour."""
    out = image.new_empty((len(pixel), 4))
    launch(pick_pixels, len(pixel), image, pixel, out)
    return out
