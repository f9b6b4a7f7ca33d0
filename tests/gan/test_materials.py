"""Procedural materials: seamless, seeded, lit from the right side, and turned with their normals."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurotex.errors import ArgumentError
from neurotex.gan.families import FAMILIES
from neurotex.gan.procedural import ProceduralMaterials, materials, turned
from neurotex.generators.filters import slopes

MAPS = ("base_color", "normal", "roughness", "metallic")


def bumps(n: int, size: int) -> torch.Tensor:
    """Smooth periodic heights, different along both axes and in both directions."""
    t = 2 * torch.pi * (torch.arange(size, dtype=torch.float64) + 0.5) / size
    x, y = t[None, None, :], t[None, :, None]
    k = torch.arange(1, n + 1)[:, None, None]
    return 3 * torch.sin(x + k) + 2 * torch.sin(2 * y + x) + torch.cos(2 * x - y)


# ---------------------------------------------------------------- every family


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_seamless_and_of_the_range(family):
    drawn = materials(16, 64, seed=1, family=family)
    assert drawn.abs().max() <= 1
    assert drawn[:, 3:5].square().sum(1).max() < 0.95  # never so steep that its z is lost
    for dim in (2, 3):
        steps = (drawn.roll(-1, dim) - drawn).abs().mean(5 - dim)  # (n, channels, 64): the last one crosses
        assert (steps[..., -1] <= 1.25 * steps[..., :-1].amax(2) + 1e-3).float().mean() > 0.95


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_looks_the_same_at_twice_the_resolution(family):
    coarse, fine = (materials(8, size, seed=2, family=family)[:, :3].clone() for size in (64, 128))
    mean = torch.nn.functional.avg_pool2d(fine, 2)
    near = min((coarse - mean.roll((i, j), (2, 3))).abs().mean() for i in (-1, 0, 1) for j in (-1, 0, 1))
    assert near < 0.25 * (coarse - coarse.mean((2, 3), keepdim=True)).abs().mean() + 0.02


def test_contrasts_are_those_of_albedo_maps():
    spread = ((materials(256, 64, seed=0)[:, :3] + 1) / 2).std((2, 3)).mean(1)
    assert 0.04 < spread.median() < 0.12
    assert spread.quantile(0.05) > 0.01
    assert spread.quantile(0.95) < 0.22


def test_families_differ_and_so_do_their_materials():
    """Each family differs from the mean family in roughness, slope or contrast; and none repeats one material."""
    look = []
    for family in FAMILIES:
        drawn = materials(32, 32, seed=3, family=family)
        slopes = drawn[:, 3:5].square().mean((1, 2, 3)).sqrt()
        look.append(torch.stack([drawn[:, 5].mean((1, 2)), slopes, drawn[:, :3].std((2, 3)).mean(1)], 1))
        assert drawn.mean((2, 3)).std(0)[:3].min() > 0.03
    look = torch.stack(look)
    between, within = look.mean(1).std(0), look.std(1).mean(0)
    assert (between > 0.5 * within).all()


@pytest.mark.parametrize("family", ["bricks", "tiles", "planks", "scales", "leather", "rust"])
def test_bumps_belong_to_colours(family):
    """Colours change near where the surface slopes: at joints, rims, creases, flakes."""
    drawn = materials(16, 128, seed=4, family=family)
    slope = drawn[:, 3:5].square().sum(1).sqrt()
    change = sum((drawn[:, :3].roll(1, dim) - drawn[:, :3].roll(-1, dim)).abs().mean(1) for dim in (2, 3))
    near = [torch.nn.functional.avg_pool2d(field, 8).flatten(1) for field in (slope, change)]
    together = [torch.corrcoef(torch.stack(pair))[0, 1] for pair in zip(*near, strict=True)]
    assert sum(together) / 16 > 0.4


# ---------------------------------------------------------------- normals


def test_normals_are_those_of_the_height_field():
    """Against the slopes of a known surface: h = a sin(2π u) + b sin(2π v), v upwards."""
    size, a, b = 256, 3.0, 2.0
    centre = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    u, v = centre[None, None, :], (1 - centre)[None, :, None]
    height = a * torch.sin(2 * torch.pi * u) + b * torch.sin(2 * torch.pi * v)
    dh = [c * 2 * torch.pi / 128 * torch.cos(2 * torch.pi * w) for c, w in ((a, u), (b, v))]
    exact = torch.stack([-d.expand(1, size, size) for d in dh], 1) / (1 + dh[0] ** 2 + dh[1] ** 2).sqrt()
    assert torch.allclose(slopes(height[:, None]), exact, atol=1e-4)


@given(st.booleans(), st.integers(-5, 9), st.sampled_from([16, 17, 33]))
def test_normals_turn_with_the_height_field(mirror, quarters, size):
    height = bumps(2, size)
    moved = height.flip(-1) if mirror else height
    moved = torch.rot90(moved, quarters, (1, 2))
    assert torch.allclose(
        turned(slopes(height[:, None]), ("normal",), mirror, quarters), slopes(moved[:, None]), atol=1e-12
    )


def test_other_maps_turn_without_a_change_of_values():
    material = torch.rand(7, 8, 8)
    moved = turned(material, MAPS, True, 1)
    for channels in (slice(0, 3), slice(5, 7)):
        assert torch.equal(moved[channels], torch.rot90(material[channels].flip(-1), 1, (1, 2)))
    assert torch.equal(turned(material[[3, 4, 5]], ("normal", "roughness"), True, 1), moved[3:6])
    assert torch.equal(turned(material[:3], ("base_color",), True, 1), moved[:3])


# ---------------------------------------------------------------- the source


@settings(max_examples=15)
@given(st.integers(16, 40), st.integers(0, 2**40), st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=4))
def test_an_item_is_decided_by_its_seed_alone(size, seed, seeds):
    source = ProceduralMaterials(size, seed, bank=3, families=("planks", "stripes"))
    items = source(torch.tensor(seeds))
    assert items.shape == (len(seeds), 7, size, size)
    assert items.abs().max() <= 1
    again = copy.deepcopy(source)(torch.tensor(seeds[::-1])).flip(0)
    assert torch.equal(items, again)


def test_items_of_the_bank_are_its_materials_moved():
    """Whatever was rolled, mirrored and turned: colours are a permutation, and normals fit the bumps as before."""
    source = ProceduralMaterials(32, bank=1, families=("cobbles",))
    first = source._stored()[0].float() / 127
    for item in source(torch.arange(24)):
        assert torch.equal(item[:3].flatten(1).sort(1)[0], first[:3].flatten(1).sort(1)[0])
        candidates = [turned(first, MAPS, mirror, k) for mirror in (False, True) for k in range(4)]
        rolled = [
            torch.fft.ifft2(torch.fft.fft2(item).conj() * torch.fft.fft2(c)).real.sum(0).max() for c in candidates
        ]  # correlation at the best shift, over all channels: that of one candidate is whole
        assert max(rolled) == pytest.approx(float(first.square().sum()), rel=1e-4)


def test_position_carries_no_information():
    mean = ProceduralMaterials(16, bank=8, maps=("roughness",), families=("tiles",))(torch.arange(1500)).mean((0, 1))
    assert mean.std() < 0.05


def test_a_bank_is_close_to_what_it_was_drawn_from():
    source = ProceduralMaterials(32, seed=5, bank=4)
    assert (source._stored().float() / 127 - materials(4, 32, seed=5)).abs().max() <= 0.5 / 127 + 1e-6


@pytest.mark.parametrize("bank", [64, None])
def test_another_seed_gives_other_materials(bank):
    items = [ProceduralMaterials(16, seed, bank)(torch.arange(8)).mean((2, 3)) for seed in (0, 1)]
    assert (items[0][:, None] - items[1][None]).abs().amax(2).min() > 1e-3


def test_maps_choose_channels():
    seeds = torch.arange(5)
    whole = ProceduralMaterials(32, bank=4)(seeds)
    for maps, channels in ((("base_color",), [0, 1, 2]), (("normal", "roughness"), [3, 4, 5]), (MAPS, range(7))):
        source = ProceduralMaterials(32, bank=4, maps=maps)
        assert source.channels == len(channels)
        assert torch.equal(source(seeds), whole[:, list(channels)])


def test_bad_requests_are_refused():
    with pytest.raises(ArgumentError, match="families are"):
        materials(1, 32, seed=0, family="paisley")
    with pytest.raises(ArgumentError, match="families are"):
        ProceduralMaterials(families=())
    with pytest.raises(ArgumentError, match="16 texels"):
        materials(1, 8, seed=0)
    with pytest.raises(ArgumentError, match="one or more"):
        materials(0, 32, seed=0)
    with pytest.raises(ArgumentError, match="bank=None"):
        ProceduralMaterials(bank=0)
    for maps in ((), ("normal", "base_color"), ("gloss",), "normal"):
        with pytest.raises(ArgumentError, match="in this order"):
            ProceduralMaterials(maps=maps)
