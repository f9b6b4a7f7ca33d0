"""`neurotex warm-up`."""

from __future__ import annotations

from .console import say


def warm_up() -> None:
    """Compile all kernels now and keep them on disk: no later run waits for that. A minute or two, once."""
    from ..warm_up import warm_up

    say("compiling kernels, once …")
    warm_up()
