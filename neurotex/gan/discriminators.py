"""Discriminators: image → logits, high for real.

`StyleGAN2Discriminator` gives one verdict per image; `PatchDiscriminator` one per patch. Either may be `tileable`: then
every convolution wraps around, an image has no edges, and where a texture is cut out makes no difference. So it is with
`TextureDiscriminator`, which is small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from ..errors import ArgumentError
from ..generators.filters import wrap
from ..generators.passes import wrapped
from ..generators.style_network import Linear, unit_mean_square
from ..generators.stylegan2 import ARCHITECTURES
from .reconstruction import WrapConv

BLUR = (0.125, 0.375, 0.375, 0.125)  # StyleGAN2's low-pass filter ahead of every halving
MAPPING_LAYERS = 8


class StyleGAN2Discriminator(nn.Module):
    """Image (N, img_channels, img_resolution, img_resolution), about in [-1, 1] → logits (N, 1).

    Karras et al. 2020 (arXiv:1912.04958) as in StyleGAN2-ADA (arXiv:2006.06676); parameters carry the names of NVIDIA's
    releases, whose weights load as they are once `resample_filter`s are left out.

    - `c_dim`: above zero, `forward` takes classes c (N, c_dim) too, one-hot as a rule, and projects on them.
    - `channel_base`, `channel_max`: layers at resolution r have min(channel_base / r, channel_max) channels.
    - `architecture`: "resnet" sums up features over resolutions, "skip" reads the image at each, "orig" neither.
    - `mbstd_group_size`, `mbstd_num_channels`: images that the standard deviation is taken over, and how many channels
      tell it to the last layers (`MinibatchStandardDeviation`); no channels leave it out.
    - `conv_clamp`: bounds of every layer's output, which half precision needs.
    - `tileable`: everything wraps around, and the dense layer at the end, a 4 × 4 convolution, is applied at all 16
      places and the logits averaged. The verdict on a texture rolled by multiples of img_resolution / 4 is the same.

    ArgumentError for a size that is no power of two of 8 or more, and for numbers that do not fit one another.
    """

    # 10 parameters: NVIDIA's, which their checkpoints name
    def __init__(
        self,
        img_resolution: int,
        img_channels: int = 3,
        c_dim: int = 0,
        channel_base: int = 32768,
        channel_max: int = 512,
        architecture: str = "resnet",
        mbstd_group_size: int = 4,
        mbstd_num_channels: int = 1,
        conv_clamp: float | None = None,
        tileable: bool = False,
    ) -> None:
        super().__init__()
        if img_resolution < 8 or img_resolution & (img_resolution - 1):
            raise ArgumentError(f"img_resolution is a power of two of 8 or more, not {img_resolution}.")
        if architecture not in ARCHITECTURES:
            raise ArgumentError(f"there is no architecture '{architecture}': choose one of {', '.join(ARCHITECTURES)}.")
        if channel_base < img_resolution or min(channel_max, img_channels) < 1 or c_dim < 0:
            raise ArgumentError(
                f"layers need channels: channel_base {channel_base} is at least img_resolution, channel_max "
                f"{channel_max} and img_channels {img_channels} are above 0, and c_dim {c_dim} is not below."
            )
        self.config = {
            "img_resolution": img_resolution,
            "img_channels": img_channels,
            "c_dim": c_dim,
            "channel_base": channel_base,
            "channel_max": channel_max,
            "architecture": architecture,
            "mbstd_group_size": mbstd_group_size,
            "mbstd_num_channels": mbstd_num_channels,
            "conv_clamp": conv_clamp,
            "tileable": tileable,
        }
        self.resolutions = [2**k for k in range(img_resolution.bit_length() - 1, 2, -1)]
        width = {size: min(channel_base // size, channel_max) for size in [*self.resolutions, 4]}
        for size in self.resolutions:
            reads = img_channels if architecture == "skip" or size == img_resolution else 0
            block = Block(width[size], width[size // 2], reads, architecture, conv_clamp, tileable)
            self.add_module(f"b{size}", block)
        self.mapping = ClassMapping(c_dim, width[4]) if c_dim else None
        reads = img_channels if architecture == "skip" else 0
        if mbstd_num_channels and width[4] % mbstd_num_channels:
            raise ArgumentError(f"mbstd_num_channels {mbstd_num_channels} does not divide the {width[4]} features.")
        deviation = MinibatchStandardDeviation(mbstd_group_size, mbstd_num_channels)
        self.b4 = Epilogue(width[4], width[4] if c_dim else 1, reads, deviation, conv_clamp, tileable)

    def forward(
        self, image: Float[Tensor, "n channels size size"], c: Float[Tensor, "n c"] | None = None
    ) -> Float[Tensor, "n 1"]:
        size, channels, c_dim = (self.config[name] for name in ("img_resolution", "img_channels", "c_dim"))
        if tuple(image.shape[1:]) != (channels, size, size):
            raise ArgumentError(
                f"this discriminator takes images of shape (N, {channels}, {size}, {size}), not {tuple(image.shape)}."
            )
        if (0 if c is None else c.shape[1]) != c_dim:
            given = "none" if c is None else f"c of shape {tuple(c.shape)}"
            wanted = f"classes c of shape (N, {c_dim})" if c_dim else "no classes"
            raise ArgumentError(f"this discriminator takes {wanted}, but got {given}.")
        # channels last in memory: depthwise filters on a CPU are twice as fast
        x, image = None, image.contiguous(memory_format=torch.channels_last)
        for size in self.resolutions:
            x, image = self.get_submodule(f"b{size}")(x, image)
        x = self.b4(x, image)
        if self.mapping is None:
            return x
        classes = self.mapping(c)
        return (x * classes).sum(1, keepdim=True) / math.sqrt(classes.shape[1])


class Block(nn.Module):
    """One resolution: (N, inputs, size, size) → (N, outputs, size / 2, size / 2), and the image halved where it is read
    again."""

    kernel: Float[Tensor, "taps taps"]

    def __init__(
        self,
        inputs: int,
        outputs: int,
        img_channels: int,
        architecture: str,
        conv_clamp: float | None,
        tileable: bool,
    ) -> None:
        super().__init__()
        half = math.sqrt(0.5) if architecture == "resnet" else 1.0  # keeps the variance of a sum of two
        self.again, self.tileable = architecture == "skip", tileable
        self.register_buffer("kernel", torch.outer(torch.tensor(BLUR), torch.tensor(BLUR)), persistent=False)
        self.fromrgb = Conv(img_channels, inputs, 1, conv_clamp) if img_channels else None
        self.conv0 = Conv(inputs, inputs, 3, conv_clamp, tileable)
        self.conv1 = Conv(inputs, outputs, 3, conv_clamp, tileable, halve=True, gain=half)
        self.skip = Skip(inputs, outputs, gain=half) if architecture == "resnet" else None

    def forward(self, x: Tensor | None, image: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if self.fromrgb is not None:
            own = self.fromrgb(image)
            x = own if x is None else x + own
        assert x is not None  # the first block reads the image
        image = None if image is None or not self.again else blur(image, self.kernel, 1, self.tileable, stride=2)
        y = self.conv1(self.conv0(x))
        return y if self.skip is None else y + self.skip(blur(x, self.kernel, 1, self.tileable, stride=2)), image


class Epilogue(nn.Module):
    """(N, inputs, 4, 4) → logits (N, outputs)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        img_channels: int,
        deviation: MinibatchStandardDeviation,
        conv_clamp: float | None,
        tileable: bool,
    ) -> None:
        super().__init__()
        self.tileable = tileable
        self.fromrgb = Conv(img_channels, inputs, 1) if img_channels else None
        self.deviation = deviation
        self.conv = Conv(inputs + deviation.channels, inputs, 3, conv_clamp, tileable)
        self.fc = Linear(inputs * 16, inputs, activation="lrelu")
        self.out = Linear(inputs, outputs)

    def forward(self, x: Tensor, image: Tensor | None) -> Float[Tensor, "n outputs"]:
        x = x if self.fromrgb is None else x + self.fromrgb(image)
        x = self.conv(self.deviation(x))
        if not self.tileable:
            return self.out(self.fc(x.flatten(1)))
        n = len(x)
        x = F.unfold(wrap(x, 3)[..., 3:, 3:], 4).mT.flatten(0, 1)  # (N · 16, inputs · 16)
        return self.out(self.fc(x)).unflatten(0, (n, 16)).mean(1)


