"""CPU kernels that assemble and apply the sparse operator; see `operator`."""

from __future__ import annotations

from ..core.jit import jit, jit_simd


@jit
def merge_taps(start, stop, first, index, weight, light, columns, values, lengths):
    """Sum the texel taps of each pixel's samples into one sparse row; rows [start, stop).

    Row r owns the samples `first[r] : first[r + 1]`; a tap's entry is weight · light. Entries go to `columns` and
    `values` from `first[r] * taps` on, an upper bound of their number; `lengths[r]` says how many there are.
    """
    taps, channels = index.shape[1], values.shape[1]
    for row in range(start, stop):
        base = first[row] * taps
        n = 0
        for s in range(first[row], first[row + 1]):
            for t in range(taps):
                w = weight[s, t]
                if w == 0.0:
                    continue
                column = index[s, t]
                # neighbouring samples hit the texels that were added last: look backwards
                k = n - 1
                while k >= 0 and columns[base + k] != column:
                    k -= 1
                if k < 0:
                    k = n
                    columns[base + k] = column
                    for c in range(channels):
                        values[base + k, c] = 0.0
                    n += 1
                for c in range(channels):
                    values[base + k, c] += w * light[s, c]
        lengths[row] = n


@jit
def compact_rows(start, stop, first, taps, pointers, columns, values, out_columns, out_values):
    """Close the gaps that `merge_taps` leaves between rows [start, stop)."""
    for row in range(start, stop):
        base = first[row] * taps
        target = pointers[row]
        for k in range(pointers[row + 1] - target):
            out_columns[target + k] = columns[base + k]
            for c in range(values.shape[1]):
                out_values[target + k, c] = values[base + k, c]


@jit
def transpose_csr(pointers, columns, values, out_pointers, out_columns, out_values):
    """Compressed rows of the transposed matrix by a counting sort over columns."""
    for k in range(columns.shape[0]):
        out_pointers[columns[k] + 1] += 1
    for c in range(out_pointers.shape[0] - 1):
        out_pointers[c + 1] += out_pointers[c]
    cursor = out_pointers[:-1].copy()
    for row in range(pointers.shape[0] - 1):
        for k in range(pointers[row], pointers[row + 1]):
            target = cursor[columns[k]]
            cursor[columns[k]] = target + 1
            out_columns[target] = row
            for c in range(values.shape[1]):
                out_values[target, c] = values[k, c]


@jit_simd
def csr_product(start, stop, pointers, columns, values, x, out):
    """out[rows] = matrix[rows] @ x for rows [start, stop); x and out are (…, 4), one value for all channels.

    Four channels make one vector register. Two sums run side by side: each waits for its own last addition only.
    `columns` come as uint32: a signed index would be tested for wrap-around at every entry.
    """
    k, zero = pointers[start], x.dtype.type(0)
    for row in range(start, stop):
        end = pointers[row + 1]
        s0 = s1 = s2 = s3 = t0 = t1 = t2 = t3 = zero
        while k + 1 < end:
            c, v = columns[k], values[k, 0]
            s0 += v * x[c, 0]
            s1 += v * x[c, 1]
            s2 += v * x[c, 2]
            s3 += v * x[c, 3]
            c, v = columns[k + 1], values[k + 1, 0]
            t0 += v * x[c, 0]
            t1 += v * x[c, 1]
            t2 += v * x[c, 2]
            t3 += v * x[c, 3]
            k += 2
        if k < end:
            c, v = columns[k], values[k, 0]
            s0 += v * x[c, 0]
            s1 += v * x[c, 1]
            s2 += v * x[c, 2]
            s3 += v * x[c, 3]
            k += 1
        out[row, 0] = s0 + t0
        out[row, 1] = s1 + t1
        out[row, 2] = s2 + t2
        out[row, 3] = s3 + t3


@jit_simd
def csr_product_rgb(start, stop, pointers, columns, values, x, out):
    """As `csr_product`, with a value of its own for each of the first three channels (lights of differing colours)."""
    zero = x.dtype.type(0)
    for row in range(start, stop):
        s0 = s1 = s2 = zero
        for k in range(pointers[row], pointers[row + 1]):
            c = columns[k]
            s0 += values[k, 0] * x[c, 0]
            s1 += values[k, 1] * x[c, 1]
            s2 += values[k, 2] * x[c, 2]
        out[row, 0] = s0
        out[row, 1] = s1
        out[row, 2] = s2
        out[row, 3] = 0
