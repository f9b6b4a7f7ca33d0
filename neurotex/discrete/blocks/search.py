"""The encoder of blocks in plain tensor language: which ends, of all that can be stored, come nearest to the texels."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn.functional import pad

from ...core.typed import added
from ...images.dds import BLOCK_BYTES
from .code_kernels import CODES, EIGHT, FOUR, ORDER, SHARES, SIX, THREE
from .end_kernels import SINGLE
from .layout import PARTS, codes_between, to_blocks
from .search_kernels import MARGINS, PAIRS, ROUNDS, WAYS

CHUNK = 1024  # blocks at a time in the reference's search


def encode_reference(x: Float[Tensor, "n c h w"], format: str) -> UInt8[Tensor, "n blocks bytes"]:
    """`BlockCompress.blocks` in plain tensor language: the same search, but more thorough and slow."""
    texels = 255 * to_blocks(x.nan_to_num(0).clamp(0, 1))
    n, count = texels.shape[:2]
    flat = texels.flatten(0, 1)
    chunks = [_encode_blocks(chunk, format) for chunk in flat.split(CHUNK)]
    return torch.cat(chunks).unflatten(0, (n, count))


def _encode_blocks(texels: Float[Tensor, "blocks 16 c"], format: str) -> UInt8[Tensor, "blocks bytes"]:
    out = torch.zeros(len(texels), BLOCK_BYTES[format], dtype=torch.uint8, device=texels.device)
    for part in PARTS[format]:
        x = texels[..., part.first : part.first + part.channels]
        solid = torch.ones_like(x[..., 0], dtype=torch.bool)
        if format == "bc1" and texels.shape[2] == 4:
            solid = texels[..., 3] >= 127.5
        modes = (EIGHT, SIX) if part.channels == 1 else (FOUR, THREE) if format == "bc1" else (FOUR,)
        found = []
        for mode in modes:
            ends, error = _search(x, solid, mode)
            if mode == FOUR:  # holes are beside three colours only
                error = torch.where(solid.all(1), error, torch.inf)
            found.append((ends, error))
        best = torch.stack([error for _, error in found]).argmin(0)
        ends = torch.stack([ends for ends, _ in found])[best, torch.arange(len(x), device=x.device)]
        mode = torch.tensor(modes, device=x.device)[best]
        out[:, part.byte : part.byte + 8] = _write(x, solid, ends, mode)
    return out


def _write(x: Tensor, solid: Tensor, ends: Tensor, mode: Tensor) -> Tensor:
    """The eight bytes of a part: ends in the order that says the mode, then the nearest codes, in bits."""
    device, colour = x.device, x.shape[2] == 3
    whole = (ends << torch.tensor([11, 5, 0] if colour else [0], device=device)).sum(2)
    wrong = (whole[:, 0] > whole[:, 1]) != ((mode == FOUR) | (mode == EIGHT))
    ends = torch.where(wrong[:, None, None], ends.flip(1), ends)
    whole = torch.where(wrong[:, None], whole.flip(1), whole)
    code = _distances(x, ends, mode).argmin(2)
    code = torch.where(solid, code, 3)
    depth = 2 if colour else 3
    bits = (code << depth * torch.arange(16, device=device)).sum(1)
    head = whole[:, 0] | whole[:, 1] << (16 if colour else 8)
    sizes = (4, 4) if colour else (2, 6)
    parts = [v[:, None] >> 8 * torch.arange(k, device=device) & 255 for v, k in zip((head, bits), sizes, strict=True)]
    return torch.cat(parts, 1).to(torch.uint8)


def _distances(x: Tensor, ends: Tensor, mode: Tensor) -> Tensor:
    """Squared distances (blocks, 16, 8) of texels from all codes that they may take."""
    codes = codes_between(ends, mode).to(x)
    usable = torch.tensor([4, 3, 8, 8], device=x.device)[mode]
    distance = (x[:, :, None] - codes[:, None]).square().sum(3)
    return distance.masked_fill((torch.arange(8, device=x.device) >= usable[:, None])[:, None], torch.inf)


def _search(x: Tensor, solid: Tensor, mode: int) -> tuple[Tensor, Tensor]:
    """The best ends (blocks, 2, channels) that were found in one mode, and their squared errors."""
    single = _one_colour(x, solid, mode)[:, None]
    start = {EIGHT: _even_codes, SIX: _levels_but_extremes}.get(mode, _colour_starts)
    codes = start(x, solid, mode)
    starts = codes.shape[1]
    many, each, kept = x.repeat_interleave(starts, 0), codes.flatten(0, 1), solid.repeat_interleave(starts, 0)
    found = [single]
    for _ in range(ROUNDS):
        ends = _fit(many, kept, each, mode)
        each = _distances(many, ends, _all(mode, ends)).argmin(2)
        found.append(ends.unflatten(0, (-1, starts)))
    ends = torch.cat(found, 1)
    errors = torch.stack([_error(x, solid, candidate, mode) for candidate in ends.unbind(1)], 1)
    error, index = errors.min(1)
    return _descend(x, solid, ends[torch.arange(len(x), device=x.device), index], error, mode)


def _all(mode: int, ends: Tensor) -> Tensor:
    return torch.full((len(ends),), mode, device=ends.device)


def _error(x: Tensor, solid: Tensor, ends: Tensor, mode: int) -> Tensor:
    """Squared error of blocks with the nearest codes."""
    return (_distances(x, ends, _all(mode, ends)).amin(2) * solid).sum(1)


def _tops(x: Tensor) -> Tensor:
    """The largest stored end in each channel."""
    return torch.tensor([31, 63, 31] if x.shape[2] == 3 else [255], device=x.device)


def _one_colour(x: Tensor, solid: Tensor, mode: int) -> Tensor:
    """Ends one of whose codes comes nearest to the mean."""
    mean = (x * solid[..., None]).sum(1) / solid.sum(1, keepdim=True).clamp_min(1)
    if x.shape[2] == 1:
        return mean.round().long()[:, None].expand(-1, 2, -1)
    table = torch.from_numpy(SINGLE).to(x.device)[mode][_tops(x) // 32]  # channel, value, end
    channel = torch.arange(3, device=x.device)
    candidates = [table[channel, near.long().clamp(0, 255)] for near in (mean.floor(), mean.ceil())]
    apart = [(codes_between(c.mT, _all(mode, c))[:, 2] - mean).abs() for c in candidates]
    return torch.where((apart[0] <= apart[1])[..., None], *candidates).mT


def _fit(x: Tensor, solid: Tensor, code: Tensor, mode: int) -> Tensor:
    """Linear regression of texels on where their codes lie; of four ways to round both ends, the best as decoded."""
    weight = (solid & (code < int(CODES[mode])))[..., None].to(x)
    share = torch.from_numpy(SHARES[mode]).to(x)[code][..., None]
    count = weight.sum(1, keepdim=True).clamp_min(1)
    mean, middle = (weight * x).sum(1, keepdim=True) / count, (weight * share).sum(1, keepdim=True) / count
    spread = (weight * (share - middle).square()).sum(1, keepdim=True)
    slope = (weight * (share - middle) * x).sum(1, keepdim=True) / spread.clamp_min(1e-4)
    tops = _tops(x)
    real = torch.cat([mean - slope * middle, mean + slope * (1 - middle)], 1) * (tops / 255)
    low = torch.minimum(real.clamp_min(0), tops - 1).long()
    candidates, errors = [], []
    for up in ((0, 0), (0, 1), (1, 0), (1, 1)):
        ends = low + torch.tensor(up, device=x.device)[:, None]
        value = codes_between(ends, _all(mode, ends)).gather(1, code[..., None].expand(-1, -1, x.shape[2]))
        candidates.append(ends)
        errors.append((weight * (value - x).square()).sum(1))
    best = torch.stack(errors).argmin(0)[None, :, None].expand(1, -1, 2, -1)
    ends = torch.stack(candidates).gather(0, best)[0]
    alone = _one_colour(x, solid & (code < int(CODES[mode])), mode)
    return torch.where(spread < 1e-4, alone, ends)


def _descend(x: Tensor, solid: Tensor, ends: Tensor, error: Tensor, mode: int) -> tuple[Tensor, Tensor]:
    """Moves one end, or both together, by one step in one channel after the other where that helps."""
    tops = _tops(x)
    for c in range(x.shape[2]):
        for which in ((1, 0), (0, 1), (1, 1)):
            for step in (-1, 1):
                trial = ends.clone()
                trial[:, :, c] += step * torch.tensor(which, device=x.device)
                inside = ((trial >= 0) & (trial <= tops)).all(2).all(1)
                there = _error(x, solid, torch.minimum(trial.clamp_min(0), tops), mode)
                better = inside & (there < error)
                ends, error = torch.where(better[:, None, None], trial, ends), torch.where(better, there, error)
    return ends, error


def _explained(sums: Tensor, cuts: Tensor, n: Tensor) -> Tensor:
    """How much of the squared error a line takes away: see `start_kernels.explained`. (blocks, ways to cut)."""
    beyond = (n[:, None, None] - cuts).clamp_min(0)
    odd = 2 * torch.arange(cuts.shape[1], device=cuts.device) + 1
    spread = (odd * beyond).sum(2) - beyond.sum(2).square() / n[:, None].clamp_min(1)
    total = added(sums[:, cuts[:, q]] for q in range(cuts.shape[1]))
    return torch.where(spread > 1e-3, total.square().sum(2) / spread.clamp_min(1e-3), 0)


def _colour_starts(x: Tensor, solid: Tensor, mode: int) -> Tensor:
    """Codes to begin with (blocks, starts, 16).

    Texels are sorted along the direction in which they vary most. Of all ways to cut that row into codes, the first
    start is the one that a line explains best; the others are all ways to give two codes to the two best clusters.
    """
    device = x.device
    n = solid.sum(1)
    mean = (x * solid[..., None]).sum(1, keepdim=True) / n.clamp_min(1)[:, None, None]
    centred = (x - mean) * solid[..., None]
    axis = torch.linalg.eigh(centred.mT @ centred).eigenvectors[:, :, -1:]
    order = (centred @ axis)[..., 0].masked_fill(~solid, torch.inf).argsort(1)
    rank = order.argsort(1)
    row = centred.gather(1, order[..., None].expand(-1, -1, 3))
    sums = pad(row.cumsum(1), (0, 0, 1, 0))  # blocks, 17, channels
    parts = int(CODES[mode]) - 1
    ways = torch.combinations(torch.arange(17, device=device), parts, with_replacement=True)
    best = ways[_explained(sums, ways, n).argmax(1)]
    even = torch.from_numpy(ORDER[mode]).to(device)[(rank[:, None] >= best[..., None]).sum(1)]
    half = _explained(sums, torch.arange(17, device=device)[:, None], n).argmax(1)
    pairs = torch.from_numpy(PAIRS[mode, : WAYS[mode]]).to(device)
    two = torch.where((rank < half[:, None])[:, None], pairs[:, :1], pairs[:, 1:])
    return torch.cat([even[:, None], two], 1)


def _even_codes(x: Tensor, chosen: Tensor, mode: int) -> Tensor:
    """The one start of levels (blocks, 1, 16): codes evenly between the least and the largest that are chosen."""
    v = x[..., 0]
    low = v.masked_fill(~chosen, torch.inf).amin(1, keepdim=True)
    width = v.masked_fill(~chosen, -torch.inf).amax(1, keepdim=True) - low
    parts = int(CODES[mode]) - 1
    share = torch.where(width > 0, (v - low) / width, 0).nan_to_num(0)
    number = (share * parts).round().long().clamp(0, parts)
    return torch.from_numpy(ORDER[mode]).to(x.device)[number][:, None]


def _levels_but_extremes(x: Tensor, solid: Tensor, mode: int) -> Tensor:
    """Starts of levels where 0 and 255 are codes: what is near to them takes these, at three ideas of near."""
    starts = []
    for margin in MARGINS[1:]:
        v = x[..., 0]
        low, high = v < float(margin), v > 255 - float(margin)
        codes = _even_codes(x, ~(low | high), mode)
        starts.append(torch.where(low[:, None], 6, torch.where(high[:, None], 7, codes)))
    return torch.cat(starts, 1)
