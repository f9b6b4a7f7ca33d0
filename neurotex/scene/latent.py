"""The leaves and the order of evaluation of a texture graph."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..errors import ArgumentError, SceneError


class Evaluation:
    """One pass through the texture graph: every node is computed once, however often it is used.

    `latents` gives values to latents by name, in place of (or for want of) their own.
    """

    def __init__(self, latents: Mapping[str, Tensor] | None = None):
        self.latents = dict(latents or {})
        self._done: dict[int, Tensor] = {}
        self._asked: set[str] = set()

    def __call__(self, node: nn.Module) -> Tensor:
        """The node's value in this pass."""
        if id(node) not in self._done:
            self._done[id(node)] = node.compute(self)
        return self._done[id(node)]

    def latent(self, name: str) -> Tensor | None:
        """The value given for a latent, if any."""
        self._asked.add(name)
        return self.latents.get(name)

    def check_names(self) -> None:
        """Once everything is evaluated: raise SceneError for a value that no latent asked for."""
        unknown = sorted(self.latents.keys() - self._asked)
        if unknown:
            known = ", ".join(sorted(self._asked)) or "none"
            raise SceneError(f"there is no latent '{unknown[0]}' in the scene: its latents are {known}.")


class Latent(nn.Module):
    """A generator's input: a named leaf of the scene, (1, *shape).

    Symbolic until it is bound: it has a shape and a name but no values. `bind` or `sample` makes its value a
    parameter; or leave it unbound and pass the value to each render: `nt.render(scene, latents={name: z})`.

    `source` is a generator (anything with a `latent_shape`) or the shape itself, without the batch dimension.
    """

    def __init__(self, source: nn.Module | tuple[int, ...], name: str = "latent"):
        super().__init__()
        shape = source if isinstance(source, tuple) else getattr(source, "latent_shape", None)
        if shape is None:
            raise ArgumentError(
                f"{type(source).__name__} does not say its latent_shape: wrap it with "
                "neurotex.generators.wrap(module, latent_shape=...)."
            )
        self.name = name
        self.shape = tuple(shape)
        self._sample = getattr(source, "sample_latents", None)
        self.register_parameter("value", None)

    def bind(self, value: Tensor) -> Latent:
        """Make a copy of `value`, (1, *shape) or (*shape), this latent's parameter. Returns the latent.

        A latent that is bound already keeps its parameter and takes the new values, so optimizers stay valid.
        """
        value = self._checked(value).detach().clone()
        if self.value is None:
            self.value = nn.Parameter(value)
        else:
            self.value.data.copy_(value)
        return self

    def sample(self, seed: int = 0) -> Latent:
        """Bind to a draw from the generator's prior (a standard normal where it has none of its own)."""
        return self.bind(self.draw(1, torch.Generator().manual_seed(seed)))

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """`n` values from the prior, (n, *shape), without binding any."""
        return self._sample(n, rng) if self._sample else torch.randn(n, *self.shape, generator=rng)

    def compute(self, evaluation: Evaluation) -> Tensor:
        """The value given for this pass, else the bound one."""
        value = evaluation.latent(self.name)
        value = self.value if value is None else value
        if value is None:
            raise SceneError(
                f"latent '{self.name}' is unbound: call .sample() or .bind(), or render with "
                f"latents={{'{self.name}': value of shape {(1, *self.shape)}}}."
            )
        return self._checked(value)

    def _checked(self, value: Tensor) -> Tensor:
        if tuple(value.shape) == self.shape:
            value = value[None]
        if tuple(value.shape) != (1, *self.shape):
            raise SceneError(f"latent '{self.name}' expects shape {(1, *self.shape)}, but got {tuple(value.shape)}.")
        return value

    def extra_repr(self) -> str:
        return f"'{self.name}', shape={(1, *self.shape)}, {'unbound' if self.value is None else 'bound'}"
