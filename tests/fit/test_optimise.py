"""The loop: its loss is the photometric one, its schedule the one it says, and a continued fit is the same fit."""

import math

import pytest
import torch

import neurotex as nt
from neurotex.discrete import (
    BlockCompress,
    Gumbel,
    Levels,
    Palette,
    Perturbation,
    ReinMax,
    ScoreFunction,
    Step,
    Surrogate,
    SurrogateGradient,
)
from neurotex.errors import ArgumentError, SceneError
from neurotex.fit.adam import Adam
from tests import tiny

OPTIMIZERS = [Adam, torch.optim.Adam]


def views_of(texture: nt.Texture) -> nt.Views:
    scene = scene_with(texture)
    with torch.no_grad():
        return nt.Views(list(scene.cameras), nt.render(scene, 24), list(scene.lights), [str(k) for k in range(3)])


def scene_with(texture: nt.Texture) -> nt.Scene:
    mesh = tiny.box()
    mesh.material = nt.Material(texture)
    return nt.Scene(mesh, tiny.cameras(3), nt.Flash(tiny.FLASH))


@pytest.fixture
def views() -> nt.Views:
    return views_of(nt.ImageTexture(tiny.picture(16)))


def pixels_fit(views: nt.Views, steps: int, make: type = Adam, **terms: float) -> nt.Fit:
    scene = scene_with(nt.PyramidTexture(16))
    return nt.Fit(scene, views, make(scene.parameters(), lr=0.05), steps, **terms)


@pytest.mark.parametrize("terms", [{}, {"huber": 0.1}, {"ssim": 0.5}, {"huber": 0.05, "ssim": 0.2}])
def test_the_loss_is_the_photometric_loss_of_the_whole_images(views, terms):
    views.images[:, :3] += 0.3 * torch.rand_like(views.images[:, :3])  # the background is no longer black
    fit = pixels_fit(views, 1, **terms)
    expected = nt.losses.photometric(nt.render(fit.scene, 24), views.images, **terms)
    assert fit.loss().item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_a_fit_finds_the_texture(views, make):
    fit = pixels_fit(views, 40, make)
    history = fit.run()
    assert len(history) == fit.step_number == 40
    assert history[-1] < 0.02 * history[0]
    assert float(nt.losses.psnr(fit.baked().detach(), views.images).mean()) > 34


def test_rates_rise_over_five_steps_and_fall_along_a_half_cosine(views):
    scene = scene_with(nt.PyramidTexture(16))
    levels = list(scene.parameters())
    groups = [{"params": levels[:1], "lr": 0.05}, {"params": levels[1:], "lr": 0.01}]
    fit = nt.Fit(scene, views, Adam(groups), 20)
    seen: list[list[float]] = []
    fit.run(lambda fit: seen.append([group["lr"] for group in fit.optimizer.param_groups]))
    for k, rates in enumerate(seen):
        factor = min(1, (k + 1) / 5) * math.cos(math.pi * k / 40) ** 2  # (1 + cos x) / 2 = cos²(x / 2)
        assert rates == pytest.approx([0.05 * factor, 0.01 * factor])


def test_the_prior_pulls_at_every_latent():
    latent = nt.Latent(tiny.generator(16)).sample(3)
    texture = nt.GeneratedTexture(tiny.generator(16), latent)
    views = views_of(texture)
    optimizer = Adam(latent.parameters())
    fits = [nt.Fit(scene_with(texture), views, optimizer, 1, prior=prior) for prior in (0.0, 0.1)]
    without, with_prior = (fit.loss().item() for fit in fits)
    assert with_prior - without == pytest.approx(0.1 * latent.value.square().mean().item() / 2, rel=1e-4)


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_a_continued_fit_is_bitwise_the_uninterrupted_one(views, make):
    whole = pixels_fit(views, 9, make)
    whole.run()
    first = pixels_fit(views, 9, make)
    for _ in range(4):
        first.step()
    state = {name: value.clone() for name, value in first.state_dict().items()}
    second = pixels_fit(views, 9, make)
    second.load_state_dict(state)
    assert second.step_number == 4
    assert second.run() == whole.history
    for a, b in zip(whole.scene.parameters(), second.scene.parameters(), strict=True):
        assert torch.equal(a, b)


