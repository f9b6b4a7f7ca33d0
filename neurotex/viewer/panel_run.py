"""A run while it runs: its loss, a view that it does not fit, pause and stop."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import numpy as np

from ..core.interrupts import Interrupted

if TYPE_CHECKING:
    import viser

    from ..fit import Fit

EVERY = 10  # steps from one curve to the next
POINTS = 500  # of a curve: more are not seen


class RunPanel:
    """Told of every step by `tell`, which waits while the run is paused and raises Interrupted once it is stopped."""

    def __init__(self, gui: viser.GuiApi):
        from viser import uplot

        self._going = threading.Event()
        self._going.set()
        self.stopped = False
        self.state = gui.add_markdown("not begun")
        self.progress = gui.add_progress_bar(0.0)
        self.pause = gui.add_button("pause")
        self.stop = gui.add_button("stop", hint="after the present step: what was done is kept")
        self.curve = gui.add_uplot(
            (np.zeros(1), np.zeros(1)),
            (uplot.Series(label="step"), uplot.Series(label="log10 of the loss", stroke="#e8590c", width=2)),
            title="loss",
            aspect=2.0,
        )
        self.pause.on_click(lambda _: self._toggle())
        self.stop.on_click(lambda _: self._stop())

    def tell(self, fit: Fit) -> bool:
        """Of a step that is done; whether this is a step to show more of."""
        done, total = fit.step_number, fit.steps
        telling = done % EVERY == 0 or done == total
        if telling:
            losses = np.log10(np.maximum(np.asarray(fit.history, np.float64), 1e-12))
            steps = np.arange(1, len(losses) + 1, dtype=np.float64)
            stride = -(-len(losses) // POINTS)
            self.curve.data = (steps[::stride], losses[::stride])
            self.progress.value = 100 * done / total
            self.state.content = f"step {done} of {total}, loss {fit.history[-1]:.2e}"
        while not self._going.wait(0.2) and not self.stopped:
            pass
        if self.stopped:
            self.state.content = f"stopped after step {done}"
            raise Interrupted(signal.SIGINT)
        return telling

    def _toggle(self) -> None:
        paused = not self._going.is_set()
        self.pause.label = "pause" if paused else "go on"
        (self._going.set if paused else self._going.clear)()

    def _stop(self) -> None:
        self.stopped = True
