"""The leaves and the order of evaluation of a texture graph."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

from ..core.op import transformed
from ..core.precision import forget_casts
from ..errors import ArgumentError, SceneError
from ..generators import protocol
from ..images.notebook import texture_png

Value = Tensor | np.ndarray | Sequence | float
Latents = Mapping[str, Value]  # values of latents, by their names


class TextureNode(nn.Module):
    """A node of a texture graph: a texture or a latent."""

    def compute(self, evaluation: Evaluation) -> Tensor:
        """This node's value, asking `evaluation(child)` for the values it depends on."""
        raise NotImplementedError


class Evaluation:
    """One pass through the texture graph: every node is computed once, however often it is used.

        with Evaluation(latents) as evaluation:
            value = evaluation(texture)

    `latents` gives values to latents by name, in place of (or for want of) their own. When the pass ends, SceneError
    says which of them no latent has asked for. A pass that is given none needs no `with`.
    """

    def __init__(self, latents: Latents | None = None):
        forget_casts()
        self.latents = by_name(latents)
        self._done: dict[int, Tensor] = {}
        self._asked: set[str] = set()
        self._open = not self.latents

    def __enter__(self) -> Evaluation:
        self._open = True
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            check_names(self.latents, self._asked)

    def __call__(self, node: TextureNode) -> Tensor:
        """The node's value in this pass."""
        if not self._open:
            raise SceneError("a pass that is given latents checks their names as it ends: put it in a with statement.")
        if id(node) not in self._done:
            self._done[id(node)] = node.compute(self)
        return self._done[id(node)]

    def latent(self, name: str) -> Value | None:
        """The value given for a latent, if any."""
        self._asked.add(name)
        return self.latents.get(name)


def by_name(latents: Latents | None) -> dict[str, Value]:
    """Values of latents as a dictionary; ArgumentError for what is none."""
    if latents is None:
        return {}
    if not isinstance(latents, Mapping):
        raise ArgumentError(
            f"latents are given by their names, as in {{'skin': value}}, and not as a {type(latents).__name__}."
        )
    return dict(latents)


def check_names(given: Collection[str], known: Collection[str]) -> None:
    """Raise SceneError for a value whose name no latent has."""
    unknown = sorted(map(str, set(given) - set(known)))
    if unknown:
        names = ", ".join(sorted(known)) or "none"
        raise SceneError(f"there is no latent '{unknown[0]}' in the scene: its latents are {names}.")


