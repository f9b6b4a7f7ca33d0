"""Files made to do harm: none runs anything, none takes long or much memory, each is refused in one sentence.

One child process reads them all, with Python's audit hook listening: it hears every import, every call of exec, compile
or the system, and every file that is opened.
"""

# Over 400 lines: one attack after the other, on files that are made alike

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib

import pytest
import torch

import neurotex as nt
from neurotex.generators.pickles import read_pickle
from neurotex.generators.torch_files import read_state_dict

SECONDS, MEGABYTES = 10, 300  # what a file may take; the worst of these takes 1.5 s and 40 MiB on a busy machine


NO_PARTS: dict[str, bytes] = {}


class Code(bytes):
    """Opcodes that leave a value on top of the stack."""


def code(value: object) -> Code:
    """Opcodes of protocol 3 for plain values, so that files can say what no pickler would write."""
    match value:
        case Code():
            return value
        case None:
            return Code(b"N")
        case bool():
            return Code(b"\x88" if value else b"\x89")
        case int():
            return Code(b"J" + struct.pack("<i", value))
        case str():
            return Code(b"X" + struct.pack("<I", len(value.encode())) + value.encode())
        case bytes():
            return Code(b"B" + struct.pack("<I", len(value)) + value)
        case tuple():
            return Code(b"(" + b"".join(map(code, value)) + b"t")
        case list():
            return Code(b"](" + b"".join(map(code, value)) + b"e")
        case dict():
            return Code(b"}(" + b"".join(code(item) for pair in value.items() for item in pair) + b"u")
    raise TypeError(value)


def name(module: str, attribute: str) -> Code:
    return Code(f"c{module}\n{attribute}\n".encode())


def call(module: str, attribute: str, *arguments: object) -> Code:
    return Code(name(module, attribute) + code(arguments) + b"R")


def file(value: object, protocol: int = 4) -> bytes:
    return b"\x80" + bytes([protocol]) + code(value) + b"."


def persistent(state: object, source: str = "", class_name: str = "Generator") -> Code:
    meta = {"type": "class", "version": 6, "module_src": source, "class_name": class_name, "state": state}
    return call("torch_utils.persistence", "_reconstruct_persistent_obj", meta)


def network(before: bytes = b"", /, **state: object) -> bytes:
    """A pickle of NVIDIA's; `before` may fill the memo for the network's state to refer to."""
    return file(Code(before + code({"G_ema": persistent(state)})))


STORAGE = name("torch", "FloatStorage")
MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {}}


def stream(value: object, keys: object = (), numbers: bytes = b"") -> bytes:
    """A file of torch.save from before 1.6."""
    magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    return magic + file(1001, 2) + file(MACHINE, 2) + file(value, 2) + file(keys or [], 2) + numbers


def reference(count: int, key: object = "0", kind: object = STORAGE) -> Code:
    return Code(code(("storage", kind, key, "cpu", count)) + b"Q")


def storage(count: int, claimed: int | None = None, data: bytes | None = None) -> Code:
    """A storage as pickles hold it: a stream of its own, as bytes."""
    data = bytes(4 * count) if data is None else data
    held = stream(reference(count if claimed is None else claimed), ["0"], struct.pack("<q", count) + data)
    return from_bytes(held)


def from_bytes(held: object) -> Code:
    return call("torch.storage", "_load_from_bytes", held)


def tensor(held: object, size: object = (4,), stride: object = (1,), offset: object = 0) -> Code:
    hooks = call("collections", "OrderedDict")
    return call("torch._utils", "_rebuild_tensor_v2", held, offset, size, stride, False, hooks)


def buffer(*arguments: object) -> bytes:
    return network(_buffers={"a": tensor(*arguments)})


def archive(
    value: object, parts: dict[str, bytes] = NO_PARTS, compression: int = zipfile.ZIP_STORED, root: str = "archive"
) -> bytes:
    """A file of torch.save as it is today."""
    file_object = io.BytesIO()
    with zipfile.ZipFile(file_object, "w", compression) as packed:
        packed.writestr(f"{root}/data.pkl", file(value, 2))
        for path, data in parts.items():
            packed.writestr(f"{root}/{path}", data)
    return file_object.getvalue()


