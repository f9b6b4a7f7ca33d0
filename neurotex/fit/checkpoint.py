"""Stop and continue: the state of a run as one safetensors file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from .. import storage
from ..errors import FileError


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
        path = Path(path)
        if not path.is_file():
            raise FileError(f"{path} does not exist, so there is nothing to resume: run without --resume first.")
        try:
            state, metadata = storage.read_tensors(path)
            return cls(json.loads(metadata["options"]), int(metadata["stage"]), state)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise FileError(
                f"{path} is not a whole checkpoint ({error}): delete it and run without --resume."
            ) from None
