"""What PyTorch and NumPy put into pickles, as rules for a reader that calls nothing of theirs."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from .stored import SIZE_LIMIT, Storage, StoredTensor
from .unpickle import Budget, Inert, Name, PickleReader, Refused

STORAGE_TYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
STREAM_MAGIC = 0x1950A86A20F9469CFC6C  # what torch.save began files with before 1.6, and pickled storages with to date


def storage_type(module: str, name: str) -> Name:
    """The rule for a storage's type, `torch.FloatStorage` and its kin: a name, never called."""
    if module not in ("torch", "torch.cuda") or name not in STORAGE_TYPES:
        raise refused_name(module, name)
    return Name(name, _never_called)


def refused_name(module: str, name: str) -> Refused:
    """Why a name is not followed. It is a stranger's text: shortened, and without control characters."""
    shown = ascii(f"{module}.{name}"[:80])
    return Refused(
        f"names {shown}, which is neither a tensor nor plain data and is not called for a file: "
        "ask its author for a state dict, as safetensors or by torch.save(generator.state_dict())."
    )


def storage_of(reference: Any) -> tuple[Storage, str]:
    """What torch.save's persistent id stands for: ("storage", type, key, device, count[, None]) → storage and key."""
    if type(reference) is not tuple or len(reference) not in (5, 6) or reference[0] != "storage":
        raise Refused("is not a file of torch.save: what it keeps apart is not a tensor's numbers.")
    _, kind, key, _, count = reference[:5]
    if type(kind) is not Name or kind.name not in STORAGE_TYPES or type(key) is not str:
        raise Refused("is not a file of torch.save: a tensor's numbers have no type or key.")
    if type(count) is not int or not 0 <= count <= SIZE_LIMIT or reference[5:] not in ((), (None,)):
        raise Refused("is not a file of torch.save that can be read: a tensor's numbers have no fixed count.")
    return Storage(STORAGE_TYPES[kind.name], count), key


def read_stream(data: memoryview, find: Callable[[str, str], Name], budget: Budget) -> object:
    """What `torch.save` wrote before PyTorch 1.6, and writes to date for a storage inside a pickle.

    Five pickles: a magic number, a version, the machine's properties, the object, the keys of its storages in order.
    Behind them for each storage its count (8 bytes) and its numbers.
    """
    storages: dict[str, Storage] = {}
    reader = PickleReader(data, find, budget, partial(_stored, storages))
    if reader.read() != STREAM_MAGIC:
        raise Refused("is not a file of torch.save: its first number is another.")
    reader.read()
    machine = reader.read()
    if type(machine) is not dict or machine.get("little_endian") is not True:
        raise Refused("was written on a big-endian machine: save it again on another.")
    value = reader.read()
    keys = reader.read()
    if type(keys) is not list or not all(type(key) is str for key in keys) or sorted(keys) != sorted(storages):
        raise Refused("is not a file of torch.save: its list of storages does not fit its tensors.")
    for key in keys:
        storage = storages[key]
        if reader.number("<q") != storage.count:
            raise Refused("is not a file of torch.save: a tensor has more or fewer numbers than it says.")
        storage.data = reader.take(storage.count * storage.dtype.itemsize)
    return value


def _stored(storages: dict[str, Storage], reference: object) -> Storage:
    storage, key = storage_of(reference)
    known = storages.setdefault(key, storage)
    if (known.dtype, known.count) != (storage.dtype, storage.count):
        raise Refused("is not a file of torch.save that can be read: two tensors see the same bytes differently.")
    return known


def _storage_from_bytes(budget: Budget) -> Callable[[tuple], Storage]:
    def make(arguments: tuple) -> Storage:
        (data,) = arguments
        if type(data) is not memoryview:
            raise Refused("keeps its numbers as text, as pickles of protocol 2 do: pickle it again by protocol 4.")
        storage = read_stream(data, storage_type, budget)
        if type(storage) is not Storage:
            raise Refused("is not a pickle of weights: a tensor's numbers are something else.")
        return storage

    return make


