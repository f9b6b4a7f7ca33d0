"""One loop over all cores, for kernels that release the GIL.

numba has a threading layer of its own; beside torch's it makes two pools that spin against each other. Plain threads
around `nogil` kernels share the cores peacefully, survive a fork, and make the kernels compile several times faster.

Torch's own threads do not share: after each of its loops they spin for milliseconds in wait of the next one, on the
cores that kernels and other programs could use. How long, OpenMP reads from the environment as torch is loaded, which
is often before us. So as the pool starts, OpenMP is told to let them sleep (`python -m benchmarks.threads` has what
that gains). To run kernels in torch's threads instead gains nothing: those spin all the same.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

import torch

# whoever has set one of these has decided how idle threads wait
DECIDED = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


@lru_cache(maxsize=1)
def _pool(process_id: int) -> ThreadPoolExecutor:
    """A pool for this process: one inherited through a fork has no threads behind it."""
    pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="neurotex")
    if not any(name in os.environ for name in DECIDED):
        _let_idle_threads_sleep(pool)
    return pool


def _let_idle_threads_sleep(pool: ThreadPoolExecutor) -> None:
    """Have torch's threads wait asleep, whichever OpenMP runs them; one that is not known stays as it is.

    LLVM's and Intel's have a function for that. GNU's waits 100 spins instead of 300,000 before it sleeps while it
    counts more threads than cores (gomp_throttled_spin_count_var in libgomp's env.c, do_spin in its wait.h), and it
    counts those of every thread that has ever run a parallel region: each keeps a team for its next one. So a thread of
    our pool runs one, as large as it takes beside torch's. It calls a function of libgomp's that changes nothing.
    """
    try:
        openmp = ctypes.CDLL(torch._C.__file__)  # finds what is in the libraries that torch itself is linked with
        loaded = ctypes.CDLL(None)  # what was preloaded in their place
    except (OSError, TypeError):  # as on Windows
        return
    if (library := next((x for x in (loaded, openmp) if hasattr(x, "kmp_set_blocktime")), None)) is not None:
        library.kmp_set_blocktime(0)  # ahead of GNU's names, which LLVM's knows, too
    elif hasattr(openmp, "GOMP_parallel"):
        spare = max(openmp.omp_get_num_procs() - torch.get_num_threads(), 0)
        openmp.GOMP_parallel.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint)
        nothing = ctypes.cast(openmp.omp_get_level, ctypes.c_void_p)
        pool.submit(openmp.GOMP_parallel, nothing, None, spare + 2, 0).result()


def parallel_for(kernel: Callable, count: int, *args: object, grain: int = 1, pieces: int = 1) -> list:
    """Call `kernel(start, stop, *args)` over `range(count)`, cut into `pieces` per torch thread.

    `grain` is the least number of items worth a piece. More pieces than one even out work that is uneven, as the rows
    of an image are. Returns what the pieces returned, in order.
    """
    threads = torch.get_num_threads()
    total = max(1, min(pieces * threads, count // max(grain, 1)))
    if threads == 1 or total == 1:
        return [kernel(0, count, *args)]
    bounds = list(pairwise(count * k // total for k in range(total + 1)))
    results: list = [None] * total
    queue = iter(range(total))  # shared: a thread takes the next piece as soon as it is free

    def work() -> None:
        for k in queue:
            results[k] = kernel(*bounds[k], *args)

    pool = _pool(os.getpid())
    futures = [pool.submit(work) for _ in range(min(threads, total) - 1)]
    work()
    for future in futures:
        future.result()
    return results
