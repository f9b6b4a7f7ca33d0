"""The search for a JPEG's coefficients: closer pictures, by codes that the codec confirms."""

import numpy as np
import pytest
import torch

from neurotex.discrete import Jpeg
from neurotex.fit.coefficient_kernels import descend_coefficients, lower
from neurotex.fit.coefficients import search_coefficients
from neurotex.fit.trials import search_by_trial
from tests import tiny
from tests.fit.test_trials import bake, loss

COLOURED = (tiny.FLASH, 0.7 * tiny.FLASH, 0.4 * tiny.FLASH)


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4"])
@pytest.mark.parametrize(("size", "dtype"), [(32, torch.float32), (43, torch.float64)])
def test_coefficients_are_found_that_random_trials_do_not_find(subsampling, size, dtype):
    baked, images, texture = bake(size, dtype=dtype)
    step = Jpeg(30, subsampling=subsampling)
    before = loss(baked, images, step.hard(texture))
    found = search_coefficients(baked, images, step, texture)
    after = loss(baked, images, step.hard(found))
    assert (found.shape, found.dtype) == (texture.shape, dtype)
    assert bool(((found >= 0) & (found <= 1)).all())
    assert after < 0.9 * before
    assert after < loss(baked, images, step.hard(search_by_trial(baked, images, step, texture, trials=20)))


def test_the_search_for_coefficients_never_ends_worse_and_repeats():
    baked, images, texture = bake(48, light=COLOURED)
    step = Jpeg(20)
    found = [search_coefficients(baked, images, step, texture, rounds) for rounds in range(4)]
    levels = [loss(baked, images, step.hard(x)) for x in found]
    assert levels == sorted(levels, reverse=True)
    assert levels[-1] < levels[0]
    assert torch.equal(found[0], texture)
    assert torch.equal(search_coefficients(baked, images, step, texture, 3), found[3])


def test_a_texture_smaller_than_a_tile_and_texels_beyond_the_last_whole_one_stay():
    baked, images, texture = bake(12)
    assert torch.equal(search_coefficients(baked, images, Jpeg(20), texture), texture)
    baked, images, texture = bake(40)
    found = search_coefficients(baked, images, Jpeg(20), texture)
    assert torch.equal(found[..., 32:], texture[..., 32:])
    assert torch.equal(found[..., 32:, :], texture[..., 32:, :])
    assert not torch.equal(found, texture)


def test_steps_lower_the_quadratic_each_by_as_much_as_one_can():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(6, 6))
    gram, slope = root @ root.T, 8 * rng.normal(size=6)
    values, change, start = [0.0], np.zeros(6), slope.copy()
    while lower(slope, gram, change, 1):
        values.append(2 * start @ change + change @ gram @ change)
        np.testing.assert_allclose(slope, start + gram @ change)
    assert len(values) > 2
    assert values == sorted(values, reverse=True)
    single = [2 * sign * slope[k] + gram[k, k] for k in range(6) for sign in (-1, 1)]
    assert min(single) >= 0


@pytest.mark.parametrize("channels", [1, 3])
def test_what_the_kernel_says_it_gained_is_what_the_sum_fell_by(channels):
    """A made-up scene of 16 × 16 grey-blue texels; planes, residual and the sum are computed anew from its changes."""
    rng = np.random.default_rng(channels)
    side, rows = 16, 120
    dense = rng.random((rows, side * side, channels)) * (rng.random((rows, side * side, 1)) < 0.05)
    texel, pixel = np.nonzero(dense.any(2).T)
    pointers = np.searchsorted(texel, np.arange(side * side + 1))
    step, light = Jpeg(20), np.linspace(0, 1, 256) ** 2.2
    patch = np.ascontiguousarray(step.patches()[0][..., :20].numpy())
    planes = rng.integers(-40, 90, (3, 1, 1)) + 12 * rng.normal(size=(3, side, side))
    target = np.full((rows, 3), 0.5)

    def residual(planes: np.ndarray) -> np.ndarray:
        y, b, r = np.rint(planes).clip(-128, 127)
        red, blue = y + 128 + 1.402 * r, y + 128 + 1.772 * b
        green = y + 128 - 0.344136286 * b - 0.714136286 * r
        shown = light[np.rint(np.stack([red, green, blue], -1)).clip(0, 255).astype(int)]
        return np.einsum("ptc,tc->pc", np.broadcast_to(dense, (rows, side**2, 3)), shown.reshape(-1, 3)) - target

    weight, left, moved = rng.random((rows, 3)), residual(planes), planes.copy()
    before = (weight * left**2).sum()
    origins = np.array([[0, 0], [0, 8], [8, 0], [8, 8]])
    barred, change = np.zeros((4, 20), bool), np.zeros((4, 20))
    barred[1] = True
    column = np.arange(side * side).reshape(side, side)
    fallen = descend_coefficients(
        pointers, pixel.astype(np.uint32), dense[pixel, texel], weight, left, moved, column, light, origins, 0, patch,
        barred, change, 3,
    )  # fmt: skip
    expected = planes.copy()
    for b, (top, side_left) in enumerate(origins):
        expected[0, top : top + 8, side_left : side_left + 8] += patch @ change[b]
    np.testing.assert_allclose(moved, expected)
    np.testing.assert_allclose(left, residual(expected), atol=1e-9)
    assert fallen > 0
    assert fallen == pytest.approx(before - (weight * left**2).sum())
    assert not change[1].any()
    assert change[0].any()
    assert np.abs(change).sum(1).max() <= 3
