"""Ways to damage a file: some know its format, so that the damage lies behind its checksums and braces."""

from __future__ import annotations

import json
import re
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

# what a mutation raises for a file that is no longer of the format that it knows
BROKEN = (ValueError, IndexError, struct.error, zlib.error, RecursionError)
INTEGERS = (0, 1, 2, 127, 255, 256, 65535, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
TOKENS = (
    *("", "0", "-1", "1", "-0", "nan", "inf", "-inf", "1e400", "1e-400", "9" * 400, "99999999999", "2147483648"),
    *("0x10", "1,5", "é", "\\", "..", "/", "#", "\x00", "\ufeff", "a" * 5000, "None", "../../etc", "1/2/3/4", "//"),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 10**8, 2**31, 2**53, 10**400),
    *(1.5, -0.5, 1e308, -1e308, float("nan"), float("inf")),
    *("", "a", "é", "../x", "/dev/zero", "data:,", "a" * 5000, [], {}, [0], [[]], [None], {"a": 1}, [1e30] * 4),
    *([0.0] * 16, [[0.0] * 4] * 4, [float("nan")] * 3, [-1, -1, -1], [1] * 1000),
)


def damaged(data: bytes, name: str, random: Random) -> bytes:
    """The file after one to three mutations that its ending allows."""
    ways = [*ANY, *FORMATS.get(name[name.rfind(".") :].lower(), ())]
    for _ in range(random.choice((1, 1, 2, 3))):
        with suppress(*BROKEN):
            data = random.choice(ways)(data, random)
    return data


def _flip(data: bytes, random: Random) -> bytes:
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 4, 16))):
        if out:
            out[random.randrange(len(out))] = random.randrange(256)
    return bytes(out)


def _cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _leave_out(data: bytes, random: Random) -> bytes:
    begin = random.randrange(len(data) + 1)
    return data[:begin] + data[begin + random.randrange(1, 64) :]


def _repeat(data: bytes, random: Random) -> bytes:
    begin = random.randrange(len(data) + 1)
    return data[:begin] + data[begin : begin + random.randrange(1, 64)] * random.choice((2, 3, 50)) + data[begin:]


def _insert(data: bytes, random: Random) -> bytes:
    begin = random.randrange(len(data) + 1)
    return data[:begin] + random.randbytes(random.randrange(1, 16)) + data[begin:]


def _number(data: bytes, random: Random) -> bytes:
    place = random.randrange(max(len(data) - 4, 1))
    format = random.choice(("<I", ">I", "<H", ">H"))
    number = struct.pack(format, random.choice(INTEGERS) & (0xFFFFFFFF if format[1] == "I" else 0xFFFF))
    return data[:place] + number + data[place + len(number) :]


def _float(data: bytes, random: Random) -> bytes:
    place = random.randrange(max(len(data) // 4, 1)) * 4
    value = random.choice((float("nan"), float("inf"), -1e30, 1e-40, 3e38, 0.0, -1.0))
    return data[:place] + struct.pack("<f", value) + data[place + 4 :]


def _text(data: bytes, random: Random) -> bytes:
    """One word of a line becomes another, or lines change places."""
    lines = data.split(b"\n")
    k = random.randrange(len(lines))
    way = random.randrange(5)
    if way == 0:
        words = re.split(rb"(\s+)", lines[k])
        words[random.randrange(len(words))] = random.choice(TOKENS).encode()
        lines[k] = b"".join(words)
    elif way == 1:
        del lines[k]
    elif way == 2:
        lines.insert(random.randrange(len(lines)), lines[k])
    elif way == 3:
        lines[k] += b" " + random.choice(TOKENS).encode()
    else:
        random.shuffle(lines)
    return b"\n".join(lines)


def _tree(data: bytes, random: Random) -> bytes:
    """One value of a JSON text becomes another, is left out, or is wrapped."""
    return json.dumps(_changed(json.loads(data), random)).encode()


def _changed(tree: Any, random: Random) -> Any:
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    if isinstance(tree, dict | list):
        walk(tree)
    if not places:
        return random.choice(VALUES)
    holder, key = random.choice(places)
    way = random.randrange(6)
    if way == 0:
        del holder[key]
    elif way == 1:
        holder[key] = random.choice(places)[0]
        json.dumps(tree)  # a ring raises ValueError
    elif way == 2 and isinstance(holder, dict):
        holder[random.choice(list(holder))] = holder.pop(key)
    elif way == 3:
        for _ in range(random.choice((1, 3, 900))):
            holder[key] = [holder[key]]
    elif way == 4 and isinstance(holder[key], int | float) and not isinstance(holder[key], bool):
        holder[key] = random.choice((holder[key] + 1, -holder[key], holder[key] * 1000, float(holder[key]), 0))
    else:
        holder[key] = random.choice(VALUES)
    return tree


def _png(data: bytes, random: Random) -> bytes:
    """A chunk of a PNG is changed and its checksum made right; or its pixels are packed again, changed."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        chunks.append([data[place + 4 : place + 8], data[place + 8 : place + 8 + length]])
        place += 12 + length
    chunk = random.choice(chunks)
    if chunk[0] == b"IDAT" and random.random() < 0.5:
        chunk[1] = zlib.compress(random.choice(ANY)(zlib.decompress(chunk[1]), random))
    else:
        chunk[1] = random.choice(ANY)(chunk[1], random)
    if random.random() < 0.2:
        random.shuffle(chunks)
    return data[:8] + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _glb(data: bytes, random: Random) -> bytes:
    """The JSON chunk of a binary glTF is changed, and its lengths made right."""
    (length,) = struct.unpack_from("<I", data, 12)
    text = _tree(data[20 : 20 + length], random)
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    return data[:8] + struct.pack("<II", 20 + len(text) + len(rest), len(text)) + b"JSON" + text + rest


def _safetensors(data: bytes, random: Random) -> bytes:
    """The header of a safetensors file is changed, and its length made right."""
    (length,) = struct.unpack_from("<Q", data)
    text = _tree(data[8 : 8 + length], random)
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


ANY: tuple[Callable[[bytes, Random], bytes], ...] = (_flip, _cut, _leave_out, _repeat, _insert, _number, _float)
FORMATS: dict[str, tuple[Callable[[bytes, Random], bytes], ...]] = {
    ".png": (_png,) * 8,
    ".glb": (_glb,) * 20,
    ".json": (_tree,) * 20,
    ".jsonl": (_text,) * 8,
    ".gltf": (_tree,) * 20,
    ".safetensors": (_safetensors,) * 12,
    **dict.fromkeys((".obj", ".mtl", ".ply", ".hdr", ".stl", ".txt", ".csv", ".xml", ".xmp"), (_text,) * 12),
}
