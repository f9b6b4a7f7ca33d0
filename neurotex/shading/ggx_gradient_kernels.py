"""The gradient of the metallic-roughness surface on CPU; see `ggx_kernels` for what its arguments are."""

from __future__ import annotations

import math

import numpy as np

from ..core.jit import jit, jit_simd
from .albedo import DIELECTRIC, MIN_COSINE, MIN_ROUGHNESS
from .ggx_block_kernels import (
    BLOCK,
    COLOR,
    G_A,
    G_COLOR,
    G_INTENSITY,
    G_LIGHT,
    G_METAL,
    G_NV,
    G_NX,
    G_NY,
    G_NZ,
    G_PX,
    G_PY,
    G_PZ,
    G_ROUGH,
    G_SEEN,
    G_VX,
    G_VY,
    G_VZ,
    METAL,
    NEAR,
    NV,
    NX,
    NY,
    NZ,
    OUT,
    PX,
    PY,
    PZ,
    ROUGH,
    ROWS,
    SCALE,
    SEEN,
    VX,
    VY,
    VZ,
    A,
    add_up,
    cell_of,
    load,
    load_visibility,
    mix,
    prepare,
    sent,
)
from .lights import NEAREST


@jit
def _shade_evenly_backward(block, count, intensity, table, g_intensity):
    """`_shade_evenly` from back to front."""
    for i in range(count):
        if block[SCALE + i] == 0:
            continue
        nv, rough = block[NV + i], max(block[ROUGH + i], MIN_ROUGHNESS)
        cell = cell_of(table, nv, rough)
        lobe, lobe_x, lobe_y = mix(table, *cell, 0)
        bias, bias_x, bias_y = mix(table, *cell, 1)
        loss, loss_x, loss_y = mix(table, *cell, 2)
        metal = block[METAL + i]
        g_lobe, g_bias, g_loss = 0.0, 0.0, 0.0
        for c in range(3):
            base = block[COLOR + c * BLOCK + i]
            f0 = DIELECTRIC + metal * (base - DIELECTRIC)
            body = base * (1 - metal)
            g_intensity[c] += block[OUT + c * BLOCK + i] * (f0 * lobe + bias + body * (1 - f0) * (1 - loss))
            g = block[OUT + c * BLOCK + i] * intensity[c]
            g_f0, g_body = g * (lobe - body * (1 - loss)), g * (1 - f0) * (1 - loss)
            g_lobe, g_bias, g_loss = g_lobe + g * f0, g_bias + g, g_loss - g * body * (1 - f0)
            block[G_COLOR + c * BLOCK + i] += g_f0 * metal + g_body * (1 - metal)
            block[G_METAL + i] += g_f0 * (base - DIELECTRIC) - g_body * base
        last = table.shape[0] - 1
        if nv < 1:
            g_x = g_lobe * lobe_x + g_bias * bias_x + g_loss * loss_x
            block[G_NV + i] += g_x * last / (2 * math.sqrt(nv))
        if rough < 1:
            g_y = g_lobe * lobe_y + g_bias * bias_y + g_loss * loss_y
            block[G_ROUGH + i] += g_y * last / (1 - MIN_ROUGHNESS)


@jit_simd
def _sent_backward(g, base, metal, specular, diffuse, schlick):
    """Derivatives of g · `_sent` by all five."""
    one, least = type(base)(1), type(base)(DIELECTRIC)
    f0, body = least + metal * (base - least), base * (one - metal)
    fresnel = f0 + (one - f0) * schlick
    g_fresnel, g_body = g * (specular - body * diffuse), g * (one - fresnel) * diffuse
    g_f0 = g_fresnel * (one - schlick)
    g_base, g_metal = g_f0 * metal + g_body * (one - metal), g_f0 * (base - least) - g_body * base
    return g_base, g_metal, g * fresnel, g * (one - fresnel) * body, g_fresnel * (one - f0)


