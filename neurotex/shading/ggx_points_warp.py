"""A point of a metallic-roughness surface and a light on it, on NVIDIA GPUs; see `ggx` for the maths."""

import math

import warp as wp

from .albedo import DIELECTRIC, MIN_COSINE, MIN_ROUGHNESS
from .lights import NEAREST

wp.set_module_options({"enable_backward": False})

pi, dielectric, nearest = wp.constant(math.pi), wp.constant(DIELECTRIC), wp.constant(NEAREST**2)
min_cosine, min_roughness = wp.constant(MIN_COSINE), wp.constant(MIN_ROUGHNESS)


@wp.struct
class Point:
    """A point of a surface, and the way from it to the eye."""

    base: wp.vec3
    rough: float
    metal: float
    n: wp.vec3  # of unit length, turned to the eye
    scale: float  # by which the given normal was multiplied
    p: wp.vec3
    v: wp.vec3
    near: float  # 1 / the distance to the eye
    nv: float
    a: float


@wp.struct
class Light:
    """What comes from one light to a point, and how much of it is sent on, surface and body apart."""

    to: wp.vec3
    inverse: float  # 1 / the distance
    squared: float  # of the distance
    falloff: float
    cosine: float
    h: wp.vec3  # not of unit length
    half2: float
    c: wp.vec3  # n × h
    sine2: float
    width: float
    root_v: float
    root_l: float
    smith: float
    by_nl: float
    specular: float
    diffuse: float
    grazing: float  # 1 − v · h
    schlick: float


@wp.func
def point_of(
    base: wp.vec3, rough: float, metal: float, normal: wp.vec3, position: wp.vec3, eye: wp.array(dtype=wp.float32)
):
    o = Point()
    o.base = base
    o.rough = rough
    o.metal = metal
    o.p = position
    v = wp.vec3(eye[0], eye[1], eye[2]) - eye[3] * position
    squared = wp.dot(v, v)
    o.near = 0.0
    if squared > 1.0e-30:
        o.near = 1.0 / wp.sqrt(squared)
    o.v = v * o.near
    squared = wp.dot(normal, normal)
    o.scale = 0.0
    if squared > 1.0e-30:
        o.scale = 1.0 / wp.sqrt(squared)
    if wp.dot(normal, o.v) < 0.0:
        o.scale = -o.scale
    o.n = normal * o.scale
    o.nv = wp.max(wp.dot(o.n, o.v), min_cosine)
    at_least = wp.max(rough, min_roughness)
    o.a = at_least * at_least * at_least * at_least
    return o


@wp.func
def light_on(o: Point, place: wp.vec3, far: bool):
    g = Light()
    offset = place - o.p
    g.squared = wp.dot(offset, offset)
    g.falloff = 0.0
    if g.squared > nearest:
        g.falloff = 1.0 / g.squared
    g.inverse = wp.sqrt(g.falloff)
    g.to = offset * g.inverse
    if far:
        g.to = place
        g.falloff = 1.0
    g.cosine = wp.dot(o.n, g.to)
    nl = wp.max(g.cosine, 0.0)
    g.h = o.v + g.to
    g.half2 = wp.dot(g.h, g.h)
    squared = wp.max(g.half2, 1.0e-12)
    g.c = wp.cross(o.n, g.h)
    rest = 1.0 - o.a
    g.sine2 = wp.dot(g.c, g.c) / squared
    g.width = g.sine2 * rest + o.a
    g.root_v = wp.sqrt(o.nv * o.nv * rest + o.a)
    g.root_l = wp.sqrt(nl * nl * rest + o.a)
    g.smith = nl * g.root_v + o.nv * g.root_l
    g.by_nl = g.falloff * o.a / (2.0 * pi * g.width * g.width * g.smith)  # specular / (n · l)
    g.specular = g.by_nl * nl
    g.diffuse = g.falloff * nl / pi
    g.grazing = wp.max(1.0 - 0.5 * wp.sqrt(squared), 0.0)
    g.schlick = g.grazing * g.grazing * g.grazing * g.grazing * g.grazing
    return g


@wp.func
def sent(base: float, metal: float, g: Light):
    """One channel of F · specular + (1 − F) · body · diffuse."""
    f0 = dielectric + metal * (base - dielectric)
    fresnel = f0 + (1.0 - f0) * g.schlick
    return fresnel * g.specular + (1.0 - fresnel) * base * (1.0 - metal) * g.diffuse


@wp.func
def cell(table: wp.array2d(dtype=wp.float32), nodes: int, nv: float, rough: float):
    """The row of the table's cell for a cosine and a roughness, and the place in it; see `ggx_block_kernels`."""
    last = float(nodes - 1)
    x = wp.sqrt(wp.min(nv, 1.0)) * last
    y = (wp.min(wp.max(rough, min_roughness), 1.0) - min_roughness) / (1.0 - min_roughness) * last
    i = int(0)
    j = int(0)
    if x >= 0.0:
        i = wp.min(int(x), nodes - 2)
    if y >= 0.0:
        j = wp.min(int(y), nodes - 2)
    return i * nodes + j, x - float(i), y - float(j)


@wp.func
def mix(table: wp.array2d(dtype=wp.float32), nodes: int, row: int, x: float, y: float, channel: int):
    """One number from a cell, and its derivatives by x and y."""
    a = table[row, channel]
    b = table[row + 1, channel]
    c = table[row + nodes, channel]
    d = table[row + nodes + 1, channel]
    low = a + (b - a) * y
    high = c + (d - c) * y
    return wp.vec3(low + (high - low) * x, high - low, (b - a) * (1.0 - x) + (d - c) * x)
