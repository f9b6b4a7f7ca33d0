"""Files that are written whole or not at all: to a temporary name first, then renamed."""

from __future__ import annotations

import json
import os
import re
import struct
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..errors import ArgumentError, FileError
from .memory import ran_out

T = TypeVar("T")

TEMPORARY = re.compile(r"\.neurotex-(\d+)-[0-9a-f]{8}\.tmp(\.\w+)?")
# what reading a file of other keys, types or shapes than it should have can end in
UNREADABLE = (SafetensorError, OSError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError)
UNREADABLE += (RuntimeError, RecursionError)

_being_written: set[Path] = set()


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, of the same ending; on success it is renamed to `path`, else removed."""
    path = Path(path)
    temporary = path.with_name(f".neurotex-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp{path.suffix}")
    _being_written.add(temporary)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise FileError(
            f"{path} cannot be written ({error.strerror or error}): check the folder and free space."
        ) from None
    finally:
        _remove(temporary)


def drop_unfinished() -> None:
    """Remove what this process is just writing: for one that must leave at once."""
    for temporary in list(_being_written):
        _remove(temporary)


def _remove(temporary: Path) -> None:
    with suppress(OSError):  # its folder is gone, or no longer ours to write: what is told of is the first error
        temporary.unlink(missing_ok=True)
    _being_written.discard(temporary)


def sweep(*folders: str | Path) -> None:
    """Remove what processes that were killed while they were `replacing` have left in these folders, not below them.

    Only regular files are touched whose name `replacing` gives, and whose process is gone.
    """
    for folder in map(Path, folders):
        for path in folder.iterdir() if folder.is_dir() else ():
            name = TEMPORARY.fullmatch(path.name)
            if name and path.is_file() and not path.is_symlink() and not _is_written(path, int(name[1])):
                _remove(path)


def _is_written(temporary: Path, process: int) -> bool:
    if process == os.getpid():  # in a container, every run may have the same number
        return temporary in _being_written
    try:
        if os.name != "nt":  # there, signal 0 ends the process
            os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        pass
    return True


def make_folder(path: str | Path) -> Path:
    """Create a folder (and its parents) that can be written to; FileError where that cannot be."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".neurotex-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp"
        probe.touch()
        probe.unlink()
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"{path} cannot be written to ({reason}): choose another output folder.") from None
    return path


@contextmanager
def new_folder(path: str | Path, *below: str) -> Iterator[Path]:
    """`make_folder` for `path` and folders below it; where what follows fails, those made and still empty are removed.

    The folders are found to be writable before long work is done for them, and none is left behind for nothing.
    """
    path = Path(path)
    wanted = [path, *(path / name for name in below)]
    chain = [folder for last in wanted for folder in (last, *last.parents)]
    made = sorted({folder for folder in chain if not folder.exists()}, key=lambda folder: -len(folder.parts))
    try:
        for folder in wanted:
            make_folder(folder)
        yield path
    except BaseException:
        for folder in made:
            with suppress(OSError):  # something is in it
                folder.rmdir()
        raise


def claim(folder: str | Path, patterns: Iterable[str], overwrite: bool) -> None:
    """Make way for a new run's results in `folder`: files of these names (glob patterns).

    ArgumentError where there are any, unless they may be overwritten: then they are removed, so that results of two
    runs never lie side by side. Nothing else is touched.
    """
    folder = Path(folder)
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()]
    if found and not overwrite:
        raise ArgumentError(
            f"{folder} already holds {found[0].relative_to(folder)}: continue that run by --resume, replace it by "
            "--overwrite, or choose another --out."
        )
    try:
        for path in found:
            path.unlink()
    except OSError as error:
        raise FileError(
            f"{error.filename} cannot be replaced ({error.strerror}): choose another output folder."
        ) from None


def claim_file(path: str | Path, overwrite: bool) -> None:
    """ArgumentError where there is a file at `path` already, unless it may be overwritten; FileError for a folder."""
    path = Path(path)
    if path.is_dir():
        raise FileError(f"{path} is a folder: give the name of a file.")
    if path.exists() and not overwrite:
        raise ArgumentError(f"{path} already exists: replace it by --overwrite, or choose another name.")


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write named tensors as safetensors. The same tensors and metadata make the same bytes."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        content = save(dict(tensors), dict(metadata or {}))
        # safetensors writes metadata in another order in each process: its header is written again, sorted
        (length,) = struct.unpack_from("<Q", content)
        header = json.loads(content[8 : 8 + length])
        if "__metadata__" in header:
            header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8 bytes
        file.write(struct.pack("<Q", len(text)) + text)
        file.write(memoryview(content)[8 + length :])


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Named tensors and metadata of a safetensors file. SafetensorError or OSError where it is not a whole one."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (not a dict)


def read_checkpoint(path: str | Path, parse: Callable[[dict[str, Tensor], dict[str, str]], T]) -> T:
    """`parse(tensors, metadata)` of the checkpoint of a run. FileError if it is missing, cut off or does not parse."""
    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path} does not exist, so there is nothing to resume: run without --resume first.")
    with of_this_run(path):
        return parse(*read_tensors(path))


@contextmanager
def of_this_run(path: str | Path) -> Iterator[None]:
    """While a checkpoint is read and loaded: whatever does not fit is one FileError that names the file."""
    try:
        yield
    except UNREADABLE as error:
        if ran_out(error):
            raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = f"it has no {error}" if isinstance(error, KeyError) else lines[0].rstrip(".:")[:200]
        raise FileError(
            f"{path} is not a whole checkpoint of this run ({reason}): begin anew without --resume, with --overwrite."
        ) from None


def write_json(path: str | Path, value: object) -> None:
    """Write a JSON file, indented."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
