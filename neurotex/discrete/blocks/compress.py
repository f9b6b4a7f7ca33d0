"""Block compression, as graphics cards read it: every 4 × 4 texels two ends and, for each texel, a code between them.

BC1 and BC3 hold colours: two ends of 5, 6 and 5 bits and two colours between them, at thirds. BC1 may have one colour
halfway instead, and then black holes; BC3 has alpha as levels beside. BC4 and BC5 hold one or two channels of levels:
ends of 8 bits, and six levels between them, or four and 0 and 1. After Microsoft's "Texture block compression in
Direct3D 11"; values between ends are rounded down to whole bytes, which Pillow does, and hardware does about.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ...core.op import ON_CPU, Backward, Op, side_by_side
from ...core.threads import parallel_for
from ...core.typed import sides
from ...errors import ArgumentError
from ...images.dds import BLOCK_BYTES, dds
from ..estimators import Estimator
from ..estimators.common import carry
from ..step import Step
from . import byte_kernels, soft_kernels
from .code_kernels import CODES, SHARES, THREE
from .layout import CHANNELS, PARTS, from_blocks, read, to_blocks
from .search import encode_reference


class BlockCompress(Step):
    """Compress to "bc1" (RGB, or RGBA with alpha below a half as holes), "bc3" (RGBA), "bc4" (1) or "bc5" (2 channels).

    `hard` decodes what the encoder found: the least squared error in encoded values, all channels alike, that its
    search comes upon. Sizes need not be multiples of 4: blocks are filled up by repeating the border. `format` is one
    of these names. ArgumentError for another, and for textures of other channels.
    """

    dimensions = 4
    tile = 4
    unit = 1e-3  # colours of a block lie about 1/31 apart

    def __init__(self, format: str = "bc1", estimator: str | Estimator = "straight_through"):
        if format not in PARTS:
            raise ArgumentError(f"there is no block compression '{format}': choose one of {', '.join(PARTS)}.")
        self.format = format  # before estimators look at `vectors`
        super().__init__(estimator)

    @property
    def vectors(self) -> bool:
        """Whether the format holds colours, whose channels share their codes."""
        return self.format in ("bc1", "bc3")

    def blocks(self, x: Float[Tensor, "n c h w"]) -> UInt8[Tensor, "n blocks bytes"]:
        """The blocks themselves, row by row from the top left: 8 bytes each in bc1 and bc4, else 16. No gradient."""
        if x.shape[1] not in CHANNELS[self.format]:
            allowed = " or ".join(map(str, CHANNELS[self.format]))
            raise ArgumentError(f"{self.format} takes {allowed} channels, but this texture has {x.shape[1]}.")
        return _encode(x.detach().float(), self.format)

    def decode(
        self, blocks: UInt8[Tensor, "n blocks bytes"], shape: Sequence[int]
    ) -> UInt8[Tensor, "n channels height width"]:
        """The bytes of textures of (channels, height, width) = `shape` that blocks stand for."""
        return _decode(blocks, self.format, *shape)

    def hard(self, x: Tensor) -> Tensor:
        return self.decode(self.blocks(x), x.shape[1:]).to(x.dtype) / 255

    def soft(self, x: Tensor, temperature: float) -> Tensor:
        """Means of the codes of `hard`'s blocks, weighted by softmax(−|x − c_k|² / temperature) at each texel.

        Blocks are held constant. Temperature in squared units of x. Where a block has holes, a texel is solid by the
        share sigmoid((2 α − 1) / temperature), which also scales its colour.
        """
        return _soft(x.clamp(0, 1), self.blocks(x), self.format, temperature)

    def encode(
        self, x: Float[Tensor, "1 c h w"], smaller: Sequence[Float[Tensor, "1 c _ _"]] = ()
    ) -> tuple[bytes, str]:
        """A DDS file of one texture, with the `smaller` levels of detail after it, if given; Pillow reads `hard(x)`."""
        levels = [self.blocks(level).cpu().numpy().tobytes() for level in (x, *smaller)]
        return dds(self.format, sides(x), levels), ".dds"

    def extra_repr(self) -> str:
        return f"{self.format}, {super().extra_repr()}"


class LeastSquares:
    """Exact forward; backward, what a block's ends can follow while its codes stay.

    With w_t ∈ [0, 1] where the code of texel t lies between the ends, M = [1 − w, w], decoding is M times the ends, and
    the best ends for texels x are (MᵀM)⁻¹ Mᵀ x: the block decodes to M (MᵀM)⁻¹ Mᵀ x, the linear regression of x on w,
    in each channel. So a gradient is projected onto a mean and a slope. Levels that are 0 or 1 whatever the ends are,
    and holes, pass nothing on; the alpha that makes holes has no ends, and its gradient passes straight through.
    """

    def check(self, step: torch.nn.Module) -> None:
        """Only for block compression. ArgumentError for a `step` of another kind."""
        if not isinstance(step, BlockCompress):
            raise ArgumentError(f"{type(step).__name__} has no blocks to fit: use 'straight_through'.")

    def __call__(self, step: BlockCompress, x: Tensor) -> Tensor:
        blocks = step.blocks(x)
        value = step.decode(blocks, x.shape[1:]).to(x.dtype) / 255
        return carry(value, regress(x, blocks, step.format))

    def __repr__(self) -> str:
        return "LeastSquares()"


def regress(
    x: Float[Tensor, "n c h w"], blocks: UInt8[Tensor, "n blocks bytes"], format: str
) -> Float[Tensor, "n c h w"]:
    """M (MᵀM)⁻¹ Mᵀ x in each block and channel, with the codes of `blocks`; see `LeastSquares`. Linear in x."""
    texels = to_blocks(x)
    channels: list[Tensor] = list(texels.unbind(3))
    for part in PARTS[format]:
        mode, _, code = read(blocks, part, format)
        share = torch.from_numpy(SHARES).to(x)[mode[..., None], code]
        line = (code < torch.from_numpy(CODES).to(code)[mode][..., None]).to(x)
        count = line.sum(2, keepdim=True).clamp_min(1)
        share = (share - (share * line).sum(2, keepdim=True) / count) * line
        spread = share.square().sum(2, keepdim=True)
        spread = torch.where(spread > 1e-6, spread, torch.inf)
        for c in range(part.first, part.first + part.channels):
            mean = (channels[c] * line).sum(2, keepdim=True) / count
            slope = (channels[c] * share).sum(2, keepdim=True) / spread
            channels[c] = mean * line + slope * share
    return from_blocks(torch.stack(channels, 3), x.shape[2], x.shape[3])


def decode_reference(
    blocks: UInt8[Tensor, "n blocks bytes"], format: str, channels: int, height: int, width: int
) -> UInt8[Tensor, "n c h w"]:
    """`BlockCompress.decode` in plain tensor language."""
    texels = torch.full((*blocks.shape[:2], 16, channels), 255, dtype=torch.uint8, device=blocks.device)
    for part in PARTS[format]:
        mode, codes, code = read(blocks, part, format)
        values = codes.gather(2, code[..., None].expand(-1, -1, -1, part.channels))
        texels[..., part.first : part.first + part.channels] = values.to(torch.uint8)
        if format == "bc1" and channels == 4:
            hole = (mode[..., None] == THREE) & (code == 3)
            texels[..., 3] = torch.where(hole, 0, 255).to(torch.uint8)
    return from_blocks(texels, height, width)


def soft_reference(
    x: Float[Tensor, "n c h w"], blocks: UInt8[Tensor, "n blocks bytes"], format: str, temperature: float
) -> Float[Tensor, "n c h w"]:
    """`BlockCompress.soft` in plain tensor language, for x in [0, 1]. Differentiable in x."""
    texels = to_blocks(x)
    channels = list(texels.unbind(3))
    for part in PARTS[format]:
        mode, codes, _ = read(blocks, part, format)
        colours = codes[:, :, None].to(x) / 255  # n, blocks, 1, codes, channels
        chosen = slice(part.first, part.first + part.channels)
        distance = (texels[..., None, chosen] - colours).square().sum(4)
        usable = torch.tensor([4, 3, 8, 8], device=x.device)[mode]
        unusable = torch.arange(8, device=x.device) >= usable[..., None]
        weight = (-distance / temperature).masked_fill(unusable[:, :, None], -torch.inf).softmax(3)
        channels[chosen] = (weight[..., None] * colours).sum(3).unbind(3)
        if format == "bc1" and len(channels) == 4:
            solid = ((2 * texels[..., 3] - 1) / temperature).sigmoid()
            solid = torch.where((mode == THREE)[..., None], solid, 1)
            channels = [*(solid * c for c in channels[:3]), solid]
    return from_blocks(torch.stack(channels, 3), x.shape[2], x.shape[3])


def soft_backward_reference(
    x: Float[Tensor, "n c h w"],
    blocks: UInt8[Tensor, "n blocks bytes"],
    grad: Float[Tensor, "n c h w"],
    format: str,
    temperature: float,
) -> Float[Tensor, "n c h w"]:
    """`grad` times the derivative of `soft_reference`."""
    pull = torch.func.vjp(lambda v: soft_reference(v, blocks, format, temperature), x)[1]
    return pull(grad)[0]


def _size(x: Tensor, format: str) -> tuple[int, int, int]:
    """(n, blocks, bytes) of the blocks of a texture."""
    return x.shape[0], ((x.shape[2] + 3) // 4) * ((x.shape[3] + 3) // 4), BLOCK_BYTES[format]


def _encode_cpu(x: Tensor, format: str) -> Tensor:
    out = torch.empty(_size(x, format), dtype=torch.uint8)
    source, blocks = x.contiguous().numpy(), out.numpy()
    for part in PARTS[format]:
        if part.channels == 3:
            holes = format == "bc1" and x.shape[1] == 4
            kernel, more = byte_kernels.encode_colours, (source, blocks, part.byte, format == "bc1", holes, 16)
        else:
            kernel, more = byte_kernels.encode_levels, (source, part.first, blocks, part.byte, 16)
        parallel_for(kernel, out.shape[0] * out.shape[1], *more, grain=64, pieces=8)
    return out


def _decode_cpu(blocks: Tensor, format: str, channels: int, height: int, width: int) -> Tensor:
    out = torch.empty((len(blocks), channels, height, width), dtype=torch.uint8)
    source = blocks.contiguous().numpy()
    for part in PARTS[format]:
        more = (source, part.byte, part.first, part.channels, format == "bc1", out.numpy())
        parallel_for(byte_kernels.decode, blocks.shape[0] * blocks.shape[1], *more, grain=256)
    return out


def _soft_cpu(x: Tensor, blocks: Tensor, format: str, temperature: float, grad: Tensor | None = None) -> Tensor:
    out = torch.empty(x.shape, dtype=x.dtype)
    grad = x.new_empty((0, 0, 0, 0)) if grad is None else grad
    arrays = [t.contiguous().numpy() for t in (x, blocks, grad, out)]
    for part in PARTS[format]:
        more = (*arrays[:2], part.byte, part.first, part.channels, format == "bc1", float(temperature), *arrays[2:])
        parallel_for(soft_kernels.soft, blocks.shape[0] * blocks.shape[1], *more, grain=64, pieces=4)
    return out


def _soft_backward_cpu(x: Tensor, blocks: Tensor, grad: Tensor, format: str, temperature: float) -> Tensor:
    return _soft_cpu(x, blocks, format, temperature, grad)


def _fake_encode(x: Tensor, format: str) -> Tensor:
    return x.new_empty(_size(x, format), dtype=torch.uint8)


def _fake_decode(blocks: Tensor, format: str, channels: int, height: int, width: int) -> Tensor:
    return blocks.new_empty((blocks.shape[0], channels, height, width))


def _fake_soft(x: Tensor, *rest: object) -> Tensor:
    return x.new_empty(x.shape)


_encode = Op(
    "block_encode(Tensor x, str format) -> Tensor",
    reference=encode_reference,
    cpu=_encode_cpu,
    cuda=ON_CPU,
    fake=_fake_encode,
    vmap=side_by_side,
)
_decode = Op(
    "block_decode(Tensor blocks, str format, int channels, SymInt height, SymInt width) -> Tensor",
    reference=decode_reference,
    cpu=_decode_cpu,
    cuda=ON_CPU,
    fake=_fake_decode,
    vmap=side_by_side,
)
_soft_backward = Op(
    "block_soft_backward(Tensor x, Tensor blocks, Tensor grad, str format, float temperature) -> Tensor",
    reference=soft_backward_reference,
    cpu=_soft_backward_cpu,
    cuda=ON_CPU,
    fake=_fake_soft,
    vmap=side_by_side,
)
# the gradient is computed from x again, and nothing else is kept
_soft = Op(
    "block_soft(Tensor x, Tensor blocks, str format, float temperature) -> Tensor",
    reference=soft_reference,
    cpu=_soft_cpu,
    cuda=ON_CPU,
    fake=_fake_soft,
    derivative=Backward(
        lambda grads, inputs, _: (_soft_backward(*inputs[:2], grads[0], *inputs[2:]), None, None, None)
    ),
    vmap=side_by_side,
)
