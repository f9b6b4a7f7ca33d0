"""Fragments against rays, brute force and finite differences; the kernels against their references."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import gradcheck

from neurotex.compat.pytorch3d import fragments_reference
from neurotex.compat.pytorch3d.clipping import clip_faces
from neurotex.compat.pytorch3d.fragments import Fragments, rasterize
from neurotex.compat.pytorch3d.places import look, pixel_centres
from neurotex.errors import ArgumentError

POINTS = torch.tensor([[-2.4, -1.9, 2.0], [4.0, -2.8, 4.0], [0.4, 2.9, 3.0]], dtype=torch.float64)


def _project(points: Tensor) -> Tensor:
    """Points (..., 3) of a camera's space (x right, y up, depth) in NDC, for a field of view of 90°."""
    return torch.cat([points[..., :2] / points[..., 2:], points[..., 2:]], -1)


def _soup(count: int, dtype: torch.dtype, behind: bool = False) -> Tensor:
    """Random faces in NDC, some small and some large; `behind`, some of them pass behind the camera."""
    centre = torch.rand(count, 1, 3) * torch.tensor([2, 2, 3]) - torch.tensor([1, 1, 0 if behind else -1])
    spread = torch.rand(count, 1, 1) * torch.randn(count, 3, 3)
    points = (centre + spread).to(dtype)
    if not behind:
        points[..., 2].clamp_(min=0.3)
    return torch.cat([points[..., :2], points[..., 2:]], -1)


def _leaves(fragments: Fragments) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return fragments.pix_to_face, fragments.zbuf, fragments.bary_coords, fragments.dists


