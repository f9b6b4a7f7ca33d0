"""Codes by direct search: each texel in turn takes the level or colour that makes the picture best.

Halftoning knows this as direct binary search (Analoui and Allebach 1992). Here the eye's model is the baked scene
itself: an image A x of all views, so that one texel makes up for its neighbours' rounding wherever a pixel mixes them.
No gradient can propose such moves, since each of them is a jump; but from where they end one goes on.
"""

from __future__ import annotations

import copy
from typing import TypeGuard

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..discrete import Dither, Levels, Palette, Step
from ..renderers import BakedMatrix, BakedScene
from ..shading import linear_to_srgb, srgb_to_linear
from . import code_kernels as kernels

SWEEPS = 24  # over all texels, at most: it ends where one texel in five thousand changes
MOST_CODES = 256
LEAST = 1e-4  # of linear light: a difference over which a slope can still be measured


def few_codes(step: Step) -> TypeGuard[Levels | Palette]:
    """Whether each texel chooses for itself, among a few codes."""
    if isinstance(step, Dither) or not isinstance(step, Levels | Palette):
        return False
    return (len(step.colors) if isinstance(step, Palette) else step.levels) <= MOST_CODES


def can_search(baked: BakedScene, step: Step) -> TypeGuard[BakedMatrix]:
    """Whether `search_codes` has something to go by: few codes, and a linear scene."""
    return few_codes(step) and isinstance(baked, BakedMatrix)


@torch.no_grad()
def search_codes(
    baked: BakedMatrix,
    images: Float[Tensor, "views channels image_h image_w"],
    step: Levels | Palette,
    texture: Float[Tensor, "1 3 h w"],
    sweeps: int = SWEEPS,
) -> Float[Tensor, "1 3 h w"]:
    """A texture of the step's codes, from `step.hard(texture)` on, whose picture is closer to `images` (linear).

    For a scene with one texture. Squared differences of encoded pixels are lowered by coordinate descent, texel by
    texel. Learned colours of a palette are solved for by least squares after each sweep, and set. What the best of all
    sweeps has found is returned, the start if none is better: each follows a model of the encoding that large changes
    outdate. Texels that no view sees keep their code.
    """
    start = step.hard(texture)
    search = _Search(baked, images, step, start)
    lowest, kept = search.loss(), search.state()
    for _ in range(sweeps):
        changes = search.sweep()
        if isinstance(step, Palette) and isinstance(step.colors, nn.Parameter):
            step.colors.copy_(linear_to_srgb(search.best_colors()))
        loss = search.loss()
        if loss < lowest:
            lowest, kept = loss, search.state()
        if changes < len(baked.texel) // 5000:
            break
    search.restore(*kept)
    found = start.flatten(2).index_copy(2, baked.texel, search.texels().T[None].to(start)).view_as(start)
    return step.hard(found)  # learned colours have moved, so that unseen texels choose anew


def hold(
    step: Step, code: Float[Tensor, "1 c h w"], towards: Float[Tensor, "1 c h w"], halvings: int = 8
) -> Float[Tensor, "1 c h w"]:
    """What is nearest to `towards`, on the way there from `code`, and still becomes `code` by `step.hard`.

    Texel by texel: the cell of all that becomes a texel's code is convex, so that bisection finds where the way leaves
    it. Of a step whose texels hang together, the codes themselves are given.
    """
    inside = torch.zeros_like(code[:, :1])
    width = torch.ones_like(inside)
    for _ in range(halvings):
        kept = (step.hard(code + (inside + width) * (towards - code)) == code).all(1, keepdim=True)
        inside = torch.where(kept, inside + width, inside)
        width = width / 2
    near = code + inside.clamp_max(1) * (towards - code)
    return near if torch.equal(step.hard(near), code) else code


def encoded_weight(shown: Float[Tensor, "rows c"], target: Float[Tensor, "rows c"]) -> Float[Tensor, "rows c"]:
    """What makes squared differences of linear light those of encoded pixels.

    The squared slope of the encoding from target to picture, or from the darker of them on where they are too close.
    """
    dark = torch.minimum(shown, target).clamp_min(0)
    bright = torch.maximum(torch.maximum(shown, target), dark + LEAST)
    return ((linear_to_srgb(bright) - linear_to_srgb(dark)) / (bright - dark)).square()


