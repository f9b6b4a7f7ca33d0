"""Lines of a text file that is mostly numbers, read all at once by numpy; errors name the line."""

from __future__ import annotations

import codecs
import re
import warnings
from pathlib import Path

import numpy as np

from ..errors import FileError

BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def plain_bytes(data: bytes) -> bytes:
    """A text file's bytes without a byte order mark, UTF-16 as UTF-8, and each line ended by a line feed."""
    for mark, encoding in BOMS:
        if data.startswith(mark):
            data = data[len(mark) :] if encoding == "utf-8" else data.decode(encoding, "replace").encode()
            break
    if b"\r" in data and b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    return data if data.endswith(b"\n") else data + b"\n"


def shown(text: bytes | str) -> str:
    """Bytes of a file of any encoding, as a message may hold them."""
    line = text if isinstance(text, str) else decoded(text)
    line = "".join(letter if letter.isprintable() else "�" for letter in line.strip())
    return line if len(line) <= 80 else f"{line[:60]}…"


def decoded(text: bytes) -> str:
    """UTF-8, or if it is not, Latin-1, which any bytes are."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


class Lines:
    """The lines of a file. `start`, `stop` (n,) say where the words of each begin, and where its line feed stands."""

    def __init__(self, path: Path):
        self.path = path
        try:
            self.data = plain_bytes(path.read_bytes())
        except OSError as error:
            raise FileError(f"{path} cannot be read ({error.strerror}): check its permissions.") from None
        self.original = self.data
        if b"\\\n" in self.data or b"\\\r\n" in self.data:
            self.data = _joined(self.data)  # of the same length, so that offsets stay
        self.bytes = np.frombuffer(self.data, np.uint8)
        self.stop = np.flatnonzero(self.bytes == 10)
        self.start = np.concatenate([[0], self.stop[:-1] + 1])
        indented = np.arange(len(self.start))
        while len(indented):
            at = self.bytes[self.start[indented]]
            indented = indented[(at <= 32) & (at != 10)]
            self.start[indented] += 1

    def number(self, line: int | np.integer) -> int:
        """What an editor calls a line of this file."""
        return self.original.count(b"\n", 0, int(self.start[line])) + 1

    def where(self, line: int | np.integer) -> str:
        return f"{self.path}, line {self.number(line)}"

    def text(self, line: int | np.integer) -> bytes:
        return self.data[self.start[line] : self.stop[line]]

    def begins(self, keyword: bytes) -> np.ndarray:
        """Which lines begin with this word: their numbers, from 0."""
        where = np.arange(len(self.start))
        for k, letter in enumerate(keyword):
            where = where[self.start[where] + k < len(self.bytes)]
            where = where[self.bytes[self.start[where] + k] == letter]
        after = self.bytes[self.start[where] + len(keyword)]  # at the latest a line feed
        return where[after <= 32]

    def body(self, which: np.ndarray, skip: int) -> np.ndarray:
        """The bytes of these lines, each from its letter `skip` on and with its line feed, without comments."""
        start, stop = self.start[which], self.stop[which] + 1
        begins = np.concatenate([[True], start[1:] != stop[:-1]])[: len(which)]  # of runs of lines
        ends = np.concatenate([begins[1:], [True]])[: len(which)]
        runs = zip(start[begins].tolist(), stop[ends].tolist(), strict=True)
        body = np.frombuffer(bytearray(b"".join([self.data[a:b] for a, b in runs])), np.uint8)
        keyword = np.cumsum(stop - start) - (stop - start)
        for k in range(skip):
            body[keyword + k] = ord(" ")
        if (body == ord("#")).any():
            body = np.frombuffer(re.sub(rb"#[^\n]*", b"", body.tobytes()), np.uint8)
        return body

    def numbers(self, which: np.ndarray, skip: int) -> tuple[np.ndarray, np.ndarray]:
        """All numbers of these lines, float64, and how many each line has. FileError for what is no number."""
        body = self.body(which, skip)
        words, counts = count_words(body)
        values = parsed(body.tobytes(), np.float64)
        if values is None or len(values) != len(words):
            values = np.array(
                [self._float(line, word) for line in which for word in self.text(line).split(b"#", 1)[0][skip:].split()]
            )
            if len(values) != len(words):
                raise FileError(f"{self.path} holds control characters among its numbers: export it again.")
        return values, counts

    def _float(self, line: int | np.integer, word: bytes) -> float:
        try:
            if b"_" not in word:
                return float(word)
        except ValueError:
            pass
        raise FileError(f"{self.where(line)}: '{shown(word)}' is not a number: repair the file or export it again.")


def count_words(body: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the words of some lines begin, and how many each line has."""
    blank = body <= 32
    words = np.flatnonzero(~blank & np.concatenate([[True], blank[:-1]]))
    return words, np.diff(np.searchsorted(words, np.flatnonzero(body == 10)), prepend=0)


def parsed(text: bytes, dtype: type) -> np.ndarray | None:
    """Numbers between blanks, or None where there is anything else."""
    if not text.strip():
        return np.empty(0, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return np.fromstring(text, dtype, sep=" ")
        except (ValueError, DeprecationWarning, OverflowError):
            return None


def _joined(data: bytes) -> bytes:
    """Lines of numbers that end with a backslash, and the next one, as one line of the same length.

    Only numbers: in names and comments, a backslash at the end is part of them, or of a letter in CP932.
    """
    out, end = bytearray(data), -1
    for match in re.finditer(rb"\\\r?\n", data):
        begin = data.rfind(b"\n", 0, match.start()) + 1
        if begin == end or re.match(
            rb"\s*(v|vt|vn|vp|f|fo|l|p|curv2?|surf|parm|bmat|trim|hole|scrv|sp|con)\s", data[begin : begin + 200]
        ):
            out[match.start() : match.end()] = b" " * (match.end() - match.start())
            end = match.end()
    return bytes(out)
