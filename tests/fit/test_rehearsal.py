"""What a fit through steps looks at and is judged by, and the codes that it starts from."""

import pytest
import torch
from torch import Tensor

import neurotex as nt
from neurotex.discrete import Dither, Levels, Palette, Step, Surrogate, Threshold
from neurotex.discrete.palette import kmeans
from neurotex.fit.best import Best
from neurotex.fit.imagined import imagine
from neurotex.fit.rehearsal import JUDGES, Rehearsal, calibrate, start_codes
from neurotex.shading import linear_to_srgb
from tests import tiny

SIZE, SIDE, GRID, SEED = 40, 24, 2, 7


def rehearse(
    *steps: Step, count: int = 3, views: int = 3, texture: Tensor | None = None
) -> tuple[Rehearsal, nt.ImageTexture, nt.Views]:
    """Of the box that wears trainable pixels through `steps`, with photographs of noise, which nobody judges by."""
    texture = tiny.picture(SIZE)[None] if texture is None else texture
    leaf = nt.ImageTexture(texture.clone(), trainable=True)
    worn: nt.Texture = leaf
    for step in steps:
        worn = worn.through(step)
    mesh = tiny.box()
    mesh.material = nt.Material(worn)
    scene = nt.Scene(mesh, tiny.cameras(views), nt.Flash(tiny.FLASH))
    images, names = torch.rand(views, 4, SIDE, SIDE), list("abc"[:views])
    photographs = nt.Views(list(scene.cameras), images, list(scene.lights), names)
    return Rehearsal(scene, mesh.material, worn, texture, photographs, count, SEED, grid=GRID), leaf, photographs


def judged(rehearsal: Rehearsal, photographs: nt.Views, texture: Tensor) -> float:
    """The score by its definition: encoded pixels of what is rendered, where the judges look."""

    def shown(pixels: Tensor) -> nt.Views:
        mesh = tiny.box()
        mesh.material = nt.Material(nt.ImageTexture(pixels))
        scene = nt.Scene(mesh, photographs.cameras, nt.Flash(tiny.FLASH))
        return imagine(scene, photographs, JUDGES, SEED + 1, grid=GRID)

    found, expected = (shown(pixels).images for pixels in (texture, rehearsal.texture))
    difference = (linear_to_srgb(found[:, :3]) - linear_to_srgb(expected[:, :3])).square()
    return float(difference.movedim(1, -1)[expected[:, 3] > 0].mean())


@pytest.mark.parametrize("count", [0, 4])
def test_it_looks_at_the_photographs_and_at_the_texture_from_elsewhere(count):
    rehearsal, leaf, photographs = rehearse(Levels(2), count=count)
    assert rehearsal.views.names == ["a", "b", "c"] + [f"imagined {k}" for k in range(count)]
    assert torch.equal(rehearsal.views.images[:3], photographs.images)
    assert list(rehearsal.scene.cameras) == rehearsal.views.cameras
    assert rehearsal.baked.shape == (3 + count, SIDE, SIDE)
    with torch.no_grad():
        leaf.image.copy_(Levels(2).hard(rehearsal.texture))
    for k in range(count):  # what is imagined is the texture without the step
        difference = rehearsal.views.images[3 + k] - rehearsal.baked()[3 + k]
        assert float(difference.detach().abs().max()) > 0.1


def test_the_judges_know_the_texture_from_places_that_are_not_fitted():
    rehearsal, leaf, photographs = rehearse()
    assert rehearsal.score() < 1e-10
    with torch.no_grad():
        leaf.image.copy_(torch.rand(1, 3, SIZE, SIZE))
    assert rehearsal.score() == pytest.approx(judged(rehearsal, photographs, leaf.image.detach()), rel=1e-4)
    fitted = {str(camera.transform.tolist()) for camera in rehearsal.views.cameras}
    judges = imagine(rehearsal.scene, photographs, JUDGES, SEED + 1, grid=1).cameras
    assert len(judges) == JUDGES
    assert not fitted & {str(camera.transform.tolist()) for camera in judges}


def test_judged_is_what_ships_whatever_the_estimator_shows():
    rehearsal, _, photographs = rehearse(Levels(3, Surrogate(5.0)))
    shipped = Levels(3).hard(rehearsal.texture)
    assert rehearsal.score() == pytest.approx(judged(rehearsal, photographs, shipped), rel=1e-4)
    assert rehearsal.worn.step.training
    assert rehearsal.material.base_color is rehearsal.worn


def test_steps_learn_from_what_is_seen_each_from_what_the_one_before_it_leaves():
    first, second = Palette(4), Palette(2)
    texture = torch.tensor([1.0, 0, 1]).view(1, 3, 1, 1).repeat(1, 1, SIZE, SIZE)
    probe, _, _ = rehearse(count=1, views=1)
    seen = probe.baked.seen((SIZE, SIZE))
    assert 0.2 < float(seen.float().mean()) < 0.8
    texture[:, :, seen] = 0.8 * tiny.picture(SIZE)[None, :, seen]
    rehearsal, _, _ = rehearse(first, second, count=1, views=1, texture=texture)
    calibrate(rehearsal, [first, second])
    texels = texture[:, :, seen][:, :, None]
    torch.testing.assert_close(first.colors.detach(), kmeans(texels, 4))
    left = first.hard(texture)[:, :, seen][:, :, None].detach()
    torch.testing.assert_close(second.colors.detach(), kmeans(left, 2))
    assert float(torch.cdist(first.colors.detach(), torch.tensor([[1.0, 0, 1]])).min()) > 0.2


SEARCHED = {
    "2 levels": lambda: Levels(2),
    "levels of light": lambda: Levels(4, linear=True),
    "palette": lambda: Palette(4),
}


@pytest.mark.parametrize("name", SEARCHED)
def test_starts_are_better_than_the_nearest_codes_and_near_the_texture(name):
    step = SEARCHED[name]()
    rehearsal, leaf, _ = rehearse(step, count=6)
    rehearsal.views.images[:3] = rehearsal.baked().detach()[:3]  # photographs that agree
    calibrate(rehearsal, [step])
    scores: list[float] = []
    best = Best(rehearsal.worn, lambda: scores.append(rehearsal.score()) or scores[-1])
    best.look()
    start_codes(rehearsal, leaf, step, best)
    # nearest, diffused, what was searched from both, and from the colours that views show most
    assert len(scores) == (5 if isinstance(step, Palette) else 4)
    best.restore()
    assert rehearsal.score() == pytest.approx(min(scores))
    assert min(scores) < 0.9 * scores[0]
    with torch.no_grad():
        code = step.hard(leaf.image)
        assert float((leaf.image - rehearsal.texture).abs().mean()) < float((code - rehearsal.texture).abs().mean())
        assert not torch.equal(code, step.hard(rehearsal.texture))


@pytest.mark.parametrize("step", [Threshold(0.5), Dither(2), Dither(2, "bayer"), Levels(1000)], ids=repr)
def test_other_steps_start_from_the_texture(step):
    rehearsal, leaf, _ = rehearse(step, count=0)
    start_codes(rehearsal, leaf, step, Best(rehearsal.worn, lambda: pytest.fail("there was nothing to look at")))
    assert torch.equal(leaf.image, rehearsal.texture)
