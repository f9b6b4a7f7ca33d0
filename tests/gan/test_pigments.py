"""Colours in OKLCH."""

import torch

from neurotex.gan import pigments
from neurotex.gan.dice import Dice


def test_known_colours():
    """Primaries as Ottosson's definition has them."""
    lch = torch.tensor([[0.62796, 0.25768, 29.234], [0.86644, 0.29483, 142.495], [0.45201, 0.31321, 264.052]])
    assert torch.allclose(pigments.srgb(lch), torch.eye(3), atol=2e-3)
    assert torch.allclose(
        pigments.srgb(torch.tensor([[1.0, 0, 0], [0.0, 0, 0]]))[:, 0], torch.tensor([1.0, 0]), atol=1e-3
    )


def test_draws_are_within_a_pigment():
    drawn = pigments.draw(Dice(200, 16, torch.Generator().manual_seed(0)), pigments.RUST, pigments.JADE)
    inside = [
        ((drawn >= torch.tensor(p[0::2])) & (drawn <= torch.tensor(p[1::2]))).all(1)
        for p in (pigments.RUST, pigments.JADE)
    ]
    assert (inside[0] ^ inside[1]).all()
    assert 60 < inside[0].sum() < 140


def test_companions_are_as_far_in_lightness_as_asked():
    dice = Dice(500, 16, torch.Generator().manual_seed(0))
    base = pigments.draw(dice, pigments.CLOTH, pigments.WHITE, pigments.BLACK)
    away = (pigments.companion(dice, base, 0.1, 0.3)[:, 0] - base[:, 0]).abs()
    assert (away > 0.099).float().mean() > 0.97
    assert away.max() < 0.301


def test_laying_over_and_shading():
    half = torch.full((1, 2, 2), 0.5)
    black, white = torch.tensor([[0.0, 0, 0]]), torch.tensor([[1.0, 0, 0]])
    grey = pigments.over(pigments.even(black, half), white, half)
    assert torch.allclose(grey, torch.full((1, 3, 2, 2), 0.5), atol=1e-3)
    assert torch.allclose(pigments.shaded(grey, half), torch.full((1, 3, 2, 2), 0.75), atol=2e-3)