class Conv(nn.Module):
    """Convolution at equalised learning rate, bias, leaky ReLU, `gain`; it halves the size after a blur, if asked.

    A leaky ReLU is positively homogeneous: its gain of √2 and `gain` go into weights and bias.
    """

    kernel: Float[Tensor, "taps taps"] | None

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        conv_clamp: float | None = None,
        tileable: bool = False,
        halve: bool = False,
        gain: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain, self.tileable = gain * math.sqrt(2), tileable
        self.clamp = None if conv_clamp is None else conv_clamp * gain
        kernel = torch.outer(torch.tensor(BLUR), torch.tensor(BLUR)) if halve else None
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Float[Tensor, "n inputs h w"]) -> Float[Tensor, "n outputs h2 w2"]:
        weight = self.weight * (self.gain / math.sqrt(self.weight[0].numel()))
        margin, stride = weight.shape[-1] // 2, 1
        if self.kernel is not None:
            # one 6 × 6 convolution would do both, in twice the time
            x, margin, stride = blur(x, self.kernel, 2, self.tileable), 0, 2
        elif self.tileable and margin:
            x, margin = wrapped(x, margin), 0
        x = F.conv2d(x, weight, self.gain * self.bias, stride=stride, padding=margin)
        x = F.leaky_relu(x, 0.2)
        return x if self.clamp is None else x.clamp(-self.clamp, self.clamp)


