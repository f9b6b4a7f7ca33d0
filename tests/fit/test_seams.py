"""What is done to a fitted texture before it is exported: unknown texels are filled, and both sides of a seam agree."""

import math

import pytest
import torch

import neurotex as nt
from neurotex.fit.seams import close_seams, fill_unknown, island_mask, seam_gap, seam_points
from tests import tiny

SIZE = 48


def waves() -> torch.Tensor:
    """Smooth, but with no regard for the islands of an atlas."""
    ticks = torch.linspace(0, 2 * math.pi, SIZE)
    return torch.stack([0.5 + 0.4 * torch.sin((c + 1) * ticks[:, None] + 2 * ticks) for c in range(3)])


def far_from_seams() -> torch.Tensor:
    """Texels of the box's atlas whose footprint of 2 texels lies inside an island, from the atlas's own numbers."""
    ticks = (torch.arange(SIZE) + 0.5) / SIZE

    def inside(cells: int) -> torch.Tensor:
        margin = 2 / (SIZE / cells)
        local = ticks * cells % 1
        return (local > 0.1 + margin) & (local < 0.9 - margin)

    return inside(2)[:, None] & inside(3)


def test_the_mask_is_where_the_faces_lie(plate):
    plate.uvs = plate.uvs * torch.tensor([0.5, 0.25])  # v = 0 is the bottom
    expected = torch.zeros(8, 16, dtype=torch.bool)
    expected[6:, :8] = True
    assert torch.equal(island_mask(plate, (8, 16)), expected)


@pytest.mark.parametrize("size", [(16, 16), (13, 7), (1, 9)])
def test_filling_keeps_what_is_known_and_leaves_nothing_unknown(size):
    known = torch.rand(size) < 0.2
    known[0, 0] = True
    texture = torch.where(known, torch.rand(3, *size), torch.nan)
    filled = fill_unknown(torch.where(known, texture, 0.0), known)
    assert torch.equal(filled[:, known], texture[:, known])
    low, high = texture[:, known].amin(1), texture[:, known].amax(1)
    assert bool(((filled.flatten(1) >= low[:, None] - 1e-6) & (filled.flatten(1) <= high[:, None] + 1e-6)).all())


def test_one_known_colour_extends_everywhere():
    known = torch.zeros(12, 20, dtype=torch.bool)
    known[3:5, 2:4] = True
    color = torch.tensor([0.2, 0.5, 0.9])[:, None, None]
    torch.testing.assert_close(fill_unknown(known * color, known), color.expand(-1, 12, 20))


def test_a_texel_is_filled_from_what_is_near():
    known = torch.zeros(8, 64, dtype=torch.bool)
    known[:, :8] = known[:, -8:] = True
    filled = fill_unknown(torch.linspace(0, 1, 64).round().expand(1, 8, 64) * known, known)
    assert float(filled[0, :, 8:16].max()) < 0.2
    assert float(filled[0, :, -16:-8].min()) > 0.8


def test_filling_without_anything_known_or_unknown_changes_nothing():
    texture = torch.rand(3, 6, 6)
    for known in (torch.zeros(6, 6, dtype=torch.bool), torch.ones(6, 6, dtype=torch.bool)):
        assert torch.equal(fill_unknown(texture, known), texture)


def test_seam_points_are_the_same_places_of_the_surface():
    box = tiny.box()
    a, b = seam_points(box, (SIZE, SIZE))

    def places(uv: torch.Tensor) -> torch.Tensor:
        local = uv * torch.tensor([3.0, 2.0])
        flat = (local % 1 - 0.1) / 0.4 - 1
        side = (local[:, 0].floor() + 3 * local[:, 1].floor()).long()
        return torch.stack([tiny.surface(int(k), place) for k, place in zip(side, flat, strict=True)])

    torch.testing.assert_close(places(a), places(b), rtol=0, atol=1e-5)
    edge_texels = 0.8 * SIZE * (12 * (1 / 3 + 1 / 2) / 2)  # 12 edges, between the shorter and the longer side
    assert len(a) > edge_texels


def test_closing_makes_the_seams_agree_and_moves_nothing_else():
    box, texture = tiny.box(), waves()
    closed = close_seams(texture, box, island_mask(box, (SIZE, SIZE)))
    assert seam_gap(texture, box) > 0.1
    assert seam_gap(closed, box) < seam_gap(texture, box) / 20
    far = far_from_seams()
    assert 0.2 < float(far.float().mean()) < 0.6
    assert torch.equal(closed[:, far], texture[:, far])
    assert 0 <= float(closed.min()) <= float(closed.max()) <= 1


def test_a_texture_without_a_gap_hardly_moves():
    box, texture = tiny.box(), tiny.picture(SIZE)
    closed = close_seams(texture, box, island_mask(box, (SIZE, SIZE)))
    assert float((closed - texture).abs()[:, island_mask(box, (SIZE, SIZE))].max()) < 1 / 255


def test_a_mesh_without_seams_keeps_its_texture(plate):
    texture = waves()
    inside = island_mask(plate, (SIZE, SIZE))
    assert seam_gap(texture, plate) == 0
    assert torch.equal(close_seams(texture, plate, inside), texture)


def test_a_seam_where_the_texture_wraps_is_none(torus):
    """The torus's UVs run from 0 to 3 and 0 to 1: both sides of its seams read the same texels."""
    assert isinstance(torus, nt.Mesh)
    assert seam_gap(waves(), torus) == pytest.approx(0, abs=1e-5)
