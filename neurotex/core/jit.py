"""How a CPU kernel is compiled: by numba, cached on disk.

Each kernel stands beside a torch reference that says the same in tensor language; a test holds the two together.
Kernels work on `start <= i < stop` of their outermost loop and release the GIL, so that `threads.parallel_for` can
share them among cores. They live in files named `*kernels.py`.

numba looks for changes of a kernel's own file before it takes what it has kept. But a kernel holds those that it calls,
and constants, of other files: here these count, too.

numba compiles anew, for seconds, for every type and layout in memory of its arguments. What calls a kernel therefore
passes whole numbers that are few in 32 bits, and small arrays contiguous, whatever it was given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
from numba.core import config
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher

OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy"}


def jit(kernel: Callable) -> Dispatcher:
    """A kernel in which every product and every sum is rounded by itself."""
    return _kept(numba.njit(**OPTIONS)(kernel))


def jit_simd(kernel: Callable) -> Dispatcher:
    """`jit` for sums over neighbouring channels: may fuse a product and a sum into one rounding, and packs the same
    arithmetic on adjacent elements into vector instructions. Not for decisions about coverage, which must not round
    differently from their reference.

    LLVM's pass for the latter is off in numba by default and only has a global switch, set here while compiling.
    """
    compiled = _kept(numba.njit(**OPTIONS, fastmath={"contract"})(kernel))
    compile_plainly = compiled.compile
    switches: Any = config  # numba fills it at run time

    def compile_packed(sig: Any) -> Any:
        before, switches.SLP_VECTORIZE = switches.SLP_VECTORIZE, 1
        try:
            return compile_plainly(sig)
        finally:
            switches.SLP_VECTORIZE = before

    compiled.compile = compile_packed
    return compiled


def _kept(compiled: Dispatcher) -> Dispatcher:
    """The same, kept on disk until its file changes, or one beside it that this imports from."""
    cache: Any = compiled.__dict__["_cache"]
    path = Path(compiled.py_func.__code__.co_filename)
    if isinstance(cache, FunctionCache) and path.is_file():
        cache._cache_file._source_stamp = _stamp(path)
    return compiled


@lru_cache
def _stamp(path: Path) -> bytes:
    return sha256(b"".join(file.read_bytes() for file in sorted(_behind(path, set())))).digest()


def _behind(path: Path, seen: set[Path]) -> Iterator[Path]:
    """A file, and those in its folder that it imports from, directly or not."""
    if path not in seen and path.is_file():
        seen.add(path)
        yield path
        for name in re.findall(r"^from \.(\w+) import", path.read_text(encoding="utf-8"), re.MULTILINE):
            yield from _behind(path.with_name(f"{name}.py"), seen)
