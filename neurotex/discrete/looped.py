"""Operators under `torch.func.vmap`: one call after the other."""

from __future__ import annotations

import torch
from torch import Tensor


def loop_vmap(name: str) -> None:
    """Let `torch.ops.neurotex.<name>` take batches by calling it for each of their items.

    An item is a whole texture, so the loop costs nothing beside the work. Without a rule torch loops too, but warns.
    """
    if not hasattr(torch.library, "register_vmap"):  # since torch 2.5
        return
    operator = getattr(torch.ops.neurotex, name)

    def rule(info: object, dims: tuple, *values: object) -> tuple:
        items = [
            operator(*(value if dim is None else value.select(dim, k) for value, dim in zip(values, dims, strict=True)))
            for k in range(info.batch_size)
        ]
        if isinstance(items[0], Tensor):
            return torch.stack(items), 0
        stacks = tuple(torch.stack(parts) for parts in zip(*items, strict=True))
        return stacks, (0,) * len(stacks)

    torch.library.register_vmap(f"neurotex::{name}", rule)
