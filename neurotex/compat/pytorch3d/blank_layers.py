"""Memory for what is seen, unwritten."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

PAGE, MADV_HUGEPAGE = 1 << 21, 14  # a large page of Linux, and its advice to use them


def blank_layers(shape: tuple[int, ...], like: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Unwritten pix_to_face, zbuf, bary_coords and dists of `shape`, in the type and on the device of `like`.

    Linux is asked for pages of 2 MB under them: touching 4 KB ones first would cost more than the writing.
    """
    pix = like.new_empty(shape, dtype=torch.int64)
    out = (pix, like.new_empty(shape), like.new_empty((*shape, 3)), like.new_empty(shape))
    if sys.platform == "linux" and type(like) is Tensor and like.device.type == "cpu":
        for tensor in out:
            start = -(-tensor.data_ptr() // PAGE) * PAGE
            length = (tensor.data_ptr() + tensor.nbytes) // PAGE * PAGE - start
            if length > 0:
                _madvise()(start, length, MADV_HUGEPAGE)  # no more than advice: whether it is taken does not matter
    return out


@lru_cache(maxsize=1)
def _madvise() -> Callable[[int, int, int], int]:
    function = ctypes.CDLL(None).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function