@pytest.mark.parametrize("size", [(24, 24), (18, 40), (41, 17)])
@pytest.mark.parametrize("near", [None, 2.7])
def test_pixels_see_where_their_rays_meet_the_face(size, near):
    seen = rasterize(_project(POINTS)[None], size, near=near)
    y, x = (seen.pix_to_face[0, ..., 0] == 0).nonzero(as_tuple=True)
    assert len(x) > 60
    half = min(size) / 2
    ray = torch.stack([(x + 0.5 - size[1] / 2) / half, (size[0] / 2 - y - 0.5) / half, torch.ones_like(x)], 1).double()
    normal = torch.linalg.cross(POINTS[1] - POINTS[0], POINTS[2] - POINTS[0])
    hit = ray * ((POINTS[0] @ normal) / (ray @ normal))[:, None]
    torch.testing.assert_close(seen.bary_coords[0, y, x, 0] @ POINTS, hit, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(seen.zbuf[0, y, x, 0], hit[:, 2], rtol=1e-6, atol=1e-6)
    assert near is None or bool((hit[:, 2] > near - 1e-6).all())


def test_empty_pixels_hold_minus_one():
    seen = rasterize(torch.cat([_project(POINTS)[None], _project(POINTS + 1e4)[None]]), (24, 32), first=(0, 1))
    empty = seen.pix_to_face == -1
    assert bool(empty[1].all())
    assert not bool(empty[0].all())
    for values in _leaves(seen):
        assert bool((values[empty] == -1).all())


@pytest.mark.parametrize("blur", [0.0, 0.02])
def test_layers_and_distances_by_brute_force(blur):
    corners, layers, size = _soup(30, torch.float64), 4, (14, 19)
    seen = rasterize(corners, size, faces_per_pixel=layers, blur_radius=blur, perspective_correct=False)
    x_of, y_of = pixel_centres(size, corners)
    assert float(x_of[0]) == pytest.approx(-19 / 14 + 1 / 14)
    assert float(y_of[0]) == pytest.approx(1 - 1 / 14)
    along = torch.linspace(0, 1, 4001, dtype=torch.float64)[:, None]
    for y in range(0, size[0], 3):
        for x in range(0, size[1], 2):
            point, found = torch.stack([x_of[x], y_of[y]]), []
            for f, face in enumerate(corners):
                bary = torch.linalg.solve(
                    torch.cat([face[:, :2].T, torch.ones(1, 3).double()]), torch.cat([point, torch.ones(1).double()])
                )
                edges = torch.cat([face[i, :2] + along * (face[i - 1, :2] - face[i, :2]) for i in range(3)])
                distance = float((edges - point).square().sum(1).min())
                inside = bool((bary > 0).all())
                if inside or distance < blur:
                    bary = bary.clamp_min(0) if blur else bary
                    depth = float(bary @ face[:, 2] / bary.sum())
                    found.append((depth, f, -distance if inside else distance))
            found = sorted(found)[:layers]
            count = len(found)
            assert seen.pix_to_face[0, y, x].tolist() == [f for _, f, _ in found] + [-1] * (layers - count)
            expected = torch.tensor([[depth, distance] for depth, _, distance in found], dtype=torch.float64)
            ours = torch.stack([seen.zbuf[0, y, x], seen.dists[0, y, x]], 1)[:count]
            torch.testing.assert_close(ours, expected.view(-1, 2), rtol=1e-5, atol=1e-5)


def test_equal_depths_go_to_the_lower_index():
    corners = torch.tensor([[[-2.0, -2, 1], [2, -2, 1], [0, 3, 1]]]).repeat(5, 1, 1)
    seen = rasterize(corners, (4, 4), faces_per_pixel=3)
    assert bool((seen.pix_to_face == torch.arange(3)).all())


def test_faces_seen_from_behind_are_culled_on_request():
    corners = _project(POINTS)[None]  # counterclockwise
    assert bool((rasterize(corners, (9, 9), cull_backfaces=True).pix_to_face >= 0).any())
    turned = corners.flip(1)
    assert bool((rasterize(turned, (9, 9)).pix_to_face >= 0).any())
    assert bool((rasterize(turned, (9, 9), cull_backfaces=True).pix_to_face < 0).all())


def test_packed_images_are_those_of_their_parts():
    parts = [_soup(12, torch.float32, behind=True), _soup(0, torch.float32), _soup(20, torch.float32, behind=True)]
    settings = {"faces_per_pixel": 3, "blur_radius": 1e-3, "near": 0.5}
    packed = rasterize(torch.cat(parts), (21, 13), first=(0, 12, 12), **settings)
    for k, part in enumerate(parts):
        alone = rasterize(part, (21, 13), **settings)
        ids = packed.pix_to_face[k]
        assert torch.equal(torch.where(ids >= 0, ids - (0, 12, 12)[k], ids), alone.pix_to_face[0])
        for together, single in zip(_leaves(packed)[1:], _leaves(alone)[1:], strict=True):
            assert torch.equal(together[k], single[0])


def test_no_faces_are_seen_as_nothing():
    corners = torch.zeros(0, 3, 3, requires_grad=True)
    seen = rasterize(corners, (3, 5), faces_per_pixel=2, near=0.1)
    assert seen.bary_coords.shape == (1, 3, 5, 2, 3)
    assert bool((seen.pix_to_face == -1).all())
    seen.zbuf.sum().backward()
    assert corners.grad.shape == (0, 3, 3)


@pytest.mark.parametrize("near", [None, 0.5])
@pytest.mark.parametrize("blur", [0.0, 1e-2])
def test_faces_that_are_no_faces_cover_nothing_and_have_no_gradient(blur, near):
    good = torch.tensor([[-0.9, -0.9, 1.0], [0.9, -0.8, 1.2], [0.0, 0.9, 0.9]])
    bad = good.repeat(8, 1, 1)
    bad[0, 1] = bad[0, 0]  # without area
    bad[1, 2, 0], bad[2, 0, 1], bad[3, 1, 2] = torch.nan, torch.inf, torch.nan
    bad[4, :, 2] = -1.0
    bad[5, 0, 2] = torch.inf
    bad[6, :, :2] *= 1e25  # its edges cannot be squared
    bad[7, :, :2] *= 1e-6
    corners = torch.cat([bad, good[None]]).requires_grad_()
    seen = rasterize(corners, (16, 16), faces_per_pixel=4, blur_radius=blur, near=near)
    assert set(seen.pix_to_face.unique().tolist()) == {-1, 8}
    for values in _leaves(seen):
        assert bool(values.isfinite().all())
    sum(values.sum() for values in _leaves(seen)[1:]).backward()
    assert bool(corners.grad.isfinite().all())
    assert bool((corners.grad[:8] == 0).all())
    assert bool((corners.grad[8] != 0).any())


@given(data=st.data())
def test_kernels_agree_with_the_reference_to_the_bit(data):
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]))
    torch.manual_seed(data.draw(st.integers(0, 10**6)))
    count = data.draw(st.integers(0, 40))
    corners = _soup(count, dtype, behind=True)
    first = sorted([0, *data.draw(st.lists(st.integers(0, count), max_size=2))])
    perspective, clip, cull = (data.draw(st.booleans()) for _ in range(3))
    layers, blur = data.draw(st.sampled_from([1, 2, 5])), data.draw(st.sampled_from([0.0, 1e-4, 1e-2]))
    neighbours = torch.empty(0, dtype=torch.int64)
    if data.draw(st.booleans()):
        pieces = clip_faces(corners, first, 0.7, perspective)
        if pieces is not None:
            corners, first, neighbours = pieces.corners, pieces.first, pieces.neighbour
    arguments = (corners, first, neighbours, 13, 17, layers, blur, perspective, clip, cull)
    kernel = torch.ops.neurotex.rasterize_faces(*arguments)
    for one, other in zip(fragments_reference.rasterize_faces_reference(*arguments), kernel, strict=True):
        assert torch.equal(one, other)

    upstream = [torch.randn_like(values) for values in kernel[1:]]
    asked = [grad if data.draw(st.booleans()) else None for grad in upstream]
    if any(grad is not None for grad in asked):
        arguments = (corners, kernel[0], *asked, perspective, clip)
        expected = fragments_reference.rasterize_faces_backward_reference(*arguments)
        ours = torch.ops.neurotex.rasterize_faces_backward(*arguments)
        scale = float(expected.abs().max()) if len(expected) else 1.0
        tolerance = (1e-3 if dtype == torch.float32 else 1e-9) * max(scale, 1e-6)
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=tolerance)


