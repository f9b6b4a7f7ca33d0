"""Augmentations of what the discriminator sees, real and fake alike, so that few images do not get learned by heart.

Karras et al. 2020, arXiv:2006.06676. Each operation changes an image with probability p, the strength. While p stays
below 1, unchanged images are among the changed ones, and the generator does best if it makes what the data have, not
what the augmentation makes of them: augmentations do not leak. For the same reason turns and flips draw evenly among
all, the one that does nothing included, and nothing is clipped: values may leave [-1, 1].

An image's motions are one affine map M of the plane (x to the right, y up, the origin in the image's middle), which
kornia resamples once. Its colour operations are one 3 × 3 matrix and an offset: kornia's own clip to [0, 1] and turn
hues in HSV, where grey has no derivative.

**Normals.** A material's normal map holds x and y in tangent space, +x right and +y up. If the surface moves by M,
whose linear part is s · Q, s > 0 a scale and Q orthogonal, its normals are (x, y) → Q (x, y). Scaling alone changes
none, as heights scale with widths. A mirror at an image's edge turns the sign of the component across that edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int64
from kornia.geometry.conversions import axis_angle_to_rotation_matrix
from kornia.geometry.transform import remap
from torch import Tensor, nn

from ..errors import ArgumentError
from ..generators.filters import wrap
from .seeds import scrambled

CHANNELS = {"rgb": 3, "rgba": 4, "material": 6}  # a metallic material has 7
MOTIONS: tuple[str, ...] = ("flip", "turn", "shift", "scale", "rotate")
COLOURS: tuple[str, ...] = ("brightness", "contrast", "hue", "saturation")
OPERATIONS = (*MOTIONS, *COLOURS, "noise")
DRAWS: tuple[str, ...] = (*OPERATIONS, "shift_y")  # what an image draws numbers for, in this order

# how far, as in the paper, for images in [-1, 1]: standard deviations, of log2 where it is a factor
SHIFT = 0.125  # of the size, at most
SCALE, BRIGHTNESS, CONTRAST, SATURATION, NOISE = 0.2, 0.2, 0.5, 1.0, 0.1


class Augmentation(nn.Module):
    """Images (N, c, size, size) in [-1, 1] → images, each operation applied with probability `strength` to each.

    What happens to image i follows from seed i alone: in any batch, on any device, at the same strength. Gradients flow
    through once, not twice: penalties on slopes take images that are augmented already.

    | operation | |
    |---|---|
    | flip, turn | left to right or not; by 0, 90, 180 or 270° |
    | shift | by whole pixels, up to 1/8 of the size; of a tileable image by any number |
    | scale, rotate | about the middle, by 2^N(0, 0.2²) and by any angle |
    | brightness, contrast | plus N(0, 0.2²); times 2^N(0, 0.5²) |
    | hue, saturation | turned about the grey axis by any angle; distance to it times 2^N(0, 1) |
    | noise | all channels plus white noise; its deviation is half-normal, 0.1; off unless named |

    - `channels`: "rgb", "rgba" or "material". Colours are the first three; alpha moves with them; normals turn.
    - `tileable`: what lies beyond the edge is the other side; else the mirror image, or -1 (nothing) for "rgba". Scaled
      or rotated by odd angles, a texture has its seam inside: leave both out where it must not have one.
    - `operations`: the names of those to use.

    The strength is a buffer and goes with `state_dict`. ArgumentError for a strength outside of [0, 1], and for
    channels or operations that are not listed.
    """

    strength: Float[Tensor, ""]

    def __init__(
        self,
        strength: float = 0.0,
        channels: str = "rgb",
        tileable: bool = False,
        operations: Sequence[str] = (*MOTIONS, *COLOURS),
    ) -> None:
        super().__init__()
        if not 0 <= strength <= 1:
            raise ArgumentError(f"the strength of an augmentation is a probability, from 0 to 1, not {strength}.")
        if channels not in CHANNELS:
            raise ArgumentError(f"there are no channels '{channels}': choose one of {', '.join(CHANNELS)}.")
        unknown = [name for name in operations if name not in OPERATIONS]
        if unknown:
            raise ArgumentError(f"there is no operation '{unknown[0]}': choose from {', '.join(OPERATIONS)}.")
        self.channels, self.tileable, self.operations = channels, tileable, tuple(operations)
        self.register_buffer("strength", torch.tensor(float(strength)))

    def forward(
        self, images: Float[Tensor, "n channels size size"], seeds: Int64[Tensor, "n"]
    ) -> Float[Tensor, "n channels size size"]:
        channels = CHANNELS[self.channels]
        known = (6, 7) if self.channels == "material" else (channels,)
        square = images.shape[2] == images.shape[3]
        if images.shape[1] not in known or not square or len(seeds) != len(images):
            raise ArgumentError(
                f"an augmentation of '{self.channels}' takes square images of {channels} channels and a seed for each, "
                f"not {tuple(images.shape)} and {len(seeds)} seeds."
            )
        strength = float(self.strength)
        if not strength or not self.operations:
            return images
        # scrambled: the item itself was drawn from its seed as it is
        rngs = [torch.Generator().manual_seed(scrambled(seed)) for seed in seeds.tolist()]
        gates, even = (torch.stack([torch.rand(len(DRAWS), generator=rng) for rng in rngs]) for _ in range(2))
        normal = torch.stack([torch.randn(len(DRAWS), generator=rng) for rng in rngs])
        used = torch.tensor([name in self.operations for name in DRAWS])
        acts = dict(zip(DRAWS, ((gates < strength) & used).unbind(1), strict=True))
        even = dict(zip(DRAWS, even.double().unbind(1), strict=True))
        normal = dict(zip(DRAWS, normal.double().unbind(1), strict=True))

        linear, shift = motions(acts, even, normal, images.shape[-1], self.tileable)
        still = (linear == torch.eye(2)).all(2).all(1) & (shift == 0).all(1)
        images = _changed(images, ~still, self._moved, linear, shift)
        paints = torch.stack([acts[name] for name in COLOURS]).any(0)
        images = _changed(images, paints, _recoloured, *colours(acts, even, normal))
        if acts["noise"].any():
            shape = images.shape[1:]
            white = [torch.randn(shape, generator=rngs[i]) for i in acts["noise"].nonzero()[:, 0]]
            level = NOISE * normal["noise"].abs()[acts["noise"], None, None, None]
            images = _changed(images, acts["noise"], lambda x: x + (level * torch.stack(white)).to(x))
        return images

    def _moved(self, x: Tensor, linear: Tensor, shift: Tensor) -> Tensor:
        """Images after place → linear · place + shift, (N, 2, 2) and (N, 2): every pixel looks where it comes from."""
        size, edge = x.shape[-1], None
        half = (size - 1) / 2
        ticks = torch.arange(size, dtype=x.dtype, device=x.device) - half
        place = torch.stack(torch.meshgrid(ticks, -ticks, indexing="xy"), -1)  # (size, size, 2), y up
        place = place - shift.to(x)[:, None, None]
        source = torch.einsum("nij,nhwj->nhwi", linear.inverse().to(x), place)
        column, row = half + source[..., 0], half - source[..., 1]
        if self.tileable:
            # the first pixel once more, behind the last: what lies between the two is interpolated
            x = remap(wrap(x, 1)[..., 1:, 1:], column % size, row % size, align_corners=True)
        elif self.channels == "rgba":
            x = remap(x + 1, column, row, align_corners=True) - 1
        else:
            (column, across), (row, down) = _reflected(column, size), _reflected(row, size)
            x, edge = remap(x, column, row, align_corners=True), torch.stack([across, down], 1)
        if self.channels != "material":
            return x
        colour, normals, rest = x.split([3, 2, x.shape[1] - 5], 1)
        normals = normals if edge is None else normals * edge
        orthogonal = (linear / linear.det().abs().sqrt()[:, None, None]).to(x)
        return torch.cat([colour, torch.einsum("nij,njhw->nihw", orthogonal, normals), rest], 1)


class AdaptiveAugment(Augmentation):
    """An `Augmentation` whose strength follows how much the discriminator overfits.

    r = E[sign D(real)] is 0 while it tells reals from fakes by chance, and goes to 1 as it knows the reals by heart
    (arXiv:2006.06676, section 3). After `every` calls of `observe`, strength rises if r is above `target`, else falls,
    at a rate that takes it from 0 to 1 in `images` real images. It stops at `limit`: augmentations of the paper began
    to leak at strengths above 0.8. ArgumentError for numbers out of range.
    """

    signs: Float[Tensor, ""]
    seen: Int64[Tensor, ""]
    calls: Int64[Tensor, ""]

    def __init__(
        self,
        target: float = 0.6,
        images: int = 500_000,
        every: int = 4,
        limit: float = 0.8,
        channels: str = "rgb",
        tileable: bool = False,
        operations: Sequence[str] = (*MOTIONS, *COLOURS),
    ) -> None:
        super().__init__(0.0, channels, tileable, operations)
        if not -1 < target < 1 or images < 1 or every < 1 or not 0 <= limit <= 1:
            raise ArgumentError(
                f"an AdaptiveAugment has a target between -1 and 1, images and every above 0 and a limit from 0 to 1, "
                f"not {target}, {images}, {every} and {limit}."
            )
        self.target, self.images, self.every, self.limit = target, images, every, limit
        self.register_buffer("signs", torch.zeros(()))  # summed over images since the last change
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))  # images since
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def observe(self, real_logits: Float[Tensor, "n *patches"]) -> None:
        """Take note of the discriminator's logits on a batch of real images, as it saw them: augmented."""
        self.signs += real_logits.sign().reshape(len(real_logits), -1).mean(1).sum().to(self.signs)
        self.seen += len(real_logits)
        self.calls += 1
        if self.calls < self.every:
            return
        step = torch.sign(self.signs / self.seen - self.target) * self.seen / self.images
        self.strength.copy_((self.strength + step).clamp(0, self.limit))
        for count in (self.signs, self.seen, self.calls):
            count.zero_()


