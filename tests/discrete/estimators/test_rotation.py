import pytest
import torch
from torch import Tensor
from torch.autograd import grad

from neurotex.discrete import Rotation

EXACT = {"dtype": torch.float64}


def _gradient(codes: type, e: Tensor, colors: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of e (C,) for that of its code, and the code."""
    step = codes(colors, Rotation())
    x = e.view(1, -1, 1, 1).clone().requires_grad_()
    out = step(x)
    assert torch.equal(out, step.hard(x))
    return grad(out, x, seed.view(1, -1, 1, 1))[0].flatten(), out.detach().flatten()


def _turn(e: Tensor, q: Tensor) -> Tensor:
    """The rotation from e to q in their plane: the identity elsewhere. By angle, in an orthonormal basis (u, v)."""
    u = e / e.norm()
    v = q - (q @ u) * u
    v = v / v.norm()
    cos, sin = (q @ u) / q.norm(), (q @ v) / q.norm()
    plane = torch.eye(len(e), **EXACT) - torch.outer(u, u) - torch.outer(v, v)
    return plane + cos * (torch.outer(u, u) + torch.outer(v, v)) + sin * (torch.outer(v, u) - torch.outer(u, v))


@pytest.mark.parametrize("channels", [2, 3, 5])
def test_the_gradient_is_turned_and_scaled(codes, channels):
    for _ in range(20):
        e, seed = torch.rand(channels, **EXACT), torch.randn(channels, **EXACT)
        colors = torch.rand(3, channels, **EXACT)
        found, q = _gradient(codes, e, colors, seed)
        turn, scale = _turn(e, q), q.norm() / e.norm()
        torch.testing.assert_close(turn @ turn.T, torch.eye(channels, **EXACT))
        torch.testing.assert_close(scale * turn @ e, q)
        torch.testing.assert_close(found, scale * turn.T @ seed)
        torch.testing.assert_close(found.norm(), scale * seed.norm())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("q", [[0.0, 0, 0], [0.5, 0.2, 0.1], [-0.3, -0.6, -0.2], [1e-30, 0, 0]])
@pytest.mark.parametrize("e", [[0.0, 0, 0], [1e-30, 0, 0], [0.3, 0.6, 0.2], [1e25, -1e25, 3.0]])
def test_degenerate_vectors_have_finite_gradients(codes, e, q, dtype):
    e, q, seed = torch.tensor(e, dtype=dtype), torch.tensor([q], dtype=dtype), torch.tensor([0.5, -2, 1], dtype=dtype)
    found, _ = _gradient(codes, e, q, seed)
    assert found.dtype == dtype
    assert bool(found.isfinite().all())
    black = e.norm() < 1e-3 or q.norm() < 1e-3
    assert not black or torch.equal(found, seed)  # no direction: straight through
    assert float(found.norm()) <= float(1.001 * seed.norm() * max(1, q.norm() / e.norm()))


def test_an_opposite_vector_is_mirrored(codes):
    e, seed = torch.tensor([0.3, 0.6, 0.2], **EXACT), torch.tensor([0.5, -2, 1], **EXACT)
    found, _ = _gradient(codes, e, -e[None], seed)
    torch.testing.assert_close(found, seed - 2 * e * (e @ seed) / (e @ e))


def test_learned_colours_keep_their_own_gradient(codes):
    step = codes(torch.rand(4, 3), Rotation())
    step(torch.rand(1, 3, 4, 4)).sum().backward()
    assert float(step.colors.grad.sum()) == 16 * 3
