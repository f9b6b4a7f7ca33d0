"""Mixing textures by weights: what shows where, where gradients go, one choice for all maps, and what is refused."""

import pytest
import torch

import neurotex as nt
from neurotex.discrete.estimators import Gumbel, Surrogate
from neurotex.discrete.select import Select
from neurotex.scene.latent import Evaluation
from neurotex.scene.mixture import LogitTexture, MixedTexture, mixed_material

ESTIMATORS = ["straight_through", "surrogate", "gumbel", "reinmax", "score_function"]


def _pixels(*shape: int) -> nt.ImageTexture:
    return nt.ImageTexture(torch.rand(shape), trainable=True)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_when_evaluated_one_texture_shows_at_each_texel(estimator):
    logits, textures = LogitTexture(torch.randn(3, 6, 5)), [_pixels(3, 6, 5) for _ in range(3)]
    mix = MixedTexture(textures, logits.through(Select(estimator))).eval()
    chosen = logits.logits[0].argmax(0)
    stack = torch.stack([texture()[0] for texture in textures])
    assert torch.equal(mix()[0], stack.gather(0, chosen.expand(1, 3, 6, 5))[0])


@pytest.mark.parametrize("estimator", ["straight_through", "surrogate", "gumbel", "reinmax"])
def test_gradients_reach_the_logits_and_the_textures(estimator):
    logits, textures = LogitTexture(torch.randn(3, 6, 5)), [_pixels(3, 6, 5) for _ in range(3)]
    mix = MixedTexture(textures, logits.through(Select(estimator)))
    mix().square().sum().backward()
    assert bool((logits.logits.grad != 0).any(1).all())
    assert all(bool(texture.image.grad.any()) for texture in textures)


def test_only_the_texture_that_shows_gets_a_gradient():
    logits, textures = LogitTexture(torch.randn(2, 6, 5)), [_pixels(1, 6, 5) for _ in range(2)]
    MixedTexture(textures, logits.through(Select()))().sum().backward()
    shown = torch.cat([texture.image.grad for texture in textures], 1)
    assert torch.equal(shown, Select().hard(logits.logits.detach()))
    # and a logit that of its weight: how bright its texture is
    assert torch.equal(logits.logits.grad, torch.cat([texture.image.detach() for texture in textures], 1))


def test_the_score_function_moves_the_logits_towards_what_the_loss_wants():
    logits = LogitTexture(torch.zeros(2, 2, 2))
    estimator = nt.discrete.ScoreFunction(1.0)
    mix = MixedTexture([nt.ConstantTexture([0.0]), nt.ConstantTexture([1.0])], logits.through(Select(estimator)))
    nt.discrete.expected_loss(lambda: mix().square().sum(), mix, draws=64).backward()
    assert bool((logits.logits.grad[:, 0] < 0).all() and (logits.logits.grad[:, 1] > 0).all())


