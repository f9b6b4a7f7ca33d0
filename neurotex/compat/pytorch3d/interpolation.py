"""Vertex attributes at fragments: the barycentric mean of what a face's corners carry."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...core import checked
from .fragments import Fragments


@checked.door()
def interpolate(
    fragments: Fragments, attributes: Float[Tensor, "faces 3 channels"]
) -> Float[Tensor, "images height width k channels"]:
    """Σ_i b_i a_i at every fragment, with b its barycentric coordinates and a_i the attributes of its face's corners.

    Zeros where a fragment is empty. Barycentric coordinates are taken as they are: not clipped, not scaled to sum 1.
    Differentiable in both. Only covered fragments cost time and memory beyond the result.
    """
    _check_fragments(fragments.pix_to_face, fragments.bary_coords, attributes)
    checked.indices("pix_to_face", fragments.pix_to_face, len(attributes), "face", least=-checked.BITS31)
    covered = fragments.pix_to_face >= 0
    values = interpolate_at(fragments.pix_to_face[covered].long(), fragments.bary_coords[covered], attributes)
    return values.new_zeros((*covered.shape, attributes.shape[2])).masked_scatter(covered[..., None], values)


@checked.door()
def _check_fragments(
    pix_to_face: Int[Tensor, "images height width k"],
    bary_coords: Float[Tensor, "images height width k 3"],
    attributes: Float[Tensor, "faces 3 channels"],
) -> None:
    """The door looks."""


def interpolate_at(
    face: Int[Tensor, "n"], bary: Float[Tensor, "n 3"], attributes: Float[Tensor, "faces 3 channels"]
) -> Float[Tensor, "n channels"]:
    """The same for a list of points: `face` (≥ 0) and barycentric coordinates of each."""
    return _Interpolate.apply(face, bary, attributes)


class _Interpolate(torch.autograd.Function):
    """Keeps the inputs only: what the corners of each point carry is looked up again, one corner at a time."""

    generate_vmap_rule = True

    @staticmethod
    def forward(face: Tensor, bary: Tensor, attributes: Tensor) -> Tensor:
        first, second, third = (attributes[:, i].index_select(0, face) for i in range(3))
        return torch.addcmul(first * bary[:, :1], second, bary[:, 1:2]).addcmul(third, bary[:, 2:])

    @staticmethod
    def setup_context(ctx, inputs: tuple, output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        face, bary, attributes = ctx.saved_tensors
        to_bary = to_attributes = None
        if ctx.needs_input_grad[1]:
            to_bary = torch.stack([(grad * attributes[:, i].index_select(0, face)).sum(-1) for i in range(3)], -1)
        if ctx.needs_input_grad[2]:
            nothing = torch.zeros_like(attributes[:, 0])
            to_attributes = torch.stack([nothing.index_add(0, face, grad * bary[:, i, None]) for i in range(3)], dim=1)
        return None, to_bary, to_attributes