def test_own_adam_moves_as_that_of_torch():
    start, target = torch.randn(3, 5), torch.randn(3, 5)
    ends = []
    for make in OPTIMIZERS:
        values = [start[0].clone().requires_grad_(), start[1:].clone().requires_grad_()]
        groups = [{"params": values[:1], "lr": 0.1, "betas": (0.7, 0.9)}, {"params": values[1:]}]
        optimizer = make(groups, lr=0.02)
        for _ in range(12):
            optimizer.zero_grad()
            (torch.cat([values[0][None], values[1]]) - target).pow(4).sum().backward()
            optimizer.step()
        ends.append(torch.cat([values[0][None], values[1]]).detach())
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-6)


def test_what_cannot_be_fitted_is_refused(views):
    with pytest.raises(ArgumentError, match="at least 1 step"):
        pixels_fit(views, 0)
    scene = scene_with(nt.PyramidTexture(16))
    scene.cameras = scene.cameras[:2]
    with pytest.raises(ArgumentError, match="2 cameras, but there are 3 views"):
        nt.Fit(scene, views, Adam(scene.parameters()), 1)
    scene = scene_with(nt.PyramidTexture(16))
    scene.nodes[0].transform[0, 3] = 100.0
    with pytest.raises(SceneError, match="no view sees"):
        nt.Fit(scene, views, Adam(scene.parameters()), 1)
    with pytest.raises(ArgumentError, match="an optimizer such as Adam"):
        pixels_fit(views, 1, torch.optim.LBFGS)
    other = nt.PyramidTexture(16)
    for texture in (nt.PyramidTexture(16), nt.ImageTexture(tiny.picture(16))):
        fit = nt.Fit(scene_with(texture), views, Adam(other.parameters()), 1)
        with pytest.raises(SceneError, match="nothing of what the optimizer holds is seen"):
            fit.step()
        assert fit.history == []


# --- through discrete steps -------------------------------------------------------------------------------------------


def stepped_fit(views: nt.Views, *through: Step, steps: int = 6, lr: float = 0.02, **more: object) -> nt.Fit:
    """Of grey pixels that pass these steps."""
    texture: nt.Texture = nt.ImageTexture(torch.full((3, 16, 16), 0.45), trainable=True)
    for step in through:
        texture = texture.through(step)
    scene = scene_with(texture)
    return nt.Fit(scene, views, Adam(scene.parameters(), lr=lr), steps, **more)


SMOOTH = [Surrogate, SurrogateGradient, Gumbel, ReinMax, ScoreFunction]


@pytest.mark.parametrize("kind", SMOOTH)
def test_temperatures_fall_by_a_constant_factor_in_units_of_each_step(views, kind):
    """Of block compression in units of its own; a palette's are those of its colours as they are at the time."""
    first, second = Palette(4, kind()), Levels(5, kind())
    steps = [first, second, BlockCompress("bc1", kind())] if kind in SMOOTH[:2] else [first, second]
    fit = stepped_fit(views, *steps, lr=0.05, temperature=(0.8, 0.05), steps=5)
    units = []
    for k in range(5):
        units.append([step.unit for step in steps])
        fit.step()
        expected = [unit * 0.8 * (0.05 / 0.8) ** (k / 4) for unit in units[-1]]
        assert [step.estimator.temperature for step in steps] == pytest.approx(expected)
    assert steps[0].estimator.temperature == pytest.approx(0.05 * units[-1][0])
    assert units[0][0] != units[-1][0]  # its colours were learned


def test_a_single_step_is_at_the_first_temperature_and_without_any_they_stay(views):
    once = stepped_fit(views, Levels(3, "surrogate"), steps=1, temperature=(0.4, 0.1))
    once.run()
    assert once.scene.materials()[0].base_color.step.estimator.temperature == 0.4
    kept = stepped_fit(views, Levels(3, Surrogate(0.7)), Levels(9, "straight_through"), steps=2)
    kept.run()
    assert kept.scene.materials()[0].base_color.source.step.estimator.temperature == 0.7


@pytest.mark.parametrize("temperature", [(0.0, 0.1), (0.3, -1.0), (0.3, math.nan), (math.nan, 0.3), (math.inf, 0.1)])
def test_a_temperature_is_a_number_above_zero(views, temperature):
    with pytest.raises(ArgumentError, match="temperatures are above 0"):
        stepped_fit(views, Levels(3), temperature=temperature)


