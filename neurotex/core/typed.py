"""Of torch's lists, sums and shapes, the types that torch's own annotations do not say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from torch import Tensor, nn

if TYPE_CHECKING:
    M = TypeVar("M", bound=nn.Module)

    class ModuleList(nn.ModuleList, Generic[M]):
        """torch's own, where a type checker is to know what is in it: `lights: ModuleList[Light]`."""

        def __init__(self, modules: Iterable[M] | None = None) -> None: ...
        def __iter__(self) -> Iterator[M]: ...  # pyright: ignore[reportReturnType]
        @overload
        def __getitem__(self, idx: int) -> M: ...
        @overload
        def __getitem__(self, idx: slice) -> ModuleList[M]: ...
        def __getitem__(self, idx: int | slice) -> M | ModuleList[M]: ...

else:
    ModuleList = nn.ModuleList


def added(tensors: Iterable[Tensor]) -> Tensor:
    """The sum of one tensor or more, one after the other; Python's `sum` may be the number 0."""
    return reduce(add, tensors)


def sides(x: Tensor) -> tuple[int, int]:
    """(height, width) of images or textures (…, H, W)."""
    return x.shape[-2], x.shape[-1]
