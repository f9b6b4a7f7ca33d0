"""The metallic-roughness surface on NVIDIA GPUs; see `ggx` for the maths, `ggx_kernels` for the same on the CPU.

A thread takes a point through all lights. What points add to the gradients of eye and lights is summed in double
precision, by the threads that run side by side first.
"""

from functools import lru_cache

import torch
import warp as wp
from torch import Tensor

from ..core.lanes_warp import joined_double
from ..core.warp import lanes, launch
from .albedo import albedo_table
from .ggx_points_warp import cell, dielectric, light_on, min_cosine, min_roughness, mix, nearest, pi, point_of, sent
from .kernels import in_rows

wp.set_module_options({"enable_backward": False})

LANES = 32


@wp.kernel
def forward(
    base_color: wp.array(dtype=wp.vec3),
    roughness: wp.array(dtype=wp.float32),
    metallic: wp.array(dtype=wp.float32),
    normal: wp.array(dtype=wp.vec3),
    position: wp.array(dtype=wp.vec3),
    eye: wp.array(dtype=wp.float32),
    lights: wp.array2d(dtype=wp.float32),
    intensity: wp.array(dtype=wp.vec3),
    ambient: wp.array(dtype=wp.vec3),
    visibility: wp.array2d(dtype=wp.float32),
    table: wp.array2d(dtype=wp.float32),
    nodes: int,
    out: wp.array(dtype=wp.vec3),
):
    """`ggx.metallic_roughness_reference` for one point."""
    s = wp.tid()
    o = point_of(base_color[s], roughness[s], metallic[s], normal[s], position[s], eye)
    total = wp.vec3()
    if o.scale != 0.0:
        for k in range(ambient.shape[0]):
            row, x, y = cell(table, nodes, o.nv, o.rough)
            lobe = mix(table, nodes, row, x, y, 0)[0]
            bias = mix(table, nodes, row, x, y, 1)[0]
            loss = mix(table, nodes, row, x, y, 2)[0]
            for c in range(3):
                f0 = dielectric + o.metal * (o.base[c] - dielectric)
                body = o.base[c] * (1.0 - o.metal)
                total[c] = total[c] + ambient[k][c] * (f0 * lobe + bias + body * (1.0 - f0) * (1.0 - loss))
    for k in range(lights.shape[0]):
        back = wp.vec3()
        g = light_on(o, wp.vec3(lights[k, 0], lights[k, 1], lights[k, 2]), lights[k, 3] == 0.0)
        for c in range(3):
            back[c] = sent(o.base[c], o.metal, g)
        if visibility.shape[0] > 0:
            back = back * visibility[s, k]
        total += wp.cw_mul(intensity[k], back)
    out[s] = total


@wp.func
def add_up(total: wp.array2d(dtype=wp.float64), row: int, column: int, part: wp.vec3, lanes: int, first: bool):
    """Add this thread's part and its neighbours', once."""
    for c in range(3):
        whole = joined_double(wp.float64(part[c]), lanes)
        if first:
            wp.atomic_add(total, row, column + c, whole)


