"""PyTorch's .pt and .pth files as named tensors, read without PyTorch's unpickler.

`torch.load(weights_only=True)` is safe from 2.6 on (before, CVE-2025-32434 lets a file run code), but believes the
sizes that a file claims. This reader runs nothing with any version, and maps the file instead of unpacking it.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from torch import Tensor

from .stored import MappedFile, Storage, StoredTensor, check_name, checked, load_all, opened
from .torch_pickles import data_rules, read_stream, refused_name, storage_of, storage_type
from .unpickle import Budget, Name, PickleReader, Refused

ZIP_MAGIC = b"PK\x03\x04"
STREAM_START = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the first pickle of torch.save before 1.6


def is_torch_file(path: str | Path) -> bool:
    """Whether a file begins as those that `torch.save` writes, now (a zip archive) or before 1.6 (pickles)."""
    with opened(path) as data:
        return data[: len(ZIP_MAGIC)] == ZIP_MAGIC or data[: len(STREAM_START)] == STREAM_START


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """All tensors in a file of `torch.save`. Names of nested dicts are joined by dots: "g_ema.style.1.weight".

    What is neither a tensor nor a dict (counters, settings, lists) is left out. FileError, in one sentence, for a file
    that is cut off, packed, or holds objects such as a whole module.
    """
    return load_all(stored_tensors(path))


def stored_tensors(path: str | Path) -> dict[str, StoredTensor]:
    """The same, each still in the file."""
    with opened(path) as data:
        budget = Budget()
        rules = data_rules(budget)

        def find(module: str, name: str) -> Name:
            if (module, name) in rules:
                return Name(name, rules[module, name])
            if name.endswith("Storage"):
                return storage_type(module, name)
            raise refused_name(module, name)

        if data[: len(ZIP_MAGIC)] == ZIP_MAGIC:
            value = _read_archive(data, find, budget)
        else:
            value = read_stream(memoryview(data), find, budget)
        return checked(_flat(value, budget), len(data))


def _read_archive(data: MappedFile, find: Callable[[str, str], Name], budget: Budget) -> object:
    """<name>/data.pkl names storages; the bytes of each lie in <name>/data/<key>, not compressed."""
    with zipfile.ZipFile(cast(IO[bytes], data)) as archive:
        members = {member.filename: member for member in archive.infolist()}
    roots = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
    if len(roots) != 1 or f"{roots[0]}constants.pkl" in members:
        raise Refused("is an archive, but not a state dict of torch.save: export the weights from what wrote it.")
    root = roots[0]
    order = members.get(f"{root}byteorder")
    if order is not None and bytes(_member(data, order)) != b"little":
        raise Refused("was written on a big-endian machine: save it again on another.")

    storages: dict[str, Storage] = {}

    def stored(reference: object) -> Storage:
        storage, key = storage_of(reference)
        if f"{root}data/{key}" not in members:
            raise Refused("lacks the numbers of a tensor that it names: it was cut off, get it again.")
        storage.data = _member(data, members[f"{root}data/{key}"])
        if len(storage.data) != storage.count * storage.dtype.itemsize:
            raise Refused("is not a file of torch.save: a tensor has more or fewer numbers than it says.")
        return storages.setdefault(f"{key} {storage.dtype}", storage)

    return PickleReader(_member(data, members[f"{root}data.pkl"]), find, budget, stored).read()


def _member(data: MappedFile, member: zipfile.ZipInfo) -> memoryview:
    """Where a part of an archive lies in it. Its header repeats the name and has a field of any length, then bytes."""
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 or member.compress_size != member.file_size:
        raise Refused("is a compressed or locked archive, which torch.save does not write: do not trust it.")
    name, extra = struct.unpack_from("<HH", data, member.header_offset + 26)
    start = member.header_offset + 30 + name + extra
    piece = memoryview(data)[start : start + member.file_size]
    if len(piece) != member.file_size:
        raise Refused("ends too early: it was cut off, get it again.")
    return piece


def _flat(value: object, budget: Budget) -> dict[str, StoredTensor]:
    """Tensors of nested dicts under joined names."""
    if type(value) is not dict:
        raise Refused("holds no state dict: write it by torch.save(generator.state_dict()).")
    tensors: dict[str, StoredTensor] = {}

    def walk(named: dict, prefix: str, depth: int) -> None:
        for key, item in named.items():
            name = f"{prefix}{key}"
            check_name(name, depth, budget)
            if type(item) is dict:
                walk(item, f"{name}.", depth + 1)
            elif type(item) is StoredTensor:
                tensors[name] = item

    walk(value, "", 0)
    if not tensors:
        raise Refused("holds no tensors: write it by torch.save(generator.state_dict()).")
    return tensors
