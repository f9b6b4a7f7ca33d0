"""How a kernel becomes a torch operator.

An operator has a reference for any device and a compiled kernel for CPU; torch picks by device. `fake` gives output
shapes alone, so that operators pass through `torch.compile`, `torch.export` and fake tensors.
"""

from __future__ import annotations

from collections.abc import Callable

import torch


def register(schema: str, *, reference: Callable, cpu: Callable, fake: Callable) -> None:
    """Register `torch.ops.neurotex.<name>`; gradients are added by `torch.library.register_autograd`.

    This is what `torch.library.custom_op` does, without importing torch's compiler (two seconds) at the first call.
    """
    name = f"neurotex::{schema.partition('(')[0]}"
    torch.library.define(name, schema[schema.index("(") :])
    torch.library.impl(name, "CompositeExplicitAutograd")(reference)
    torch.library.impl(name, "CPU")(cpu)
    torch.library.register_fake(name)(fake)
