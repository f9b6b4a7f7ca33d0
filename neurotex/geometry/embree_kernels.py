"""CPU kernels of `embree`: packets of sixteen rays, handed to Embree's own functions by their addresses.

numba keeps no compiled kernel that holds a function of another library, whose address is another in each process. An
address that comes as a number can be called all the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..core.jit import jit

PACKET = 16
ROWS = 12  # of a packet: origin, near, direction, time, far, mask, id, flags
HIT_ROWS = 9  # and of what it meets: normal, u, v, face, geometry, instance, and what its instance is in
FACE, U, V = 17, 15, 16


_intrinsic: Any = intrinsic  # numba gives the first argument itself, which its annotations do not say


@_intrinsic
def _call(context, function, valid, scene, rays, arguments):
    """function(valid, scene, rays, arguments), all of them addresses."""

    def generate(builder_context, builder, signature, values):
        word = ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [word] * 4)
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), values[1:])
        return builder_context.get_dummy_value()

    return types.void(*[types.int64] * 5), generate


@jit
def trace(start, stop, function, scene, origin, direction, far, any_hit, face, distance, barycentrics):
    """Rows of `Rays.closest`; with `any_hit` only `face` is written, 0 where something is met."""
    rows = ROWS + HIT_ROWS
    room = np.zeros((rows + 1) * PACKET + 16, np.float32)
    skip = (-room.ctypes.data % 64) // 4  # Embree wants packets on whole cache lines
    packet = room[skip : skip + rows * PACKET].reshape(rows, PACKET)
    bits = packet.view(np.int32)
    flags = np.zeros(PACKET + 16, np.int32)
    skip = (-flags.ctypes.data % 64) // 4
    valid = flags[skip : skip + PACKET]
    for first in range(start, stop, PACKET):
        n = min(PACKET, stop - first)
        for j in range(PACKET):
            valid[j] = -1 if j < n else 0
        for j in range(n):
            i = first + j
            packet[0, j], packet[1, j], packet[2, j] = origin[i, 0], origin[i, 1], origin[i, 2]
            packet[4, j], packet[5, j], packet[6, j] = direction[i, 0], direction[i, 1], direction[i, 2]
            packet[3, j], packet[7, j], packet[8, j] = 0, 0, far[i]
            bits[9, j], bits[10, j], bits[11, j] = -1, 0, 0
            bits[FACE, j] = bits[FACE + 1, j] = -1
        _call(function, valid.ctypes.data, scene, packet.ctypes.data, 0)
        if any_hit:
            for j in range(n):
                face[first + j] = 0 if packet[8, j] < 0 else -1
        else:
            for j in range(n):
                i = first + j
                face[i] = bits[FACE, j]
                met = face[i] >= 0
                u, v = packet[U, j] if met else np.float32(0), packet[V, j] if met else np.float32(0)
                distance[i] = packet[8, j] if met else np.float32(np.inf)
                barycentrics[i, 0], barycentrics[i, 1], barycentrics[i, 2] = np.float32(met) - u - v, u, v
