"""Medians of several calls taken in turns, and how fast this machine copies memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch


def interleaved(*calls: Callable[[], object], turns: int = 9, seconds: float = 0.0) -> list[float]:
    """Median seconds of each call, taken in `turns` so that drift of the machine hits all alike.

    Each call is first made once, uncounted. In its turn a call is repeated until `seconds` have passed, at least once:
    fast ones are measured often, slow ones no oftener than needed.
    """
    for call in calls:
        call()
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(turns):
        for call, record in zip(calls, times, strict=True):
            until = time.perf_counter() + seconds
            while True:
                began = time.perf_counter()
                call()
                ended = time.perf_counter()
                record.append(ended - began)
                if ended >= until:
                    break
    return [statistics.median(record) for record in times]


def copying(size: int) -> Callable[[], object]:
    """A copy of `size` bytes by all of torch's threads. It is memory's work if that is several times the caches."""
    source = torch.ones(size // 4)
    target = torch.zeros_like(source)
    return lambda: target.copy_(source)
