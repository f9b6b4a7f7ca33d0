"""The search for a block's ends: from several codes to begin with, ends and codes in turn, then step by step."""

from __future__ import annotations

import numpy as np

from ...core.jit import jit
from .code_kernels import CODES, EIGHT, FAR, SIX, F, bits_of, fill, fill_all, nearest
from .end_kernels import clear, fit, single
from .start_kernels import cut_evenly, cut_in_two, error_of_pair, line_up, set_codes

# all ways to give two clusters two codes, but for exchanging the ends
PAIRS = np.array([[[0, 1], [2, 1], [3, 1], [2, 3], [0, 3], [0, 2]], [[0, 1], [2, 1], [0, 2], [0, 0], [0, 0], [0, 0]]])
WAYS = np.array([6, 3])
ROUNDS = 4
MARGINS = np.array([0, 0.5, 16, 64], F)  # how near to 0 and 255 a level may take these, to begin with


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
