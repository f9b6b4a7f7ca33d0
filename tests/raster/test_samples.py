"""Surface samples: kernel against reference, pixel order, and gradients to vertices and attributes."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from neurotex.raster.samples import Samples, _gather, barycentrics, gather_reference, sample_surface
from neurotex.raster.zbuffer import z_buffer


def _soup(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """60 random triangles, some behind the camera, with five attributes per vertex."""
    depth = 3 * torch.rand(60, 3, 1, dtype=dtype) - 0.5
    place = torch.rand(60, 1, 2, dtype=dtype) * 40 + 15 * torch.rand(60, 3, 2, dtype=dtype) - 10
    screen = torch.cat([place * depth, depth, depth], -1).flatten(0, 1)
    return screen, torch.arange(180).view(-1, 3), torch.randn(180, 5, dtype=dtype)


@pytest.mark.parametrize("grid", [1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-4), (torch.float64, 1e-10)])
def test_the_kernel_equals_the_reference(grid, dtype, tolerance):
    screen, faces, attributes = _soup(dtype)
    fine = screen * screen.new_tensor([grid, grid, 1, 1])
    ids, _ = z_buffer(fine, faces, (26 * grid, 31 * grid))
    ours, expected = (
        Samples(*gather(fine, faces, attributes, ids, grid, 2, 0, True)) for gather in (_gather, gather_reference)
    )
    assert len(ours.pixel) > 300
    assert torch.equal(ours.pixel, expected.pixel)
    assert torch.equal(ours.face, expected.face)
    torch.testing.assert_close(ours.values, expected.values, rtol=tolerance, atol=tolerance)
    assert ours.derivatives.shape == (len(ours.pixel), 2, 2)
    torch.testing.assert_close(ours.derivatives, expected.derivatives, rtol=10 * tolerance, atol=10 * tolerance)
    torch.testing.assert_close(ours.barycentrics, expected.barycentrics, rtol=tolerance, atol=tolerance)


def test_derivatives_are_finite_differences_over_the_sample_step():
    """One triangle over the whole image: moving it by a little is looking beside the sample."""
    screen = torch.tensor([[-9.0, -8, 1, 1], [50, -12, 2, 2], [2, 60, 3, 3]], dtype=torch.float64)
    attributes, faces, step = torch.randn(3, 5, dtype=torch.float64), torch.tensor([[0, 1, 2]]), 1e-5

    def seen(dx: float, dy: float, count: int) -> Samples:
        moved = screen - screen[:, 3:] * screen.new_tensor([dx, dy, 0, 0])
        return sample_surface(moved, faces, attributes, (3, 4), 2, derivatives=count)

    found = seen(0, 0, 3)
    assert found.derivatives.shape == (48, 3, 2)
    for axis, (dx, dy) in enumerate(((step, 0), (0, step))):
        slope = (seen(dx, dy, 0).values - seen(-dx, -dy, 0).values) / (4 * step)  # a sample step is half a pixel
        torch.testing.assert_close(found.derivatives[:, :, axis], slope[:, :3], rtol=1e-6, atol=1e-8)


def test_no_derivatives_unless_asked_for():
    screen, faces, attributes = _soup(torch.float32)
    samples = sample_surface(screen, faces, attributes, (26, 31))
    assert samples.derivatives.shape == (len(samples.pixel), 0, 2)
    traced = sample_surface(screen.requires_grad_(), faces, attributes, (26, 31))
    assert traced.derivatives.shape == (len(samples.pixel), 0, 2)


def test_one_sample_per_pixel_is_what_the_z_buffer_sees():
    screen, faces, attributes = _soup(torch.float64)
    samples = sample_surface(screen, faces, attributes, (26, 31))
    ids = z_buffer(screen, faces, (26, 31))[0].long()
    y, x = (ids >= 0).nonzero(as_tuple=True)
    assert torch.equal(samples.pixel, 31 * y + x)
    assert torch.equal(samples.face, ids[y, x])
    corner = faces[samples.face]
    bary = barycentrics(screen[corner], torch.stack([x, y], 1) + 0.5)
    torch.testing.assert_close(samples.values, (bary[..., None] * attributes[corner]).sum(1))


def test_finer_samples_come_pixel_by_pixel():
    square = torch.tensor([[0.0, 0, 1, 1], [4, 0, 1, 1], [4, 2, 1, 1], [0, 2, 1, 1]])
    where = square[:, :2].clone()  # interpolating the position itself gives each sample's centre
    samples = sample_surface(square, torch.tensor([[0, 1, 2], [0, 2, 3]]), where, (2, 4), grid=2)
    assert torch.equal(samples.pixel, torch.arange(8).repeat_interleave(4))
    first = torch.tensor([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])
    torch.testing.assert_close(samples.values[:4], first)
    torch.testing.assert_close(samples.values[20:24], first + torch.tensor([1.0, 1.0]))


def test_a_gradient_does_not_change_the_values():
    screen, faces, attributes = _soup(torch.float64)
    plain = sample_surface(screen, faces, attributes, (26, 31), 2)
    traced = sample_surface(screen.requires_grad_(), faces, attributes, (26, 31), 2)
    assert traced.values.requires_grad
    torch.testing.assert_close(traced.values.detach(), plain.values, rtol=1e-10, atol=1e-10)


def test_gradients_reach_vertices_and_attributes():
    """The triangle reaches beyond the image on all sides: a small step changes no sample's visibility."""
    screen = torch.tensor([[-9.0, -8, 1, 1], [50, -12, 2, 2], [2, 60, 3, 3]], dtype=torch.float64, requires_grad=True)
    attributes = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)

    def sample(screen: Tensor, attributes: Tensor) -> tuple[Tensor, Tensor]:
        samples = sample_surface(screen, torch.tensor([[0, 1, 2]]), attributes, (3, 4), 2, derivatives=2)
        assert len(samples.pixel) == 48
        return samples.values, samples.derivatives

    assert gradcheck(sample, (screen, attributes))


def test_nothing_covered_gives_no_samples():
    samples = sample_surface(torch.ones(3, 4), torch.tensor([[0, 1, 2]]), torch.ones(3, 2), (5, 5), 2)
    assert samples.values.shape == (0, 2)
    assert samples.derivatives.shape == (0, 0, 2)
    assert samples.pixel.shape == (0,)


def test_barycentrics_pass_gradcheck():
    points = torch.tensor([[-2.4, -1.9, 2.0], [4.0, -2.8, 4.0], [0.4, 2.9, 3.0]], dtype=torch.float64)
    x, y, z = points.unbind(1)
    screen = torch.stack([20 * x + 16 * z, 20 * y + 12 * z, z, z], 1)
    pixels = torch.tensor([[14.3, 11.2], [20.1, 9.4], [17.0, 15.5]], dtype=torch.float64)
    corners = screen.expand(3, 3, 4).clone().requires_grad_()
    assert gradcheck(barycentrics, (corners, pixels.requires_grad_()))