class _Search:
    """The loss as a quadratic around the present codes, and its descent.

    `number` (groups, texels) are the codes: of levels three groups, one a channel; of a palette one.
    """

    def __init__(self, baked: BakedMatrix, images: Tensor, step: Levels | Palette, start: Tensor):
        self.step = step
        # the kernels are for CPU; a module moves in place, and the scene keeps its own
        here = baked.texel.device.type == "cpu"
        self.operator = baked.operator if here else copy.deepcopy(baked.operator).cpu()
        self.target = baked.rows(images[:, :3].to(baked.texel.device)).cpu()
        self.start = start.to(self.operator.values.dtype)
        seen = start.flatten(2)[..., None, baked.texel]
        number = step.nearest(seen) if isinstance(step, Palette) else step.place(seen)[0].round().long()
        self.number = number.reshape(-1, len(baked.texel)).long().cpu().contiguous()

    def codes(self) -> Float[Tensor, "k c"]:
        """The codes as they are exported, of all channels of a group."""
        if isinstance(self.step, Palette):
            return self.step.shown(self.start).cpu()
        return self.step.value(torch.arange(self.step.levels, dtype=self.start.dtype))[:, None]

    def texels(self) -> Float[Tensor, "texels 3"]:
        """The seen texels' encoded values."""
        codes = self.codes()
        return torch.cat([codes[number] for number in self.number], 1)

    def state(self) -> tuple[Tensor, dict[str, Tensor]]:
        """The codes as they are now, and what the step has learned."""
        return self.number.clone(), {name: value.clone() for name, value in self.step.state_dict().items()}

    def restore(self, number: Tensor, learned: dict[str, Tensor]) -> None:
        """Go back to a `state`."""
        self.number = number
        self.step.load_state_dict(learned)

    def loss(self) -> float:
        """The sum of squared differences of encoded pixels."""
        shown = self.operator(srgb_to_linear(self.texels()))
        return float((linear_to_srgb(shown) - linear_to_srgb(self.target)).square().sum())

    def model(self) -> tuple[Tensor, Tensor]:
        """Residual A x − y in linear light, and the weights of its squares."""
        shown = self.operator(srgb_to_linear(self.texels()))
        return shown - self.target, encoded_weight(shown, self.target)

    def sweep(self) -> int:
        """Let every texel choose once, in the order of memory; returns how many codes changed."""
        residual, weight = self.model()
        codes = srgb_to_linear(self.codes()).numpy()
        pointers, rows, values = (t.numpy() for t in self.operator.transposed())
        changes = 0
        for group, number in enumerate(self.number):
            channels = slice(group, group + 1) if len(self.number) > 1 else slice(0, 3)
            one = values[:, channels] if values.shape[1] > 1 else values
            model = (t.numpy()[:, channels] for t in (weight, residual))
            light, weights, left = (np.ascontiguousarray(t) for t in (one, *model))
            changes += kernels.descend(pointers, rows.view(np.uint32), light, weights, left, codes, number.numpy())
        return changes

    def best_colors(self) -> Float[Tensor, "k 3"]:
        """Linear colours that are best for the present numbers: weighted least squares, a channel at a time."""
        _, weight = self.model()
        before = srgb_to_linear(self.codes())
        count = len(before)
        colors = []
        for c in range(3):
            picture = self.shares(c, count) if c < self.operator.values.shape[1] else picture  # one light for all
            weighted = weight[:, c : c + 1] * picture
            matrix = weighted.T @ picture
            damping = 1e-6 * matrix.diagonal().mean() + 1e-12  # a colour that no view shows stays
            right = weighted.T @ self.target[:, c] + damping * before[:, c]
            colors.append(torch.linalg.solve(matrix + damping * torch.eye(count).to(before), right))
        return torch.stack(colors, 1).clamp(0, 1)

    def shares(self, channel: int, count: int) -> Float[Tensor, "rows {count}"]:
        """What each colour of a palette adds to the pixels, if it is 1 in this channel."""
        pointers, columns, values = (t.numpy() for t in self.operator.matrix())
        shares = self.target.new_zeros(len(pointers) - 1, count)
        kernels.add_up(pointers, columns.view(np.uint32), values[:, channel], self.number[0].numpy(), shares.numpy())
        return shares
