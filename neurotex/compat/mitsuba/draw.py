"""One differentiable function around Mitsuba: textures as torch tensors → images.

Mitsuba keeps the state of a scene in the scene, and its adjoint reads that state when the backward pass runs: by then
another render may have put other textures, or its light at another camera. So a render's own state is put back for its
backward pass, which is what dr.wrap around mi.render cannot do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from .variant import using


@dataclass(frozen=True)
class Shot:
    """One image to take. `moved` are parameters that are set for it: lights that follow the camera."""

    sensor: Any
    integrator: Any
    spp: int
    seed: int
    moved: Mapping[str, Sequence[float]] = field(default_factory=dict)


def draw(
    scene: Any, params: Any, textures: Mapping[str, Float[Tensor, "_ _ _"]], shots: Sequence[Shot]
) -> Float[Tensor, "shots h w c"]:
    """Images of a Mitsuba scene with `textures`, (H, W, C) each, as the data of bitmaps; linear, float32.

    `params` is mi.traverse(scene), whose keys `textures` are named by. Differentiable in the textures: the adjoint
    takes random numbers of its own, so that its errors are independent of the image's and gradients are unbiased.
    """
    return _Draw.apply(scene, params, tuple(textures), tuple(shots), *textures.values())


def seeds(seed: int, images: int) -> list[int]:
    """One for every image of a render, other ones than those of any other `seed`."""
    return [(seed * images + k) % 2**32 for k in range(images)]


class _Draw(torch.autograd.Function):
    @staticmethod
    def forward(ctx, scene, params, keys, shots, *values) -> Tensor:
        with using(scene.variant_name()) as mi:
            # Mitsuba may read a tensor's memory in place: it gets a copy, so that an optimiser's step changes nothing
            kept = {key: mi.TensorXf(at_least_two(value).clone()) for key, value in zip(keys, values, strict=True)}
            images = []
            for shot in shots:
                _assign(mi, params, kept, shot)
                where = {"sensor": shot.sensor, "integrator": shot.integrator}
                images.append(_to_torch(mi.render(scene, **where, spp=shot.spp, seed=shot.seed)))
        ctx.task = (scene, params, kept, shots)
        ctx.shapes = [value.shape for value in values]
        return torch.stack(images)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad) -> tuple:
        scene, params, kept, shots = ctx.task
        totals: list[Tensor | None] = [None] * len(kept)
        with using(scene.variant_name()) as mi, _restored(params, [*kept, *shots[0].moved]):
            import drjit as dr

            for shot, wanted in zip(shots, grad, strict=True):
                if not bool(wanted.any()):
                    continue
                # leaves of this image alone: the adjoint of an image cuts the graph behind it
                leaves = {key: mi.TensorXf(value) for key, value in kept.items()}
                for leaf, needed in zip(leaves.values(), ctx.needs_input_grad[4:], strict=True):
                    if needed:
                        dr.enable_grad(leaf)
                _assign(mi, params, leaves, shot)
                adjoint = mi.TensorXf(wanted.float().contiguous())
                seed = int(mi.sample_tea_32(shot.seed, 1)[0])
                shot.integrator.render_backward(scene, params, adjoint, shot.sensor, seed, shot.spp)
                for k, leaf in enumerate(leaves.values()):
                    if dr.grad_enabled(leaf):
                        found = _to_torch(dr.grad(leaf))
                        total = totals[k]
                        totals[k] = found if total is None else total + found
        folded = [
            None if total is None else _fold(total, shape) for total, shape in zip(totals, ctx.shapes, strict=True)
        ]
        return None, None, None, None, *folded


def _assign(mi: Any, params: Any, textures: Mapping[str, Any], shot: Shot) -> None:
    for key, value in textures.items():
        kind = type(params[key])  # half precision where the user's bitmap is stored so
        params[key] = value if isinstance(value, kind) else kind(value)
    for key, value in shot.moved.items():
        params[key] = mi.Point3f(*value)
    params.update()


@contextmanager
def _restored(params: Any, keys: Sequence[str]) -> Iterator[None]:
    """Parameters as they were before this block."""
    before = {key: type(params[key])(params[key]) for key in keys}
    try:
        yield
    finally:
        params.update(before)


def _to_torch(tensor: Any) -> Tensor:
    return tensor.torch().clone()


def at_least_two(value: Float[Tensor, "h w c"]) -> Float[Tensor, "h2 w2 c"]:
    """Mitsuba refuses bitmaps of a single row or column: there it is twice."""
    height, width, _ = value.shape
    return value.repeat(1 + (height == 1), 1 + (width == 1), 1)


def _fold(grad: Float[Tensor, "h2 w2 c"], shape: torch.Size) -> Float[Tensor, "h w c"]:
    """The transpose of `at_least_two`."""
    for axis in (0, 1):
        if shape[axis] == 1:
            grad = grad.sum(axis, keepdim=True)
    return grad