def put(value: Code, place: int) -> Code:
    """The value, and where in the memo it is from now on."""
    return Code(code(value) + b"q" + bytes([place]))


def get(place: int) -> Code:
    return Code(b"h" + bytes([place]))


def laughs(innermost: object, twice: object, place: int = 0) -> Code:
    """60 levels in a memo's place, each of which holds the one below twice ("billion laughs"): 2^60 in all."""
    return Code(put(code(innermost), place) + 60 * put(code(twice), place))


SYSTEM = call("os", "system", "touch executed")
TOUCH = "import os; os.system('touch executed')"
NUMBERS = {"data/0": bytes(16)}
FOUR = tensor(reference(4))
SHARED = {"a": put(tensor(reference(100), (100,)), 9)} | {f"a{k}": get(9) for k in range(2_000)}
DEEP_DICT: dict = {}
for _ in range(40):
    DEEP_DICT = {"a": DEEP_DICT}

# what the message says → files by what is in them; large ones are made when they are written
PICKLES = {
    "names '": {
        "os.system": file(SYSTEM),
        "posix.system": file(call("posix", "system", "touch executed")),
        "os.system as a class": file(Code(name("os", "system") + code(("touch executed",)) + b"\x81")),
        "eval": file(call("builtins", "eval", TOUCH)),
        "exec": file(call("builtins", "exec", TOUCH)),
        "exec by Python 2's name": file(call("__builtin__", "exec", TOUCH), 2),
        "__import__": file(call("builtins", "__import__", "antigravity")),
        "getattr chain": file(
            call("builtins", "apply", call("builtins", "getattr", call("builtins", "__import__", "os"), "system"))
        ),
        "attrgetter": file(call("operator", "attrgetter", "system")),
        "methodcaller": file(call("operator", "methodcaller", "system", "touch executed")),
        "partial": file(call("functools", "partial", name("os", "system"), "touch executed")),
        "map": file(call("builtins", "map", name("os", "system"), ["touch executed"])),
        "Popen": file(call("subprocess", "Popen", ["touch", "executed"])),
        "spawn": file(call("os", "posix_spawn", "/usr/bin/touch", ["touch", "executed"], {})),
        "open": file(call("builtins", "open", "executed", "w")),
        "io.open": file(call("io", "open", "executed", "w")),
        "unlink": file(call("os", "unlink", "executed")),
        "marshal": file(call("marshal", "loads", b"c")),
        "function": file(call("types", "FunctionType", None, {})),
        "runpy": file(call("runpy", "run_path", "evil.py")),
        "import_module": file(call("importlib", "import_module", "antigravity")),
        "pickle in a pickle": file(call("pickle", "loads", file(SYSTEM))),
        "timeit": file(call("timeit", "timeit", TOUCH)),
        "code": file(call("code", "interact")),
        "torch.load": file(call("torch", "load", "evil.pt")),
        "torch.hub": file(call("torch.hub", "load", "evil/repo", "evil")),
        "torch.jit": file(call("torch.jit", "load", "evil.pt")),
        "numpy.load": file(call("numpy", "load", "evil.npy")),
        "numpy runstring": file(call("numpy.testing._private.utils", "runstring", TOUCH, {})),
        "copyreg": file(call("copyreg", "_reconstructor", name("builtins", "object"))),
        "a name with dots": file(Code(code("torch.nn.modules") + code("module.sys.modules") + b"\x93")),
        "a name with control characters": file(call("os\x1b[2J\x07", "system\x1b[0m", 1)),
        "an argument": file(call("collections", "OrderedDict", [["a", name("os", "system")]])),
        "a parameter": network(_parameters={"a": call("torch._utils", "_rebuild_parameter", name("os", "system"))}),
        "a tensor's numbers": file(from_bytes(stream(SYSTEM))),
        "a pickle as a tensor's numbers": file(from_bytes(file(SYSTEM))),
        "a stream in a stream": buffer(from_bytes(stream(storage(4)))),
        "beside source that runs": file({"D": persistent({"_modules": {"a": SYSTEM}}, TOUCH)}),
        "OBJ": b"\x80\x02(" + name("os", "system") + code("touch executed") + b"o.",
        "NEWOBJ_EX": file(Code(name("os", "system") + code(("touch executed",)) + code({}) + b"\x92")),
    },
    "opcode": {
        "INST": b"\x80\x02(" + code("touch executed") + b"ios\nsystem\n.",
        "EXT1": b"\x80\x02\x82\x01.",
        "EXT4": b"\x80\x02\x84\xff\xff\xff\x7f.",
        "PERSID": b"Pos.system\n.",
        "BINPERSID": file(Code(code("os.system") + b"Q")),
        "NEXT_BUFFER": b"\x80\x05\x97.",
        "a number of gigabytes": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b".",
        "a number of many digits": lambda: b"I" + b"9" * 3_000_000 + b"\n.",
        "a long number of many digits": lambda: b"L" + b"9" * 3_000_000 + b"L\n.",
        "zeros": bytes(1000),
        "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
        "compressed": zlib.compress(buffer(storage(4))),
    },
    "not a pickle that Python writes": {
        "attributes of a function": file(Code(name("collections", "OrderedDict") + code({"__code__": None}) + b"b")),
        "slots of a function": file(Code(name("collections", "OrderedDict") + code((None, {"__code__": 1})) + b"b")),
        "attributes of a tensor": network(_buffers={"a": Code(tensor(storage(4)) + code({"__class__": 1}) + b"b")}),
        "attributes of a module twice": file(Code(persistent({}) + code({"__class__": 1}) + b"b")),
        "a call of text": file(Code(code("os.system") + code(("touch executed",)) + b"R")),
        "a call of what was called": file(Code(call("torch", "device", "cpu") + code(("touch executed",)) + b"R")),
        "a call without a tuple": file(Code(name("collections", "OrderedDict") + code(["a"]) + b"R")),
        "a name that is not text": file(Code(code(b"os") + code("system") + b"\x93")),
        "appending to a tuple": file(Code(code((1,)) + code(2) + b"a")),
        "items of a list": file(Code(code([]) + code(1) + code(2) + b"s")),
    },
    "holds no network": {
        "a number": file({"G": 1}),
        "a list": file([1, 2]),
        "a class for a dict": file(Code(b"}" + code({"__class__": name("collections", "OrderedDict")}) + b"b")),
        "numbers that are objects": file(
            call("numpy.core.multiarray", "scalar", call("numpy", "dtype", "O8", False, True), file(SYSTEM))
        ),
        "a frame beyond the file": b"\x80\x04\x95" + struct.pack("<Q", 2**63) + b"N.",
        "a far place of the memo": b"\x80\x02Nr\xff\xff\xff\xff.",
        "nested lists": lambda: b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".",
        "nested tuples": lambda: b"\x80\x02)" + b"\x85" * 50_000 + b".",
        "laughing tuples": file(laughs((), (get(0), get(0)))),
    },
    "too many steps": {
        "text without end": lambda: b"\x80\x02" + code("\U0001f600" + "a" * (1 << 20)) * 17,
        "dicts without end": lambda: b"\x80\x04" + b"}\x94" * 300_000,
        "bytes without end": lambda: b"\x80\x04" + b"C\x00\x94" * 300_000,
        "modules without end": lambda: (
            b"\x80\x02" + put(name("torch.nn.modules.linear", "Linear"), 0) + b"h\x00)\x81" * 200_000
        ),
        "a storage without end": lambda: (
            b"\x80\x02"
            + put(code(stream(reference(4), ["0"], struct.pack("<q4f", 4, *range(4)))), 0)
            + put(name("torch.storage", "_load_from_bytes"), 1)
            + b"h\x01h\x00\x85R" * 50_000
        ),
        "one network many times": lambda: file(
            Code(
                put(code({f"a{k}": k for k in range(20_000)}), 1)
                + put(persistent(get(1)), 2)
                + code({f"n{k}": get(2) for k in range(20_000)})
            )
        ),
        "buffers left out of many modules": lambda: network(
            put(code([str(k) for k in range(20_000)]), 1),
            _modules={f"m{k}": persistent({"_non_persistent_buffers_set": get(1)}) for k in range(1_000)},
        ),
    },
    "cut off": {
        "bytes beyond the file": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",
        "text beyond the file": b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b".",
        "a buffer beyond the file": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
        "long numbers": lambda: b"\x80\x02" + (b"\x8a\xff" + b"\x7f" * 255) * 30_000,
        "a storage that is cut off": buffer(storage(4, data=b"1234")),
        "half a network": buffer(storage(400))[:900],
    },
    "without end": {
        "laughing arguments": network(laughs([], [get(0), get(0)]), _init_kwargs={"a": get(0)}),
        "laughing modules": file(
            Code(laughs(persistent({}), persistent({"_modules": {"a": get(0), "b": get(0)}})) + code({"G_ema": get(0)}))
        ),
        "a module in itself": file(
            persistent(Code(b"}q\x05(" + code("_modules") + code({"a": persistent(get(5))}) + b"u"))
        ),
        "arguments in themselves": network(_init_kwargs=Code(b"}q\x07(" + code("a") + b"h\x07u")),
        "a name": network(_buffers={"a" * 1000: tensor(storage(4))}),
    },
    "larger tensors than": {
        "a tensor beyond its numbers": buffer(storage(4), (5,)),
        "a tensor that repeats a number": buffer(storage(4), (1 << 20, 1 << 20), (0, 0)),
        "a tensor with long strides": buffer(storage(4), (2, 2), (1 << 20, 1)),
        "the same numbers many times": network(
            _buffers={"a": put(tensor(storage(400), (400,)), 9)} | {f"b{k}": get(9) for k in range(2_000)}
        ),
        "the same storage many times": network(
            put(code(stream(reference(4000), ["0"], struct.pack("<q", 4000) + bytes(16_000))), 1),
            _buffers={f"b{k}": tensor(from_bytes(get(1)), (1,)) for k in range(200)},
        ),
    },
    "absurd shape": {
        "a tensor before its numbers": buffer(storage(4), (2,), (1,), -2),
        "a tensor of negative size": buffer(storage(4), (-2,), (1,)),
        "a tensor of negative stride": buffer(storage(4), (2,), (-1,), 3),
        "a tensor of a true size": buffer(storage(4), (True,), (1,)),
    },
    "too many dimensions": {
        "a tensor of many dimensions": lambda: buffer(storage(4), (1,) * 10_000, (1,) * 10_000),
        "a tensor without strides": buffer(storage(4), (2, 2), (1,)),
    },
    "no numbers or no shape": {
        "a tensor of a text's size": buffer(storage(4), "22", "11"),
        "a tensor of no storage": buffer("numbers"),
    },
    "more or fewer numbers": {"a storage that claims more": buffer(storage(4, claimed=1 << 29), (1 << 29,))},
    "no fixed count": {"a storage that claims terabytes": buffer(storage(4, claimed=2**31 - 1))},
    "keys other than text": {
        "keys that collide": lambda: (
            b"\x80\x02}("
            + b"".join(b"\x8a\x0b" + (k * (2**61 - 1)).to_bytes(11, "little") + b"N" for k in range(1, 50_000))
            + b"u."
        ),
        "tuples as keys": file(Code(b"}(" + code((1,)) + b"Nu")),
    },
    "list of storages does not fit": {
        "laughing keys of a stream": file(
            from_bytes(
                stream(
                    reference(1),
                    Code(laughs([], [get(0), get(0)]) + laughs([], [get(1), get(1)], 1) + code([get(0), get(1)])),
                )
            )
        ),
    },
    "calls the type of": {"a type of numbers": file(from_bytes(stream(Code(STORAGE + b")R"))))},
    "does not begin empty": {"a dict of a dict": file(call("collections", "OrderedDict", [["a", 1]]))},
    "hold something else": {
        "a parameter of text": network(_parameters={"a": "numbers"}),
        "a module of text": network(_modules={"a": "module"}),
    },
    "has no names": {"modules in a list": network(_modules=[persistent({})])},
    "has no attributes": {"a state of text": file({"G_ema": persistent("state")})},
    "no class": {
        "arguments of text": network(_init_args="abc"),
        "a class name that is code": file({"G": persistent({}, TOUCH, TOUCH)}),
    },
    "cannot be printed": {"names with control characters": network(_buffers={"\x1b[2J": tensor(storage(4))})},
    "protocol 2": {"numbers as text": file(from_bytes(call("_codecs", "encode", "numbers", "latin1")))},
    "TensorFlow": {"TensorFlow": file(call("dnnlib.tflib.network", "Network"))},
    "does not end": {"a name of megabytes": lambda: b"\x80\x02c" + b"a" * 3_000_000},
    "not there": {
        "only STOP": b".",
        "no mark": b"\x80\x02t.",
        "an empty stack": b"\x80\x02(.",
        "an empty memo": b"\x80\x02h\x05.",
    },
    "utf-8": {"text that is not": b"\x80\x02X\x02\x00\x00\x00\xff\xfe."},
    "is empty": {"nothing": b""},
}

