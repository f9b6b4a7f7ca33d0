"""What neighbouring threads of a GPU tell each other: sums, in registers. See `warp.lanes`.

`lanes` is a power of two up to 32, and all of these threads must come here together.
"""

import warp as wp

GROUP = """
#ifdef __CUDA_ARCH__
    const unsigned group = (lanes < 32 ? (1u << lanes) - 1u : 0xffffffffu) << (threadIdx.x & 31u & ~(lanes - 1u));
    for (int apart = lanes / 2; apart > 0; apart /= 2)
        {step}
#endif
    return part;
"""


@wp.func_native(GROUP.format(step="for (int c = 0; c < 4; ++c) part[c] += __shfl_xor_sync(group, part[c], apart);"))
def joined(part: wp.vec4, lanes: int) -> wp.vec4:
    """The sum over the threads that share a task; with one of them, its own part."""


@wp.func_native(GROUP.format(step="part += __shfl_xor_sync(group, part, apart);"))
def joined_double(part: wp.float64, lanes: int) -> wp.float64:
    """The same of single numbers in double precision."""
