"""OKLab against the values that its author gives."""

import pytest
import torch

from neurotex.images.oklab import oklab_to_srgb, srgb_to_oklab


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((1, 1, 1), (1, 0, 0)),
        ((1, 0, 0), (0.62796, 0.22486, 0.12585)),
        ((0, 1, 0), (0.86644, -0.23389, 0.17950)),
        ((0, 0, 1), (0.45201, -0.03246, -0.31153)),
    ],
)
def test_primaries(rgb, lab):
    found = srgb_to_oklab(torch.tensor(rgb, dtype=torch.float64).view(1, 3, 1, 1))
    assert found.flatten().tolist() == pytest.approx(lab, abs=2e-4)


def test_there_and_back():
    colours = torch.rand(100, 3, dtype=torch.float64)
    lab = srgb_to_oklab(colours[:, :, None, None])[:, :, 0, 0]
    assert torch.allclose(oklab_to_srgb(lab), colours, atol=1e-5)
    beyond = oklab_to_srgb(lab.new_tensor([[1.5, 0, 0], [-0.5, 0, 0]]))
    assert torch.allclose(beyond, lab.new_tensor([[1.0] * 3, [0.0] * 3]), atol=1e-6)


def test_black_has_a_finite_gradient():
    black = torch.zeros(1, 3, 2, 2, requires_grad=True)
    srgb_to_oklab(black).sum().backward()
    assert black.grad.isfinite().all()
