"""How a CUDA kernel is compiled and launched: by NVIDIA Warp, an extra, loaded when tensors on a GPU first ask for it.

Such kernels live in files named `*_warp.py`, beside the numba kernels and the reference that they are held to, each
with a function that takes an op's tensors, makes room for the results and launches. One source runs on a GPU and, for
tests, on Warp's own CPU device: `launch` goes where the tensors are. Kernels are of single precision; for double the
reference runs. Warp compiles a file the first time that one of its kernels runs, and keeps the result on disk
(`WARP_CACHE_PATH`); `neurotex warm-up` does that ahead.

A kernel that decides what covers what stands in a module with `fuse_fp` off: a product and a sum that are rounded
once, not twice, would decide differently from the reference.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

MISSING = (
    "the kernels for NVIDIA GPUs need the package warp-lang, which is not installed: `pip install neurotex[cuda]`. "
    "Until then plain torch does their work, correctly but slowly."
)


def kernel(name: str, reference: Callable) -> Callable:
    """The function called `name` ("package.module_warp.function"), imported as it is first called.

    Where Warp is not installed, which is said once, and where floats are not of single precision, `reference` runs.
    """
    module, _, function = name.rpartition(".")

    def call(*arguments: Any) -> Any:
        if any(isinstance(x, Tensor) and x.is_floating_point() and x.dtype != torch.float32 for x in arguments):
            return reference(*arguments)
        if not available():
            _say_missing()
            return reference(*arguments)
        return getattr(importlib.import_module(module), function)(*arguments)

    call.__name__ = name
    return call


@lru_cache(maxsize=1)
def available() -> bool:
    """Whether Warp is installed. Loads and starts it, quietly."""
    try:
        import warp
    except ImportError:
        return False
    warp.config.log_level = warp.LOG_WARNING
    warp.init()
    return True


@lru_cache(maxsize=1)
def _say_missing() -> None:
    warnings.warn(MISSING, stacklevel=4)


def launch(kernel: Any, size: int | tuple[int, ...], *arguments: Any) -> None:
    """Run a Warp kernel for each of `size` indices, where its tensors are, in torch's current stream.

    Tensors lend their memory and are neither copied nor followed by autograd; they must have the element types that
    the kernel says (a vector's numbers adjacent), results among them. Nothing waits for the GPU.
    """
    import warp

    first = next(x for x in arguments if isinstance(x, Tensor))
    device, stream = _place(first.device)
    given = [
        _described(x, parameter.type.dtype) if isinstance(x, Tensor) else x
        for x, parameter in zip(arguments, kernel.adj.args, strict=True)
    ]
    warp.launch(kernel, size, given, device=device, stream=stream, record_tape=False)


def _described(tensor: Tensor, dtype: Any) -> Any:
    """A tensor as a kernel takes it: address, shape and strides, no more. A whole `array` costs thirty torch calls."""
    import warp

    return warp.from_torch(tensor.detach(), dtype=dtype, requires_grad=False, return_ctype=True)


def _place(device: torch.device) -> tuple[Any, Any]:
    """Warp's device and stream for torch's."""
    if device.type == "cpu":
        return "cpu", None
    return None, _stream(device.index or 0, torch.cuda.current_stream(device).cuda_stream)


@lru_cache(maxsize=64)
def _stream(index: int, handle: int) -> Any:
    """Warp's name for a stream of torch's; torch keeps all its streams alive."""
    import warp

    return warp.Stream(warp.get_device(f"cuda:{index}"), cuda_stream=handle)


def compile_ahead(functions: Iterable[str], device: str = "cuda") -> None:
    """Compile the modules of these functions ("package.module_warp.function") for a device, and keep them on disk."""
    import warp

    for name in sorted({function.rpartition(".")[0] for function in functions}):
        warp.load_module(importlib.import_module(name), device=device)


def lanes(tensor: Tensor, most: int) -> int:
    """How many neighbouring threads share a task: `most`, a power of two up to 32, on a GPU; one on Warp's CPU device.

    They add up by `joined`, in registers.
    """
    return most if tensor.device.type == "cuda" else 1
