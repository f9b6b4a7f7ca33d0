"""Tensors in nested modules, under the names that another framework gives them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from torch import Tensor, nn

from ...errors import ArgumentError

Path = tuple[str, ...]
EMPTY = nn.Module()


class NamedTensors(nn.Module):
    """Tensors by path: ("mapping", "kernel") is `self.mapping.kernel`, and "mapping.kernel" in the state.

    Floating-point ones outside `fixed` become parameters, all others buffers.
    """

    def __init__(self, tensors: Mapping[Path, Tensor], fixed: set[Path] | frozenset[Path] = frozenset()) -> None:
        super().__init__()
        self._paths = [
            self._place(path, value, trained=value.is_floating_point() and path not in fixed)
            for path, value in tensors.items()
        ]

    def values(self) -> list[Tensor]:
        """All tensors, in the order given; looked up anew, as functional_call puts others in their place."""
        return [reduce(getattr, path, self) for path in self._paths]

    def _place(self, path: Path, value: Tensor, trained: bool) -> Path:
        """Returns the names by which the tensor is found."""
        *folders, name = found = tuple(_attribute(part) for part in path)
        owner: nn.Module = self
        for folder in folders:
            if not hasattr(owner, folder):
                owner.add_module(folder, nn.Module())
            owner = getattr(owner, folder)
            if not isinstance(owner, nn.Module):
                break
        if not isinstance(owner, nn.Module) or hasattr(owner, name):
            raise ArgumentError(f"two weights of the generator are called {'.'.join(found)}: rename one of them.")
        if trained:
            owner.register_parameter(name, nn.Parameter(value))
        else:
            owner.register_buffer(name, value)
        return found


def _attribute(part: str) -> str:
    """A name that a module may give to an attribute: no dot in it, and none of the module's own, such as `float`."""
    part = part.replace(".", "_") or "_"
    return f"{part}_" if hasattr(EMPTY, part) or part in ("values", "_paths", "_place") else part