def test_units_are_where_neighbours_are_told_apart():
    """Scores of two neighbouring codes differ by about a unit, halfway from one to the other."""
    assert Levels(2).unit == Levels(200).unit == 1.0
    colors = torch.tensor([[0.1, 0.1, 0.1], [0.1, 0.1, 0.4], [0.9, 0.1, 0.1], [0.9, 0.1, 0.4]])
    assert Palette(colors).unit == pytest.approx(0.09)
    assert Palette(colors[:1]).unit == 1.0
    assert Palette(colors[:1].repeat(3, 1)).unit == pytest.approx(1e-4)  # one colour thrice
    scores, _ = Palette(colors).options(colors[None, :, :, None].movedim(2, 1))
    best, next_best = scores.topk(2, 1).values.unbind(1)
    torch.testing.assert_close(best - next_best, torch.full_like(best, 0.09), atol=5e-3, rtol=0)


DRAWN = [Gumbel, ReinMax, ScoreFunction]


@pytest.mark.parametrize("kind", DRAWN)
def test_draws_depend_on_the_seed_and_the_number_of_the_step_alone(views, kind):
    histories = []
    for seed, other in ((3, 1), (3, 2), (4, 1)):
        fit = stepped_fit(views, Levels(3, kind(0.5)), seed=seed, steps=3)
        for _ in range(3):
            torch.manual_seed(other)
            state = torch.random.get_rng_state()
            fit.step()
            assert torch.equal(torch.random.get_rng_state(), state)
        histories.append(fit.history)
    assert histories[0] == histories[1] != histories[2]


@pytest.mark.parametrize("estimator", [*SMOOTH, lambda: Perturbation(0.5, pairs=2)])
def test_a_continued_fit_through_steps_is_bitwise_the_uninterrupted_one(views, estimator):
    """Draws count on, and temperatures are where they were; colours are learned, too."""

    def fit() -> nt.Fit:
        more = {"temperature": (0.5, 0.05), "seed": 11, "draws": 2}
        return stepped_fit(views, Levels(9, estimator()), Palette(3, estimator()), **more)

    whole, first, second = fit(), fit(), fit()
    whole.run()
    for _ in range(2):
        first.step()
    second.load_state_dict({name: value.clone() for name, value in first.state_dict().items()})
    assert second.run() == whole.history
    for a, b, start in zip(*(f.scene.parameters() for f in (whole, second, fit())), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, start)


@pytest.mark.parametrize("make", [lambda: Levels(2, "score_function"), lambda: Palette(5, "score_function")])
def test_the_score_function_fits_without_any_gradient_of_what_follows(make):
    """A palette's colours still get theirs; here they are fixed. Few texels: each is weighed by what all others did."""
    with torch.no_grad():
        hidden = make().hard(tiny.picture(64)[:, 16::32, 10::21][None])  # a texel a side
    small = views_of(nt.ImageTexture(hidden))
    texture = nt.ImageTexture(torch.full((3, 2, 3), 0.45), trainable=True)
    scene = scene_with(texture.through(make()))
    fit = nt.Fit(scene, small, Adam([texture.image], lr=0.07), 20, temperature=(1.0, 0.1), draws=6)
    fit.run()
    found = scene.eval().materials()[0].base_color()
    assert len(hidden.unique()) >= 2
    assert float((found == hidden).float().mean()) > 0.8
    assert fit.history[-1] < 0.5 * fit.history[0]


@pytest.mark.parametrize("draws", [0, 1])
def test_a_draw_is_compared_with_others(views, draws):
    with pytest.raises(ArgumentError, match="give at least 2"):
        stepped_fit(views, Levels(3, "score_function"), draws=draws).step()


def test_more_draws_have_less_noise(views):
    def spread(draws: int) -> float:
        slopes = []
        fit = stepped_fit(views, Levels(3, ScoreFunction(0.5)), draws=draws, lr=0.0)
        fit.run(lambda fit: slopes.append(fit.optimizer.param_groups[0]["params"][0].grad))
        return float(torch.stack(slopes).std(0).mean())

    assert spread(12) < 0.6 * spread(2)


def test_the_state_of_another_fit_is_refused(views):
    scene = scene_with(nt.PyramidTexture(8))
    other = nt.Fit(scene, views, Adam(scene.parameters()), 1)
    with pytest.raises(ArgumentError, match="of another fit"):
        pixels_fit(views, 1).load_state_dict(other.state_dict())
