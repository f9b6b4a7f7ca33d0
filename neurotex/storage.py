"""Files that are written whole or not at all: to a temporary name first, then renamed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from .errors import FileError

T = TypeVar("T")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, of the same ending; on success it is renamed to `path`, else removed."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise FileError(
            f"{path} cannot be written ({error.strerror or error}): check the folder and free space."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: str | Path) -> None:
    """Remove what a process that was killed while it was `replacing` left in `folder` and below it."""
    for path in Path(folder).rglob(".*.*"):
        if re.fullmatch(r"\..+\.\d+(\.\w+)?", path.name):
            path.unlink(missing_ok=True)


def make_folder(path: str | Path) -> Path:
    """Create a folder (and its parents) that can be written to; FileError where that cannot be."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise FileError(f"{path} cannot be written to ({error.strerror}): choose another output folder.") from None
    return path


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write named tensors as safetensors."""
    with replacing(path) as temporary:
        temporary.write_bytes(save(dict(tensors), dict(metadata or {})))


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Named tensors and metadata of a safetensors file. SafetensorError or OSError where it is not a whole one."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (not a dict)


def read_checkpoint(path: str | Path, parse: Callable[[dict[str, Tensor], dict[str, str]], T]) -> T:
    """`parse(tensors, metadata)` of the checkpoint of a run. FileError if it is missing, cut off or does not parse."""
    path = Path(path)
    if not path.is_file():
        raise FileError(f"{path} does not exist, so there is nothing to resume: run without --resume first.")
    try:
        return parse(*read_tensors(path))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise FileError(f"{path} is not a whole checkpoint ({error}): delete it and run without --resume.") from None


def write_json(path: str | Path, value: object) -> None:
    """Write a JSON file, indented."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1) + "\n")
