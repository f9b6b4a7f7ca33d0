"""Lessons for a generator by families: make of a latent what the family itself draws from the same numbers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..core.precision import uncast
from ..generators.family import PLACE, TAIL, FamilyGenerator
from .dice import HALF, Dice
from .procedural import drawn
from .reconstruction import sliced_distance


class Taught(nn.Module):
    """A penalty of a `FamilyGenerator`: how far its materials are from its families' own.

    Everything that a procedural material depends on is in the latent: its traits, how far it is rolled, the form
    of its random fields. So there is one right answer, texel by texel, for every latent of one family, and no mode can
    be left out. Two distances: the mean difference of texels, at full size and smaller; and, `patches` times,
    `sliced_distance` of the patches of each material, which asks for the right contrast where texels cannot be had.
    """

    of = "generator"
    mixed = True

    def __init__(self, size: int, weight: float = 1.0, every: int = 1, patches: float = 1.0) -> None:
        super().__init__()
        self.size, self.weight, self.every, self.patches = size, weight, every, patches

    def forward(self, generator: FamilyGenerator, latents: Float[Tensor, "n latent"]) -> Float[Tensor, ""]:
        latents = snapped(latents, generator.traits, self.size)
        made = generator(latents)
        with uncast(made.device):
            target = lesson(latents, generator.families, generator.traits, self.size).to(made)
            loss = self.patches * sliced_distance(target, made) if self.patches else made.new_zeros(())
            for _ in range(3):
                loss = loss + (target - made).abs().mean() / 3
                target, made = F.avg_pool2d(target, 2), F.avg_pool2d(made, 2)
            return loss


def snapped(latents: Float[Tensor, "n latent"], traits: int, size: int) -> Float[Tensor, "n latent"]:
    """Latents whose places are moved to whole texels, where a roll gets to."""
    place = latents[:, traits : traits + PLACE].unflatten(1, (2, 2))
    step = 2 * math.pi / size
    angle = (torch.atan2(place[..., 1], place[..., 0]) / step).round() * step
    place = torch.stack([angle.cos(), angle.sin()], 2) * place.norm(dim=2, keepdim=True)
    return torch.cat([latents[:, :traits], place.flatten(1), latents[:, traits + PLACE :]], 1)


@torch.no_grad()
def lesson(
    latents: Float[Tensor, "n latent"], families: tuple[str, ...], traits: int, size: int
) -> Float[Tensor, "n 7 size size"]:
    """What families draw for latents of theirs, one family each."""
    latents = latents.detach().float().cpu()
    u = (0.5 + 0.5 * torch.erf(HALF * latents[:, :traits])).clamp(max=1 - 1e-6)
    place = latents[:, traits : traits + PLACE].unflatten(1, (2, 2))
    moves = (torch.atan2(place[..., 1], place[..., 0]) * (size / (2 * math.pi))).round().long().tolist()
    form = F.normalize(latents[:, traits + PLACE : traits + TAIL], dim=1)
    which = latents[:, traits + TAIL :].argmax(1)
    out = torch.empty(len(latents), 7, size, size)
    rng = torch.Generator()
    for index in which.unique().tolist():
        chosen = (which == index).nonzero()[:, 0]
        out[chosen] = drawn(families[index], Dice(len(chosen), size, rng, u[chosen], form[chosen]))
    for material, (right, down) in zip(out, moves, strict=True):
        material.copy_(material.roll((down, right), (1, 2)))
    return out