def motions(
    acts: dict[str, Tensor], even: dict[str, Tensor], normal: dict[str, Tensor], size: int, tileable: bool
) -> tuple[Float[Tensor, "n 2 2"], Float[Tensor, "n 2"]]:
    """The map that each image goes through, in pixels: place → linear · place + shift.

    `acts` says which operations do; `even` and `normal` are what each draws, from U(0, 1) and N(0, 1); all are (N,).
    """
    nothing, one = torch.zeros_like(even["flip"]), torch.ones_like(even["flip"])
    flip = torch.where(acts["flip"] & (even["flip"] < 0.5), -one, one)
    quarters = torch.where(acts["turn"], (4 * even["turn"]).floor(), nothing)
    angle = torch.where(acts["rotate"], 2 * math.pi * even["rotate"], nothing)
    scale = torch.where(acts["scale"], 2 ** (SCALE * normal["scale"]), one)
    # entries of quarter turns are 0, 1 and -1 to the bit, so that pixels land on pixels
    turn = _rotation(math.pi / 2 * quarters).round()
    mirror = torch.diag_embed(torch.stack([flip, one], 1))
    linear = scale[:, None, None] * _rotation(angle) @ turn @ mirror
    reach = size if tileable else 2 * SHIFT * size
    drawn = torch.stack([even["shift"], even["shift_y"]], 1)
    shift = torch.where(acts["shift"][:, None], ((drawn - 0.5) * reach).round(), nothing[:, None])
    return linear, shift


