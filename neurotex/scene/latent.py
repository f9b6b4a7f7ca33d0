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
    """A generator's input: a named leaf of the scene, (1, *shape), or (B, *shape) where it has a batch.

    Symbolic until it is bound: it has a shape and a name but no values. `bind` or `sample` makes its value a
    parameter; or leave it unbound and pass the value to each render: `nt.render(scene, latents={name: z})`.

    `source` is a generator (anything with a `latent_shape`) or the shape itself, without the batch dimension.
    `batch` names a batch of any size: a render then gives an image for each of its values, with a dimension in front.
    Latents that name the same batch go together, their first values, their second ones; of different batches every
    value of one meets every value of the other.
    """

    def __init__(self, source: nn.Module | tuple[int, ...], name: str = "latent", batch: str | None = None):
        super().__init__()
        shape = source if isinstance(source, tuple) else getattr(source, "latent_shape", None)
        if shape is None:
            raise ArgumentError(
                f"{type(source).__name__} does not say its latent_shape: wrap it with "
                "neurotex.generators.wrap(module, latent_shape=...)."
            )
        self.name = name
        self.shape = tuple(shape)
        self.batch = batch
        self._sample = getattr(source, "sample_latents", None)
        self.register_parameter("value", None)

    def bind(self, value: Tensor) -> Latent:
        """Make a copy of `value`, (1, *shape), (*shape) or a batch, this latent's parameter. Returns the latent.

        A latent that is bound already keeps its parameter and takes the new values, so optimizers stay valid; but for
        a batch of another size.
        """
        value = self.checked(value).detach().clone()
        if self.value is None or self.value.shape != value.shape:
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
        """The value given for this pass, else the bound one; one of them, a render takes batches apart."""
        value = evaluation.latent(self.name)
        value = self.value if value is None else value
        if value is None:
            raise SceneError(
                f"latent '{self.name}' is unbound: call .sample() or .bind(), or render with "
                f"latents={{'{self.name}': value of shape {self.symbol}}}."
            )
        value = self.checked(value)
        if len(value) != 1:
            raise SceneError(
                f"latent '{self.name}' holds {len(value)} values, of which a texture takes one at a time: render the "
                f"scene for all of them, or give one as latents={{'{self.name}': ...}}."
            )
        return value

    def checked(self, value: Tensor) -> Tensor:
        """The value with its batch dimension; SceneError for one of another shape."""
        if tuple(value.shape) == self.shape:
            value = value[None]
        if tuple(value.shape[1:]) != self.shape or len(value) == 0 or (len(value) != 1 and self.batch is None):
            raise SceneError(f"latent '{self.name}' expects shape {self.symbol}, but got {tuple(value.shape)}.")
        return value

    @property
    def symbol(self) -> str:
        """Its shape with the batch's name for a size that is not known."""
        return f"({', '.join(map(str, (self.batch or 1, *self.shape)))})"

    def extra_repr(self) -> str:
        return f"'{self.name}', shape={self.symbol}, {'unbound' if self.value is None else 'bound'}"
