"""Several values of a latent in one render: a batch has a name, and its size may stay unknown until then."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..errors import SceneError
from .graph import Scene
from .latent import Latent, Latents, Value, by_name


def over_batches(draw: Callable[[dict[str, Value]], Tensor], scene: Scene, latents: Latents | None) -> Tensor:
    """`draw(latents)` for every item of every batch, with a dimension in front for each, in order of appearance.

    What does not depend on a batch is computed once (`torch.func.vmap`). Cut-outs decide which surface is seen by
    looking at values, so where there are some, items are drawn one after the other.
    """
    given = by_name(latents)
    batches = list(_values(scene, given).values())
    if not batches:
        return draw(given)
    one_by_one = any(material.alpha_cutoff is not None for material in scene.materials())
    return _each(draw, given, batches, one_by_one)


def _each(draw: Callable, given: dict[str, Value], batches: list[dict[str, Tensor]], one_by_one: bool) -> Tensor:
    if not batches:
        return draw(given)
    first, *others = batches
    if one_by_one:
        items = [dict(zip(first, values, strict=True)) for values in zip(*first.values(), strict=True)]
        return torch.stack([_each(draw, {**given, **item}, others, one_by_one) for item in items])
    # steps that draw at random do so for each item
    vmap = torch.func.vmap(lambda item: _each(draw, {**given, **item}, others, one_by_one), randomness="different")
    return vmap(first)


def _values(scene: Scene, given: Mapping[str, Value]) -> dict[str, dict[str, Tensor]]:
    """By name of batch and latent: the values (B, *shape), as many for all that share a batch."""
    batches: dict[str, dict[str, Tensor]] = {}
    for latent in scene.modules():
        if isinstance(latent, Latent) and latent.batch is not None:
            value = latent.given(given[latent.name]) if latent.name in given else latent.own()
            if value is not None:  # else its evaluation says that it is unbound
                batches.setdefault(latent.batch, {})[latent.name] = value
    for batch, values in batches.items():
        (first, count), *others = ((name, len(value)) for name, value in values.items())
        for name, size in others:
            if size != count:
                raise SceneError(
                    f"latents '{first}' and '{name}' share the batch '{batch}', but have {count} and {size} values: "
                    "give both as many, or name another batch for one of them."
                )
    return batches
