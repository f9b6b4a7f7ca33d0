"""One process, or many: what a `Trainer` asks of either. Many come from Lightning Fabric, whose names these are."""

from __future__ import annotations

import os
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from ..errors import ArgumentError, MissingError
from .options import Machine

T = TypeVar("T")
PRECISIONS = ("32", "bf16", "16")


@runtime_checkable
class Processes(Protocol):
    """What a `Trainer` asks of the processes that share its work; a launched Lightning Fabric is one."""

    @property
    def device(self) -> torch.device: ...

    @property
    def world_size(self) -> int: ...

    @property
    def global_rank(self) -> int: ...

    @property
    def is_global_zero(self) -> bool: ...

    def autocast(self) -> AbstractContextManager: ...

    def backward(self, loss: Tensor) -> None: ...

    def all_reduce(self, value: Tensor, reduce_op: str = "mean") -> Tensor: ...

    def all_gather(self, value: Tensor) -> Tensor: ...

    def broadcast(self, value: T) -> T: ...


class Alone:
    """One process that computes as it is told: what `Fabric` offers, without Fabric."""

    world_size, global_rank, is_global_zero = 1, 0, True

    def __init__(self, device: torch.device | str = "cpu"):
        self.device = torch.device(device)

    def autocast(self) -> AbstractContextManager:
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def all_reduce(self, value: Tensor, reduce_op: str = "mean") -> Tensor:
        return value

    def all_gather(self, value: Tensor) -> Tensor:
        return value[None]

    def broadcast(self, value: T) -> T:
        return value


def has_bfloat16() -> bool:
    """Whether the CPU multiplies in bfloat16 (AMX, AVX512-BF16): then convolutions are twice as fast and more."""
    asked = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # where torch is asked, it has no public name
    return any(getattr(torch.cpu, name, lambda: False)() for name in asked)


def launch(
    device: str = Machine.device, processes: int = Machine.processes, precision: str = Machine.precision
) -> Processes:
    """Processes ready to train: `Alone`, or a launched `Fabric`.

    `precision` is "32", or "bf16" or "16" for mixed precision. `processes` are started here; under `torchrun`, which
    has started them already, its own number counts. MissingError without Lightning Fabric where it is needed. `device`
    is "cpu", "cuda" or "cuda:1". ArgumentError for what this machine has not.
    """
    started = "TORCHELASTIC_RUN_ID" in os.environ or "LOCAL_RANK" in os.environ
    if precision not in PRECISIONS:
        raise ArgumentError(f"there is no precision '{precision}': choose one of {', '.join(PRECISIONS)}.")
    try:
        where = torch.device(device)
        torch.zeros(1).to(where if where.type != "cuda" else "cpu").item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ArgumentError(f"device '{device}' cannot be used on this machine: try --device cpu.") from None
    if where.type == "cuda" and not torch.cuda.is_available():
        raise ArgumentError("there is no CUDA device here: use --device cpu.")
    if processes < 1:
        raise ArgumentError(f"a run takes 1 process or more, not {processes}.")
    if where.type == "cpu" and not started and processes > (most := max(os.cpu_count() or 1, 16)):
        raise ArgumentError(f"{processes} processes are more than this machine has cores for: give {most} at most.")
    if where.type == "cpu" and precision == "bf16" and not has_bfloat16():
        warnings.warn("this CPU computes nothing in bfloat16: --precision 32 is faster.", stacklevel=2)
    if processes == 1 and precision == "32" and not started:
        return Alone(where)
    try:
        from lightning_fabric import Fabric
    except ModuleNotFoundError:
        raise MissingError(
            "several processes and mixed precision need Lightning Fabric: pip install 'neurotex[train]'."
        ) from None
    devices = [where.index] if where.index is not None and processes == 1 and not started else processes
    if started:
        processes = int(os.environ.get("WORLD_SIZE", processes))
        devices = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    nodes = max(processes // devices, 1) if isinstance(devices, int) else 1
    kind: Any = "32-true" if precision == "32" else f"{precision}-mixed"
    fabric: Any = Fabric(
        accelerator="cuda" if where.type == "cuda" else "cpu",
        devices=devices,
        num_nodes=nodes,
        strategy="ddp" if processes > 1 else "auto",
        precision=kind,
    )
    fabric.launch()
    return fabric