class Skip(nn.Module):
    """The residual path of one block, after its halving: a plain 1 × 1 convolution."""

    def __init__(self, inputs: int, outputs: int, gain: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.gain = gain / math.sqrt(inputs)

    def forward(self, x: Float[Tensor, "n inputs h w"]) -> Float[Tensor, "n outputs h w"]:
        return F.conv2d(x, self.weight * self.gain)


class MinibatchStandardDeviation(nn.Module):
    """Appends how much images of a group differ (Karras et al. 2018, arXiv:1710.10196): fakes without variety show it.

    A batch of N is split into N / G groups of every (N / G)-th image; G is the largest divisor of N up to `group`.
    Features are split into `channels` runs; the standard deviation over a group, averaged over a run and all places, is
    one constant channel of each image of the group.
    """

    def __init__(self, group: int = 4, channels: int = 1) -> None:
        super().__init__()
        if group < 1 or channels < 0:
            raise ArgumentError(
                f"mbstd_group_size is 1 or more and mbstd_num_channels not below 0, not {group} and {channels}."
            )
        self.group, self.channels = group, channels

    def forward(self, x: Float[Tensor, "n inputs h w"]) -> Float[Tensor, "n outputs h w"]:
        if not self.channels:
            return x
        n, (h, w) = len(x), x.shape[2:]
        group = max(g for g in range(1, min(self.group, n) + 1) if n % g == 0)
        split = x.reshape(group, n // group, self.channels, -1, h, w)
        deviation = (split.var(0, unbiased=False) + 1e-8).sqrt().mean((2, 3, 4))  # (N / G, channels)
        return torch.cat([x, deviation.repeat(group, 1)[:, :, None, None].expand(-1, -1, h, w)], 1)


class ClassMapping(nn.Module):
    """Classes c (N, c_dim) → (N, w_dim), which the last features are projected on (Miyato & Koyama 2018)."""

    def __init__(self, c_dim: int, w_dim: int) -> None:
        super().__init__()
        self.embed = Linear(c_dim, w_dim)
        for k in range(MAPPING_LAYERS):
            self.add_module(f"fc{k}", Linear(w_dim, w_dim, rate=0.01, activation="lrelu"))

    def forward(self, c: Float[Tensor, "n c"]) -> Float[Tensor, "n w"]:
        x = unit_mean_square(self.embed(c))
        for k in range(MAPPING_LAYERS):
            x = self.get_submodule(f"fc{k}")(x)
        return x


class TextureDiscriminator(nn.Module):
    """Texture (N, img_channels, size, size) → a logit per patch (N, size / 2ᵏ, size / 2ᵏ), for k `widths`.

    Small, for textures that wrap around: strided convolutions that wrap, the standard deviation over the batch as one
    more channel (Karras et al. 2018, arXiv:1710.10196), which gives a batch without variety away, and a last look
    at the neighbourhood. Each logit classifies a patch (Isola et al. 2017): many decisions about a texture in one pass.
    """

    def __init__(self, img_channels: int = 3, widths: Sequence[int] = (24, 48, 96, 128)) -> None:
        super().__init__()
        self.config = {"img_channels": img_channels, "widths": list(widths)}
        self.trunk = nn.Sequential(
            *(WrapConv(before, width, stride=2) for before, width in pairwise([img_channels, *widths]))
        )
        self.look = WrapConv(widths[-1] + 1, widths[-1])
        self.logit = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, image: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n h w"]:
        x = self.trunk(image)
        variety = (x.var(0, unbiased=False) + 1e-8).sqrt().mean()
        x = torch.cat([x, variety.expand(len(x), 1, *x.shape[2:])], 1)
        return self.logit(self.look(x))[:, 0]


class PatchDiscriminator(nn.Module):
    """Image (N, img_channels, H, W) in [-1, 1] → logits (N, h, w), each of which classifies a patch.

    pix2pix's (Isola et al. 2017, arXiv:1611.07004): `layers` 4 × 4 convolutions that halve the size, from `width`
    channels to twice as many each time, and two that do not; patches are 70 pixels wide with three layers. There is no
    normalisation over images: the gradient penalties need verdicts that do not depend on one another.

    - `spectral`: spectral normalisation of every convolution (Miyato et al. 2018, arXiv:1802.05957).
    - `tileable`: convolutions wrap around; rolling an image by multiples of 2^layers rolls the logits.

    ArgumentError for numbers below 1.
    """

    def __init__(
        self, img_channels: int = 3, width: int = 64, layers: int = 3, spectral: bool = False, tileable: bool = False
    ) -> None:
        super().__init__()
        if min(img_channels, width, layers) < 1:
            raise ArgumentError(
                f"img_channels, width and layers are above 0, not {img_channels}, {width} and {layers}."
            )
        self.config = {
            "img_channels": img_channels,
            "width": width,
            "layers": layers,
            "spectral": spectral,
            "tileable": tileable,
        }
        normalise: Callable[[nn.Module], nn.Module] = spectral_norm if spectral else lambda conv: conv
        widths = [img_channels, *(width * min(2**k, 8) for k in range(layers + 1)), 1]
        padding = 0 if tileable else 1
        self.convs = nn.ModuleList()
        for k in range(layers + 2):
            conv = nn.Conv2d(widths[k], widths[k + 1], 4, stride=2 if k < layers else 1, padding=padding)
            nn.init.kaiming_normal_(conv.weight, 0.2)
            nn.init.zeros_(conv.get_parameter("bias"))
            self.convs.append(normalise(conv))
        self.smallest = (2 if tileable else 3) * 2**layers

    def forward(self, image: Float[Tensor, "n channels height width"]) -> Float[Tensor, "n h w"]:
        channels, stride = self.config["img_channels"], 2 ** self.config["layers"]
        if image.shape[1] != channels or min(image.shape[2:]) < self.smallest:
            raise ArgumentError(
                f"this discriminator takes images (N, {channels}, {self.smallest} or more, {self.smallest} or more), "
                f"not {tuple(image.shape)}."
            )
        if self.config["tileable"] and (image.shape[2] % stride or image.shape[3] % stride):
            raise ArgumentError(f"a tileable image has sides that {stride} divides, not {tuple(image.shape[2:])}.")
        x = image
        for k, conv in enumerate(self.convs):
            x = F.leaky_relu(x, 0.2) if k else x
            if self.config["tileable"]:
                x = wrap(x, 1) if k < self.config["layers"] else wrap(x, 2)[..., 1:, 1:]
            x = conv(x)
        return x[:, 0]


def blur(
    x: Float[Tensor, "n c h w"], kernel: Float[Tensor, "4 4"], padding: int, tileable: bool, stride: int = 1
) -> Float[Tensor, "n c h2 w2"]:
    """Every channel through the same filter, after `padding` pixels of zeros or, of a tileable image, of what follows.

    One pass with 16 taps: on a CPU faster than two with 4.
    """
    if tileable:
        x, padding = wrapped(x, padding), 0
    return F.conv2d(x, kernel.expand(x.shape[1], 1, -1, -1), stride=stride, padding=padding, groups=x.shape[1])
