"""How a CPU kernel is compiled: by numba, cached on disk.

Each kernel stands beside a torch reference that says the same in tensor language; a test holds the two together.
Kernels work on `start <= i < stop` of their outermost loop and release the GIL, so that `threads.parallel_for` can
share them among cores. They live in files named `*kernels.py`.
"""

from __future__ import annotations

import numba

jit = numba.njit(nogil=True, cache=True, error_model="numpy")
# may fuse a multiplication and an addition into one rounding: for sums, never for decisions about coverage
jit_fused = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})
