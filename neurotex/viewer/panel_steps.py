"""Discrete steps that the texture passes, switched on and off."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..discrete import ESTIMATORS
from ..errors import NeurotexError

if TYPE_CHECKING:
    import viser

    from .model import Model

OFFERED = {  # what a switch is called, and its step in short form
    "palette": "palette:8",
    "levels": "levels:4",
    "threshold": "threshold:0.5",
    "ordered dither": "bayer:2",
    "blue noise": "blue_noise:2",
    "error diffusion": "floyd_steinberg:2",
    "JPEG": "jpeg:20",
    "BC1 blocks": "blocks:bc1",
}


class StepPanel:
    """A switch for each step, in the order in which they apply, and the estimator that carries gradients."""

    def __init__(self, gui: viser.GuiApi, model: Model, changed: Callable[[], None]):
        self.model, self.changed = model, changed
        gui.add_markdown("The model shows what is exported. *Maps* also shows what a fit sees through the estimator.")
        self.estimator = gui.add_dropdown("estimator", tuple(ESTIMATORS), initial_value="straight_through")
        self.switches = {}
        for name, text in OFFERED.items():
            on = gui.add_checkbox(name, False, hint=f"--through {text}")
            self.switches[text] = (on, gui.add_text(f"{name}:", text, visible=False))
        self.note = gui.add_markdown("", visible=False)
        self.estimator.on_update(lambda _: self._set())
        for on, text in self.switches.values():
            on.on_update(lambda _: self._set())
            text.on_update(lambda _: self._set())

    def _set(self) -> None:
        chosen = []
        for on, text in self.switches.values():
            text.visible = bool(on.value)
            if on.value:
                chosen.append(text.value)
        try:
            self.model.set_steps(chosen, str(self.estimator.value))
        except NeurotexError as error:
            self.note.content, self.note.visible = f"**{error}**", True
            return
        self.note.visible = False
        self.changed()