def colours(
    acts: dict[str, Tensor], even: dict[str, Tensor], normal: dict[str, Tensor]
) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 3"]]:
    """The map that each colour goes through: colour → matrix · colour + offset. Arguments as in `motions`."""
    nothing, one = torch.zeros_like(even["hue"]), torch.ones_like(even["hue"])
    bright = torch.where(acts["brightness"], BRIGHTNESS * normal["brightness"], nothing)
    contrast = torch.where(acts["contrast"], 2 ** (CONTRAST * normal["contrast"]), one)
    angle = torch.where(acts["hue"], 2 * math.pi * even["hue"], nothing)
    saturation = torch.where(acts["saturation"], 2 ** (SATURATION * normal["saturation"]), one)
    axis = torch.full((3,), math.sqrt(1 / 3), dtype=one.dtype)
    grey = torch.outer(axis, axis)
    hue = axis_angle_to_rotation_matrix(angle[:, None] * axis)
    matrix = contrast[:, None, None] * (grey + saturation[:, None, None] * (torch.eye(3) - grey)) @ hue
    return matrix, bright[:, None] * matrix.sum(2)


def _changed(images: Tensor, which: Tensor, change: Callable[..., Tensor], *parameters: Tensor) -> Tensor:
    """`change` applied to `which` images (N,), with their parameters; the others stay as they are, to the bit."""
    chosen = which.nonzero()[:, 0]
    if not len(chosen):
        return images
    theirs = [values[chosen] for values in parameters]
    chosen = chosen.to(images.device)
    return images.index_copy(0, chosen, change(images[chosen], *theirs))


def _recoloured(x: Tensor, matrix: Tensor, offset: Tensor) -> Tensor:
    colour = torch.einsum("nij,njhw->nihw", matrix.to(x), x[:, :3]) + offset.to(x)[:, :, None, None]
    return torch.cat([colour, x[:, 3:]], 1)


def _reflected(x: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Coordinates beyond the first or last of `size` pixels turned back, as often as needed; -1 where that mirrors."""
    period = 2 * (size - 1)
    x = x % period
    beyond = x > size - 1
    return torch.where(beyond, period - x, x), 1 - 2 * beyond.to(x)


def _rotation(angle: Float[Tensor, "n"]) -> Float[Tensor, "n 2 2"]:
    """Counter-clockwise, y up."""
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos, -sin, sin, cos], 1).unflatten(1, (2, 2))
