"""How a CPU kernel is compiled: by numba, cached on disk.

Each kernel stands beside a torch reference that says the same in tensor language; a test holds the two together.
Kernels work on `start <= i < stop` of their outermost loop and release the GIL, so that `threads.parallel_for` can
share them among cores. They live in files named `*kernels.py`.

numba compiles anew, for seconds, for every type and layout in memory of its arguments. What calls a kernel therefore
passes whole numbers that are few in 32 bits, and small arrays contiguous, whatever it was given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numba.core import config
from numba.core.dispatcher import Dispatcher

jit = numba.njit(nogil=True, cache=True, error_model="numpy")


def jit_simd(kernel: Callable) -> Dispatcher:
    """`jit` for sums over neighbouring channels: may fuse a product and a sum into one rounding, and packs the same
    arithmetic on adjacent elements into vector instructions. Not for decisions about coverage, which must not round
    differently from their reference.

    LLVM's pass for the latter is off in numba by default and only has a global switch, set here while compiling.
    """
    compiled = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})(kernel)
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
