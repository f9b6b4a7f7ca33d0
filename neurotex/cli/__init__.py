"""The command line: a file for each of `neurotex demo, fit, train, render, info, convert`.

What a user can mend is one sentence and exit code 2, never a traceback. Ctrl-C exits with 130 and SIGTERM with 143,
also while torch is still being loaded: until signals are heard, nothing is imported that takes time.
"""

import os

# Before torch is loaded: its idle threads then never spin, also where no kernel runs (see threads.py).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def main() -> None:
    """Entry point of `neurotex`, `python -m neurotex` and `torchrun -m neurotex.cli`."""
    from .leaving import leaving_at_once
    from .streams import open_streams

    open_streams()
    with leaving_at_once():
        from .app import run

        run()
