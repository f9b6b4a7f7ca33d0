"""What was made from tensors, kept until one of them is another or has changed in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

PROBES = 1 << 14


class Kept:
    """Call it with a function without arguments and the tensors that its result depends on.

    Whether a tensor has changed is told by torch's count of changes in place. Tensors of inference mode have none, and
    nothing is kept of them. What writes past torch (`.data`, numpy) is not counted, so up to PROBES entries, evenly
    spread, are compared, too: of a larger tensor, changes of single entries may go unseen. A copy starts empty: its
    tensors count from 0 again.
    """

    def __init__(self) -> None:
        self._made: tuple[list[_Seen], Any] | None = None

    def __call__(self, make: Callable[[], Any], *tensors: Tensor) -> Any:
        if any(tensor.is_inference() for tensor in tensors):
            return make()
        # the tensors themselves are kept, so that no other one can take an identity over
        if self._made is None or not all(map(_Seen.still, self._made[0], tensors)):
            if torch.is_inference_mode_enabled():  # what is made now could not be used outside
                return make()
            self._made = ([_Seen(tensor) for tensor in tensors], make())
        return self._made[1]

    def __deepcopy__(self, memo: dict) -> Kept:
        return Kept()

    def __reduce__(self) -> tuple:
        return Kept, ()


def is_known(tensor: Tensor) -> bool:
    """Whether values may be looked at: not while they are traced or vectorised."""
    return not torch.compiler.is_compiling() and not is_functorch_wrapped_tensor(tensor)


class _Seen:
    """A tensor as it was."""

    def __init__(self, tensor: Tensor) -> None:
        self.state = _state(tensor)
        probe = _probe(tensor)
        self.probe = None if probe is None else probe.clone()

    def still(self, tensor: Tensor) -> bool:
        """Whether this is it, unchanged as far as that shows."""
        state = _state(tensor)
        if state[0] is not self.state[0] or state[1:] != self.state[1:]:
            return False
        probe = _probe(tensor)
        # NaN is not itself: what holds one is made anew
        return probe is None or self.probe is None or torch.equal(probe, self.probe)


def _state(tensor: Tensor) -> tuple:
    return tensor, tensor._version, tensor.dtype, tensor.device, tensor.shape


def _probe(tensor: Tensor) -> Tensor | None:
    """Some entries of a tensor, in a row; None where values may not be looked at."""
    if not is_known(tensor):
        return None
    return tensor.detach().flatten()[:: tensor.numel() // PROBES + 1]
