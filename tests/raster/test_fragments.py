"""Fragments against ray-plane intersections and against what PyTorch3D computed."""

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from neurotex.raster import barycentrics, rasterize


def _triangle() -> tuple[Tensor, Tensor]:
    """A slanted triangle in camera space (x right, y down, depth), and its screen space for a 24 × 32 image."""
    points = torch.tensor([[-2.0, -1.5, 2.0], [2.5, -1.0, 4.0], [0.3, 2.0, 3.0]], dtype=torch.float64)
    x, y, z = points.unbind(1)
    return points, torch.stack([20 * x + 16 * z, 20 * y + 12 * z, z, z], 1)


def test_interpolation_is_perspective_correct():
    points, screen = _triangle()
    fragments = rasterize(screen[None], torch.tensor([[0, 1, 2]]), (24, 32))
    seen = fragments.pix_to_face[0, ..., 0] == 0
    assert int(seen.sum()) > 100
    y, x = seen.nonzero(as_tuple=True)
    ray = torch.stack([(x + 0.5 - 16) / 20, (y + 0.5 - 12) / 20, torch.ones_like(x)], 1).double()
    normal = torch.linalg.cross(points[1] - points[0], points[2] - points[0])
    hit = ray * ((points[0] @ normal) / (ray @ normal))[:, None]
    torch.testing.assert_close(fragments.bary_coords[0, y, x, 0] @ points, hit)
    torch.testing.assert_close(fragments.zbuf[0, y, x, 0], hit[:, 2])


def test_empty_pixels_hold_minus_one():
    _, screen = _triangle()
    fragments = rasterize(torch.stack([screen, screen + 1e4]), torch.tensor([[0, 1, 2]]), (24, 32))
    empty = fragments.pix_to_face == -1
    assert bool(empty[1].all())
    assert bool((fragments.zbuf[empty] == -1).all())
    assert bool((fragments.bary_coords[empty] == -1).all())
    assert not bool(empty[0].all())


def test_barycentrics_pass_gradcheck():
    _, screen = _triangle()
    pixels = torch.tensor([[14.3, 11.2], [20.1, 9.4], [17.0, 15.5]], dtype=torch.float64)
    corners = screen.expand(3, 3, 4).clone().requires_grad_()
    assert gradcheck(barycentrics, (corners, pixels.requires_grad_()))


def test_depth_and_barycentrics_carry_gradients_to_the_screen():
    _, screen = _triangle()

    def covered(screen: Tensor) -> tuple[Tensor, Tensor]:
        fragments = rasterize(screen[None], torch.tensor([[0, 1, 2]]), (5, 7))
        assert bool((fragments.pix_to_face == 0).all())
        return fragments.zbuf, fragments.bary_coords

    moved = screen.clone()
    moved[:, :2] -= screen[:, 3:] * 13  # the image lies well inside the triangle
    assert gradcheck(covered, (moved.requires_grad_(),))


def _pytorch3d_screen(data: dict, height: int, width: int) -> Tensor:
    """Screen space of PyTorch3D's cameras: +X left, +Y up, +Z into the scene; NDC spans ±1 over the shorter side."""
    view = data["verts"].double() @ data["R"].double() + data["T"].double()
    camera = data["meta"]["camera"]
    x, y, z = view.unbind(1)
    w = torch.ones_like(z) if camera["kind"] == "fov_orthographic" else z
    if camera["kind"] == "pinhole":
        scale, (px, py) = camera["focal"], camera["principal"]
    else:
        scale = camera["scale"] if "scale" in camera else 1 / math.tan(math.radians(camera["fov"]) / 2)
        px = py = 0.0
    half = min(height, width) / 2
    ndc_x, ndc_y = scale * x + px * w, scale * y + py * w
    return torch.stack([width / 2 * w - half * ndc_x, height / 2 * w - half * ndc_y, z, w], 1)


SCENES = (
    "ball_ambient",
    "ball_inside",
    "fine_subpixel",
    "quad_repeat_border",
    "spot_hard",
    "spot_ortho",
    "spot_pinhole",
    "spot_rect",
)


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fragments_agree_with_pytorch3d(golden, name, dtype):
    data = golden(name)
    expected = data["pix_to_face"][..., 0].long()
    height, width = expected.shape
    screen = _pytorch3d_screen(data, height, width).to(dtype)
    fragments = rasterize(screen[None], data["faces"], (height, width))
    ours = fragments.pix_to_face[0, ..., 0]
    covered = (expected >= 0) | (ours >= 0)
    equal = (ours == expected) & covered
    assert int(covered.sum()) > 500
    assert float(equal.sum() / covered.sum()) >= 0.999
    bary, depth = data["bary_coords"][..., 0, :][equal], data["zbuf"][..., 0][equal]
    # PyTorch3D adds 1e-8 to areas, so that its coordinates on tiny faces sum to less than 1 (orthographic ones stay so)
    total = bary.sum(-1)
    bary, depth = bary / total[:, None], depth / total if name == "spot_ortho" else depth
    torch.testing.assert_close(fragments.zbuf[0, ..., 0][equal].float(), depth, rtol=1e-4, atol=0)
    error = (fragments.bary_coords[0, ..., 0, :][equal] - bary).abs().amax(-1)
    assert float((error <= 1e-4).float().mean()) >= 0.98
    assert float(error.max()) <= 5e-4  # faces of a few hundredths of a pixel, where float32 ends