class Latent(TextureNode):
    """A generator's input: a named leaf of the scene, (1, *shape), or (B, *shape) where it has a batch.

    Symbolic until it is bound: it has a shape and a name but no values. `bind` or `sample` makes its value a
    parameter; or leave it unbound and pass the value to each render: `nt.render(scene, latents={name: z})`.

    `source` is a generator (anything with a `latent_shape`, see `generators.protocol`) or the shape itself, without the
    batch dimension.

    Values are tensors, arrays or numbers of this shape; what reads them converts them to its own type and device.
    SceneError names the latent whose value has another shape, is not finite, or holds no numbers at all.

    `family` is one of a generator's `families`, such as "bricks": what is drawn is of it.

    `batch` names a batch of any size: a render then gives an image for each of its values, with a dimension in front.
    Latents that name the same batch go together, their first values, their second ones; of different batches every
    value of one meets every value of the other. ArgumentError for a generator that does not say its latent_shape, and
    for a family that it does not know.
    """

    def __init__(
        self,
        source: nn.Module | tuple[int, ...],
        name: str = "latent",
        batch: str | None = None,
        family: str | None = None,
    ):
        super().__init__()
        shape = source if isinstance(source, tuple) else protocol.latent_shape(source)
        if shape is None:
            raise ArgumentError(
                f"{type(source).__name__} does not say its latent_shape: wrap it with "
                "neurotex.generators.wrap(module, latent_shape=...)."
            )
        if family is not None:
            known = source.families if isinstance(source, protocol.Familied) else ()
            if family not in known:
                has = f"its families are {', '.join(known)}" if known else "it knows none"
                raise ArgumentError(f"latent '{name}' cannot be of family {family!r}: {has}.")
        self.name = name
        self.family = family
        self.shape = tuple(shape)
        self.batch = batch
        self._source = (source,)  # a generator belongs to the texture that it makes, and is no part of its latent
        self.register_parameter("value", None)

    def bind(self, value: Value) -> Latent:
        """Make a copy of `value`, (1, *shape), (*shape) or a batch, this latent's parameter. Returns the latent.

        It becomes what the generator computes with, in type and device. A latent that is bound already keeps its
        parameter and takes the new values, so optimizers stay valid; but for a batch of another size.
        """
        value = self.given(value).detach()
        like = self.value if self.value is not None else self._like()
        value = value.clone() if like is None else value.to(like, copy=True)
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
        (source,) = self._source
        if self.family is not None or isinstance(source, protocol.Sampled):
            return protocol.drawn(source, n, rng, self.family)
        return protocol.normal(n, self.shape, rng, self._like())

    @torch.no_grad()
    def _repr_png_(self) -> bytes | None:
        """In notebooks, what its generator makes of it, the first of a batch."""
        (source,), value = self._source, self.own()
        if value is None or not isinstance(source, nn.Module):
            return None
        with protocol.in_eval_mode(source):
            made = source(value[:1])
        return texture_png((made[:, :3] + 1) / 2)

    def _like(self) -> Tensor | None:
        """A weight of the generator that this latent was made for."""
        (source,) = self._source
        return protocol.like(source) if isinstance(source, nn.Module) else None

    def compute(self, evaluation: Evaluation) -> Tensor:
        """The value given for this pass, else the bound one; one of them, a render takes batches apart."""
        value = evaluation.latent(self.name)
        value = self.own() if value is None else self.given(value)
        if value is None:
            others = ", ".join(f"'{name}'" for name in evaluation.latents)
            but = f", and latents has values for {others} alone" if others else ""
            raise SceneError(
                f"latent '{self.name}' is unbound{but}: call .sample() or .bind(), or render with "
                f"latents={{'{self.name}': value of shape {self.symbol}}}."
            )
        if len(value) != 1:
            raise SceneError(
                f"latent '{self.name}' holds {len(value)} values, of which a texture takes one at a time: render the "
                f"scene for all of them, or give one as latents={{'{self.name}': ...}}."
            )
        return value

    def given(self, value: Value) -> Tensor:
        """A value from outside: floats, with a batch dimension. SceneError, by name, for what cannot be one."""
        try:
            value = value if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
        except (TypeError, ValueError, RuntimeError):
            raise SceneError(
                f"latent '{self.name}' takes numbers of shape {self.symbol}, but got a {type(value).__name__}."
            ) from None
        if value.is_complex() or value.layout != torch.strided:
            raise SceneError(f"latent '{self.name}' takes plain real numbers, but got {value.dtype}, {value.layout}.")
        if not value.is_floating_point():
            value = value.to(torch.get_default_dtype())
        if _known(value) and not bool(value.isfinite().all()):
            raise SceneError(f"latent '{self.name}' is given NaN or infinity: look at where its value comes from.")
        if value.is_meta and not isinstance(value, FakeTensor):
            raise SceneError(f"latent '{self.name}' is given a tensor on 'meta', which has no values: give numbers.")
        return self._with_batch(value)

    def own(self) -> Tensor | None:
        """The value that it is bound to, if any."""
        return None if self.value is None else self._with_batch(self.value)

    def _with_batch(self, value: Tensor) -> Tensor:
        if tuple(value.shape) == self.shape:
            value = value[None]
        if tuple(value.shape[1:]) != self.shape or len(value) == 0 or (len(value) != 1 and self.batch is None):
            raise SceneError(f"latent '{self.name}' expects shape {self.symbol}, but got {tuple(value.shape)}.")
        return value

    def _load_from_state_dict(self, state: dict, prefix: str, *args: object) -> None:
        """A state binds a latent, whatever was bound before, so that a scene loads what another has saved."""
        if f"{prefix}value" in state:
            self.bind(state[f"{prefix}value"])
        super()._load_from_state_dict(state, prefix, *args)

    @property
    def symbol(self) -> str:
        """Its shape with the batch's name for a size that is not known."""
        return f"({', '.join(map(str, (self.batch or 1, *self.shape)))})"

    def extra_repr(self) -> str:
        return f"'{self.name}', shape={self.symbol}, {'unbound' if self.value is None else 'bound'}"


def _known(value: Tensor) -> bool:
    """Whether there are numbers to look at: not while something is traced, transformed or made of shapes alone."""
    hidden = value.is_meta or isinstance(value, FakeTensor) or transformed()
    return not hidden and not torch.compiler.is_compiling()
