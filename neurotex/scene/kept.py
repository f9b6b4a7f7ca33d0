"""What was made from tensors, kept until one of them is another or has changed in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Kept:
    """Call it with a function without arguments and the tensors that its result depends on.

    Whether a tensor has changed is told by torch's count of changes in place. Tensors of inference mode have none, and
    nothing is kept of them; what writes past torch (`.data`, numpy) is not counted. A copy starts empty: its tensors
    count from 0 again.
    """

    def __init__(self) -> None:
        self._made: tuple[list[tuple], Any] | None = None

    def __call__(self, make: Callable[[], Any], *tensors: Tensor) -> Any:
        if any(tensor.is_inference() for tensor in tensors):
            return make()
        # the tensors themselves are kept, so that no other one can take an identity over
        state = [(tensor, tensor._version, tensor.dtype, tensor.device) for tensor in tensors]
        if self._made is None or not all(map(_same, self._made[0], state)):
            if torch.is_inference_mode_enabled():  # what is made now could not be used outside
                return make()
            self._made = (state, make())
        return self._made[1]

    def __deepcopy__(self, memo: dict) -> Kept:
        return Kept()

    def __reduce__(self) -> tuple:
        return Kept, ()


def is_known(tensor: Tensor) -> bool:
    """Whether values may be looked at: not while they are traced or vectorised."""
    return not torch.compiler.is_compiling() and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)


def _same(before: tuple, now: tuple) -> bool:
    return before[0] is now[0] and before[1:] == now[1:]
