"""The command line: a file for each of `neurotex demo, fit, train, render, views, info, convert, warm-up`.

What a user can mend is one sentence and exit code 2, never a traceback. Ctrl-C exits with 130 and SIGTERM with 143,
also while torch is still being loaded: until signals are heard, nothing is imported that takes time.
"""

from .start import main

__all__ = ["main"]
