"""Products are rounded as they are written: what numpy, which fuses nothing, computes term by term."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurotex.geometry import cofactors, determinant, inverse, product, transform
from neurotex.geometry.transforms import transform_reference


def _term_by_term(points: torch.Tensor, matrix: torch.Tensor) -> np.ndarray:
    x, y, z = (points.numpy()[..., i, None] for i in range(3))
    m = matrix.numpy()[..., None, :]
    return ((x * m[..., 0, :, :] + y * m[..., 1, :, :]) + z * m[..., 2, :, :]) + m[..., 3, :, :]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(seed=st.integers(0, 1 << 30), n=st.sampled_from([0, 1, 7, 20_000]), views=st.integers(0, 3))
def test_points_are_rounded_term_by_term_whoever_made_the_cpu(dtype, seed, n, views):
    rng = torch.Generator().manual_seed(seed)
    batch = (views,) if views else ()
    points = torch.randn((*batch, n, 3), generator=rng, dtype=dtype)
    matrix = torch.randn((*batch, 4, 4), generator=rng, dtype=dtype).mT  # not contiguous
    expected = torch.from_numpy(_term_by_term(points, matrix))
    assert torch.equal(transform(points, matrix), expected)
    assert torch.equal(transform_reference(points, matrix), expected)


def test_transforms_have_gradients_of_any_order():
    points, matrix = torch.randn(5, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    inputs = [points.requires_grad_(), matrix.requires_grad_()]
    assert torch.autograd.gradcheck(transform, inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(transform, inputs)
    assert torch.autograd.gradcheck(lambda points: transform(points, matrix.detach()), points, check_forward_ad=True)


def test_they_go_through_transforms_of_functions():
    points, matrix = torch.randn(6, 5, 3), torch.randn(4, 4)
    assert torch.equal(
        torch.func.vmap(transform, in_dims=(0, None))(points, matrix), transform(points, matrix.expand(6, 4, 4))
    )
    slope = torch.func.grad(lambda matrix: transform(points[0], matrix).square().sum())(matrix)
    torch.testing.assert_close(
        slope, torch.autograd.functional.jacobian(lambda m: transform(points[0], m).square().sum(), matrix)
    )


@given(seed=st.integers(0, 1 << 30))
def test_small_matrices_are_what_linear_algebra_says(seed):
    rng = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(4, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    torch.testing.assert_close(product(a, b), a @ b)
    linear = a[:3, :3]
    torch.testing.assert_close(determinant(linear), torch.linalg.det(linear))
    torch.testing.assert_close(product(linear, cofactors(linear).T), determinant(linear) * torch.eye(3).double())
    affine = torch.cat([a[:3], a.new_tensor([[0, 0, 0, 1]])])
    torch.testing.assert_close(product(affine, inverse(affine)), torch.eye(4, dtype=torch.float64), rtol=0, atol=1e-7)


def test_what_cannot_be_inverted_still_turns_normals():
    flat = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 0]])
    assert torch.equal(cofactors(flat), torch.diag(torch.tensor([0.0, 0, 1])))
