"""Blocks of compressed textures: where texels lie in them, and what their bytes stand for."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Int, Shaped, UInt8
from torch import Tensor
from torch.nn.functional import pad

from .code_kernels import EIGHT, FOUR, PLACES, SIX, STEPS, THREE


class Part(NamedTuple):
    """Eight bytes of a block: channels that share codes, from number `first` on; 3 of them are colours, 1 is levels."""

    first: int
    channels: int
    byte: int


PARTS = {
    "bc1": (Part(0, 3, 0),),
    "bc3": (Part(3, 1, 0), Part(0, 3, 8)),
    "bc4": (Part(0, 1, 0),),
    "bc5": (Part(0, 1, 0), Part(1, 1, 8)),
}
CHANNELS = {"bc1": (3, 4), "bc3": (4,), "bc4": (1,), "bc5": (2,)}


def to_blocks(x: Shaped[Tensor, "n c h w"]) -> Shaped[Tensor, "n blocks 16 c"]:
    """The texels of each block, row by row; beyond the right and lower border its texels are repeated."""
    n, c, h, w = x.shape
    if h % 4 or w % 4:
        x = pad(x, (0, -w % 4, 0, -h % 4), mode="replicate")
    x = x.unflatten(3, (-1, 4)).unflatten(2, (-1, 4))  # n, c, row, y, column, x
    return x.permute(0, 2, 4, 3, 5, 1).reshape(n, -1, 16, c)


def from_blocks(texels: Shaped[Tensor, "n blocks 16 c"], height: int, width: int) -> Shaped[Tensor, "n c h w"]:
    """The inverse of `to_blocks`; what was repeated is cut off."""
    n, c = texels.shape[0], texels.shape[3]
    rows, columns = (height + 3) // 4, (width + 3) // 4
    x = texels.reshape(n, rows, columns, 4, 4, c).permute(0, 5, 1, 3, 2, 4)
    return x.reshape(n, c, 4 * rows, 4 * columns)[:, :, :height, :width]


def codes_between(
    ends: Int[Tensor, "*batch 2 channels"], mode: Int[Tensor, "*batch"]
) -> Int[Tensor, "*batch 8 channels"]:
    """Bytes that the codes of a mode stand for, given ends as stored: ⌊((steps − place) a + place b) / steps⌋."""
    device = ends.device
    bits = torch.tensor([5, 6, 5] if ends.shape[-1] == 3 else [8], device=device)
    a, b = ((ends << (8 - bits)) | (ends >> (2 * bits - 8))).unbind(-2)
    place = torch.from_numpy(PLACES).to(device)[mode][..., None]
    steps = torch.from_numpy(STEPS).to(device).long()[mode][..., None, None]
    codes = ((steps - place) * a[..., None, :] + place * b[..., None, :]) // steps
    k = torch.arange(8, device=device)[:, None]
    mode = mode[..., None, None]
    codes = torch.where((mode == THREE) & (k >= 3) | (mode == SIX) & (k == 6), 0, codes)
    return torch.where((mode == SIX) & (k == 7), 255, codes)


def read(
    blocks: UInt8[Tensor, "n blocks bytes"], part: Part, format: str
) -> tuple[Int[Tensor, "n blocks"], Int[Tensor, "n blocks 8 channels"], Int[Tensor, "n blocks 16"]]:
    """One part of blocks: their modes, the bytes that their codes stand for, and the code of each texel."""
    byte = blocks[..., part.byte : part.byte + 8].long()
    if part.channels == 3:
        a, b = byte[..., 0] | byte[..., 1] << 8, byte[..., 2] | byte[..., 3] << 8
        ends = torch.stack([torch.stack([e >> 11, e >> 5 & 63, e & 31], -1) for e in (a, b)], -2)
        mode = torch.where((a > b) | (format != "bc1"), FOUR, THREE)
        depth, low = 2, byte[..., 4:]
    else:
        ends = byte[..., :2, None]
        mode = torch.where(byte[..., 0] > byte[..., 1], EIGHT, SIX)
        depth, low = 3, byte[..., 2:]
    bits = (low << 8 * torch.arange(low.shape[-1], device=blocks.device)).sum(-1, keepdim=True)
    code = bits >> depth * torch.arange(16, device=blocks.device) & (1 << depth) - 1
    return mode, codes_between(ends, mode), code
