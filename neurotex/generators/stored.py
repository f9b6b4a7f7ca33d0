"""Tensors as files store them: which bytes, and how they are laid out. Nothing is copied until it is wanted."""

from __future__ import annotations

import math
import mmap
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..errors import FileError
from .unpickle import Budget, Refused

SIZE_LIMIT = 1 << 30  # bytes; StyleGAN2 and 3 at 1024² with discriminator and a second copy take 380 MB
SHARING = 4  # how often, on average, several tensors may look at the same number
PART_LIMIT = 1 << 22  # bytes of an archive's directory: 40,000 tensors
DEPTH, NAME_LENGTH = 32, 500  # of dicts and modules in each other, and of a tensor's name: nesting makes much of little

# what reading bytes that are not what they should be can end in
DAMAGED = (LookupError, TypeError, ValueError, ArithmeticError, RuntimeError, struct.error, zipfile.BadZipFile)


class MappedFile(mmap.mmap):
    """A file's bytes. Views of them are free; of copies it gives only small ones, and `zipfile` asks for no other."""

    def read(self, size: int | None = None) -> bytes:
        rest = self.size() - self.tell()
        size = rest if size is None or size < 0 else min(size, rest)
        if size > PART_LIMIT:
            raise Refused("is an archive of too many parts for a file of weights: save the generator alone.")
        return super().read(size)


@contextmanager
def opened(path: str | Path) -> Iterator[MappedFile]:
    """The bytes of a file, mapped. Whatever goes wrong while they are read is one FileError that names the file."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            if not size:
                raise Refused("is empty: get it again.")
            if size > SIZE_LIMIT:
                raise Refused(f"has {size:,} bytes, more than {SIZE_LIMIT:,}: save the generator alone.")
            data = MappedFile(file.fileno(), 0, access=mmap.ACCESS_READ)
        yield data
    except Refused as error:
        raise FileError(f"{path} {error}") from None
    except OSError as error:
        raise FileError(f"{path} cannot be opened ({error.strerror or error}): check the path.") from None
    except DAMAGED as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = "it refers to what is not there" if isinstance(error, LookupError) else lines[0].rstrip(".")
        raise FileError(f"{path} is damaged or not a checkpoint ({reason}): get it again.") from None


@dataclass(eq=False)
class Storage:
    """A run of `count` numbers; `data`, their bytes, may turn up later in the file than what refers to them."""

    dtype: torch.dtype
    count: int
    data: memoryview | None = None

    @cached_property
    def tensor(self) -> Tensor:
        """A copy of the bytes, aligned and writable, shared by all the tensors that look at them."""
        if not self.count:
            return torch.empty(0, dtype=self.dtype)
        assert self.data is not None  # `checked` has seen to it
        return torch.frombuffer(bytearray(self.data), dtype=self.dtype)


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A view of a storage: element (i, j, …) is its number `offset` + i·stride[0] + j·stride[1] + …"""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    is_parameter: bool = False

    @property
    def count(self) -> int:
        return math.prod(self.size)

    @property
    def nbytes(self) -> int:
        return self.count * self.storage.dtype.itemsize

    def load(self) -> Tensor:
        return self.storage.tensor.as_strided(self.size, self.stride, self.offset)


def load_all(tensors: dict[str, StoredTensor]) -> dict[str, Tensor]:
    """Tensors in memory of their own, apart from the file. Those that share numbers there share them here."""
    return {name: tensor.load() for name, tensor in tensors.items()}


def check_name(name: str, depth: int, budget: Budget) -> None:
    """Refuse a name that is no tensor's; `depth` is how many dicts or modules are around it."""
    budget.spend(len(name) + 1)
    if depth > DEPTH or len(name) > NAME_LENGTH:
        raise Refused("nests its tensors' names without end: do not trust it.")
    if not name.isprintable():
        raise Refused("gives a tensor a name that cannot be printed: do not trust it.")


def checked(tensors: dict[str, StoredTensor], available: int) -> dict[str, StoredTensor]:
    """The same tensors, if the file has the bytes of each and of all storages together.

    Several tensors may look at the same numbers; but a short file must not become a long one when they are written.
    """
    if any(tensor.storage.data is None for tensor in tensors.values()):
        raise Refused("lacks the numbers of a tensor that it names: it was cut off, get it again.")
    storages = {id(tensor.storage): tensor.storage for tensor in tensors.values()}
    copied = sum(storage.count * storage.dtype.itemsize for storage in storages.values())
    if copied > available or sum(tensor.nbytes for tensor in tensors.values()) > SHARING * available:
        raise Refused("claims larger tensors than it has room for: do not trust it.")
    return tensors
