"""The start in latent space: among many valleys the search finds the one where the hidden latent lies."""

import pytest
import torch
from torch import nn

import neurotex as nt
from neurotex.fit.adam import Adam
from tests import tiny


class Bands(nn.Module):
    """(N, 2) → stripes (N, 3, 16, 16): the first latent turns the phase of many periods, the second the colour."""

    latent_shape = (2,)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        ramp = torch.linspace(0, 1, 16)[:, None].expand(-1, 16)
        phase = 4 * z[:, 0, None, None] + 3 * ramp
        return torch.stack([torch.sin(phase), torch.cos(phase), torch.tanh(z[:, 1, None, None] + 0 * ramp)], 1)


HIDDEN = torch.tensor([[0.9, -0.6]])


@pytest.fixture
def fit() -> nt.Fit:
    latent = nt.Latent(Bands()).bind(HIDDEN)
    mesh = tiny.box()
    mesh.material = nt.Material(nt.GeneratedTexture(Bands(), latent))
    scene = nt.Scene(mesh, tiny.cameras(2), nt.Flash(tiny.FLASH))
    with torch.no_grad():
        views = nt.Views(list(scene.cameras), nt.render(scene, 24), list(scene.lights), ["a", "b"])
    return nt.Fit(scene, views, Adam(latent.parameters(), lr=0.05), 1)


def latent_of(fit: nt.Fit) -> nt.Latent:
    return fit.scene.materials()[0].base_color.latent


def search(
    fit: nt.Fit, seed: int, *, draws: int = 40, rounds: tuple = ((5, 10), (2, 30)), **more: object
) -> torch.Tensor:
    return nt.fit.search_latent(fit, latent_of(fit), seed, draws=draws, rounds=rounds, **more)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_hidden_latent_is_found_up_to_whole_periods(fit, seed):
    found = search(fit, seed)
    turns = 4 * (found - HIDDEN)[0, 0] / (2 * torch.pi)
    assert float(turns) == pytest.approx(round(float(turns)), abs=0.02)
    assert float(found[0, 1]) == pytest.approx(float(HIDDEN[0, 1]), abs=0.05)
    assert torch.equal(latent_of(fit).value, found)


def test_the_seed_decides(fit):
    few = {"draws": 8, "rounds": ((3, 2), (2, 3))}
    first = search(fit, 5, **few)
    latent_of(fit).bind(torch.zeros(1, 2))
    assert torch.equal(search(fit, 5, **few), first)
    assert not torch.equal(search(fit, 6, **few), first)


def test_progress_counts_every_render_and_history_stays_empty(fit):
    seen: list[tuple[int, int]] = []
    search(fit, 0, draws=8, rounds=((3, 2), (2, 3)), on_render=lambda done, total: seen.append((done, total)))
    total = 8 + 3 * 2 + 2 * 3
    assert seen == [(k, total) for k in range(1, total + 1)]
    assert fit.history == []
