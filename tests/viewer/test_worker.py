"""One thing after another, and what is asked for twice once."""

import threading

from neurotex.viewer.worker import Worker


def test_what_waits_is_done_once_by_its_newest_job():
    done, begun, go, failed = [], threading.Event(), threading.Event(), []
    worker = Worker(failed.append)
    worker.ask("first", lambda: (begun.set(), go.wait(10), done.append("first")))
    assert begun.wait(10)
    for k in range(5):
        worker.ask("slider", lambda k=k: done.append(k))
    worker.ask("broken", lambda: 1 / 0)
    worker.ask("last", lambda: done.append("last"))
    assert not worker.settle(0.05)
    go.set()
    assert worker.settle(10)
    assert done == ["first", 4, "last"]
    assert [type(error) for error in failed] == [ZeroDivisionError]
    worker.close()
    worker.ask("late", lambda: done.append("late"))
    assert worker.settle(1)
    assert done[-1] == "last"