def test_texels_of_smaller_ones_stand_for_blocks():
    """Weights coarser than one texture, finer than another, and a constant."""
    large, small, constant = _pixels(3, 4, 6), _pixels(3, 1, 2), nt.ConstantTexture((0.2, 0.4, 0.6))
    logits = LogitTexture(torch.randn(3, 2, 6))
    value = MixedTexture([large, small, constant], logits.through(Select()))()[0]
    assert value.shape == (3, 4, 6)
    for y in range(4):
        for x in range(6):
            chosen = int(logits.logits[0, :, y // 2, x].argmax())
            texels = (large.image[0, :, y, x], small.image[0, :, 0, x // 3], constant.color)
            assert torch.equal(value[:, y, x], texels[chosen])


def test_weights_of_any_node_fade_and_their_sampler_holds():
    ramp = torch.linspace(0, 1, 5).expand(1, 1, 5)
    weights = nt.ImageTexture(torch.cat([ramp, 1 - ramp]), wrap="clamp", filter="trilinear")
    mix = MixedTexture([nt.ConstantTexture([1.0]), nt.ConstantTexture([0.5])], weights)
    torch.testing.assert_close(mix()[0], 0.5 + 0.5 * ramp)
    assert (mix.wrap, mix.filter) == ("clamp", "trilinear")


def test_all_maps_of_a_material_share_one_draw(plate):
    """Draws at even odds: base colour, roughness, metallic and normal must still be of the same material."""
    levels = (0.0, 0.25, 0.5, 0.75)
    kinds = [
        nt.Material((v,) * 3, str(v), roughness=v, metallic=v, normal=None if v == 0.5 else (v,) * 3) for v in levels
    ]
    where = LogitTexture(torch.zeros(4, 16, 16)).through(Select(Gumbel(1.0)))
    material = mixed_material(kinds, where)
    values = material.values(Evaluation())
    level = values["roughness"]
    assert level.unique().tolist() == list(levels)
    assert torch.equal(values["metallic"], level)
    assert torch.equal(values["base_color"], level.expand(1, 3, 16, 16))
    flat = torch.tensor([0.5, 0.5, 1.0]).view(1, 3, 1, 1)
    assert torch.equal(values["normal"], torch.where(level == 0.5, flat, level))
    assert not torch.equal(material.values(Evaluation())["roughness"], level)  # another render, another draw
    plate.material = material
    image = nt.render(nt.Scene(plate, nt.orbit(1, 3.0), nt.Flash(7.0)), 8, grid=2)
    assert bool(torch.autograd.grad(image.sum(), where.source.logits)[0].any())


def _baked(plate: nt.Mesh, material: nt.Material) -> nt.BakedScene:
    plate.material = material
    cameras = [nt.PerspectiveCamera(nt.look_at(torch.tensor([x, 0.3, 2.5])), 45.0) for x in (-0.8, 0.8)]
    return nt.bake(nt.Scene(plate, cameras, nt.Flash(12.0)), 20, grid=2)


@pytest.mark.parametrize("estimator", [Gumbel(1.0, hard=False), Surrogate(1.0)], ids=["gumbel", "surrogate"])
def test_renders_tell_which_material_is_where(plate, estimator):
    """Two of three materials have the same colour: how they shine tells them apart."""
    grey = (0.6, 0.6, 0.6)
    kinds = [
        nt.Material(grey, roughness=0.9),
        nt.Material(grey, roughness=0.4, metallic=1.0),
        nt.Material((0.7, 0.2, 0.1), roughness=0.6),
    ]
    truth = torch.randint(3, (5, 5))
    exact = LogitTexture(torch.nn.functional.one_hot(truth, 3).movedim(-1, 0).float()).through(Select())
    target = _baked(plate, mixed_material(kinds, exact))().detach()
    where = LogitTexture(torch.zeros(3, 5, 5)).through(Select(estimator))
    baked = _baked(plate, mixed_material(kinds, where))
    optimizer = torch.optim.Adam(where.parameters(), 0.3)
    steps = 40
    for step in range(steps):
        estimator.temperature = 0.1 ** (step / steps)
        loss = (baked() - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert torch.equal(where.source.logits[0].argmax(0), truth)


def test_what_cannot_be_mixed_is_refused():
    where = LogitTexture(torch.zeros(2, 4, 4)).through(Select())
    with pytest.raises(nt.SceneError, match="3 textures, but its weights have 2"):
        MixedTexture([_pixels(3, 4, 4)] * 3, where)()
    with pytest.raises(nt.SceneError, match=r"6 x 4 texels, but its weights \(SteppedTexture\) 4 x 4"):
        MixedTexture([_pixels(3, 6, 4), _pixels(3, 1, 1)], where)()
    with pytest.raises(nt.SceneError, match=r"4 x 4 texels, but its texture 1 \(ImageTexture\) 3 x 4"):
        MixedTexture([_pixels(3, 4, 4), _pixels(3, 3, 4)], where)()
    with pytest.raises(nt.SceneError, match=r"texture 0 has 3, but texture 1 \(ImageTexture\) 4"):
        MixedTexture([_pixels(3, 4, 4), _pixels(4, 4, 4)], where)()
    for logits in (torch.zeros(1, 2, 4, 4), torch.zeros(2, 0, 4), torch.zeros(2, 4, 4, dtype=torch.int64)):
        with pytest.raises(nt.ArgumentError, match="floats"):
            LogitTexture(logits)
    with pytest.raises(nt.ArgumentError, match="finite"):
        LogitTexture(torch.full((2, 4, 4), torch.inf))
    with pytest.raises(nt.ArgumentError, match="at least one"):
        mixed_material([], where)
    with pytest.raises(nt.ArgumentError, match=r"'cloth' and 'gold'.*diffuse"):
        mixed_material([nt.Material(name="cloth"), nt.Material(name="gold", roughness=0.3)], where)
    cut = nt.Material(torch.rand(4, 4, 4), "leaf", alpha_cutoff=0.5)
    with pytest.raises(nt.ArgumentError, match=r"'material' and 'leaf'.*None and 0.5"):
        mixed_material([nt.Material(), cut], where)
