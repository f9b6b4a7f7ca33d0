"""Direct search: what it ends at is checked by brute force, on a dense matrix in double precision."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import neurotex as nt
from neurotex.discrete import Dither, Jpeg, Levels, Palette, Step, Threshold
from neurotex.fit.code_kernels import descend
from neurotex.fit.codes import can_search, hold, search_codes
from neurotex.shading import linear_to_srgb, srgb_to_linear
from tests import tiny

SIZE, SIDE = 16, 20
COLORS = torch.tensor([[20, 30, 40], [230, 220, 200], [180, 60, 40], [60, 150, 90], [70, 80, 190]]) / 255
STEPS = {
    "2 levels": lambda: Levels(2),
    "3 levels": lambda: Levels(3),
    "levels of light": lambda: Levels(4, linear=True),
    "palette": lambda: Palette(COLORS),
    "learned palette": lambda: Palette(5),
}
FIXED = list(STEPS)[:4]
PLAIN, COLOURED = (tiny.FLASH,) * 3, (tiny.FLASH, 0.7 * tiny.FLASH, 0.4 * tiny.FLASH)
# encoding is a straight line up to 0.0031308, so that the search's model of it is no model but the loss itself
DIM, DIM_COLOURED = ((0.001 * light[0], 0.001 * light[1], 0.001 * light[2]) for light in (PLAIN, COLOURED))


def bake(
    light: tuple[float, ...] = PLAIN,
    dtype: torch.dtype = torch.float32,
    picture: Tensor | None = None,
    views: int = 3,
) -> tuple[nt.BakedMatrix, Tensor]:
    """The box from some sides, and pictures of it as it wears `picture`."""
    picture = tiny.picture(SIZE) if picture is None else picture
    mesh = tiny.box()
    mesh.material = nt.Material(nt.ImageTexture(picture.to(dtype)))
    baked = nt.bake(nt.Scene(mesh, tiny.cameras(views), nt.Flash(light)).to(dtype), SIDE, grid=2)
    assert baked.operator.values.shape[1] == (1 if light[0] == light[1] else 3)
    return baked, baked().detach()


def dense(baked: nt.BakedMatrix) -> Tensor:
    """The operator as it is written, (rows, texels, 3)."""
    pointers, columns, values = baked.operator.matrix()
    matrix = torch.zeros(*baked.operator.shape, 3, dtype=torch.float64)
    rows = torch.repeat_interleave(torch.arange(len(matrix)), pointers.diff())
    matrix[rows, columns.long()] = values.double().expand(-1, 3)
    return matrix


def seen(baked: nt.BakedMatrix, texture: Tensor) -> Tensor:
    """(texels, 3) of those that some view sees."""
    return texture.flatten(2)[0, :, baked.texel].T.double()


def best_move(matrix: Tensor, texels: Tensor, target: Tensor, step: Levels | Palette) -> tuple[float, float]:
    """The search's model of the loss, and by how much it falls if the best one of all texels gets its best code.

    Weighted squares of residuals in linear light; the weight is the encoding's slope from target to picture, squared.
    """
    shown = torch.einsum("rtc,tc->rc", matrix, srgb_to_linear(texels))
    residual = shown - target
    slope = (linear_to_srgb(shown) - linear_to_srgb(target)) / residual
    weight = torch.where(residual.abs() > 1e-4, slope, (linear_to_srgb(target + 1e-4) - linear_to_srgb(target)) / 1e-4)
    weight = weight.square()
    now = (weight * residual.square()).sum(0)
    whole = isinstance(step, Palette)
    values = step.shown(texels[:1, :, None, None]).detach() if whole else step.value(torch.arange(float(step.levels)))
    best = 0.0
    for code in srgb_to_linear(values.double()):
        moved = residual[:, None] + matrix * (code - srgb_to_linear(texels))
        fall = now - (weight[:, None] * moved.square()).sum(0)  # (texels, 3)
        best = max(best, float((fall.sum(1) if whole else fall).max()))
    return float(now.sum()), best


def loss(baked: nt.BakedMatrix, images: Tensor, texture: Tensor) -> float:
    """What the search is for: the sum of squared differences of encoded pixels."""
    shown = baked.operator(srgb_to_linear(seen(baked, texture)).to(texture))
    return float((linear_to_srgb(shown) - linear_to_srgb(baked.rows(images[:, :3]))).double().square().sum())


SEARCHES = [(name, False, torch.float32) for name in FIXED]
SEARCHES += [("2 levels", True, torch.float32), ("palette", True, torch.float32)]
SEARCHES += [("3 levels", True, torch.float64), ("palette", False, torch.float64)]


@pytest.mark.parametrize(("name", "coloured", "dtype"), SEARCHES)
def test_in_the_end_no_texel_has_a_better_code(name, coloured, dtype):
    baked, images = bake(DIM_COLOURED if coloured else DIM, dtype)
    assert 0.002 < float(baked.operator(torch.ones(len(baked.texel), 3, dtype=dtype)).max()) < 0.0031308
    step, texture = STEPS[name](), tiny.picture(SIZE)[None].to(dtype)
    found = search_codes(baked, images, step, texture, sweeps=30)
    assert (found.dtype, found.shape) == (dtype, texture.shape)
    assert torch.equal(step.hard(found), found)
    matrix, target = dense(baked), baked.rows(images[:, :3]).double()
    before, possible = best_move(matrix, seen(baked, step.hard(texture)), target, step)
    assert possible > 1e-3 * before
    after, possible = best_move(matrix, seen(baked, found), target, step)
    assert after == pytest.approx(loss(baked, images, found), rel=1e-4)
    assert possible < 1e-6 * after
    assert after < 0.9 * before


@pytest.mark.parametrize(("name", "coloured", "dtype"), SEARCHES)
def test_in_bright_light_little_is_left_to_gain(name, coloured, dtype):
    """The model then follows the picture, and goes on finding a few moves that hardly matter."""
    baked, images = bake(COLOURED if coloured else PLAIN, dtype)
    step, texture = STEPS[name](), tiny.picture(SIZE)[None].to(dtype)
    found = search_codes(baked, images, step, texture, sweeps=10)
    after, possible = best_move(dense(baked), seen(baked, found), baked.rows(images[:, :3]).double(), step)
    assert possible < 0.03 * after
    assert loss(baked, images, found) < 0.85 * loss(baked, images, step.hard(texture))


@settings(max_examples=8)
@given(st.integers(0, 2**31), st.sampled_from(list(STEPS)), st.sampled_from([PLAIN, COLOURED]), st.integers(1, 5))
def test_from_any_start_the_picture_is_not_worse(seed, name, light, sweeps):
    """Nor for pictures that no such texture makes, nor after a single sweep, which may go too far."""
    rng = torch.Generator().manual_seed(seed)
    baked, images = bake(light)
    images = images * (1 + torch.rand((), generator=rng) * (torch.rand(images.shape, generator=rng) - 0.5))
    start = torch.rand(1, 3, SIZE, SIZE, generator=rng)
    start = torch.lerp(start, tiny.picture(SIZE)[None], torch.rand((), generator=rng).round())
    step = STEPS[name]()
    before = loss(baked, images, step.hard(start).detach())
    found = search_codes(baked, images, step, start, sweeps)
    assert loss(baked, images, found) <= before * (1 + 1e-5)
    assert torch.equal(step.hard(found), found)


@pytest.mark.parametrize("name", STEPS)
def test_texels_that_no_view_sees_keep_their_nearest_code(name):
    baked, images = bake(views=1)
    unseen = ~baked.seen((SIZE, SIZE))
    assert 0.2 < float(unseen.float().mean()) < 0.8
    step, texture = STEPS[name](), tiny.picture(SIZE)[None]
    nearest = step.hard(texture).detach()
    found = search_codes(baked, images, step, texture)
    assert torch.equal(found[:, :, unseen], step.hard(nearest)[:, :, unseen])  # of the colours that were learned
    assert not torch.equal(found[:, :, ~unseen], nearest[:, :, ~unseen])


@pytest.mark.parametrize("light", [PLAIN, COLOURED])
def test_a_picture_painted_with_few_colours_is_found_again_colours_and_all(light):
    number = torch.randint(len(COLORS), (SIZE, SIZE), generator=torch.Generator().manual_seed(2))
    painted = COLORS[number].movedim(-1, 0)
    baked, images = bake(light, picture=painted, views=8)
    step = Palette(len(COLORS))
    with torch.no_grad():
        step.colors.copy_(COLORS + 0.06 * (torch.rand(COLORS.shape) - 0.5))
        before = loss(baked, images, step.hard(painted[None]))
    found = search_codes(baked, images, step, painted[None], sweeps=10)
    assert torch.equal(found[0], painted)
    torch.testing.assert_close(step.colors.detach(), COLORS, atol=1e-3, rtol=0)
    assert loss(baked, images, found) < 1e-6 * before


@pytest.mark.parametrize("light", [DIM, DIM_COLOURED])
def test_learned_colours_are_the_least_squares_of_their_texels(light):
    """In dim light, where the loss is a sum of squares. numpy solves for the colours that suit the codes found."""
    baked, images = bake(light)
    step, texture = Palette(5), tiny.picture(SIZE)[None]
    found = search_codes(baked, images, step, texture, sweeps=40)
    matrix, target = dense(baked), baked.rows(images[:, :3]).double()
    number = step.nearest(found).flatten()[baked.texel].long()
    picture = torch.zeros(len(matrix), 5, 3, dtype=torch.float64).index_add(1, number, matrix)
    for c in range(3):
        best, *_ = np.linalg.lstsq(picture[..., c].numpy(), target[:, c].numpy(), rcond=None)
        expected = linear_to_srgb(torch.from_numpy(best).clamp(0, 1)).float()
        torch.testing.assert_close(step.colors[:, c].detach(), expected, atol=1e-3, rtol=0)


def test_a_colour_that_no_view_shows_stays():
    baked, images = bake()
    step = Palette(3)
    with torch.no_grad():
        step.colors.copy_(torch.tensor([[0.2, 0.2, 0.2], [0.8, 0.8, 0.8], [1.0, 0.0, 1.0]]))
    texture = torch.full((1, 3, SIZE, SIZE), 0.3)
    search_codes(baked, torch.zeros_like(images), step, texture, sweeps=1)
    torch.testing.assert_close(step.colors[2].detach(), torch.tensor([1.0, 0, 1]), atol=1e-3, rtol=0)


def test_the_search_repeats_and_leaves_what_it_is_given():
    baked, images = bake()
    texture, given_images = tiny.picture(SIZE)[None], images.clone()
    first, second = (search_codes(baked, images, Levels(2), texture) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(texture[0], tiny.picture(SIZE))
    assert torch.equal(images, given_images)
    assert torch.equal(search_codes(baked, images, Levels(2), texture, sweeps=0), Levels(2).hard(texture))


@pytest.mark.parametrize("name", ["2 levels", "learned palette"])
@pytest.mark.parametrize(("scene", "pixels"), [(torch.float32, torch.float64), (torch.float64, torch.float32)])
def test_scene_and_texture_may_differ_in_precision(scene, pixels, name):
    baked, images = bake(dtype=scene)
    step, texture = STEPS[name](), tiny.picture(SIZE)[None].to(pixels)
    found = search_codes(baked, images, step, texture)
    assert found.dtype == pixels
    assert torch.equal(step.hard(found), found)


def test_it_searches_where_texels_choose_for_themselves_and_the_scene_is_linear():
    baked, _ = bake()
    mesh = tiny.box()
    mesh.material = nt.Material(nt.ImageTexture(tiny.picture(SIZE)), roughness=0.5)
    shiny = nt.bake(nt.Scene(mesh, tiny.cameras(1), nt.Flash(PLAIN)), 8)
    assert all(can_search(baked, step()) for step in STEPS.values())
    assert all(can_search(baked, step) for step in (Levels(256), Palette(256)))
    others = (Levels(257), Palette(257), Dither(2), Dither(2, "bayer"), Jpeg(20), Threshold(0.5))
    assert not any(can_search(baked, step) for step in others)
    assert not can_search(shiny, Levels(2))


# --- the kernel -------------------------------------------------------------------------------------------------------


def descend_slowly(
    matrix: np.ndarray, weight: np.ndarray, residual: np.ndarray, codes: np.ndarray, number: list
) -> int:
    """What the kernel says, with the sum itself, for A (rows, texels, channels)."""
    changes = 0
    for texel in range(matrix.shape[1]):
        moved = [residual + matrix[:, texel] * (code - codes[number[texel]]) for code in codes]
        totals = [(weight * r**2).sum() for r in moved]
        chosen = int(np.argmin(totals))
        if totals[chosen] < totals[number[texel]] - 1e-12:
            changes += 1
            number[texel] = chosen
            residual[:] = moved[chosen]
    return changes


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize(("channels", "count"), [(1, 2), (3, 4)])
def test_the_kernel_gives_each_texel_the_best_code_in_turn(channels, count, separate):
    rng = np.random.default_rng(channels)
    rows, texels = 30, 25
    matrix = rng.random((rows, texels, channels if separate else 1)) * (rng.random((rows, texels, 1)) < 0.2)
    matrix[:, 3] = 0  # one that no pixel reads
    codes, weight = rng.random((count, channels)), rng.random((rows, channels))
    number = rng.integers(count, size=texels)
    target = rng.random((rows, channels))
    full = np.broadcast_to(matrix, (rows, texels, channels))
    residual = np.einsum("rtc,tc->rc", full, codes[number]) - target
    lengths = [np.flatnonzero(matrix[:, t].any(-1)) for t in range(texels)]
    pointers = np.cumsum([0, *map(len, lengths)])
    entries = np.concatenate([matrix[r, t] for t, r in enumerate(lengths)])
    expected_number, expected = number.tolist(), residual.copy()
    changes = descend_slowly(full, weight, expected, codes, expected_number)
    found = descend(pointers, np.concatenate(lengths).astype(np.uint32), entries, weight, residual, codes, number)
    assert found == changes > 3
    assert number.tolist() == expected_number
    np.testing.assert_allclose(residual, expected, atol=1e-12)
    np.testing.assert_allclose(residual, np.einsum("rtc,tc->rc", full, codes[number]) - target, atol=1e-12)


# --- holding a code ---------------------------------------------------------------------------------------------------

HELD = {
    "levels": Levels,
    "levels of light": lambda n: Levels(n, linear=True),
    "palette": lambda n: Palette(torch.rand(n, 3, generator=torch.Generator().manual_seed(n))),
    "learned palette": Palette,
    "floyd_steinberg": Dither,
    "floyd_steinberg of light": lambda n: Dither(n, linear=True),
    "floyd_steinberg, colours": lambda n: Dither(palette=Palette(n), linear=True),
}
TOGETHER = [name for name in HELD if name.startswith("floyd")]


@pytest.mark.parametrize("name", HELD)
@settings(max_examples=6)
@given(st.integers(2, 40), st.integers(0, 2**31), st.sampled_from([torch.float32, torch.float64]))
def test_what_is_held_becomes_the_code_and_is_as_near_as_that_allows(name, count, seed, dtype):
    step, rng = HELD[name](count), torch.Generator().manual_seed(seed)
    towards, other = 1.2 * torch.rand(2, 1, 3, 7, 6, generator=rng, dtype=dtype) - 0.1
    with torch.no_grad():
        code = step.hard(torch.where(torch.rand(7, 6, generator=rng) < 0.5, towards, other))  # half of them at home
        near = hold(step, code, towards)
        assert (near.dtype, near.shape) == (dtype, code.shape)
        assert torch.equal(step.hard(near), code)
        assert_nearest(step, code, towards, near, together=name in TOGETHER)


def assert_nearest(step: Step, code: Tensor, towards: Tensor, near: Tensor, together: bool) -> None:
    way, gone = (x.norm(dim=1) for x in (towards - code, near - code))
    assert bool(((towards - near).norm(dim=1) <= way * (1 + 1e-5)).all())
    if together:
        return
    arrived = (step.hard(towards) == code).all(1)
    torch.testing.assert_close(near.movedim(1, -1)[arrived], towards.movedim(1, -1)[arrived], atol=1e-6, rtol=0)
    further = code + ((gone / way.clamp_min(1e-9) + 1 / 100)[:, None] * (towards - code))
    assert bool((arrived | (step.hard(further) != code).any(1)).all())


def test_held_texels_of_levels_stop_at_the_border():
    towards = torch.tensor([0.1, 0.6, 0.9, 1.0]).view(1, 1, 1, 4).expand(1, 3, 1, 4)
    near = hold(Levels(2), torch.zeros(1, 3, 1, 4), towards, halvings=16)
    torch.testing.assert_close(near[0, 0, 0], torch.tensor([0.1, 0.5, 0.5, 0.5]), atol=1e-4, rtol=0)
