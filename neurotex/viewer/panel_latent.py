"""Sliders, seeds and blends of a generator's latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..generators import lerp, protocol
from .directions import principal_directions

if TYPE_CHECKING:
    import viser

    from .model import Model

REACH = 3.0  # standard deviations to either side
ANY = "any"


class LatentPanel:
    """The latent as sliders have it: `mean + ψ (base − mean) + Σ sₖ · axes[k]`.

    `base` is drawn by the seed, or blended from two that were kept.
    """

    def __init__(self, gui: viser.GuiApi, model: Model, changed: Callable[[], None]):
        assert model.generator is not None
        self.model, self.changed = model, changed
        self.directions = principal_directions(model.generator)
        self.kept: dict[str, Tensor] = {}
        families = model.generator.families if isinstance(model.generator, protocol.Familied) else ()
        self.family = gui.add_dropdown("family", (ANY, *families), hint="what is drawn") if families else None
        self.seed = gui.add_number("seed", 0, min=0, step=1, hint="the latent that the sliders start from")
        again = gui.add_button("random", hint="another seed")
        self.truncation = gui.add_slider("truncation", 0.0, 1.5, 0.05, 1.0, hint="towards the mean: tamer textures")
        with gui.add_folder("directions", expand_by_default=True):
            self.sliders = [
                gui.add_slider(f"{k + 1}  {name}", -REACH, REACH, 0.05, 0.0, hint="in standard deviations")
                for k, name in enumerate(self.directions.names)
            ]
            reset = gui.add_button("reset")
        with gui.add_folder("blend", expand_by_default=False):
            keep_a, keep_b = gui.add_button("keep as A"), gui.add_button("keep as B")
            self.blend = gui.add_slider("A – B", 0.0, 1.0, 0.01, 0.0, disabled=True)
        assert model.latent is not None
        assert model.latent.value is not None
        self.base = model.latent.value[0].detach().clone()  # a fit's, or that of seed 0

        again.on_click(lambda _: self._set_seed(int(torch.randint(1 << 31, ()))))
        self.seed.on_update(lambda _: self._redraw())
        if self.family is not None:
            self.family.on_update(lambda _: self._redraw())
        for slider in (*self.sliders, self.truncation):
            slider.on_update(lambda _: changed())
        reset.on_click(lambda _: self._reset())
        keep_a.on_click(lambda _: self._keep("A"))
        keep_b.on_click(lambda _: self._keep("B"))
        self.blend.on_update(lambda _: self._mix())

    def apply(self) -> None:
        """Give the model the latent of now."""
        self.model.set_latent(self._latent())

    def _latent(self) -> Tensor:
        mean, axes = self.directions.mean, self.directions.axes
        amounts = torch.tensor([float(slider.value) for slider in self.sliders]).to(axes)
        return mean + float(self.truncation.value) * (self.base - mean) + torch.tensordot(amounts, axes, 1)

    def _drawn(self) -> Tensor:
        family = None if self.family is None or self.family.value == ANY else str(self.family.value)
        rng = torch.Generator().manual_seed(int(self.seed.value))
        return protocol.drawn(self.model.generator, 1, rng, family)[0]

    def _redraw(self) -> None:
        self.base = self._drawn()
        self.changed()

    def _set_seed(self, seed: int) -> None:
        self.seed.value = seed
        self._redraw()

    def _reset(self) -> None:
        for slider in self.sliders:
            slider.value = 0.0
        self.truncation.value = 1.0
        self.changed()

    def _keep(self, name: str) -> None:
        self.kept[name] = self._latent()
        self.blend.disabled = len(self.kept) < 2

    def _mix(self) -> None:
        if len(self.kept) == 2:
            # what was kept holds its sliders' part already
            for slider in self.sliders:
                slider.value = 0.0
            self.truncation.value = 1.0
            self.base = lerp(self.kept["A"], self.kept["B"], float(self.blend.value))
            self.changed()
