"""Pieces of faces before a near plane: together they are the face, and coordinates on them lead back to it."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from neurotex.compat.pytorch3d.clipping import clip_faces


def _faces(count: int, perspective: bool) -> tuple[Tensor, Tensor]:
    """Random faces about the plane at depth 1: corners in space (x, y, depth), and in NDC."""
    space = torch.randn(count, 3, 3, dtype=torch.float64) + torch.tensor([0, 0, 1])
    xy = space[..., :2] / space[..., 2:] if perspective else space[..., :2]
    return space, torch.cat([xy, space[..., 2:]], -1)


def _area(corners: Tensor) -> Tensor:
    """Of triangles in space."""
    return torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).norm(dim=-1) / 2


@pytest.mark.parametrize("perspective", [True, False])
def test_pieces_fill_what_lies_beyond_the_plane(perspective):
    space, corners = _faces(60, perspective)
    pieces = clip_faces(corners, [0], 1.0, perspective)
    assert bool((pieces.corners[..., 2] >= 1 - 1e-9).all())
    back = pieces.corners.clone()
    if perspective:
        back[..., :2] *= back[..., 2:]
    # the area beyond the plane, by the share of many points spread evenly over each face
    share = torch.rand(20000, 2, dtype=torch.float64).sort(-1).values
    mixed = torch.stack([share[:, 0], share[:, 1] - share[:, 0], 1 - share[:, 1]], 1)
    expected = (mixed @ space[..., 2].T >= 1).double().mean(0) * _area(space)
    area = torch.zeros(len(space), dtype=torch.float64).index_add(0, pieces.face, _area(back))
    torch.testing.assert_close(area, expected, rtol=0, atol=0.02 * float(_area(space).max()))


@pytest.mark.parametrize("perspective", [True, False])
def test_weights_make_a_piece_of_its_face(perspective):
    space, corners = _faces(40, perspective)
    pieces = clip_faces(corners, [0], 1.0, perspective)
    cut = pieces.place >= 0
    assert int(cut.sum()) == len(pieces.weights) > 20
    back = pieces.corners[cut].clone()
    if perspective:
        back[..., :2] *= back[..., 2:]
    torch.testing.assert_close(pieces.weights[pieces.place[cut]].mT @ space[pieces.face[cut]], back)
    assert torch.equal(pieces.corners[~cut], corners[pieces.face[~cut]])


def test_order_images_and_neighbours():
    depths = torch.tensor([[2.0, 2, 2], [0, 0, 0], [2, 0, 2], [0, 0, 2], [2, 2, 2], [2, 2, 0]])
    corners = torch.cat([torch.randn(6, 3, 2), depths[..., None]], -1)
    pieces = clip_faces(corners, [0, 2, 2, 4], 1.0)
    assert pieces.face.tolist() == [0, 2, 2, 3, 4, 5, 5]
    assert pieces.neighbour.tolist() == [-1, 2, 1, -1, -1, 6, 5]
    assert pieces.first == [0, 1, 1, 4]
    assert (pieces.place >= 0).tolist() == [False, True, True, True, False, True, True]


def test_nothing_to_cut():
    assert clip_faces(torch.ones(4, 3, 3), [0], 1.0) is None
    assert clip_faces(torch.ones(0, 3, 3), [0], 1.0) is None
    assert len(clip_faces(torch.ones(4, 3, 3), [0], 1.5).face) == 0


def test_cut_faces_that_are_not_finite_are_left_out():
    corners = torch.rand(4, 3, 3) + 1.5
    corners[:, 0, 2] = 0
    corners[0, 1, 0], corners[1, 2, 1], corners[2, 1, 2] = torch.nan, torch.inf, torch.nan
    corners.requires_grad_()
    pieces = clip_faces(corners, [0], 1.0)
    assert pieces.face.tolist() == [3, 3]
    (pieces.corners.sum() + pieces.weights.sum()).backward()
    assert bool(corners.grad.isfinite().all())
    assert bool((corners.grad[:3] == 0).all())


def test_coordinates_on_pieces_become_those_on_faces():
    space, corners = _faces(30, True)
    pieces = clip_faces(corners, [0], 1.0)
    count = len(pieces.face)
    seen = torch.cat([torch.arange(count), torch.tensor([-1])]).view(1, 1, -1, 1)
    bary = torch.rand(1, 1, count + 1, 1, 3, dtype=torch.float64)
    bary[..., -1, :, :] = -1
    face, on_face = pieces.on_faces(seen, bary)
    assert face[0, 0, :, 0].tolist() == [*pieces.face.tolist(), -1]
    assert bool((on_face[0, 0, -1] == -1).all())
    back = pieces.corners.clone()
    back[..., :2] *= back[..., 2:]
    there = (bary[0, 0, :-1, 0, :, None] * back).sum(1)
    torch.testing.assert_close((on_face[0, 0, :-1, 0, :, None] * space[pieces.face]).sum(1), there)


@pytest.mark.parametrize("perspective", [True, False])
def test_the_first_crossing_passes_gradcheck(perspective):
    _, corners = _faces(20, perspective)
    tips = corners[((corners[..., 2] >= 1).sum(1) == 1)]
    assert len(tips) > 2
    assert gradcheck(lambda c: clip_faces(c, [0], 1.0, perspective).corners[:, 0], (tips.requires_grad_(),))


@pytest.mark.parametrize("perspective", [True, False])
def test_cut_faces_have_the_gradient_of_their_pieces(perspective):
    """One corner behind the plane, and two."""
    faces = [[[0.3, -0.2, 2.0], [0.1, 0.9, 0.5], [0.8, 0.4, 0.4]], [[0.3, -0.2, 0.6], [0.1, 0.9, 1.5], [0.8, 0.4, 1.4]]]
    corners = torch.tensor(faces, dtype=torch.float64, requires_grad=True)

    def cut(corners):
        pieces = clip_faces(corners, [0], 1.0, perspective)
        return pieces.corners, pieces.weights

    assert gradcheck(cut, (corners,))
