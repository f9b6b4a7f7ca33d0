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