def _tensor(arguments: tuple) -> StoredTensor:
    """(storage, offset, size, stride, requires_grad, hooks[, metadata]) → a view that lies inside of the storage."""
    storage, offset, size, stride = arguments[:4]
    if type(storage) is not Storage or type(size) is not tuple or type(stride) is not tuple:
        raise Refused("is not a pickle of weights: a tensor in it has no numbers or no shape.")
    if len(size) != len(stride) or len(size) > 8:
        raise Refused("is not a pickle of weights: a tensor in it has a shape without strides, or too many dimensions.")
    if not all(type(n) is int and 0 <= n <= SIZE_LIMIT for n in (offset, *size, *stride)):
        raise Refused("is not a pickle of weights: a tensor in it has a negative or absurd shape.")
    tensor = StoredTensor(storage, offset, size, stride)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if tensor.count > storage.count or (tensor.count and last >= storage.count):
        raise Refused("claims larger tensors than it has room for: do not trust it.")
    return tensor


def _parameter(arguments: tuple) -> StoredTensor:
    """(tensor, requires_grad, hooks) → the tensor, known as a parameter."""
    if type(arguments[0]) is not StoredTensor:
        raise Refused("is not a pickle of weights: a parameter in it is not a tensor.")
    return replace(arguments[0], is_parameter=True)


def _empty_dict(arguments: tuple) -> dict:
    if arguments:
        raise Refused("is not a pickle of weights: a dict in it does not begin empty.")
    return {}


def _only_argument(arguments: tuple) -> object:
    (value,) = arguments
    return value


def _never_called(arguments: tuple) -> object:
    raise Refused("is not a pickle of weights: it calls the type of a tensor's numbers.")


def _dtype(arguments: tuple) -> Inert:
    """numpy.dtype("f8", False, True): its code is all that a scalar needs."""
    code = arguments[0]
    return Inert(code if type(code) is str and len(code) <= 8 else "numpy.dtype")


def _scalar(arguments: tuple) -> object:
    """A number of NumPy's, as Python's. On disk it is little-endian unless its dtype says otherwise, as none here."""
    dtype, data = arguments
    layouts = {"f8": "<d", "f4": "<f", "i8": "<q", "i4": "<i", "b1": "<?"}
    if type(dtype) is not Inert or dtype.kind not in layouts or type(data) is not memoryview:
        return Inert("numpy.number")
    return struct.unpack(layouts[dtype.kind], data)[0]


def data_rules(budget: Budget) -> dict[tuple[str, str], Callable[[tuple], object]]:
    """(module, name) → what is done where a pickle calls it: for tensors, containers and numbers."""

    def inert(kind: str) -> Callable[[tuple], Inert]:
        return lambda arguments: Inert(kind)

    rules: dict[tuple[str, str], Callable[[tuple], object]] = {
        ("collections", "OrderedDict"): _empty_dict,
        ("torch", "Size"): _only_argument,
        ("torch", "device"): inert("torch.device"),
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("torch.storage", "_load_from_bytes"): _storage_from_bytes(budget),
        ("_codecs", "encode"): inert("bytes"),
        ("numpy", "dtype"): _dtype,
        ("numpy", "ndarray"): inert("numpy.ndarray"),
    }
    for module in ("builtins", "__builtin__"):
        rules |= {(module, name): _only_argument for name in ("set", "frozenset")}
    for module in ("numpy.core", "numpy._core"):
        rules[f"{module}.multiarray", "scalar"] = _scalar
        rules[f"{module}.multiarray", "_reconstruct"] = inert("numpy.ndarray")
        rules[f"{module}.numeric", "_frombuffer"] = inert("numpy.ndarray")
    dtypes = [str(dtype).removeprefix("torch.") for dtype in STORAGE_TYPES.values()]
    return rules | {("torch", name): inert("torch.dtype") for name in dtypes}