@wp.kernel
def backward(
    grad: wp.array(dtype=wp.vec3),
    base_color: wp.array(dtype=wp.vec3),
    roughness: wp.array(dtype=wp.float32),
    metallic: wp.array(dtype=wp.float32),
    normal: wp.array(dtype=wp.vec3),
    position: wp.array(dtype=wp.vec3),
    eye: wp.array(dtype=wp.float32),
    lights: wp.array2d(dtype=wp.float32),
    intensity: wp.array(dtype=wp.vec3),
    ambient: wp.array(dtype=wp.vec3),
    visibility: wp.array2d(dtype=wp.float32),
    table: wp.array2d(dtype=wp.float32),
    nodes: int,
    lanes: int,
    g_base_color: wp.array(dtype=wp.vec3),
    g_roughness: wp.array(dtype=wp.float32),
    g_metallic: wp.array(dtype=wp.float32),
    g_normal: wp.array(dtype=wp.vec3),
    g_position: wp.array(dtype=wp.vec3),
    g_visibility: wp.array2d(dtype=wp.float32),
    shared: wp.array2d(dtype=wp.float64),
):
    """Gradients of one point, and its share of those by the lights (place and colour, a row each), the eye and, last,
    ambient light.

    `forward` kept nothing: what is needed of it is computed again. Threads beyond the points add nothing, but stay:
    their neighbours wait for them.
    """
    thread = wp.tid()
    inside = thread < grad.shape[0]
    s = wp.min(thread, grad.shape[0] - 1)
    first = thread % lanes == 0
    o = point_of(base_color[s], roughness[s], metallic[s], normal[s], position[s], eye)
    given = wp.vec3()
    if inside:
        given = grad[s]
    g_base = wp.vec3()
    g_n = wp.vec3()
    g_v = wp.vec3()
    g_p = wp.vec3()
    g_metal = float(0.0)
    g_nv = float(0.0)
    g_a = float(0.0)
    g_rough = float(0.0)
    g_ambient = wp.vec3()
    if o.scale != 0.0:
        for k in range(ambient.shape[0]):
            weighted = wp.cw_mul(given, ambient[k])
            at_least = wp.max(o.rough, min_roughness)
            row, x, y = cell(table, nodes, o.nv, o.rough)
            lobe = mix(table, nodes, row, x, y, 0)
            bias = mix(table, nodes, row, x, y, 1)
            loss = mix(table, nodes, row, x, y, 2)
            g_lobe = float(0.0)
            g_bias = float(0.0)
            g_loss = float(0.0)
            for c in range(3):
                base = o.base[c]
                f0 = dielectric + o.metal * (base - dielectric)
                body = base * (1.0 - o.metal)
                through = 1.0 - loss[0]
                g_ambient[c] = given[c] * (f0 * lobe[0] + bias[0] + body * (1.0 - f0) * through)
                g_f0 = weighted[c] * (lobe[0] - body * through)
                g_body = weighted[c] * (1.0 - f0) * through
                g_lobe += weighted[c] * f0
                g_bias += weighted[c]
                g_loss -= weighted[c] * body * (1.0 - f0)
                g_base[c] = g_base[c] + g_f0 * o.metal + g_body * (1.0 - o.metal)
                g_metal += g_f0 * (base - dielectric) - g_body * base
            last = float(nodes - 1)
            if o.nv < 1.0:
                by_x = g_lobe * lobe[1] + g_bias * bias[1] + g_loss * loss[1]
                g_nv += by_x * last / (2.0 * wp.sqrt(o.nv))
            if at_least < 1.0:
                by_y = g_lobe * lobe[2] + g_bias * bias[2] + g_loss * loss[2]
                g_rough += by_y * last / (1.0 - min_roughness)
    add_up(shared, lights.shape[0] + 1, 3, g_ambient, lanes, first)
    for k in range(lights.shape[0]):
        g_place = wp.vec3()
        g_strength = wp.vec3()
        there = float(1.0)
        if visibility.shape[0] > 0:
            there = visibility[s, k]
        # as if the light that does not get here had not been sent
        weighted = wp.cw_mul(given, intensity[k]) * there
        far = lights[k, 3] == 0.0
        g = light_on(o, wp.vec3(lights[k, 0], lights[k, 1], lights[k, 2]), far)
        nl = wp.max(g.cosine, 0.0)
        squared = wp.max(g.half2, 1.0e-12)
        rest = 1.0 - o.a
        g_specular = float(0.0)
        g_diffuse = float(0.0)
        g_schlick = float(0.0)
        for c in range(3):
            base = o.base[c]
            f0 = dielectric + o.metal * (base - dielectric)
            body = base * (1.0 - o.metal)
            fresnel = f0 + (1.0 - f0) * g.schlick
            g_strength[c] = given[c] * sent(base, o.metal, g)
            g_fresnel = weighted[c] * (g.specular - body * g.diffuse)
            g_body = weighted[c] * (1.0 - fresnel) * g.diffuse
            g_f0 = g_fresnel * (1.0 - g.schlick)
            g_base[c] = g_base[c] + g_f0 * o.metal + g_body * (1.0 - o.metal)
            g_metal += g_f0 * (base - dielectric) - g_body * base
            g_specular += weighted[c] * fresnel
            g_diffuse += weighted[c] * (1.0 - fresnel) * body
            g_schlick += g_fresnel * (1.0 - f0)
        # specular = falloff a (n · l) / (2π width² smith)
        share = g_specular * g.specular
        g_smith = -share / g.smith
        g_width = -2.0 * share / g.width
        g_root_v = g_smith * nl / g.root_v
        g_root_l = g_smith * o.nv / g.root_l
        g_nl = float(0.0)
        if g.cosine > 0.0:
            g_nl = g_specular * g.by_nl + g_diffuse * g.falloff / pi + g_smith * g.root_v + g_root_l * nl * rest
        g_nv += g_smith * g.root_l + g_root_v * o.nv * rest
        by_roots = 0.5 * (g_root_v * (1.0 - o.nv * o.nv) + g_root_l * (1.0 - nl * nl))
        g_a += share / o.a + g_width * (1.0 - g.sine2) + by_roots
        # sine2 = |n × h|² / squared; the derivatives of |n × h|² by n and h are 2 h × (n × h) and 2 (n × h) × n
        g_sine2 = g_width * rest / squared
        short4 = g.grazing * g.grazing * g.grazing * g.grazing
        g_squared = -g_sine2 * g.sine2 - 1.25 * short4 * g_schlick / wp.sqrt(squared)
        along = float(0.0)
        if g.half2 > 1.0e-12:
            along = 2.0 * g_squared
        across = 2.0 * g_sine2
        g_n += across * wp.cross(g.h, g.c) + g_nl * g.to
        to_half = across * wp.cross(g.c, o.n) + along * g.h
        g_v += to_half
        g_place = to_half + g_nl * o.n
        if not far:
            # a place: the direction keeps its length, and specular and diffuse both grow with the fall-off
            radial = float(0.0)
            if g.squared > nearest:
                radial = wp.dot(g_place, g.to) + 2.0 * (share + g_diffuse * g.diffuse)
            g_place = (g_place - radial * g.to) * g.inverse
            g_p -= g_place
        if visibility.shape[0] > 0 and inside:
            g_visibility[s, k] = wp.dot(g_strength, intensity[k])
        g_strength = g_strength * there
        add_up(shared, k, 0, g_place, lanes, first)
        add_up(shared, k, 3, g_strength, lanes, first)
    if o.nv <= min_cosine:
        g_nv = 0.0
    g_n += g_nv * o.v
    g_v += g_nv * o.n
    g_normal_here = (g_n - wp.dot(g_n, o.n) * o.n) * o.scale
    if eye[3] != 0.0:
        g_v = (g_v - wp.dot(g_v, o.v) * o.v) * o.near
        g_p -= g_v
    add_up(shared, lights.shape[0], 0, g_v, lanes, first)
    if inside:
        g_base_color[s] = g_base
        g_metallic[s] = g_metal
        g_normal[s] = g_normal_here
        g_position[s] = g_p
        g_roughness[s] = 0.0
        if o.rough >= min_roughness:
            g_roughness[s] = g_rough + 4.0 * o.rough * o.rough * o.rough * g_a


