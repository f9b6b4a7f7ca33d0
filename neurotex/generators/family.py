"""A generator of materials by families: bricks, marble, rust, and everything between.

What a latent holds: `traits`, numbers that say how a material of its family looks (how many rows, which red); a
place, two directions whose angles move the whole tile; a form, one direction that turns its random fields; and a share
for each family, 1 for one of them as it is drawn, anything between for a mixture.

The synthesis is given what procedural materials are made of, coordinates and noise: plane waves with whole numbers of
cycles, along the axes first, so that edges are straight and tiles close; and random fields in octaves (`fields`). A
style says how strong each of them is; convolutions that wrap around make of them how strongly each of a few substances
claims each texel, at every resolution, and a softmax shares the texel out. A substance has a colour, a roughness, how
metallic it is, a height and a grain; normals are the slopes of heights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..core.precision import uncast
from ..errors import ArgumentError
from . import styled
from .fields import Fields, waves
from .filters import slopes
from .passes import finished, modulated
from .protocol import normal
from .style_network import Linear, style_per_layer

PLACE, FORM = 4, 2
TAIL = PLACE + FORM  # what a style carries as it is
HARMONICS = 4
GAIN = math.sqrt(2)
HEIGHT_GAIN = 4.0
COARSE, GRAIN = (1.5, 3.0), (40.0, 80.0)  # cycles per tile of the first fields and of the last
BASE = 16


class FamilyGenerator(nn.Module):
    """Latents (N, traits + 6 + families) → materials (N, 7, size, size), about in [-1, 1], that wrap around.

    Channels are base colour (3), x and y of the normals (2), roughness and metallic. `widths` are the channels of each
    resolution, from 16² on to half the size. `mapping` turns latents into styles w (N, style_dim), of which the last 6
    are place and form as they are; `synthesis` turns w, or w+ (N, num_ws, style_dim), into materials. The same latent
    always gives the same material. `families` are their names, and `traits` how many numbers tell materials of one
    apart. Each pixel is shared out among `substances`; the mapping has `num_layers`. ArgumentError for sizes that do
    not fit one another.
    """

    def __init__(
        self,
        size: int = 256,
        families: Sequence[str] = ("material",),
        traits: int = 32,
        style_dim: int = 198,
        widths: Sequence[int] = (128, 128, 80, 32),
        substances: int = 12,
        num_layers: int = 3,
    ) -> None:
        super().__init__()
        if not widths or BASE << len(widths) != size:
            raise ArgumentError(f"{len(widths)} widths make a texture of {BASE << len(widths)} texels, not of {size}.")
        if style_dim <= TAIL or traits < 1 or substances < 1 or num_layers < 1:
            raise ArgumentError(f"a style has more than {TAIL} numbers, and there are traits, substances and layers.")
        if not families or len(set(families)) != len(families):
            raise ArgumentError("families are one or more, of different names.")
        self.families, self.traits, self.out_channels = tuple(families), traits, 7
        self.config = {
            "size": size,
            "families": list(families),
            "traits": traits,
            "style_dim": style_dim,
            "widths": list(widths),
            "substances": substances,
            "num_layers": num_layers,
        }
        self.mapping = FamilyMapping(len(families), traits, style_dim, num_layers)
        self.synthesis = Synthesis(style_dim, widths, substances)

    @property
    def latent_shape(self) -> tuple[int]:
        """(traits + 6 + families,)."""
        return (self.traits + TAIL + len(self.families),)

    def sample_latents(
        self, n: int, rng: torch.Generator | None = None, family: str | None = None
    ) -> Float[Tensor, "n latent"]:
        """`n` latents: standard normal, each of one family, drawn evenly or the one that is given.

        ArgumentError for a `family` that it does not know.
        """
        like = self.mapping.matrices
        if family is not None and family not in self.families:
            raise ArgumentError(f"there is no family {family!r}: choose one of {', '.join(self.families)}.")
        free = normal(n, (self.traits + TAIL,), rng, like)
        device = "cpu" if rng is None else rng.device
        which = torch.randint(len(self.families), (n,), generator=rng, device=device)
        if family is not None:
            which = torch.full_like(which, self.families.index(family))
        return torch.cat([free, F.one_hot(which, len(self.families)).to(free)], 1)

    def forward(self, latent: Float[Tensor, "n latent"]) -> Float[Tensor, "n 7 size size"]:
        return self.synthesis(self.mapping(latent))


class FamilyMapping(nn.Module):
    """Latents → styles (N, style_dim). What a latent's numbers mean is each family's own: a matrix for each.

    A number enters by its rank among normal ones, u in [0, 1], as cos(π k u): steps, such as from four rows to six, are
    then within reach of a few layers. Place and form pass as they are.
    """

    def __init__(self, families: int, traits: int, style_dim: int, num_layers: int) -> None:
        super().__init__()
        self.traits = traits
        w_dim, style_dim = style_dim, style_dim - TAIL
        features = HARMONICS * traits
        self.matrices = nn.Parameter(torch.randn(families, features, style_dim))
        self.biases = nn.Parameter(torch.randn(families, style_dim))
        self.layers = nn.ModuleList(Linear(style_dim, style_dim, activation="lrelu") for _ in range(num_layers))
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, latent: Float[Tensor, "n latent"]) -> Float[Tensor, "n w"]:
        free, tail, shares = latent.split([self.traits, TAIL, latent.shape[1] - self.traits - TAIL], 1)
        u = 0.5 + 0.5 * torch.erf(math.sqrt(0.5) * free)
        features = torch.cat([GAIN * torch.cos(math.pi * k * u) for k in range(1, HARMONICS + 1)], 1)
        own = torch.einsum("nf,np,fpd->nd", shares, features / math.sqrt(features.shape[1]), self.matrices)
        x = own + shares @ self.biases
        x = F.leaky_relu(x, 0.2)
        for layer in self.layers:
            x = layer(x)
        return torch.cat([x, tail], 1)


class Synthesis(nn.Module):
    """w (N, style_dim) or w+ (N, num_ws, style_dim) → materials (N, 7, size, size)."""

    waves: Float[Tensor, "2 fields ky kx 2"]

    def __init__(self, style_dim: int, widths: Sequence[int], substances: int) -> None:
        super().__init__()
        self.style_dim = style_dim
        self.register_buffer("waves", waves())
        sizes = [BASE << k for k in range(len(widths))]
        self.levels = nn.ModuleList(
            Level(before, width, style_dim - TAIL, substances, size)
            for before, width, size in zip([0, *widths], widths, sizes, strict=False)
        )
        self.maps = Maps(2 * sizes[-1], style_dim - TAIL, substances)

    @property
    def num_ws(self) -> int:
        """How many layers have a style of their own: each level and the maps."""
        return len(self.levels) + 1

    def forward(self, w: Tensor) -> Float[Tensor, "n 7 size size"]:
        styles = iter(style_per_layer(w, self.style_dim, self.num_ws))
        first, *others = self.levels
        x, claims = first(None, None, self.waves, *_parted(next(styles)))
        for level in others:
            x, claims = level(x, claims, self.waves, *_parted(next(styles)))
        return self.maps(upsample(claims), self.waves, *_parted(next(styles)))


def _parted(w: Float[Tensor, "n w"]) -> tuple[Tensor, Tensor, Tensor]:
    """Style, form of unit length, and place as two angles, (n, 2)."""
    style, place, form = w.split([w.shape[1] - TAIL, PLACE, FORM], 1)
    with uncast(w.device):
        form = form.float() if form.dtype in (torch.bfloat16, torch.float16) else form
        form = form * torch.rsqrt(form.square().sum(1, keepdim=True) + 1e-12)
        place = place.to(form)
        x, y = place[:, 0::2], place[:, 1::2]
        return style, form, torch.atan2(y, x + 1e-6 * (x == 0).to(x))


class Level(nn.Module):
    """One resolution: what half of it made, enlarged, and waves and fields, as much as the style wants of each."""

    def __init__(self, before: int, width: int, style_dim: int, substances: int, size: int) -> None:
        super().__init__()
        self.waves = Waves(size)
        self.fields = Fields(size, (3 * size / BASE,) if before else COARSE)
        self.enter = StyledConv(self.waves.channels + self.fields.channels, width, style_dim, kernel=1, plain=True)
        self.narrow = StyledConv(before, width, style_dim, kernel=1, plain=True) if before else None
        self.conv = StyledConv(width, width, style_dim)
        self.mix = StyledConv(width, width, style_dim, kernel=1)
        self.claim = StyledConv(width, substances, style_dim, kernel=1, plain=True, demodulate=False)

    def forward(
        self, x: Tensor | None, claims: Tensor | None, waves: Tensor, style: Tensor, form: Tensor, place: Tensor
    ) -> tuple[Tensor, Tensor]:
        with uncast(style.device):
            given = torch.cat([self.waves(place), self.fields(waves, form, place)], 1)
        entered = self.enter(given, style)
        own = entered if self.narrow is None else entered + upsample(self.narrow(x, style))
        own = self.mix(self.conv(F.leaky_relu(own, 0.2), style), style)
        claim = self.claim(own, style)
        return own, claim if claims is None else upsample(claims) + claim


class StyledConv(styled.StyledConv):
    """`styled.StyledConv` for few style layers: activations stay in the type that they come in, half or not."""

    def forward(self, x: Float[Tensor, "n inputs h w"], w: Float[Tensor, "n style"]) -> Float[Tensor, "n outputs h w"]:
        with uncast(w.device):
            weight = self.weight / math.sqrt(self.weight[0].numel())
            style = self.style(w.to(weight))
            scale = style.new_ones(len(style), len(weight))
            if self.demodulate:
                scale = torch.rsqrt(style.square() @ weight.square().sum((2, 3)).T + 1e-8)
            scale = scale if self.plain else GAIN * scale
        y = F.conv2d(modulated(x, style, weight.shape[-1] // 2), weight)
        return finished(y, scale, self.bias, slope=1.0 if self.plain else 0.2)


class Waves(nn.Module):
    """A place (N, 2), angles → cosine and sine of plane waves, (N, channels, size, size).

    Those along the axes first, up to a third of the size in cycles, from which lattices are made; then as many in other
    directions as there are of few cycles.
    """

    cycles: Float[Tensor, "2 waves"]

    def __init__(self, size: int) -> None:
        super().__init__()
        top = min(size // 3, 24)
        cycles = [(k, 0) for k in range(1, top + 1)] + [(0, k) for k in range(1, top + 1)]
        others = [(x, y) for x in range(1, top + 1) for y in range(-top, top + 1) if y]
        others.sort(key=lambda c: (math.hypot(*c), c))
        fine = [c for c in others if math.hypot(*c) > size / 12] if size > BASE else others
        cycles += fine[:: max(len(fine) // 24, 1)][:24] if size > BASE else others
        self.register_buffer("cycles", torch.tensor(cycles, dtype=torch.float32).T.contiguous(), persistent=False)
        self.size, self.channels = size, 2 * len(cycles)

    def forward(self, place: Float[Tensor, "n 2"]) -> Float[Tensor, "n c size size"]:
        cycles = self.cycles.to(place)
        ticks = (torch.arange(self.size, dtype=place.dtype, device=place.device) + 0.5) * (2 * math.pi / self.size)
        across = cycles[0, :, None] * (ticks - place[:, :1, None])  # (n, waves, size)
        down = cycles[1, :, None] * (ticks - place[:, 1:, None])
        a, b = across[:, :, None, :], down[..., None]
        ca, sa, cb, sb = a.cos(), a.sin(), b.cos(), b.sin()
        return GAIN * torch.cat([ca * cb - sa * sb, sa * cb + ca * sb], 1)


class Maps(nn.Module):
    """Claims of substances (N, substances, size, size) and a style → the maps of a material."""

    def __init__(self, size: int, style_dim: int, substances: int) -> None:
        super().__init__()
        self.size, self.substances = size, substances
        self.fields = Fields(size, GRAIN, directions=False)
        grains = self.fields.channels
        self.parts = [3, 1, 1, 1, grains, grains]  # colour, roughness, metallic, height, grain of colour and of height
        self.values = Linear(style_dim, substances * sum(self.parts))

    def forward(
        self, claims: Float[Tensor, "n k h w"], waves: Tensor, style: Tensor, form: Tensor, place: Tensor
    ) -> Float[Tensor, "n 7 h w"]:
        with uncast(style.device):
            shares = claims.to(form).softmax(1)
            values = self.values(style.to(form)).unflatten(1, (-1, self.substances))
            colour, rough, metal, height, grain, bumps = values.split(self.parts, 1)
            noise = self.fields(waves, form, place)
            flat = shares.flatten(2)
            even = torch.cat([colour, rough, metal, HEIGHT_GAIN * height], 1)
            even = (even @ flat).unflatten(2, shares.shape[2:])
            # of each substance its grain: first the noise of all substances, then their shares of it
            grains = torch.cat([0.05 * grain, 0.15 * bumps], 1).unflatten(1, (2, -1)).mT.flatten(1, 2)  # (n, 2·k, c)
            rough_each = (grains @ noise.flatten(2)).unflatten(1, (2, -1))  # (n, 2, k, texels)
            grained = (rough_each * flat[:, None]).sum(2).unflatten(2, shares.shape[2:])
            colours = even[:, :3] + grained[:, :1]
            return torch.cat([colours, slopes(even[:, 5:6] + grained[:, 1:]), even[:, 3:5]], 1)


def upsample(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c 2*h 2*w"]:
    """Bilinear, twice the size, wrapping around; in the type that it comes in."""
    for dim in (2, 3):
        near = 0.75 * x
        far = 0.25 * x
        x = torch.stack([near + far.roll(1, dim), near + far.roll(-1, dim)], dim + 1).flatten(dim, dim + 1)
    return x