@jit_simd
def _shade_backward(block, light, intensity):
    """`_shade` from back to front: g_x is the derivative by x of the block's part in the loss.

    The derivatives by this light's place and colour are left in the block, point by point.
    """
    number = block.dtype.type
    zero, one, half, tiny, nearest = number(0), number(1), number(0.5), number(1e-12), number(NEAREST**2)
    two, five, quarter, pi, two_pi = number(2), number(5), number(0.25), number(math.pi), number(2 * math.pi)
    x, y, z, far = light[0], light[1], light[2], light[3] == zero
    red, green, blue = intensity[0], intensity[1], intensity[2]
    for i in range(BLOCK):
        nx, ny, nz, nv, a = block[NX + i], block[NY + i], block[NZ + i], block[NV + i], block[A + i]
        lx, ly, lz = x - block[PX + i], y - block[PY + i], z - block[PZ + i]
        distance2 = lx * lx + ly * ly + lz * lz
        falloff = one / distance2 if distance2 > nearest else zero
        inverse = math.sqrt(falloff)
        lx, ly, lz = lx * inverse, ly * inverse, lz * inverse
        if far:
            lx, ly, lz, falloff = x, y, z, one
        cosine = nx * lx + ny * ly + nz * lz
        nl = max(cosine, zero)
        hx, hy, hz = block[VX + i] + lx, block[VY + i] + ly, block[VZ + i] + lz
        half2 = hx * hx + hy * hy + hz * hz
        squared = max(half2, tiny)
        cx, cy, cz = ny * hz - nz * hy, nz * hx - nx * hz, nx * hy - ny * hx
        rest = one - a
        sine2 = (cx * cx + cy * cy + cz * cz) / squared
        width = sine2 * rest + a
        root_v, root_l = math.sqrt(nv * nv * rest + a), math.sqrt(nl * nl * rest + a)
        smith = nl * root_v + nv * root_l
        by_nl = falloff * a / (two_pi * width * width * smith)  # specular / (n · l)
        specular, diffuse = by_nl * nl, falloff * nl / pi
        length = math.sqrt(squared)
        short = max(one - half * length, zero)
        short4 = short * short * short * short
        schlick = short4 * short
        # colours
        metal = block[METAL + i]
        r, g, b = block[COLOR + i], block[COLOR + BLOCK + i], block[COLOR + 2 * BLOCK + i]
        to_r, to_g, to_b = block[OUT + i], block[OUT + BLOCK + i], block[OUT + 2 * BLOCK + i]
        sent_r = to_r * sent(r, metal, specular, diffuse, schlick)
        sent_g = to_g * sent(g, metal, specular, diffuse, schlick)
        sent_b = to_b * sent(b, metal, specular, diffuse, schlick)
        block[G_SEEN + i] = red * sent_r + green * sent_g + blue * sent_b
        # what follows is as if the light that does not get here had not been sent
        seen = block[SEEN + i]
        to_r, to_g, to_b = to_r * seen, to_g * seen, to_b * seen
        block[G_INTENSITY + i], block[G_INTENSITY + BLOCK + i] = sent_r * seen, sent_g * seen
        block[G_INTENSITY + 2 * BLOCK + i] = sent_b * seen
        layers = (metal, specular, diffuse, schlick)
        g_r, metal_r, specular_r, diffuse_r, schlick_r = _sent_backward(to_r * red, r, *layers)
        g_g, metal_g, specular_g, diffuse_g, schlick_g = _sent_backward(to_g * green, g, *layers)
        g_b, metal_b, specular_b, diffuse_b, schlick_b = _sent_backward(to_b * blue, b, *layers)
        block[G_COLOR + i] += g_r
        block[G_COLOR + BLOCK + i] += g_g
        block[G_COLOR + 2 * BLOCK + i] += g_b
        block[G_METAL + i] += metal_r + metal_g + metal_b
        g_specular, g_diffuse = specular_r + specular_g + specular_b, diffuse_r + diffuse_g + diffuse_b
        g_schlick = schlick_r + schlick_g + schlick_b
        # specular = falloff a (n · l) / (2π width² smith)
        share = g_specular * specular
        g_smith, g_width = -share / smith, -two * share / width
        g_root_v, g_root_l = g_smith * nl / root_v, g_smith * nv / root_l
        g_nl = g_specular * by_nl + g_diffuse * falloff / pi + g_smith * root_v + g_root_l * nl * rest
        g_nl = g_nl if cosine > zero else zero
        block[G_NV + i] += g_smith * root_l + g_root_v * nv * rest
        by_roots = half * (g_root_v * (one - nv * nv) + g_root_l * (one - nl * nl))
        block[G_A + i] += share / a + g_width * (one - sine2) + by_roots
        # sine2 = |n × h|² / squared; the derivatives of |n × h|² by n and h are 2 h × (n × h) and 2 (n × h) × n
        g_sine2 = g_width * rest / squared
        g_squared = -g_sine2 * sine2 - five * quarter * short4 * g_schlick / length
        along = two * g_squared if half2 > tiny else zero
        across = two * g_sine2
        block[G_NX + i] += across * (hy * cz - hz * cy) + g_nl * lx
        block[G_NY + i] += across * (hz * cx - hx * cz) + g_nl * ly
        block[G_NZ + i] += across * (hx * cy - hy * cx) + g_nl * lz
        g_x = across * (cy * nz - cz * ny) + along * hx
        g_y = across * (cz * nx - cx * nz) + along * hy
        g_z = across * (cx * ny - cy * nx) + along * hz
        block[G_VX + i] += g_x
        block[G_VY + i] += g_y
        block[G_VZ + i] += g_z
        g_x, g_y, g_z = g_x + g_nl * nx, g_y + g_nl * ny, g_z + g_nl * nz
        if not far:
            # a place: the direction keeps its length, and specular and diffuse both grow with the fall-off
            radial = g_x * lx + g_y * ly + g_z * lz + two * (share + g_diffuse * diffuse)
            radial = radial if distance2 > nearest else zero
            g_x, g_y, g_z = (g_x - radial * lx) * inverse, (g_y - radial * ly) * inverse, (g_z - radial * lz) * inverse
            block[G_PX + i] -= g_x
            block[G_PY + i] -= g_y
            block[G_PZ + i] -= g_z
        block[G_LIGHT + i], block[G_LIGHT + BLOCK + i], block[G_LIGHT + 2 * BLOCK + i] = g_x, g_y, g_z


