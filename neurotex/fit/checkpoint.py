"""Stop and continue: the state of a run as one safetensors file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .. import storage


@dataclass(frozen=True)
class Checkpoint:
    """Which options the run has, which stage it is in, and that stage's `Fit.state_dict`."""

    options: dict
    stage: int
    state: dict[str, Tensor]

    def save(self, path: str | Path) -> None:
        """Write to `path`, whole or not at all."""
        metadata = {"options": json.dumps(self.options), "stage": str(self.stage)}
        state = {name: value.detach().cpu().contiguous() for name, value in self.state.items()}
        storage.write_tensors(path, state, metadata)

    @classmethod
    def load(cls, path: str | Path) -> Checkpoint:
        """Read what `save` wrote. FileError if it is missing or cut off."""
        return storage.read_checkpoint(
            path, lambda state, about: cls(json.loads(about["options"]), int(about["stage"]), state)
        )
