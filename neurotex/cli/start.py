"""Where the command line begins, before anything is imported that takes time."""

import os

# Before torch is loaded: its idle threads then never spin, also where no kernel runs (see core/threads.py).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def main() -> None:
    """Entry point of `neurotex`, `python -m neurotex` and `torchrun -m neurotex.cli`."""
    from .leaving import leaving_at_once
    from .streams import open_streams

    open_streams()
    with leaving_at_once():
        from .app import run

        run()
