"""Adam without the wait.

`torch.optim` imports torch's compiler at its first step, two seconds: half of what a whole fit of plain pixels takes.
This is the part of `torch.optim.Adam` that a fit needs, with the same parameter groups and state. A `Fit` takes either.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

EPSILON = 1e-8


class Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980) over tensors, or groups {"params", "lr", "betas"} of them."""

    def __init__(self, params: Iterable[Tensor] | Iterable[dict], lr: float = 1e-3, betas: tuple = (0.9, 0.999)):
        given: list[Any] = list(params)
        groups = given if given and isinstance(given[0], dict) else [{"params": given}]
        self.param_groups = [{"lr": lr, "betas": betas, **g, "params": list(g["params"])} for g in groups]
        self._state: dict[int, dict[str, Tensor]] = {}

    def _parameters(self) -> list[tuple[int, Tensor, dict]]:
        flat = [(p, group) for group in self.param_groups for p in group["params"]]
        return [(number, p, group) for number, (p, group) in enumerate(flat)]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for _, parameter, _ in self._parameters():
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for number, parameter, group in self._parameters():
            grad = parameter.grad
            if grad is None:
                continue
            if number not in self._state:
                zeros = {name: torch.zeros_like(parameter) for name in ("exp_avg", "exp_avg_sq")}
                self._state[number] = {"step": torch.tensor(0.0), **zeros}
            state, (beta1, beta2) = self._state[number], group["betas"]
            state["step"] += 1
            mean = state["exp_avg"].lerp_(grad, 1 - beta1)
            square = state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
            done = float(state["step"])
            scale = math.sqrt(1 - beta2**done)
            rate = group["lr"] * scale / (1 - beta1**done)
            parameter.addcdiv_(mean, square.sqrt().add_(EPSILON * scale), value=-rate)

    def state_dict(self) -> dict:
        """State by parameter number, and the groups without their tensors, as torch's optimizers give it."""
        groups = [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]
        return {"state": self._state, "param_groups": groups}

    def load_state_dict(self, state: dict) -> None:
        """Continue from `state_dict`."""
        parameters = {number: p for number, p, _ in self._parameters()}
        self._state = {
            number: {k: v if k == "step" else v.to(parameters[number]) for k, v in moments.items()}
            for number, moments in state["state"].items()
        }
        for group, saved in zip(self.param_groups, state["param_groups"], strict=True):
            group.update(saved)
