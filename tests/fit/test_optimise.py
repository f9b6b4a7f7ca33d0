"""The loop: its loss is the photometric one, its schedule the one it says, and a continued fit is the same fit."""

import math

import pytest
import torch

import neurotex as nt
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


def test_the_state_of_another_fit_is_refused(views):
    scene = scene_with(nt.PyramidTexture(8))
    other = nt.Fit(scene, views, Adam(scene.parameters()), 1)
    with pytest.raises(ArgumentError, match="of another fit"):
        pixels_fit(views, 1).load_state_dict(other.state_dict())
