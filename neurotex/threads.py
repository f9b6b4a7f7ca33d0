"""One loop over all cores, for kernels that release the GIL.

numba has a threading layer of its own; beside torch's it makes two pools that spin against each other. Plain threads
around `nogil` kernels share the cores peacefully, survive a fork, and make the kernels compile several times faster.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

import torch


@lru_cache(maxsize=1)
def _pool(process_id: int) -> ThreadPoolExecutor:
    """A pool for this process: one inherited through a fork has no threads behind it."""
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="neurotex")


def parallel_for(kernel: Callable, count: int, *args: object, grain: int = 1) -> list:
    """Call `kernel(start, stop, *args)` over `range(count)`, cut into one piece per torch thread.

    `grain` is the least number of items worth a thread. Returns what the pieces returned, in order.
    """
    pieces = max(1, min(torch.get_num_threads(), count // max(grain, 1)))
    if pieces == 1:
        return [kernel(0, count, *args)]
    bounds = [count * k // pieces for k in range(pieces + 1)]
    pool = _pool(os.getpid())
    futures = [pool.submit(kernel, a, b, *args) for a, b in pairwise(bounds[1:])]
    first = kernel(bounds[0], bounds[1], *args)
    return [first, *(future.result() for future in futures)]
