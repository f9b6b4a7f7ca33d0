"""A generator to write in every framework, and how far two tensors are apart."""

from typing import Any

import numpy as np
import torch


def in_torch(weights: dict[str, torch.Tensor], z: torch.Tensor) -> torch.Tensor:
    """The generator of `weights`."""
    return torch.tanh(torch.tanh(z @ weights["mix"] + weights["bias"]) @ weights["out"]).view(-1, 3, 8, 8)


def relative(found: Any, expected: Any) -> float:
    """How far two tensors are apart, of how large they are."""
    found, expected = (t.detach() if isinstance(t, torch.Tensor) else np.asarray(t) for t in (found, expected))
    found, expected = (torch.from_numpy(np.asarray(t).astype(float)) for t in (found, expected))
    assert found.shape == expected.shape
    return float((found - expected).norm() / expected.norm())
