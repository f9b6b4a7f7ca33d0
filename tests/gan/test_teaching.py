"""What families teach: one right answer for each latent, which the right generator makes without a loss."""

import math

import pytest
import torch

from neurotex.gan import Trainer
from neurotex.gan.dice import Dice
from neurotex.gan.families import FAMILIES
from neurotex.gan.procedural import ProceduralMaterials, drawn
from neurotex.gan.teaching import Taught, lesson, snapped
from neurotex.generators import FamilyGenerator

NAMES = tuple(FAMILIES)
TRAITS = 32


def latents(n: int, seed: int = 0) -> torch.Tensor:
    generator = FamilyGenerator(32, NAMES, TRAITS, 8, (2,), 2)
    return generator.sample_latents(n, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_has_more_traits_than_a_latent(family):
    dice = Dice(2, 16, torch.Generator().manual_seed(0))
    drawn(family, dice)
    assert 5 < dice.thrown.shape[1] <= TRAITS


def test_given_numbers_are_those_that_are_used():
    first = Dice(3, 32, torch.Generator().manual_seed(0))
    form = torch.tensor([[1.0, 0], [0, 1], [0.6, 0.8]])
    drawn("tiles", first)
    again = [drawn("tiles", Dice(3, 32, torch.Generator().manual_seed(k), first.thrown, form)) for k in (1, 2)]
    assert torch.equal(again[0], again[1])


def test_a_form_turns_fields_smoothly_and_keeps_their_spread():
    angle = torch.linspace(0, 2 * math.pi, 65)
    form = torch.stack([angle.cos(), angle.sin()], 1)
    table = Dice(65, 16, torch.Generator(), torch.rand(65, 2), form).table(400)
    assert table.diff(dim=0).abs().max() < 0.25
    assert torch.allclose(table[0], table[-1], atol=1e-5)
    assert table.mean() == pytest.approx(0.5, abs=0.05)
    assert table.std() == pytest.approx(math.sqrt(1 / 12), abs=0.03)


def test_lessons_follow_the_latent_alone():
    z = snapped(latents(6), TRAITS, 32)
    assert torch.equal(lesson(z, NAMES, TRAITS, 32), lesson(z.flip(0), NAMES, TRAITS, 32).flip(0))
    step = 2 * math.pi * 5 / 32
    here, there = z.clone(), z.clone()
    here[:, TRAITS : TRAITS + 4] = torch.tensor([1.0, 0, 1, 0])
    there[:, TRAITS : TRAITS + 4] = torch.tensor([math.cos(step), math.sin(step), 1, 0])  # 5 texels to the right
    assert torch.equal(lesson(here, NAMES, TRAITS, 32).roll(5, 3), lesson(there, NAMES, TRAITS, 32))


class Knowing(FamilyGenerator):
    """A generator that knows every answer."""

    def forward(self, latents):
        return lesson(latents, NAMES, TRAITS, 32)


def test_who_knows_the_answers_has_no_loss():
    assert Taught(32)(Knowing(32, NAMES, TRAITS, 8, (2,), 2), latents(4)) == 0
    assert Taught(32)(FamilyGenerator(32, NAMES, TRAITS, 8, (2,), 2), latents(4)) > 0.1


def test_lessons_alone_teach_a_generator():
    """Without a discriminator; and a run that is taken up again is the same run."""

    def trainer() -> Trainer:
        torch.manual_seed(0)
        generator = FamilyGenerator(32, NAMES[:2], TRAITS, 24, (12,), 4)
        data = ProceduralMaterials(32, bank=4, families=NAMES[:2])
        return Trainer(generator, None, data, penalties=[Taught(32, patches=0.2)], batch=4)

    taught = trainer()
    losses = [taught.step()["penalty/Taught"] for _ in range(30)]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    state = taught.state_dict()
    other = trainer()
    other.load_state_dict(state)
    assert other.step() == taught.step()
    assert taught.sample(taught.generator.sample_latents(2)).shape == (2, 7, 32, 32)
