"""What a fit through steps looks at and is validated by, and the codes that it starts from."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

import neurotex as nt
from neurotex.discrete import Dither, Levels, Palette, Step, Surrogate, Threshold
from neurotex.discrete.palette import kmeans
from neurotex.fit.best import Best
from neurotex.fit.imagined import imagine
from neurotex.fit.starts import calibrate, start_codes
from neurotex.fit.validation import COUNT, Reference, Validation
from neurotex.shading import linear_to_srgb
from tests import tiny

SIZE, SIDE, GRID, SEED = 40, 24, 2, 7


@dataclass
class Case:
    """The box in trainable pixels through steps, and what a fit through these looks at."""

    texture: Tensor  # without steps
    leaf: nt.ImageTexture
    scene: nt.Scene  # wears the leaf through the steps
    photographs: nt.Views
    reference: Reference

    @property
    def score(self) -> Callable[[], float]:
        return self.reference.validation.score(self.scene)

    def start(self, step: Step, best: Best) -> None:
        start_codes(self.reference.baked, self.reference.views.images, self.texture, self.leaf, step, best)


def wearing(texture: nt.Texture, cameras: list[nt.Camera]) -> nt.Scene:
    mesh = tiny.box()
    mesh.material = nt.Material(texture)
    return nt.Scene(mesh, cameras, nt.Flash(tiny.FLASH))


def stepped(*steps: Step, count: int = 3, views: int = 3, texture: Tensor | None = None) -> Case:
    """With photographs of noise, which nothing is validated by."""
    texture = tiny.picture(SIZE)[None] if texture is None else texture
    leaf = nt.ImageTexture(texture.clone(), trainable=True)
    worn: nt.Texture = leaf
    for step in steps:
        worn = worn.through(step)
    scene = wearing(worn, tiny.cameras(views))
    images, names = torch.rand(views, 4, SIDE, SIDE), list("abc"[:views])
    photographs = nt.Views(list(scene.cameras), images, list(scene.lights), names)
    (material,) = scene.materials()
    plain = scene.replace(materials={material: material.replace(base_color=nt.ImageTexture(texture))})
    return Case(texture, leaf, scene, photographs, Reference(plain, photographs, count, SEED, grid=GRID))


def far_from(texture: Tensor, photographs: nt.Views, shown: Tensor) -> float:
    """The score by its definition: encoded pixels of what is rendered, from where it is validated."""

    def seen(pixels: Tensor) -> nt.Views:
        return imagine(wearing(nt.ImageTexture(pixels), photographs.cameras), photographs, COUNT, SEED + 1, grid=GRID)

    found, expected = (seen(pixels).images for pixels in (shown, texture))
    difference = (linear_to_srgb(found[:, :3]) - linear_to_srgb(expected[:, :3])).square()
    return float(difference.movedim(1, -1)[expected[:, 3] > 0].mean())


@pytest.mark.parametrize("count", [0, 4])
def test_it_looks_at_the_photographs_and_at_the_texture_from_elsewhere(count):
    case = stepped(Levels(2), count=count)
    views, baked = case.reference.views, case.reference.baked
    assert views.names == ["a", "b", "c"] + [f"imagined {k}" for k in range(count)]
    assert torch.equal(views.images[:3], case.photographs.images)
    assert list(baked.scene.cameras) == views.cameras
    assert baked.shape == (3 + count, SIDE, SIDE)
    with torch.no_grad():
        case.leaf.image.copy_(Levels(2).hard(case.texture))
    shown = baked.of(case.scene.replace(cameras=views.cameras))()
    for k in range(count):  # what is imagined is the texture without the step
        difference = views.images[3 + k] - shown[3 + k]
        assert float(difference.detach().abs().max()) > 0.1


def test_validation_views_know_the_texture_from_places_that_are_not_fitted():
    case = stepped()
    score = case.score
    assert score() < 1e-10
    with torch.no_grad():
        case.leaf.image.copy_(torch.rand(1, 3, SIZE, SIZE))
    assert score() == pytest.approx(far_from(case.texture, case.photographs, case.leaf.image.detach()), rel=1e-4)
    fitted = {str(camera.transform.tolist()) for camera in case.reference.views.cameras}
    unseen = case.reference.validation.baked.scene.cameras
    assert len(unseen) == COUNT
    assert not fitted & {str(camera.transform.tolist()) for camera in unseen}


def test_validated_is_what_is_exported_whatever_the_estimator_shows():
    case = stepped(Levels(3, Surrogate(5.0)))
    exported = Levels(3).hard(case.texture)
    assert case.score() == pytest.approx(far_from(case.texture, case.photographs, exported), rel=1e-4)
    (material,) = case.scene.materials()
    assert material.base_color.step.training


def test_a_scene_that_is_validated_stays_as_it_is():
    case = stepped(Levels(2))
    cameras, (material,) = list(case.scene.cameras), case.scene.materials()
    worn = material.base_color
    Validation(case.scene, case.photographs, grid=GRID).score(case.scene)()
    assert list(case.scene.cameras) == cameras
    assert case.scene.materials() == [material]
    assert material.base_color is worn


def test_steps_learn_from_what_is_seen_each_from_what_the_one_before_it_leaves():
    first, second = Palette(4), Palette(2)
    texture = torch.tensor([1.0, 0, 1]).view(1, 3, 1, 1).repeat(1, 1, SIZE, SIZE)
    seen = stepped(count=1, views=1).reference.baked.seen((SIZE, SIZE))
    assert 0.2 < float(seen.float().mean()) < 0.8
    texture[:, :, seen] = 0.8 * tiny.picture(SIZE)[None, :, seen]
    case = stepped(first, second, count=1, views=1, texture=texture)
    calibrate([first, second], texture, case.reference.baked)
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
    case = stepped(step, count=6)
    reference, score = case.reference, case.score
    reference.views.images[:3] = reference.baked().detach()[:3]  # photographs that agree
    calibrate([step], case.texture, reference.baked)
    scores: list[float] = []
    best = Best(case.scene, lambda: scores.append(score()) or scores[-1])
    best.look()
    case.start(step, best)
    # nearest, diffused, what was searched from both, and from the colours that views show most
    assert len(scores) == (5 if isinstance(step, Palette) else 4)
    best.restore()
    assert score() == pytest.approx(min(scores))
    assert min(scores) < 0.9 * scores[0]
    with torch.no_grad():
        code = step.hard(case.leaf.image)
        assert float((case.leaf.image - case.texture).abs().mean()) < float((code - case.texture).abs().mean())
        assert not torch.equal(code, step.hard(case.texture))


@pytest.mark.parametrize("step", [Threshold(0.5), Dither(2), Dither(2, "bayer"), Levels(1000)], ids=repr)
def test_other_steps_start_from_the_texture(step):
    case = stepped(step, count=0)
    case.start(step, Best(case.scene, lambda: pytest.fail("there was nothing to look at")))
    assert torch.equal(case.leaf.image, case.texture)
