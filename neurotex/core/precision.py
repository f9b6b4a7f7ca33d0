"""In which precision things are computed: float32 or float64, whatever autocast says and textures come in.

A place in an image of 512² has 9 bits before the point, and textures need some behind it: half precision has 8 or 11
in all. So geometry, light and discrete steps leave autocast to the networks that it was made for.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def uncast(device: torch.device) -> AbstractContextManager:
    """A context in which `torch.autocast` changes nothing; none at all where it is off anyway."""
    return torch.autocast(device.type, enabled=False) if torch.is_autocast_enabled(device.type) else nullcontext()


def forget_casts() -> None:
    """Have `torch.autocast` cast parameters again: what it keeps of them lasts for its whole context, and where that is
    around an optimiser's steps, networks would go on with the values of the first one."""
    if not torch.compiler.is_compiling():
        torch.clear_autocast_cache()


def is_half(dtype: torch.dtype) -> bool:
    """Whether a type holds floats of less than 32 bits."""
    return dtype.is_floating_point and dtype.itemsize < 4


def widened(x: Tensor) -> Tensor:
    """Floats of less than 32 bits as float32, all else as it is."""
    return x.float() if is_half(x.dtype) else x