ARCHIVES = {
    "names '": {
        "system in an archive": archive(SYSTEM),
        "system in a stream": stream(SYSTEM),
        "system as a storage": archive(tensor(reference(4, kind=name("os", "system")))),
        "system as a type of storage": archive(tensor(reference(4, kind=name("os", "systemStorage")))),
        "a module in a stream": stream(Code(code(("module", name("__main__", "Net"), "net.py", "class Net")) + b"Q")),
    },
    "no state dict": {"a list": archive([FOUR], NUMBERS)},
    "no tensors": {"a number": archive({"epoch": 3})},
    "compressed or locked": {
        "a zip bomb": lambda: archive(
            {"a": tensor(reference(1 << 23), (1 << 23,))}, {"data/0": bytes(1 << 25)}, zipfile.ZIP_DEFLATED
        ),
        "a zip bomb of its pickle": lambda: archive({"a": "a" * (1 << 20)}, compression=zipfile.ZIP_BZIP2),
        "a locked archive": archive({"a": FOUR}, NUMBERS).replace(
            b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
        ),
    },
    "more or fewer numbers": {
        "more than there are": archive({"a": FOUR}, {"data/0": bytes(12)}),
        "terabytes": archive({"a": tensor(reference(1 << 30), (1 << 30,))}, NUMBERS),
        "another count": stream({"a": FOUR}, ["0"], struct.pack("<q", 1 << 60) + bytes(16)),
    },
    "cut off": {
        "terabytes in a stream": stream({"a": tensor(reference(1 << 30))}, ["0"], struct.pack("<q", 1 << 30)),
        "missing numbers": archive({"a": FOUR}),
        "numbers by a path": archive({"a": tensor(reference(4, key="../../../etc/passwd"))}, NUMBERS),
    },
    "larger tensors than": {"the same numbers many times": archive(SHARED, {"data/0": bytes(400)})},
    "list of storages does not fit": {
        "keys that are lists": stream({"a": FOUR}, [[], "0"]),
        "too few keys": stream({"a": FOUR}),
    },
    "see the same bytes differently": {
        "two types": stream({"a": FOUR, "b": tensor(reference(4, kind=name("torch", "LongStorage")))}, ["0"]),
    },
    "is an archive, but not": {
        "TorchScript": archive({"a": FOUR}, {**NUMBERS, "constants.pkl": b""}),
        "no pickle": archive({"a": FOUR}, NUMBERS).replace(b"data.pkl", b"data.pkm"),
    },
    "too many parts": {
        "crowded": lambda: archive({"a": FOUR}, {f"data/{index:050}": b"" for index in range(45_000)}),
    },
    "without end": {
        "dicts in each other": archive(DEEP_DICT),
        "a dict in itself": archive(Code(b"}q\x00(" + code("a") + b"h\x00u")),
        "laughing dicts": archive(laughs({}, {"a": get(0), "b": get(0)})),
    },
    "cannot be printed": {"names with control characters": archive({"\x1b[2J": FOUR}, NUMBERS)},
    "damaged": {
        "a cut archive": archive({"a": FOUR}, NUMBERS)[:-30],
        "tar": b"storages" + bytes(249) + b"ustar" + bytes(1000),
    },
    "its first number": {"no magic": file(1) + file(1001) + file(MACHINE)},
    "big-endian": {
        "a stream": stream({"a": FOUR}).replace(b"little_endian\x88", b"little_endian\x89"),
        "an archive": archive({"a": FOUR}, {**NUMBERS, "byteorder": b"big"}),
    },
}