def test_chunks_of_the_reference_do_not_show(monkeypatch):
    corners = _soup(60, torch.float32, behind=True)
    pieces = clip_faces(corners, [0, 25], 0.7)
    arguments = (pieces.corners, pieces.first, pieces.neighbour, 20, 16, 2, 1e-2, True, True, False)
    whole = fragments_reference.rasterize_faces_reference(*arguments)
    monkeypatch.setattr(fragments_reference, "CANDIDATES", 100)
    for one, other in zip(fragments_reference.rasterize_faces_reference(*arguments), whole, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("blur", [0.0, 1e-4, 3e-2])
@pytest.mark.parametrize("size", [(40, 40), (64, 21), (1, 33), (33, 1)])
def test_the_reference_looks_at_all_that_faces_cover_and_little_else(dtype, blur, size):
    x_of, y_of = pixel_centres(size, torch.empty(0, dtype=dtype))
    # edges through pixel centres, where rounding decides, are as hard as slivers and corners far away
    on_centres = torch.stack([x_of[torch.randint(size[1], (200, 3))], y_of[torch.randint(size[0], (200, 3))]], -1)
    slivers = torch.rand(200, 1, 2) + torch.rand(200, 3, 1) * torch.randn(200, 1, 2) + 1e-6 * torch.randn(200, 3, 2)
    far = torch.randn(200, 3, 2) * 10 ** (3 * torch.rand(200, 3, 1))
    flat = torch.cat([torch.rand(200, 3, 1), y_of[torch.randint(size[0], (200, 1, 1))].expand(200, 3, 1)], 2)
    flat = flat + torch.tensor([1, 1e-7]) * torch.randn(200, 3, 2)
    corners = torch.nn.functional.pad(torch.cat([on_centres, slivers, far, flat]), (0, 1), value=1.0).to(dtype)
    found = list(fragments_reference._candidates(corners, [0], x_of, y_of, blur, False))
    candidates = torch.zeros(len(corners), size[0] * size[1], dtype=torch.bool)
    candidates[torch.cat([face for face, _ in found]), torch.cat([pixel for _, pixel in found])] = True

    low, high = fragments_reference._boxes(corners, x_of, y_of, blur, False)
    drawn = (high > low).all(1).nonzero()[:, 0]
    at = torch.cartesian_prod(drawn, torch.arange(size[0] * size[1]))
    seen = look(corners[at[:, 0]], x_of[at[:, 1] % size[1]], y_of[at[:, 1] // size[1]], False, False)
    covered = seen.inside | (seen.distance < corners.new_tensor(blur))
    assert bool(candidates[at[covered][:, 0], at[covered][:, 1]].all())
    if blur == 0:
        assert int(candidates.sum()) < 1.1 * int(covered.sum()) + 20


@pytest.mark.parametrize("perspective", [True, False])
@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("blur", [0.0, 0.03])
def test_gradients_are_those_of_finite_differences(perspective, clip, blur):
    corners = _project(POINTS).repeat(2, 1, 1) + 0.05 * torch.randn(2, 3, 3).double()

    def covered(corners: Tensor) -> tuple[Tensor, ...]:
        seen = rasterize(
            corners,
            (3, 4),
            faces_per_pixel=2,
            blur_radius=blur,
            perspective_correct=perspective,
            clip_barycentric_coords=clip,
        )
        assert int((seen.pix_to_face >= 0).sum()) > 10
        return _leaves(seen)[1:]

    assert gradcheck(covered, (corners.requires_grad_(),))


def test_each_output_carries_its_gradient_alone():
    corners = _soup(20, torch.float64).requires_grad_()
    seen = rasterize(corners, (16, 16), faces_per_pixel=2, blur_radius=1e-3)
    weights = [torch.randn_like(values) for values in _leaves(seen)[1:]]
    losses = [(values * weight).sum() for values, weight in zip(_leaves(seen)[1:], weights, strict=True)]
    alone = [torch.autograd.grad(loss, corners, retain_graph=True)[0] for loss in losses]
    together = torch.autograd.grad(sum(losses), corners)[0]
    torch.testing.assert_close(sum(alone), together)
    assert all(bool((grad != 0).any()) for grad in alone)


def test_shapes_without_values():
    with FakeTensorMode():
        seen = rasterize(torch.empty(7, 3, 3), (4, 6), first=(0, 3), faces_per_pixel=5)
    assert [tuple(values.shape) for values in _leaves(seen)] == [(2, 4, 6, 5)] * 2 + [(2, 4, 6, 5, 3), (2, 4, 6, 5)]
    assert seen.pix_to_face.dtype == torch.int64


def test_what_cannot_be_rasterised_is_refused():
    corners = torch.rand(4, 3, 3)
    for message, arguments in {
        "0 x 3 pixels": {"size": (0, 3)},
        "torch.float16": {"corners": corners.half()},
        "must ascend from 0": {"first": (0, 9)},
        "faces_per_pixel is 0": {"faces_per_pixel": 0},
        "blur_radius is -1": {"blur_radius": -1.0},
        "near is 0": {"near": 0.0},
        "near is nan": {"near": math.nan, "perspective_correct": False},
    }.items():
        with pytest.raises(ArgumentError, match=message):
            rasterize(**{"corners": corners, "size": (3, 3), **arguments})
