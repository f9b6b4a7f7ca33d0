"""One thread that computes for everyone who looks: what is asked for again before its turn is done once."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Worker:
    """Does jobs in the order in which they were first asked for. A slider that moves ten times while one job runs asks
    for the next only once, so pictures follow the hand instead of queueing up.

    `failed` is told of what a job raises; the worker goes on.
    """

    def __init__(self, failed: Callable[[Exception], None]):
        self._failed = failed
        self._jobs: dict[str, Callable[[], None]] = {}
        self._waiting = threading.Condition()
        self._busy = self._closed = False
        self._thread = threading.Thread(target=self._work, name="neurotex viewer", daemon=True)
        self._thread.start()

    def ask(self, name: str, job: Callable[[], None]) -> None:
        """Have `job` done, in place of one of the same name that still waits."""
        with self._waiting:
            self._jobs[name] = job
            self._waiting.notify_all()

    def settle(self, seconds: float = 60.0) -> bool:
        """Wait until nothing is left to do; whether that came before `seconds` were over."""
        with self._waiting:
            return self._waiting.wait_for(lambda: self._closed or not (self._jobs or self._busy), seconds)

    def close(self) -> None:
        """Drop what waits, and end after the present job."""
        with self._waiting:
            self._closed = True
            self._jobs.clear()
            self._waiting.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(10)

    def _work(self) -> None:
        while True:
            with self._waiting:
                self._busy = False
                self._waiting.notify_all()
                self._waiting.wait_for(lambda: self._closed or self._jobs)
                if self._closed:
                    return
                self._busy = True
                job = self._jobs.pop(next(iter(self._jobs)))
            try:
                job()
            except Exception as error:
                self._failed(error)
