"""Kernels of texture lookup for NVIDIA GPUs; see `textures`. Places are found in double precision, as on the CPU."""

import torch
import warp as wp
from torch import Tensor

from ..core.warp import launch
from .sampler import FILTERS
from .texture_kernels import ANISOTROPIC, CLAMP, NEAREST, REPEAT, TRILINEAR
from .textures import TAPS

wp.set_module_options({"enable_backward": False})

nearest, trilinear, anisotropic = wp.constant(NEAREST), wp.constant(TRILINEAR), wp.constant(ANISOTROPIC)
repeat, clamp = wp.constant(REPEAT), wp.constant(CLAMP)

corners_type = wp.types.vector(length=4, dtype=wp.float64)


@wp.func
def wrapped(texel: int, size: int, wrap: int):
    """A texel's number along one axis, brought back into an image of `size` texels."""
    if wrap == clamp:
        return wp.clamp(texel, 0, size - 1)
    if texel >= 0 and texel < size:  # nearly always, and no division
        return texel
    period = size
    if wrap != repeat:
        period = 2 * size
    place = texel % period
    if place < 0:
        place += period
    if wrap != repeat:
        place = wp.min(place, period - 1 - place)
    return place


@wp.func
def corners(u: wp.float64, v: wp.float64, first: int, height: int, width: int, wrap_u: int, wrap_v: int):
    """The four texels around (u, v) in the image that begins at `first`."""
    half = wp.float64(0.5)
    i = int(wp.floor(u * wp.float64(width) - half))
    j = int(wp.floor((wp.float64(1.0) - v) * wp.float64(height) - half))
    i0 = wrapped(i, width, wrap_u)
    i1 = wrapped(i + 1, width, wrap_u)
    j0 = first + wrapped(j, height, wrap_v) * width
    j1 = first + wrapped(j + 1, height, wrap_v) * width
    return wp.vec4i(j0 + i0, j0 + i1, j1 + i0, j1 + i1)


@wp.func
def shares(u: wp.float64, v: wp.float64, height: int, width: int):
    """Their bilinear weights."""
    half = wp.float64(0.5)
    one = wp.float64(1.0)
    x = u * wp.float64(width) - half
    y = (one - v) * wp.float64(height) - half
    fx = x - wp.floor(x)
    fy = y - wp.floor(y)
    return corners_type((one - fy) * (one - fx), (one - fy) * fx, fy * (one - fx), fy * fx)


@wp.kernel
def bilinear_taps(
    uv: wp.array(dtype=wp.vec2),
    texture: wp.array(dtype=wp.int32),
    first: wp.array(dtype=wp.int64),
    shape: wp.array2d(dtype=wp.int64),
    wraps: wp.array2d(dtype=wp.int64),
    index: wp.array(dtype=wp.vec4i),
    weight: wp.array(dtype=wp.vec4),
):
    """Texels and weights of bilinear lookup at one sample."""
    s = wp.tid()
    t = texture[s]
    u = wp.float64(uv[s][0])
    v = wp.float64(uv[s][1])
    height = int(shape[t, 0])
    width = int(shape[t, 1])
    index[s] = corners(u, v, int(first[t]), height, width, int(wraps[t, 0]), int(wraps[t, 1]))
    w = shares(u, v, height, width)
    weight[s] = wp.vec4(wp.float32(w[0]), wp.float32(w[1]), wp.float32(w[2]), wp.float32(w[3]))


@wp.kernel
def gather_texels(
    texels: wp.array2d(dtype=wp.float32),
    index: wp.array2d(dtype=wp.int32),
    weight: wp.array2d(dtype=wp.float32),
    out: wp.array2d(dtype=wp.float32),
):
    """One channel of the weighted sum of one sample's texels."""
    s, c = wp.tid()
    total = float(0.0)
    for t in range(index.shape[1]):
        total += weight[s, t] * texels[index[s, t], c]
    out[s, c] = total


@wp.func
def footprint(kind: int, duv: wp.array3d(dtype=wp.float32), s: int, height: int, width: int, last: int, most: int):
    """(number of probes, level of detail, the row's axis in UV); see `texture_kernels.footprint` and `mipmap`."""
    zero = wp.float64(0.0)
    one = wp.float64(1.0)
    two = wp.float64(2.0)
    half = wp.float64(0.5)
    coarsest = corners_type(one, wp.float64(last), zero, zero)
    if kind < trilinear:
        return corners_type(one, zero, zero, zero)
    w = wp.float64(width)
    h = wp.float64(height)
    a = wp.float64(duv[s, 0, 0]) * w
    b = wp.float64(duv[s, 0, 1]) * w
    c = wp.float64(duv[s, 1, 0]) * h
    d = wp.float64(duv[s, 1, 1]) * h
    widest = wp.float64(1 << last)
    if kind == trilinear:
        square = wp.max(a * a + c * c, b * b + d * d)
        # max may drop a NaN, a sum does not
        if not (square < widest * widest) or wp.isnan(a + b + c + d):
            return coarsest
        return corners_type(one, half * wp.log2(wp.max(square, one)), zero, zero)
    p = a * a + b * b
    q = a * c + b * d
    r = c * c + d * d
    limit = wp.float64(most) * widest
    if not (p + r < two * limit * limit):
        return coarsest
    tilt = (p - r) / two
    spread = wp.sqrt(wp.max(tilt * tilt + q * q, wp.float64(1.0e-30)))
    major = wp.sqrt((p + r) / two + spread)
    minor = wp.abs(a * d - b * c) / major
    count = wp.clamp(wp.ceil(major / wp.max(minor, one) - wp.float64(0.01)), one, wp.float64(most))
    if major >= count * widest:
        return coarsest
    dx = wp.where(tilt >= zero, spread + tilt, q)
    dy = wp.where(tilt >= zero, q, spread - tilt)
    scale = major / wp.sqrt(dx * dx + dy * dy)
    return corners_type(count, wp.log2(wp.max(major / count, one)), dx * scale / w, dy * scale / h)


