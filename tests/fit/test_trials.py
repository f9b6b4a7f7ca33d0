"""Search by trial: it never makes a picture worse, and finds better blocks than the nearest ones."""

import pytest
import torch
from torch import Tensor

import neurotex as nt
from neurotex.discrete import BlockCompress, Jpeg
from neurotex.fit.trials import TileErrors, search_by_trial
from neurotex.shading import linear_to_srgb
from tests import tiny

STEPS = {
    "bc1": lambda: BlockCompress("bc1"),
    "jpeg": lambda: Jpeg(30),
    "jpeg in full": lambda: Jpeg(30, "clipped", "4:4:4"),
}


def bake(
    size: int, light: float | tuple[float, float, float] = tiny.FLASH, dtype: torch.dtype = torch.float32
) -> tuple[nt.BakedMatrix, Tensor, Tensor]:
    """The box from four sides, pictures of it, and the texture that they show."""
    texture, mesh = tiny.picture(size).to(dtype), tiny.box()
    mesh.material = nt.Material(nt.ImageTexture(texture))
    baked = nt.bake(nt.Scene(mesh, tiny.cameras(4), nt.Flash(light)).to(dtype), 24, grid=2)
    return baked, baked().detach(), texture[None]


def loss(baked: nt.BakedMatrix, images: Tensor, texture: Tensor) -> float:
    (mesh,) = baked.scene.meshes()
    mesh.material.base_color.image.copy_(texture)
    return float((linear_to_srgb(baked()[:, :3]) - linear_to_srgb(images[:, :3])).square().sum())


@pytest.mark.parametrize("what", STEPS)
@pytest.mark.parametrize("size", [32, 30])  # 30: the last tiles stand out
def test_what_is_found_is_closer_to_the_pictures(what, size):
    baked, images, texture = bake(size)
    step = STEPS[what]()
    before = loss(baked, images, step.hard(texture))
    found = search_by_trial(baked, images, step, texture, trials=40)
    assert found.shape == texture.shape
    assert loss(baked, images, step.hard(found)) < (0.97 if what == "bc1" else 0.99) * before


def test_no_trial_that_makes_the_sum_worse_is_kept():
    baked, images, texture = bake(32)
    step = BlockCompress("bc1")
    levels = [loss(baked, images, step.hard(search_by_trial(baked, images, step, texture, n))) for n in range(0, 12, 3)]
    assert levels == sorted(levels, reverse=True)


def test_the_same_seed_finds_the_same_and_another_something_else():
    baked, images, texture = bake(32)
    step = BlockCompress("bc1")
    a, b, c = (search_by_trial(baked, images, step, texture, trials=4, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_tiles_share_the_error_among_them():
    baked, images, texture = bake(30)
    errors = TileErrors(baked, images, BlockCompress("bc1"), (30, 30))
    total, shares = errors(texture)
    assert shares.shape == (1, 1, 8, 8)
    assert total == pytest.approx(loss(baked, images, BlockCompress("bc1").hard(texture)), rel=1e-4)
    assert errors.spread(shares).shape == (1, 1, 30, 30)
    # a change in one tile alone is felt in that tile most
    changed = texture.clone()
    changed[:, :, 12:16, 20:24] += 0.3
    _, after = errors(changed)
    assert int((after - shares).argmax()) == 3 * 8 + 5
