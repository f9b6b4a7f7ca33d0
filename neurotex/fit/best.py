"""The best parameters on the way: a loss through discrete steps goes up and down from step to step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


class Best:
    """Remembers the parameters of `module` at the lowest `score()` that `look` has seen.

    The score is of what is exported, not of the loss that is optimised, and costs a render: look every few steps.
    """

    def __init__(self, module: nn.Module, score: Callable[[], float]):
        self.module = module
        self.score = score
        self.value = math.inf
        self._kept: dict[str, Tensor] = {}

    def look(self) -> bool:
        """Score the parameters as they are now; whether they are the best so far, and now remembered."""
        value = self.score()
        better = value < self.value
        if better:
            self.value = value
            self._kept = {name: p.detach().clone() for name, p in self.module.named_parameters()}
        return better

    @torch.no_grad()
    def restore(self) -> None:
        """Set the parameters to the best ones."""
        for name, parameter in self.module.named_parameters():
            parameter.copy_(self._kept.get(name, parameter))

    def state_dict(self) -> dict[str, Tensor]:
        """What is remembered, by name."""
        return {"value": torch.tensor(self.value, dtype=torch.float64), **{f"of.{k}": v for k, v in self._kept.items()}}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Remember `state`, which `state_dict` returned for the same module. KeyError or ValueError for another's."""
        value = float(state["value"])
        kept = {name: state[f"of.{name}"] for name, _ in self.module.named_parameters()} if value < math.inf else {}
        for name, parameter in self.module.named_parameters() if kept else ():
            found = kept[name]
            if found.shape != parameter.shape or found.dtype != parameter.dtype or not bool(found.isfinite().all()):
                raise ValueError(f"the best {name} is no {tuple(parameter.shape)} of {parameter.dtype}")
        self.value, self._kept = value, kept