@wp.kernel
def count_probes(
    duv: wp.array3d(dtype=wp.float32),
    texture: wp.array(dtype=wp.int32),
    filters: wp.array(dtype=wp.int64),
    shape: wp.array2d(dtype=wp.int64),
    last: wp.array(dtype=wp.int64),
    most: int,
    counts: wp.array(dtype=wp.int64),
):
    """How many rows of taps a sample gets."""
    s = wp.tid()
    t = texture[s]
    found = footprint(int(filters[t]), duv, s, int(shape[t, 0]), int(shape[t, 1]), int(last[t]), most)
    counts[s] = wp.int64(found[0])


@wp.kernel
def filtered_taps(
    uv: wp.array(dtype=wp.vec2),
    duv: wp.array3d(dtype=wp.float32),
    texture: wp.array(dtype=wp.int32),
    filters: wp.array(dtype=wp.int64),
    shape: wp.array2d(dtype=wp.int64),
    last: wp.array(dtype=wp.int64),
    most: int,
    levels: wp.array2d(dtype=wp.int64),
    wraps: wp.array2d(dtype=wp.int64),
    rows: wp.array(dtype=wp.int64),
    index: wp.array2d(dtype=wp.int32),
    weight: wp.array2d(dtype=wp.float32),
):
    """Texels and weights of one sample, by its texture's filter, into the rows from rows[s] on."""
    s = wp.tid()
    t = texture[s]
    one = wp.float64(1.0)
    half = wp.float64(0.5)
    height = int(shape[t, 0])
    width = int(shape[t, 1])
    wrap_u = int(wraps[t, 0])
    wrap_v = int(wraps[t, 1])
    u = wp.float64(uv[s][0])
    v = wp.float64(uv[s][1])
    found = footprint(int(filters[t]), duv, s, height, width, int(last[t]), most)
    count = int(found[0])
    low = int(found[1])
    fine = found[1] - wp.float64(low)
    high = wp.min(low + 1, int(last[t]))
    for i in range(count):
        row = int(rows[s]) + i
        if int(filters[t]) == nearest:
            x = wrapped(int(wp.floor(u * wp.float64(width))), width, wrap_u)
            y = wrapped(int(wp.floor((one - v) * wp.float64(height))), height, wrap_v)
            for k in range(index.shape[1]):
                index[row, k] = int(levels[t, 0])
                weight[row, k] = 0.0
            index[row, 0] = int(levels[t, 0]) + y * width + x
            weight[row, 0] = 1.0
        else:
            part = (wp.float64(i) + half) / found[0] - half
            pu = u + part * found[2]
            pv = v + part * found[3]
            h = wp.max(height >> low, 1)
            w = wp.max(width >> low, 1)
            share = (one - fine) / found[0]
            places = corners(pu, pv, int(levels[t, low]), h, w, wrap_u, wrap_v)
            parts = shares(pu, pv, h, w)
            for k in range(4):
                index[row, k] = places[k]
                weight[row, k] = wp.float32(share * parts[k])
            for k in range(4, index.shape[1]):
                index[row, k] = int(levels[t, 0])
                weight[row, k] = 0.0
            if fine > wp.float64(0.0):
                h = wp.max(height >> high, 1)
                w = wp.max(width >> high, 1)
                share = fine / found[0]
                places = corners(pu, pv, int(levels[t, high]), h, w, wrap_u, wrap_v)
                parts = shares(pu, pv, h, w)
                for k in range(4):
                    index[row, 4 + k] = places[k]
                    weight[row, 4 + k] = wp.float32(share * parts[k])


def bilinear(uv: Tensor, texture: Tensor, first: Tensor, shape: Tensor, wraps: Tensor) -> tuple[Tensor, Tensor]:
    """`textures.bilinear_taps_reference`."""
    index = torch.empty((len(uv), 4), dtype=torch.int32, device=uv.device)
    weight = uv.new_empty((len(uv), 4))
    launch(bilinear_taps, len(uv), uv.contiguous(), texture.int(), first, shape, wraps, index, weight)
    return index, weight


def gather(texels: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """`textures.gather_texels_reference`."""
    out = texels.new_empty((len(index), texels.shape[1]))
    launch(gather_texels, tuple(out.shape), texels, index.int(), weight, out)
    return out


def filtered(
    uv: Tensor,
    duv: Tensor,
    texture: Tensor,
    _: Tensor,
    shape: Tensor,
    wraps: Tensor,
    last: Tensor,
    levels: Tensor,
    filter: Tensor,
    filters: str,
    total: int,
    anisotropy: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """`textures.taps_reference`. How many rows anisotropic lookups have is asked of the GPU, once."""
    names, points, table = filters.split(","), len(uv), (filter, shape, last)
    uv, texture = uv.contiguous(), texture.int()
    first, rows = torch.arange(points + 1, device=uv.device), points
    if FILTERS[ANISOTROPIC] in names:
        # in place: how many probes of each point, then where the next one's begin
        launch(count_probes, points, duv, texture, *table, anisotropy, first[1:])
        first = first.cumsum(0)
        rows = int(first[-1])
    width = max(TAPS[name] for name in names)
    index = torch.empty((rows, width), dtype=torch.int32, device=uv.device)
    weight = uv.new_empty((rows, width))
    launch(filtered_taps, points, uv, duv, texture, *table, anisotropy, levels, wraps, first, index, weight)
    return first, index, weight
