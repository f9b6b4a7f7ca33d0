"""CPU kernels of block compression; see `block_compress` for the formats and the reference that they are held to.

A block's texels are `x` (channels, 16), of which the first n count, in float32 on the scale of bytes, 0 to 255. Its two
`ends` (2, channels) are whole numbers of as many bits as the file stores, and between them lie its codes.

Kernels that search get n = 16 as an argument: loops of a length known to the compiler would be unrolled instead of
becoming vector instructions. Innermost functions take arrays one by one and no views: each view made is counted.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from ..core.jit import jit

F = np.float32
FOUR, THREE, EIGHT, SIX = range(4)  # modes: how many codes lie on the line from the first end to the second
CODES = np.array([4, 3, 8, 6])
STEPS = np.array([3, 2, 7, 5], F)
# where on that line, in steps, each code lies; and the codes in the order in which they lie there
PLACES = np.array(
    [[0, 3, 1, 2, 0, 0, 0, 0], [0, 2, 1, 0, 0, 0, 0, 0], [0, 7, 1, 2, 3, 4, 5, 6], [0, 5, 1, 2, 3, 4, 0, 0]]
)
ORDER = np.array(
    [[0, 2, 3, 1, 0, 0, 0, 0], [0, 2, 1, 0, 0, 0, 0, 0], [0, 2, 3, 4, 5, 6, 7, 1], [0, 2, 3, 4, 5, 1, 0, 0]]
)
SHARES = (PLACES / STEPS[:, None]).astype(F)
# all ways to give two clusters two codes, but for exchanging the ends
PAIRS = np.array([[[0, 1], [2, 1], [3, 1], [2, 3], [0, 3], [0, 2]], [[0, 1], [2, 1], [0, 2], [0, 0], [0, 0], [0, 0]]])
WAYS = np.array([6, 3])
TURNS, ROUNDS = 4, 4
MARGINS = np.array([0, 0.5, 16, 64], F)  # how near to 0 and 255 a level may take these, to begin with
FAR = F(1e30)

Scratch = namedtuple("Scratch", "x code distance colours count total order key sums cuts ends trial")


def single_values() -> np.ndarray:
    """The ends whose code 2 comes nearest to a value: [mode FOUR or THREE, bits − 5, value, end].

    Of equals those closest together, as decoders in hardware round between them as they like.
    """
    pairs = np.empty((2, 2, 256, 2), np.int64)
    for mode in (FOUR, THREE):
        for bits in (5, 6):
            stored = np.arange(1 << bits)
            end = (stored << (8 - bits)) | (stored >> (2 * bits - 8))
            steps = int(STEPS[mode])
            value = ((steps - 1) * end[:, None] + end) // steps
            apart = abs(end[:, None] - end)
            for v in range(256):
                pairs[mode, bits - 5, v] = np.unravel_index((1000 * abs(value - v) + apart).argmin(), value.shape)
    return pairs


SINGLE = single_values()


@jit
def scratch(channels):
    """Room for one block at a time."""
    return Scratch(
        np.zeros((channels, 16), F),
        np.zeros(16, np.int32),
        np.zeros(16, F),
        np.zeros((8, channels), F),
        np.zeros(8, F),
        np.zeros((channels, 8), F),
        np.zeros(16, np.int64),
        np.zeros(16, F),
        np.zeros((channels, 17), F),
        np.zeros(7, np.int64),
        np.zeros((2, channels), np.int64),
        np.zeros((2, channels), np.int64),
    )


# ---------------------------------------------------------------- what is stored


@jit
def bits_of(channel, channels):
    """Bits of an end: colours are 5:6:5, single values 8."""
    if channels == 1:
        return 8
    return 6 if channel == 1 else 5


@jit
def expand(stored, bits):
    """A stored end as a byte: its highest bits once more below it, so that the largest becomes 255."""
    return F((stored << (8 - bits)) | (stored >> (2 * bits - 8)))


@jit
def fill(ends, mode, c, bits, colours):
    """All codes in channel c: ⌊(1 − w) a + w b⌋. Half a step within the floor keeps clear of float rounding."""
    a, b, half = expand(ends[0, c], bits), expand(ends[1, c], bits), F(0.5) / STEPS[mode]
    for k in range(CODES[mode]):
        colours[k, c] = np.floor(a * (F(1) - SHARES[mode, k]) + b * SHARES[mode, k] + half)


@jit
def fill_all(ends, mode, colours):
    """All codes; returns how many there are. The fourth beside three is a hole, and no colour."""
    channels = ends.shape[1]
    for c in range(channels):
        fill(ends, mode, c, bits_of(c, channels), colours)
    if mode == SIX:
        colours[6, 0], colours[7, 0] = F(0), F(255)
        return 8
    return CODES[mode]


@jit
def load(x, image, row, column, first, size, texels):
    """Reads a block on the scale of bytes; beyond the border its texels are repeated. NaN reads as 0."""
    height, width = x.shape[2], x.shape[3]
    for c in range(texels.shape[0]):
        for t in range(size):
            v = F(x[image, first + c, min(4 * row + t // 4, height - 1), min(4 * column + t % 4, width - 1)])
            texels[c, t] = F(255) * min(v, F(1)) if v > 0 else F(0)


# ---------------------------------------------------------------- the nearest codes


@jit
def nearest(x, n, colours, codes, code, distance):
    """Gives the first n texels the nearest of the first `codes` codes, the first of equals; returns Σ distance²."""
    if x.shape[0] == 3:
        nearest_colour(x, n, colours, codes, code, distance)
    else:
        nearest_level(x, n, colours, codes, code, distance)
    error = F(0)
    for t in range(n):
        error += distance[t]
    return error


@jit
def nearest_colour(x, n, colours, codes, code, distance):
    """The nearest of 3 or 4 colours. All are at hand at once, so that the loop over texels is vector instructions."""
    last = codes - 1
    r0, g0, b0 = colours[0, 0], colours[0, 1], colours[0, 2]
    r1, g1, b1 = colours[1, 0], colours[1, 1], colours[1, 2]
    r2, g2, b2 = colours[2, 0], colours[2, 1], colours[2, 2]
    r3, g3, b3 = colours[last, 0], colours[last, 1], colours[last, 2]  # the third again, if there are no more
    for t in range(n):
        r, g, b = x[0, t], x[1, t], x[2, t]
        d0 = (r - r0) * (r - r0) + (g - g0) * (g - g0) + (b - b0) * (b - b0)
        d1 = (r - r1) * (r - r1) + (g - g1) * (g - g1) + (b - b1) * (b - b1)
        d2 = (r - r2) * (r - r2) + (g - g2) * (g - g2) + (b - b2) * (b - b2)
        d3 = (r - r3) * (r - r3) + (g - g3) * (g - g3) + (b - b3) * (b - b3)
        end = d1 if d1 < d0 else d0
        inner = d3 if d3 < d2 else d2
        end_code = np.int32(1) if d1 < d0 else np.int32(0)
        inner_code = np.int32(3) if d3 < d2 else np.int32(2)
        distance[t] = inner if inner < end else end
        code[t] = inner_code if inner < end else end_code


@jit
def nearest_level(x, n, levels, codes, code, distance):
    """The nearest of up to 8 levels."""
    for t in range(n):
        distance[t], code[t] = FAR, 0
    for k in range(codes):
        level, this = levels[k, 0], np.int32(k)
        for t in range(n):
            d = (x[0, t] - level) * (x[0, t] - level)
            closer = d < distance[t]
            distance[t] = d if closer else distance[t]
            code[t] = this if closer else code[t]


# ---------------------------------------------------------------- the best ends for given codes


@jit
def clear(count, total):
    """No texels yet."""
    for k in range(8):
        count[k] = F(0)
        for c in range(total.shape[0]):
            total[c, k] = F(0)


@jit
def single(mode, bits, value):
    """The ends one of whose codes comes nearest to one value."""
    if bits == 8:
        return np.int64(value + F(0.5)), np.int64(value + F(0.5))
    best, at_a, at_b = FAR, 0, 0
    low = np.int64(value)
    for near in range(low, min(low + 1, 255) + 1):
        a, b = SINGLE[mode, bits - 5, near, 0], SINGLE[mode, bits - 5, near, 1]
        share = SHARES[mode, 2]
        there = np.floor(expand(a, bits) * (F(1) - share) + expand(b, bits) * share + F(0.5) / STEPS[mode])
        if abs(there - value) < best:
            best, at_a, at_b = abs(there - value), a, b
    return at_a, at_b


@jit
def fit(mode, bits, count, total, c):
    """The ends that suit texels, of which `count[k]` with sum `total[c, k]` have code k; and Σ v² − 2 v x of these.

    Linear regression of the values x on where their codes lie; of the four ways to round both ends, the one with the
    least squared error as it is decoded. The sum, plus Σ x², is that error.
    """
    codes = CODES[mode]
    n = s = sw = sww = swx = F(0)
    for k in range(codes):
        share = SHARES[mode, k]
        n += count[k]
        s += total[c, k]
        sw += share * count[k]
        sww += share * share * count[k]
        swx += share * total[c, k]
    if n == 0:
        return 0, 0, F(0)
    mean, middle = s / n, sw / n
    spread = sww - sw * middle
    half = F(0.5) / STEPS[mode]
    if spread < F(1e-4):
        a, b = single(mode, bits, mean)
        value = np.floor(expand(a, bits) * (F(1) - SHARES[mode, 2]) + expand(b, bits) * SHARES[mode, 2] + half)
        return a, b, value * (n * value - F(2) * s)
    slope = (swx - mean * sw) / spread
    top = F((1 << bits) - 1)
    scale = top / F(255)
    a = np.int64(min(max((mean - slope * middle) * scale, F(0)), top - 1))
    b = np.int64(min(max((mean + slope * (F(1) - middle)) * scale, F(0)), top - 1))
    a0, a1, b0, b1 = expand(a, bits), expand(a + 1, bits), expand(b, bits), expand(b + 1, bits)
    c00 = c01 = c10 = c11 = F(0)
    for k in range(codes):
        share = SHARES[mode, k]
        rest, many, twice = F(1) - share, count[k], F(2) * total[c, k]
        low, high = b0 * share + half, b1 * share + half
        v00, v01 = np.floor(a0 * rest + low), np.floor(a0 * rest + high)
        v10, v11 = np.floor(a1 * rest + low), np.floor(a1 * rest + high)
        c00 += v00 * (many * v00 - twice)
        c01 += v01 * (many * v01 - twice)
        c10 += v10 * (many * v10 - twice)
        c11 += v11 * (many * v11 - twice)
    if min(c00, c01) <= min(c10, c11):
        return (a, b, c00) if c00 <= c01 else (a, b + 1, c01)
    return (a + 1, b, c10) if c10 <= c11 else (a + 1, b + 1, c11)


# ---------------------------------------------------------------- codes to begin with


@jit
def principal_axis(x, n, mean):
    """Direction in which the texels vary most: the power method on their covariance, from its largest column."""
    xx = xy = xz = yy = yz = zz = F(0)
    for t in range(n):
        r, g, b = x[0, t] - mean[0], x[1, t] - mean[1], x[2, t] - mean[2]
        xx, xy, xz, yy, yz, zz = xx + r * r, xy + r * g, xz + r * b, yy + g * g, yz + g * b, zz + b * b
    u, v, w = xx, xy, xz
    if yy > xx and yy >= zz:
        u, v, w = xy, yy, yz
    elif zz > xx:
        u, v, w = xz, yz, zz
    for _ in range(TURNS):
        r, g, b = xx * u + xy * v + xz * w, xy * u + yy * v + yz * w, xz * u + yz * v + zz * w
        scale = F(1) / max(abs(r), abs(g), abs(b), F(1e-20))
        u, v, w = r * scale, g * scale, b * scale
    return u, v, w


@jit
def line_up(x, m, n, order, key, sums, mean):
    """Sorts the m texels in `order` along the main direction of the first n, and sums them up in that order."""
    channels = x.shape[0]
    if channels == 3:
        for c in range(3):
            mean[c] = F(0)
            for t in range(n):
                mean[c] += x[c, t]
            mean[c] /= F(n)
        u, v, w = principal_axis(x, n, mean)
        for t in range(n):
            key[t] = u * (x[0, t] - mean[0]) + v * (x[1, t] - mean[1]) + w * (x[2, t] - mean[2])
    else:
        for t in range(n):
            key[t] = x[0, t]
    for t in range(1, m):
        this, s = order[t], t
        while s > 0 and key[order[s - 1]] > key[this]:
            order[s] = order[s - 1]
            s -= 1
        order[s] = this
    for c in range(channels):
        sums[c, 0] = F(0)
        for t in range(m):
            sums[c, t + 1] = sums[c, t] + x[c, order[t]]


@jit
def explained(sums, cuts, parts, m):
    """How much of the squared error a line takes away, if m texels in order are cut into parts + 1 even codes.

    With sums P of the first texels, c_q texels beyond cut q = 1 … parts, and P̄ = P(m) / m for their mean:
    |Σ P(cut_q) − cut_q P̄|² / (Σ (2q − 1) c_q − (Σ c_q)² / m), which is what linear regression explains.
    """
    beyond = spread = before = F(0)
    for q in range(parts):
        c = F(m - cuts[q])
        before += F(cuts[q])
        beyond += c
        spread += F(2 * q + 1) * c
    spread -= beyond * beyond / F(m)
    if spread < F(1e-3):
        return F(0)
    square = F(0)
    for c in range(sums.shape[0]):
        s = -before * (sums[c, m] / F(m))
        for q in range(parts):
            s += sums[c, cuts[q]]
        square += s * s
    return square / spread


@jit
def cut_evenly(order, key, sums, cuts, m, parts):
    """Cuts in even spaces, moved by a texel at a time while a line explains more."""
    low, high = key[order[0]], key[order[m - 1]]
    for q in range(parts):
        edge = low + (high - low) * (F(2 * q + 1) / F(2 * parts))
        cuts[q] = 0
        while cuts[q] < m and key[order[cuts[q]]] < edge:
            cuts[q] += 1
    best, moved = explained(sums, cuts, parts, m), True
    while moved:
        moved = False
        for q in range(parts):
            for step in (-1, 1):
                there = cuts[q] + step
                if there < (cuts[q - 1] if q > 0 else 0) or there > (cuts[q + 1] if q + 1 < parts else m):
                    continue
                cuts[q] = there
                value = explained(sums, cuts, parts, m)
                if value > best:
                    best, moved = value, True
                else:
                    cuts[q] = there - step


@jit
def cut_in_two(sums, m):
    """The cut between the two clusters that explain most, and how much: |P(t) − t P̄|² m / (t (m − t))."""
    best, at = F(-1), 0
    for t in range(1, m):
        square = F(0)
        for c in range(sums.shape[0]):
            s = sums[c, t] - F(t) * (sums[c, m] / F(m))
            square += s * s
        value = square * F(m) / F(t * (m - t))
        if value > best:
            best, at = value, t
    return at, best


@jit
def error_of_pair(mode, first, second, half, m, sums):
    """Error of the best ends if the first `half` texels take one code and the others another, less Σ x²; as `fit`."""
    channels, error = sums.shape[0], F(0)
    u, v, offset = SHARES[mode, first], SHARES[mode, second], F(0.5) / STEPS[mode]
    for c in range(channels):
        bits = bits_of(c, channels)
        top = F((1 << bits) - 1)
        n, k, s, r = F(half), F(m - half), sums[c, half], sums[c, m] - sums[c, half]
        slope = (r / k - s / n) / (v - u)
        start = s / n - u * slope
        a = np.int64(min(max(start * top / F(255), F(0)), top - 1))
        b = np.int64(min(max((start + slope) * top / F(255), F(0)), top - 1))
        least = FAR
        for i in range(2):
            one = expand(a + i, bits)
            for j in range(2):
                two = expand(b + j, bits)
                x = np.floor(one * (F(1) - u) + two * u + offset)
                y = np.floor(one * (F(1) - v) + two * v + offset)
                least = min(least, x * (n * x - F(2) * s) + y * (k * y - F(2) * r))
        error += least
    return error


@jit
def set_codes(mode, cuts, m, order, code):
    """The codes that the cuts mean."""
    q, parts = 0, CODES[mode] - 1
    for t in range(m):
        while q < parts and t >= cuts[q]:
            q += 1
        code[order[t]] = ORDER[mode, q]


# ---------------------------------------------------------------- the search


@jit
def keep(trial, ends):
    """Copies ends."""
    for c in range(ends.shape[1]):
        ends[0, c], ends[1, c] = trial[0, c], trial[1, c]


@jit
def alternate(w, n, mode, rounds, best):
    """Best ends for the codes, nearest codes for the ends, in turn while it helps. What beats `best` goes to `ends`."""
    x, code, count, total, trial, colours = w.x, w.code, w.count, w.total, w.trial, w.colours
    channels, last = x.shape[0], FAR
    for _ in range(rounds):
        clear(count, total)
        for t in range(n):
            count[code[t]] += F(1)
            for c in range(channels):
                total[c, code[t]] += x[c, t]
        for c in range(channels):
            trial[0, c], trial[1, c], _ = fit(mode, bits_of(c, channels), count, total, c)
        error = nearest(x, n, colours, fill_all(trial, mode, colours), code, w.distance)
        if error < best:
            best = error
            keep(trial, w.ends)
        if error >= last:
            break
        last = error
    return best


@jit
def descend(w, n, mode, best):
    """Moves one end, or both together, by one step in one channel after the other where that helps."""
    x, ends, colours, code, distance = w.x, w.ends, w.colours, w.code, w.distance
    channels, codes = x.shape[0], fill_all(ends, mode, colours)
    for c in range(channels):
        bits = bits_of(c, channels)
        top = (1 << bits) - 1
        for which in range(1, 4):
            for step in (-1, 1):
                a, b = ends[0, c], ends[1, c]
                first, second = a + step * (which & 1), b + step * (which >> 1)
                if min(first, second) < 0 or max(first, second) > top:
                    continue
                ends[0, c], ends[1, c] = first, second
                fill(ends, mode, c, bits, colours)
                error = nearest(x, n, colours, codes, code, distance)
                if error < best:
                    best = error
                else:
                    ends[0, c], ends[1, c] = a, b
                    fill(ends, mode, c, bits, colours)
    return best


@jit
def one_colour(w, n, mode, best):
    """The ends that suit the mean colour, if they beat `best`."""
    for c in range(3):
        mean = F(0)
        for t in range(n):
            mean += w.x[c, t]
        w.trial[0, c], w.trial[1, c] = single(mode, bits_of(c, 3), mean / F(n))
    error = nearest(w.x, n, w.colours, fill_all(w.trial, mode, w.colours), w.code, w.distance)
    if error < best:
        keep(w.trial, w.ends)
        return error
    return best


@jit
def several_colours(w, n, mode, half, rest, best):
    """The best ends for the texels as lined up, if they beat `best`.

    From even codes first. Then, as ends are coarse, from every way to give two clusters two codes: the first `half`
    texels and the others, which lie `rest` about their means. Less is left of no start with these two codes.
    """
    cut_evenly(w.order, w.key, w.sums, w.cuts, n, CODES[mode] - 1)
    set_codes(mode, w.cuts, n, w.order, w.code)
    best = alternate(w, n, mode, 1, best)
    if rest >= best:
        return best
    at, least = 0, FAR
    for k in range(WAYS[mode]):
        error = error_of_pair(mode, PAIRS[mode, k, 0], PAIRS[mode, k, 1], half, n, w.sums)
        if error < least:
            at, least = k, error
    for t in range(n):
        w.code[w.order[t]] = PAIRS[mode, at, 0 if t < half else 1]
    return alternate(w, n, mode, 1, best)


@jit
def squares_about_mean(x, n, sums):
    """Σ |x − mean|²."""
    total = F(0)
    for c in range(x.shape[0]):
        mean = sums[c, n] / F(n)
        for t in range(n):
            total += (x[c, t] - mean) * (x[c, t] - mean)
    return total


@jit
def is_uniform(x, n):
    """Whether the texels are all the same."""
    for c in range(x.shape[0]):
        for t in range(1, n):
            if x[c, t] != x[c, 0]:
                return False
    return True


@jit
def search_colours(w, n, first, last):
    """Finds the best `ends` in the modes from `first` to `last`; returns the mode."""
    best, mode, half, rest, about_mean = FAR, first, 0, F(0), F(0)
    several = not is_uniform(w.x, n)
    if several:
        for t in range(n):
            w.order[t] = t
        line_up(w.x, n, n, w.order, w.key, w.sums, w.distance)
        half, gain = cut_in_two(w.sums, n)
        about_mean = squares_about_mean(w.x, n, w.sums)
        rest = about_mean - gain
    for this in range(first, last + 1):
        error = best
        if several:
            error = several_colours(w, n, this, half, rest, error)
        if about_mean < error:
            error = one_colour(w, n, this, error)
        best, mode = error, this if error < best else mode
    if several:
        descend(w, n, mode, best)
    return mode


@jit
def search_levels(w, n):
    """Finds the best `ends`, from even codes for what is not too near to 0 and 255; returns the mode."""
    best, found, before = FAR, 0, 0
    for k in range(4):
        mode, m, margin = EIGHT if k == 0 else SIX, 0, MARGINS[k]
        for t in range(n):
            v = w.x[0, t]
            if margin <= v <= F(255) - margin:
                w.order[m] = t
                m += 1
            w.code[t] = 6 if v < margin else 7
        if k > 0 and m == before:
            continue  # nothing more is near to 0 and 255: the same start again, or no use for their codes
        before = m
        if m > 0:
            line_up(w.x, m, n, w.order, w.key, w.sums, w.distance)
            cut_evenly(w.order, w.key, w.sums, w.cuts, m, CODES[mode] - 1)
            set_codes(mode, w.cuts, m, w.order, w.code)
        error = alternate(w, n, mode, ROUNDS, best)
        if error < best:
            best, found = descend(w, n, mode, error), mode
        if best == 0:
            break
    return found


# ---------------------------------------------------------------- blocks as bytes


@jit
def put(blocks, image, block, byte, value, count):
    """Writes `count` bytes, the lowest first."""
    for k in range(count):
        blocks[image, block, byte + k] = (value >> (8 * k)) & 255


@jit
def get(blocks, image, block, byte, count):
    """Reads `count` bytes, the lowest first."""
    value = 0
    for k in range(count):
        value |= np.int64(blocks[image, block, byte + k]) << (8 * k)
    return value


@jit
def in_order(ends, first_larger, a, b):
    """Exchanges the ends, whose bits together are a and b, if they do not say their mode; returns a and b."""
    if a != b and (a > b) != first_larger:
        for c in range(ends.shape[1]):
            ends[0, c], ends[1, c] = ends[1, c], ends[0, c]
        return b, a
    return a, b


@jit
def encode_colours(start, stop, x, blocks, byte, choice, holes, size):
    """Encodes the first three channels of blocks [start, stop), of all images one after the other; `size` is 16.

    With `choice`, the order of the ends says the mode: four or three colours. With `holes`, texels whose fourth channel
    is below a half are left out and take the fourth code beside three.
    """
    w, alpha = scratch(3), np.zeros((1, 16), F)
    place = np.zeros(16, np.int64)
    columns, per_image = (x.shape[3] + 3) // 4, blocks.shape[1]
    for item in range(start, stop):
        image, block = item // per_image, item % per_image
        row, column = block // columns, block % columns
        load(x, image, row, column, 0, size, w.x)
        n = size
        if holes:
            load(x, image, row, column, 3, size, alpha)
            n = 0
            for t in range(size):
                if alpha[0, t] >= F(127.5):
                    w.x[0, n], w.x[1, n], w.x[2, n] = w.x[0, t], w.x[1, t], w.x[2, t]
                    place[n] = t
                    n += 1
        if n == 0:
            put(blocks, image, block, byte, 0, 4)
            put(blocks, image, block, byte + 4, 0xFFFFFFFF, 4)
            continue
        mode = search_colours(w, n, 0 if n == size else 1, 1 if choice else 0)
        a = (w.ends[0, 0] << 11) | (w.ends[0, 1] << 5) | w.ends[0, 2]
        b = (w.ends[1, 0] << 11) | (w.ends[1, 1] << 5) | w.ends[1, 2]
        a, b = in_order(w.ends, mode == FOUR, a, b)
        nearest(w.x, n, w.colours, fill_all(w.ends, mode, w.colours), w.code, w.distance)
        bits = 0
        if n == size:
            for t in range(n):
                bits |= np.int64(w.code[t]) << (2 * t)
        else:
            bits = 0xFFFFFFFF
            for t in range(n):
                bits ^= np.int64(3 - w.code[t]) << (2 * place[t])
        put(blocks, image, block, byte, a | (b << 16), 4)
        put(blocks, image, block, byte + 4, bits, 4)


@jit
def encode_levels(start, stop, x, channel, blocks, byte, size):
    """Encodes one channel of blocks [start, stop), of all images one after the other; `size` is 16."""
    w = scratch(1)
    columns, per_image = (x.shape[3] + 3) // 4, blocks.shape[1]
    for item in range(start, stop):
        image, block = item // per_image, item % per_image
        load(x, image, block // columns, block % columns, channel, size, w.x)
        mode = search_levels(w, size)
        a, b = in_order(w.ends, mode == EIGHT, w.ends[0, 0], w.ends[1, 0])
        nearest(w.x, size, w.colours, fill_all(w.ends, mode, w.colours), w.code, w.distance)
        bits = 0
        for t in range(size):
            bits |= np.int64(w.code[t]) << (3 * t)
        put(blocks, image, block, byte, a | (b << 8) | (bits << 16), 8)


@jit
def read_colours(blocks, image, block, byte, choice, ends, colours):
    """Ends and colours of a block; returns how many of the codes are colours: the fourth beside three is black."""
    for e in range(2):
        end = get(blocks, image, block, byte + 2 * e, 2)
        ends[e, 0], ends[e, 1], ends[e, 2] = end >> 11, (end >> 5) & 63, end & 31
    four = not choice or get(blocks, image, block, byte, 2) > get(blocks, image, block, byte + 2, 2)
    colours[3, 0] = colours[3, 1] = colours[3, 2] = F(0)
    return fill_all(ends, FOUR if four else THREE, colours)


@jit
def read_levels(blocks, image, block, byte, ends, levels):
    """Ends and levels of a block; returns 8, how many there are."""
    ends[0, 0], ends[1, 0] = blocks[image, block, byte], blocks[image, block, byte + 1]
    return fill_all(ends, EIGHT if ends[0, 0] > ends[1, 0] else SIX, levels)


@jit
def decode(start, stop, blocks, byte, first, channels, choice, out):
    """Decodes blocks [start, stop) into `channels` (1 or 3) of `out` from number `first` on.

    The fourth channel of a choice between three and four colours tells holes; it is `out`'s fourth, if that has one.
    """
    w, per_image = scratch(channels), blocks.shape[1]
    height, width = out.shape[2], out.shape[3]
    columns, depth = (width + 3) // 4, 2 if channels == 3 else 3
    for item in range(start, stop):
        image, block = item // per_image, item % per_image
        row, column = block // columns, block % columns
        if channels == 3:
            codes = read_colours(blocks, image, block, byte, choice, w.ends, w.colours)
        else:
            codes = read_levels(blocks, image, block, byte, w.ends, w.colours)
        bits = get(blocks, image, block, byte + (4 if channels == 3 else 2), 2 * depth)
        for t in range(16):
            y, z = 4 * row + t // 4, 4 * column + t % 4
            if y < height and z < width:
                code = (bits >> (depth * t)) & ((1 << depth) - 1)
                for c in range(channels):
                    out[image, first + c, y, z] = np.uint8(w.colours[code, c])
                if choice and out.shape[1] == 4:
                    out[image, 3, y, z] = 255 if code < codes else 0


# ---------------------------------------------------------------- the smooth relative


@jit
def weigh(x, image, y, z, first, channels, colours, codes, temperature, weight):
    """softmax(−|x − c_k|² / T) of one texel over the codes; colours on the scale of bytes."""
    least = np.inf
    for k in range(codes):
        square = 0.0
        for c in range(channels):
            apart = x[image, first + c, y, z] - np.float64(colours[k, c]) / 255
            square += apart * apart
        weight[k] = square
        least = min(least, square)
    total = 0.0
    for k in range(codes):
        weight[k] = np.exp((least - weight[k]) / temperature)
        total += weight[k]
    for k in range(codes):
        weight[k] /= total


@jit
def soft(start, stop, x, blocks, byte, first, channels, choice, temperature, grad, out):
    """Mean colours of blocks [start, stop), or with `grad` (else of no images) its product with their derivative.

    That is (2 / T) Σ w_k c_k (c_k − mean)ᵀ, which is symmetric. See `block_compress` for holes.
    """
    w, per_image = scratch(channels), blocks.shape[1]
    weight, mean = np.zeros(8), np.zeros(3)
    height, width = x.shape[2], x.shape[3]
    columns, backward = (width + 3) // 4, len(grad) > 0
    for item in range(start, stop):
        image, block = item // per_image, item % per_image
        row, column = block // columns, block % columns
        if channels == 3:
            codes = read_colours(blocks, image, block, byte, choice, w.ends, w.colours)
        else:
            codes = read_levels(blocks, image, block, byte, w.ends, w.colours)
        holes = choice and codes == 3 and x.shape[1] == 4
        for y in range(4 * row, min(4 * row + 4, height)):
            for z in range(4 * column, min(4 * column + 4, width)):
                weigh(x, image, y, z, first, channels, w.colours, codes, temperature, weight)
                for c in range(channels):
                    mean[c] = 0.0
                    for k in range(codes):
                        mean[c] += weight[k] * w.colours[k, c] / 255
                solid = 1 / (1 + np.exp((1 - 2 * x[image, 3, y, z]) / temperature)) if holes else 1.0
                if not backward:
                    for c in range(channels):
                        out[image, first + c, y, z] = solid * mean[c]
                    if choice and x.shape[1] == 4:
                        out[image, 3, y, z] = solid
                    continue
                for c in range(channels):
                    out[image, first + c, y, z] = 0
                for k in range(codes):
                    along = 0.0
                    for c in range(channels):
                        along += (w.colours[k, c] / 255 - mean[c]) * grad[image, first + c, y, z]
                    along *= 2 / temperature * weight[k] * solid
                    for c in range(channels):
                        out[image, first + c, y, z] += along * (w.colours[k, c] / 255 - mean[c])
                if choice and x.shape[1] == 4:
                    along = grad[image, 3, y, z]
                    for c in range(3):
                        along += grad[image, c, y, z] * mean[c]
                    out[image, 3, y, z] = along * 2 / temperature * solid * (1 - solid)
