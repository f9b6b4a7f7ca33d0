"""Products of small matrices in which every product and every sum is rounded by itself, in one order.

A matrix product of torch is rounded as the CPU's BLAS likes it: with sums in another order or fused with products, as
the vectors of that CPU are wide. Where a corner lies decides which pixels a face covers, and of a sliver what is seen
there, so a picture would depend on who made the CPU. What is written here elementwise is the same to the bit anywhere.
"""

from __future__ import annotations

from functools import reduce
from operator import add

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.op import Backward, Op
from ..core.threads import parallel_for
from . import transform_kernels as kernels


def product(a: Float[Tensor, "*n rows k"], b: Float[Tensor, "*n k columns"]) -> Float[Tensor, "*n rows columns"]:
    """a @ b, summed from the first of the k terms to the last. Differentiable in both."""
    return reduce(add, (a[..., i, None] * b[..., i, None, :] for i in range(a.shape[-1])))


def transform(
    points: Float[Tensor, "*views n 3"], matrix: Float[Tensor, "*views 4 columns"]
) -> Float[Tensor, "*views n columns"]:
    """(x, y, z, 1) @ matrix for every point, of every view if there are some: ((x m₀ + y m₁) + z m₂) + m₃ with the
    matrix's rows m.

    A matrix that acts on columns is handed over transposed. Differentiable in both. On CPU a kernel does it, in one
    pass over memory.
    """
    return _transform(points, matrix)


def transform_reference(points: Tensor, matrix: Tensor) -> Tensor:
    """`transform` in plain tensor language."""
    return product(points, matrix[..., :3, :]) + matrix[..., 3:, :]


def _transform_cpu(points: Tensor, matrix: Tensor) -> Tensor:
    out = points.new_empty((*points.shape[:-1], matrix.shape[-1]))
    for view in zip(*(t if t.ndim == 3 else t[None] for t in (points, matrix, out)), strict=True):
        arrays = [t.contiguous().numpy() for t in view]
        parallel_for(kernels.transform, len(arrays[0]), *arrays, grain=1 << 13)
    return out


def _transform_backward(grads: tuple, inputs: tuple, _: tuple) -> tuple[Tensor, Tensor]:
    """Gradients decide about no pixel, and are torch's products of matrices."""
    (grad,), (points, matrix) = grads, inputs
    return grad @ matrix[..., :3, :].mT, torch.cat([points.mT @ grad, grad.sum(-2, keepdim=True)], -2)


_transform = Op(
    "transform(Tensor points, Tensor matrix) -> Tensor",
    reference=transform_reference,
    cpu=_transform_cpu,
    fake=lambda points, matrix: points.new_empty((*points.shape[:-1], matrix.shape[-1])),
    derivative=Backward(_transform_backward),
)


def cofactors(matrix: Float[Tensor, "3 3"]) -> Float[Tensor, "3 3"]:
    """det(M) times the inverse of the transpose of M, which exists for every M: what normals turn with."""
    return _cross(matrix.roll(-1, 0), matrix.roll(-2, 0))


def determinant(matrix: Float[Tensor, "3 3"]) -> Float[Tensor, ""]:
    x, y, z = (matrix[0] * _cross(matrix[1], matrix[2])).unbind()
    return x + y + z


def inverse(matrix: Float[Tensor, "4 4"]) -> Float[Tensor, "4 4"]:
    """Of a matrix (L t; 0 1) that can be inverted."""
    linear = cofactors(matrix[:3, :3]).T / determinant(matrix[:3, :3])
    place = -product(linear, matrix[:3, 3:])
    return torch.cat([torch.cat([linear, place], 1), matrix[3:]])


def _cross(a: Tensor, b: Tensor) -> Tensor:
    # written out: torch.linalg.cross may fuse
    return a.roll(-1, -1) * b.roll(-2, -1) - a.roll(-2, -1) * b.roll(-1, -1)