CHILD = """
import json, os, resource, sys, time
from pathlib import Path
from neurotex.generators.pickles import describe, read_pickle
from neurotex.generators.torch_files import read_state_dict

def read(path):
    if path.suffix == ".pt":
        return read_state_dict(path)
    return [(network.state, describe(network)) for network in read_pickle(path).values()]

folder, heard = Path(sys.argv[1]), None
os.chdir(folder)
for path in sorted(folder.glob("good.*")):
    read(path)

LOUD = ("import", "exec", "compile", "marshal", "pickle", "os.", "subprocess", "socket", "shutil", "code.", "function.")
def listen(event, arguments):
    if heard is not None and (event.startswith(LOUD) or event == "open" and str(arguments[0]) != str(current)):
        heard.append(event)

sys.addaudithook(listen)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
results = {}
heard = []
eval("0")
assert heard == ["compile", "exec"]
for current in sorted(folder.glob("case*")):
    start, heard, message = time.perf_counter(), [], None
    try:
        read(current)
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
    events, heard = heard, None
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    results[current.name] = [message, time.perf_counter() - start, peak, events]
print(json.dumps(results))
"""

CASES = {
    f"case{number:03}{suffix}": (title, phrase, content)
    for suffix, groups in ((".pkl", PICKLES), (".pt", ARCHIVES))
    for number, (phrase, title, content) in enumerate(
        (phrase, title, content) for phrase, group in groups.items() for title, content in group.items()
    )
}
GOOD = {
    "good.pkl": network(_buffers={"a": tensor(storage(4))}, _init_kwargs={"z_dim": 4}),
    "good.pt": archive({"a": FOUR}, NUMBERS),
    "stream.pt": stream({"a": FOUR}, ["0"], struct.pack("<q", 4) + bytes(16)),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What became of every file: the message, seconds, the peak of memory so far in MiB, and what the hook heard."""
    folder = tmp_path_factory.mktemp("hostile")
    for path, content in GOOD.items():
        (folder / path).write_bytes(content)
    for path, (_, _, content) in CASES.items():
        (folder / path).write_bytes(content() if callable(content) else content)
    with open(folder / "case-sparse.pkl", "wb") as sparse:
        sparse.write(b"\x80\x04\x8e" + struct.pack("<Q", 1 << 29))
        sparse.truncate(3 << 30)
    (folder / "case-folder.pt").mkdir()
    child = subprocess.run([sys.executable, "-c", CHILD, str(folder)], capture_output=True, text=True, check=True)
    assert not (folder / "executed").exists()
    for path in CASES:  # some are large
        (folder / path).unlink()
    return json.loads(child.stdout)


def check(result: list, path: str, phrase: str) -> None:
    message, seconds, peak, heard = result
    assert heard == []
    assert message is not None
    assert message.startswith("FileError: ")
    said = message.split(path)[1]
    assert phrase in said
    assert said.endswith(".")
    assert ". " not in said
    assert said.isprintable()
    assert len(said) < 300
    assert seconds < SECONDS
    assert peak < MEGABYTES


@pytest.mark.parametrize("path", CASES, ids=[f"{path}: {title}" for path, (title, _, _) in CASES.items()])
def test_it_is_refused(results, path):
    check(results[path], path, CASES[path][1])


def test_what_is_too_large_or_no_file_is_refused(results):
    check(results["case-sparse.pkl"], "case-sparse.pkl", "has 3,221,225,472 bytes")
    check(results["case-folder.pt"], "case-folder.pt", "cannot be opened")


def test_these_pickles_would_run_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pickle.loads(PICKLES["names '"]["os.system"])
    assert (tmp_path / "executed").exists()


def _read(path):
    return read_pickle(path)["G_ema"].state if path.suffix == ".pkl" else read_state_dict(path)


@pytest.mark.parametrize("path", GOOD)
def test_files_made_here_are_read_when_they_mean_well(tmp_path, path):
    (tmp_path / path).write_bytes(GOOD[path])
    assert torch.equal(_read(tmp_path / path)["a"], torch.zeros(4))


@pytest.mark.parametrize("path", GOOD)
def test_a_file_cut_off_anywhere_is_refused(tmp_path, path):
    for end in range(1, len(GOOD[path]), 11):
        (tmp_path / path).write_bytes(GOOD[path][:end])
        with pytest.raises(nt.FileError, match=rf"{path} .*\.$"):
            _read(tmp_path / path)
