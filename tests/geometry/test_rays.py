"""Rays: both tracers against plain tensor language, where they must not leak, and what they leave."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import neurotex as nt
from neurotex.geometry import Rays, embree
from neurotex.geometry.rays import closest_reference

EMBREE = pytest.param(
    "embree", marks=pytest.mark.skipif(not embree.has_embree(), reason="embreex is not installed, or has no Embree 4")
)
each = pytest.mark.parametrize("by", ["bvh", EMBREE])


def ball(rows: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """A closed sphere: vertices, with poles of many faces and no seam, and faces."""
    a = torch.linspace(0, torch.pi, rows + 1)[1:-1]
    b = torch.arange(2 * rows) * (torch.pi / rows)
    ring = torch.stack(
        [a.sin()[:, None] * b.cos(), a.cos()[:, None].expand(-1, 2 * rows), a.sin()[:, None] * b.sin()], 2
    )
    vertices = torch.cat([ring.flatten(0, 1), torch.tensor([[0.0, 1, 0], [0, -1, 0]])])
    top, bottom, n = len(vertices) - 2, len(vertices) - 1, 2 * rows
    faces = []
    for k in range(n):
        after = (k + 1) % n
        faces += [[top, after, k], [bottom, (rows - 2) * n + k, (rows - 2) * n + after]]
        for r in range(rows - 2):
            quad = [r * n + k, r * n + after, (r + 1) * n + after, (r + 1) * n + k]
            faces += [[quad[0], quad[1], quad[2]], [quad[0], quad[2], quad[3]]]
    return vertices, torch.tensor(faces)


@each
@given(seed=st.integers(0, 1 << 30), vertices=st.integers(3, 60), faces=st.integers(0, 90))
def test_soups_are_met_where_plain_tensor_language_says(by, seed, vertices, faces):
    rng = torch.Generator().manual_seed(seed)
    place = torch.randn(vertices, 3, generator=rng)
    index = torch.randint(vertices, (faces, 3), generator=rng)  # some have a corner twice, and no area
    origin, direction = (torch.randn(200, 3, generator=rng) for _ in range(2))
    rays = Rays(place, index, by)
    found = rays.closest(origin, direction)
    if faces == 0:
        assert bool((found.face == -1).all())
        assert not bool(rays.occluded(origin, direction).any())
        return
    expected = closest_reference(place.double(), index, origin.double(), direction.double())
    # rays that graze an edge may go either way: rarely. Of faces that lie in each other, either is right
    met = found.face >= 0
    near = (found.distance - expected.distance).abs() <= 1e-3 * (1 + expected.distance.abs())
    same = torch.where(met, near, ~expected.distance.isfinite())
    assert float(same.float().mean()) >= 0.99
    met &= same
    reached = found.distance.where(met, 0)
    there = (place[index[found.face.clamp_min(0).long()]] * found.barycentrics[..., None]).sum(1)
    torch.testing.assert_close((origin + reached[:, None] * direction)[met], there[met], rtol=1e-3, atol=1e-3)
    assert torch.equal(rays.occluded(origin, direction), found.face >= 0)
    half = found.distance / 2
    assert not bool(rays.occluded(origin, direction, half.where(found.face >= 0, torch.inf)).any())


@each
def test_nothing_leaks_between_faces_that_share_an_edge_or_a_corner(by):
    vertices, faces = ball()
    rays = Rays(vertices, faces, by)
    corners = vertices[faces]
    weight = torch.rand(20, 1, 1, 1)
    edges = corners * weight + corners.roll(1, 1) * (1 - weight)
    targets = torch.cat([vertices, edges.flatten(0, 2)])
    for origin in (torch.zeros(3), torch.tensor([0.3, 0.1, -0.2]), torch.tensor([0.0, 0.5, 0.0])):
        assert bool(rays.occluded(origin.expand_as(targets), targets - origin).all())


@each
@pytest.mark.parametrize("offset", [0.0, 300.0])
def test_a_ray_does_not_meet_the_face_that_it_leaves(by, offset):
    vertices, faces = ball(24)
    vertices = vertices + offset
    rays = Rays(vertices, faces, by)
    weight = torch.rand(40, len(faces), 3)
    weight = weight / weight.sum(2, keepdim=True)
    points = (vertices[faces] * weight[..., None]).sum(2).flatten(0, 1)
    face = torch.arange(len(faces)).repeat(40)
    outwards = points - offset + 0.5 * torch.nn.functional.normalize(torch.randn_like(points), dim=1)
    assert not bool(rays.occluded(points, outwards, leaving=face).any())
    found = rays.closest(points, -outwards, leaving=face)  # right through, whatever way the face turns
    assert bool((found.distance > 0.3).all())


@each
def test_faces_without_area_are_never_met(by):
    vertices = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0]])
    flat, whole = torch.tensor([[0, 1, 2], [1, 1, 3]]), torch.tensor([[0, 1, 2], [1, 1, 3], [0, 1, 3]])
    origin, direction = torch.tensor([[0.5, 0.0, 1.0], [0.25, 0.25, 1.0]]), torch.tensor([[0.0, 0, -1]]).expand(2, 3)
    assert not bool(Rays(vertices, flat, by).occluded(origin, direction).any())
    assert Rays(vertices, whole, by).closest(origin, direction).face[1] == 2


@each
def test_both_sides_are_met_and_only_as_far_as_asked(by, plate):
    rays = Rays(plate.vertices, plate.faces, by)
    origin = torch.tensor([[0.2, 0.1, 1.0], [0.2, 0.1, -1.0], [0.2, 0.1, 1.0], [3.0, 0.1, 1.0]])
    direction = torch.tensor([[0.0, 0, -2], [0, 0, 2], [0, 0, 2], [0, 0, -2]])
    assert rays.occluded(origin, direction).tolist() == [True, True, False, False]
    assert rays.occluded(origin, direction, 0.4).tolist() == [False] * 4
    assert rays.occluded(origin, direction, torch.tensor([0.6, 0.4, 1, 1])).tolist() == [True, False, False, False]
    torch.testing.assert_close(rays.closest(origin, direction).distance[:2], torch.tensor([0.5, 0.5]))


@each
def test_a_mesh_that_defeats_the_heuristic_is_walked_all_the_same(by):
    """A thousand faces in one place, and a thousand each twice as far away as the one before."""
    corner = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    spread = corner + 2.0 ** torch.arange(-60, 60)[:, None, None]
    vertices = torch.cat([corner.repeat(1000, 1), spread.flatten(0, 1)])
    rays = Rays(vertices, torch.arange(len(vertices)).view(-1, 3), by)
    origin, direction = torch.tensor([[0.2, 0.2, 1.0], [0.2, 0.2, 1.0]]), torch.tensor([[0.0, 0, -1], [0, 1, 0]])
    assert rays.occluded(origin, direction).tolist() == [True, False]


def test_what_cannot_be_traced_is_refused_by_name(plate):
    with pytest.raises(nt.errors.ArgumentError, match="finite"):
        Rays(plate.vertices / 0, plate.faces)
    with pytest.raises(nt.errors.ArgumentError, match="faces names vertex 4"):
        Rays(plate.vertices, plate.faces + 1)
    with pytest.raises(nt.errors.ArgumentError, match="'bvh', not 'gpu'"):
        Rays(plate.vertices, plate.faces, "gpu")
    rays = Rays(plate.vertices, plate.faces)
    with pytest.raises(nt.errors.ArgumentError, match="leaving names face 2"):
        rays.occluded(torch.zeros(1, 3), torch.ones(1, 3), leaving=torch.tensor([2]))


def test_without_embree_rays_are_traced_all_the_same(monkeypatch, plate):
    monkeypatch.setattr(embree, "has_embree", lambda: False)
    monkeypatch.setattr("neurotex.geometry.rays.has_embree", lambda: False)
    assert Rays(plate.vertices, plate.faces).by == "bvh"
    with pytest.raises(nt.errors.ArgumentError, match="neurotex\\[rays\\]"):
        Rays(plate.vertices, plate.faces, "embree")