@jit_simd
def _prepare_backward(block, eye):
    """`_prepare` from back to front. The derivatives by the eye are left in the rows of the lights."""
    number = block.dtype.type
    zero, four, grazing, least = number(0), number(4), number(MIN_COSINE), number(MIN_ROUGHNESS)
    far = eye[3] == zero
    for i in range(BLOCK):
        nx, ny, nz = block[NX + i], block[NY + i], block[NZ + i]
        vx, vy, vz = block[VX + i], block[VY + i], block[VZ + i]
        g_nv = block[G_NV + i] if block[NV + i] > grazing else zero
        g_x, g_y, g_z = block[G_NX + i] + g_nv * vx, block[G_NY + i] + g_nv * vy, block[G_NZ + i] + g_nv * vz
        radial, scale = g_x * nx + g_y * ny + g_z * nz, block[SCALE + i]
        block[G_NX + i], block[G_NY + i] = (g_x - radial * nx) * scale, (g_y - radial * ny) * scale
        block[G_NZ + i] = (g_z - radial * nz) * scale
        g_x, g_y, g_z = block[G_VX + i] + g_nv * nx, block[G_VY + i] + g_nv * ny, block[G_VZ + i] + g_nv * nz
        if not far:
            radial, near = g_x * vx + g_y * vy + g_z * vz, block[NEAR + i]
            g_x, g_y, g_z = (g_x - radial * vx) * near, (g_y - radial * vy) * near, (g_z - radial * vz) * near
            block[G_PX + i] -= g_x
            block[G_PY + i] -= g_y
            block[G_PZ + i] -= g_z
        block[G_LIGHT + i], block[G_LIGHT + BLOCK + i], block[G_LIGHT + 2 * BLOCK + i] = g_x, g_y, g_z
        rough = block[ROUGH + i]
        g_rough = block[G_ROUGH + i] + four * rough * rough * rough * block[G_A + i]
        block[G_ROUGH + i] = g_rough if rough >= least else zero


@jit
def backward(
    start,
    stop,
    grad,
    base_color,
    roughness,
    metallic,
    normal,
    position,
    eye,
    lights,
    intensity,
    ambient,
    visibility,
    table,
    g_base_color,
    g_roughness,
    g_metallic,
    g_normal,
    g_position,
    g_visibility,
):
    """Gradients of points [start, stop); returns their share of those by eye, lights, intensity and ambient light.

    `forward` kept nothing: what is needed of it is computed again.
    """
    g_eye, g_lights, g_intensity = np.zeros(4), np.zeros((lights.shape[0], 4)), np.zeros((lights.shape[0], 3))
    g_ambient = np.zeros(3)
    block = np.zeros(ROWS * BLOCK, grad.dtype)
    block[SEEN : SEEN + BLOCK] = 1
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        load(block, first, count, base_color, roughness, metallic, normal, position)
        prepare(block, eye)
        block[G_NX : G_ROUGH + BLOCK] = 0
        for i in range(count):
            for c in range(3):
                block[OUT + c * BLOCK + i] = grad[first + i, c]
        for k in range(ambient.shape[0]):
            _shade_evenly_backward(block, count, ambient[k], table, g_ambient)
        for k in range(lights.shape[0]):
            if visibility.shape[0] > 0:
                load_visibility(block, first, count, visibility, k)
            _shade_backward(block, lights[k], intensity[k])
            add_up(block, G_LIGHT, count, g_lights[k])
            add_up(block, G_INTENSITY, count, g_intensity[k])
            if visibility.shape[0] > 0:
                for i in range(count):
                    g_visibility[first + i, k] = block[G_SEEN + i]
        _prepare_backward(block, eye)
        add_up(block, G_LIGHT, count, g_eye)
        for i in range(count):
            for c in range(3):
                g_base_color[first + i, c] = block[G_COLOR + c * BLOCK + i]
                g_normal[first + i, c] = block[G_NX + c * BLOCK + i]
                g_position[first + i, c] = block[G_PX + c * BLOCK + i]
            g_roughness[first + i], g_metallic[first + i] = block[G_ROUGH + i], block[G_METAL + i]
    return g_eye, g_lights, g_intensity, g_ambient
