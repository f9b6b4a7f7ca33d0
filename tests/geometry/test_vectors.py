"""Directions of vectors, and of those that have none."""

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from neurotex.geometry import dot, unit


def _vectors(n: int) -> torch.Tensor:
    return torch.randn(n, 3, dtype=torch.float64, requires_grad=True)


def test_gradients_of_any_order():
    for function, leaves in ((dot, (_vectors(4), _vectors(4))), (unit, (_vectors(4),))):
        assert gradcheck(function, leaves)
        assert gradgradcheck(function, leaves, atol=1e-4)


@pytest.mark.parametrize("length", [1e-30, 1e-16, 0.0])
def test_what_is_too_short_has_no_direction_or_the_one_given(length):
    vector = torch.tensor([[0.6, 0, 0.8], [3, 0, 4], [0, 0, length]], dtype=torch.float64)
    vector = vector.requires_grad_()
    other = torch.tensor([[1.0, 0, 0]], dtype=torch.float64)
    found, filled = unit(vector), unit(vector, other.expand(3, 3))
    expected = torch.tensor([[0.6, 0, 0.8], [0.6, 0, 0.8], [0, 0, 0]], dtype=torch.float64)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(filled[:2], expected[:2])
    assert torch.equal(filled[2:], other)
    (found + filled).sum().backward()
    assert bool(vector.grad.isfinite().all())
    assert not bool(vector.grad[2].any())


def test_what_is_short_may_be_said():
    vector = torch.tensor([[0.0, 0, 1e-7], [0, 0, 1e-5]])
    assert unit(vector, shortest=1e-6).tolist() == [[0, 0, 0], [0, 0, 1]]
