"""What NVIDIA's own code computed, where it is at hand: files stylegan*.npz with kwargs, state, z, w and images."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDERS = [Path(__file__).parents[3] / "shared" / "golden", Path(os.environ.get("NEUROTEX_GOLDEN") or os.devnull)]
TRUNCATION = 0.6  # of w_trunc and image_trunc, unless a file says otherwise


def files(family: str) -> list:
    """The files of a family as parameters of a test; one that skips where there are none."""
    found = sorted(path for folder in FOLDERS for path in folder.glob(f"{family}*.npz"))
    reason = f"{family}*.npz is neither in shared/golden beside the repository nor in the folder NEUROTEX_GOLDEN"
    skipped = [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(path, id=path.stem) for path in found] or skipped


def read(path: Path) -> tuple[dict, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """kwargs, state and everything else of a file."""
    with np.load(path) as file:
        kwargs = json.loads(str(file["kwargs"]))
        data = {name: torch.from_numpy(np.array(file[name])) for name in file.files if file[name].dtype.kind == "f"}
    state = {name.removeprefix("state/"): tensor for name, tensor in data.items() if name.startswith("state/")}
    return kwargs, state, {name: tensor for name, tensor in data.items() if not name.startswith("state/")}


def check(generator, data: dict[str, torch.Tensor]) -> None:
    """Styles and images, truncated or not, and w+, to a relative L2 distance of 1e-4."""
    z, c, psi = data["z"], data.get("c"), float(data.get("truncation_psi", TRUNCATION))
    with torch.no_grad():
        for name, truncation in (("", 1.0), ("_trunc", psi)):
            w = generator.mapping(z, c, truncation)
            close(w[:, None].expand_as(data[f"w{name}"]), data[f"w{name}"])
            close(generator(z, c, truncation), data[f"image{name}"])
            close(generator.synthesis(data[f"w{name}"]), data[f"image{name}"])


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).norm() <= 1e-4 * theirs.norm()
