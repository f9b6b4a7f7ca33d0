"""Stop and continue: the state of a run as one safetensors file."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from ..core import storage


@dataclass(frozen=True)
class Checkpoint:
    """Which options the run has, which stage it is in, that stage's `Fit.state_dict`, and how long it took so far."""

    options: dict
    stage: int
    state: dict[str, Tensor]
    seconds: float = 0.0

    def save(self, path: str | Path) -> None:
        """Write to `path`, whole or not at all."""
        metadata = {"options": json.dumps(self.options), "stage": str(self.stage), "seconds": f"{self.seconds:.3f}"}
        state = {name: value.detach().cpu().contiguous() for name, value in self.state.items()}
        storage.write_tensors(path, state, metadata)

    @classmethod
    def load(cls, path: str | Path) -> Checkpoint:
        """Read what `save` wrote. FileError if it is missing, cut off, or another file."""
        return storage.read_checkpoint(path, cls._parse)

    @classmethod
    def _parse(cls, state: dict[str, Tensor], about: dict[str, str]) -> Checkpoint:
        options, seconds = json.loads(about["options"]), float(about.get("seconds", 0))
        if not isinstance(options, dict):
            raise TypeError("its options have no names")
        if not 0 <= seconds < math.inf:
            raise ValueError(f"it took {seconds} seconds")
        return cls(options, int(about["stage"]), state, seconds)