@lru_cache(maxsize=8)
def _table(device: torch.device) -> tuple[Tensor, int]:
    """The albedo's table on a GPU, its nodes row by row, and how many make a row."""
    table = torch.from_numpy(albedo_table())
    return table.flatten(0, 1).to(device, torch.float32), len(table)


def _in_rows(inputs: tuple[Tensor | None, ...]) -> list[Tensor]:
    *surface, lights, intensity, ambient, visibility = inputs
    return [x.contiguous() for x in (*surface, lights, intensity, *in_rows(lights, intensity, ambient, visibility))]


def shade(*inputs: Tensor | None) -> Tensor:
    """`ggx.metallic_roughness_reference`."""
    out = torch.empty_like(inputs[0], memory_format=torch.contiguous_format)
    launch(forward, len(out), *_in_rows(inputs), *_table(out.device), out)
    return out


def shade_backward(grad: Tensor, *inputs: Tensor | None) -> tuple[Tensor, ...]:
    """The gradients of all inputs; empty for ambient light and visibility where there is none."""
    own = [torch.empty_like(x, memory_format=torch.contiguous_format) for x in inputs[:5]]
    given = [grad.contiguous(), *_in_rows(inputs)]
    visibility = torch.zeros_like(given[-1])
    rows, share = len(inputs[6]), lanes(grad, LANES)
    shared = torch.zeros((rows + 2, 6), dtype=torch.float64, device=grad.device)
    if len(grad):
        threads = -(-len(grad) // share) * share
        launch(backward, threads, *given, *_table(grad.device), share, *own, visibility, shared)
    shared = shared.to(grad.dtype)
    places = torch.nn.functional.pad(shared[:, :3], (0, 1))
    optional = ((inputs[8], shared[rows + 1, 3:]), (inputs[9], visibility))
    found = (grad.new_empty(0) if x is None else gradient for x, gradient in optional)
    return *own, places[rows], places[:rows], shared[:rows, 3:], *found
