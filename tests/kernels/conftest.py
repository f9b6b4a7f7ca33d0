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

    def __call__(self, op: Op, *arguments: object, close: float = CLOSE) -> tuple[Tensor, ...]:
        """What the kernel returns, after whole numbers were found equal, and floats within `close` of the largest."""
        given = [self._placed(x) for x in arguments]
        found, expected = _several(op.kernels[self.kind](*given)), _several(op.reference(*given))
        for ours, right in zip(found, expected, strict=True):
            assert ours.dtype == right.dtype
            assert ours.device == right.device
            equal(ours, right, close if self.dtype == torch.float32 else close * 1e-8)
        return found

    def _placed(self, x: object) -> object:
        if isinstance(x, list):
            return [self._placed(item) for item in x]
        if not isinstance(x, Tensor):
            return x
        return x.to(self.device, self.dtype) if x.is_floating_point() else x.to(self.device)


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
