"""Each kernel beside the reference that it is held to, on the device and in the precision that are asked for.

`--device cpu` (the default) holds numba's kernels and, on Warp's own CPU device, those for NVIDIA GPUs; `--device cuda`
those on a GPU. `--dtype float64` holds what runs in double precision.
"""

import pytest
import torch
from torch import Tensor

from neurotex.core import warp
from neurotex.core.op import Op

CLOSE = 1e-6  # of the largest number, in single precision


class Held:
    """Runs one kind of kernel and the reference on the same arguments, and compares what they return."""

    def __init__(self, kind: str, device: torch.device, dtype: torch.dtype):
        self.kind, self.device, self.dtype = kind, device, dtype

    def __call__(self, op: Op, *arguments: object, close: float = CLOSE, precise: bool = False) -> tuple[Tensor, ...]:
        """What the kernel returns, after whole numbers were found equal, and floats within `close` of the largest.

        With `precise`, the reference computes in double precision, of the same numbers.
        """
        given = [self.placed(x) for x in arguments]
        found, right = op.kernels[self.kind](*given), op.reference(*map(_doubled, given) if precise else given)
        for ours, expected in zip(_several(found), _several(right), strict=True):
            assert ours.dtype == (self.dtype if precise and ours.is_floating_point() else expected.dtype)
            assert ours.device == expected.device
            equal(ours, expected.to(ours.dtype), close if self.dtype == torch.float32 else close * 1e-8)
        return _several(found)

    def placed(self, x: object) -> object:
        """The same numbers as they are wanted here."""
        if isinstance(x, list):
            return [self.placed(item) for item in x]
        if not isinstance(x, Tensor):
            return x
        return x.to(self.device, self.dtype) if x.is_floating_point() else x.to(self.device)


def _doubled(x: object) -> object:
    return x.double() if isinstance(x, Tensor) and x.is_floating_point() else x


def _several(result: object) -> tuple[Tensor, ...]:
    return (result,) if isinstance(result, Tensor) else tuple(result)


def equal(ours: Tensor, right: Tensor, close: float = 0.0) -> None:
    """Equal in shape, in whole numbers, in NaN and infinities, and in floats to `close` times the largest of them."""
    assert ours.shape == right.shape
    if ours.is_floating_point() and close:
        finite = right.isfinite()
        largest = float(right[finite].abs().max()) if bool(finite.any()) else 0.0
        torch.testing.assert_close(ours, right, rtol=0, atol=close * largest, equal_nan=True)
    else:
        assert torch.equal(ours, right)


@pytest.fixture(params=["CPU", "CUDA"])
def held(request: pytest.FixtureRequest, device: torch.device, dtype: torch.dtype) -> Held:
    if request.param == "CPU" and device.type != "cpu":
        pytest.skip("numba's kernels run on the CPU")
    if request.param == "CUDA" and not warp.available():
        pytest.skip("warp-lang is not installed")
    return Held(request.param, device, dtype)
