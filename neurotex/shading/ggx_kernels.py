"""CPU kernels of the metallic-roughness surface; see `ggx` for the maths, `core.jit` for the rules they keep.

Lights and eye come as (x, y, z, 1) places or (x, y, z, 0) unit directions. `ambient` has one row or none, `visibility`
a row for each point or none. `table` is `albedo.albedo_table()`.

Points are shaded in blocks. A block's numbers lie in one flat buffer, a row of BLOCK numbers for each quantity, at
offsets that are known when compiling. Only so LLVM sees that rows do not overlap, and takes eight points at a time:
that is why these loops have no `if` about a point but choose between two results, and why constants are made in the
arrays' own type. It makes them six times faster than a loop over points.
"""

from __future__ import annotations

import math

import numpy as np

from ..core.jit import jit, jit_simd
from .albedo import DIELECTRIC, MIN_COSINE, MIN_ROUGHNESS
from .lights import NEAREST

BLOCK = 128  # a block's rows stay in the first-level cache in single precision

# what a point is: normal, view, position, n·v, roughness and its 4th power, metallic, and 1 / lengths
(NX, NY, NZ, VX, VY, VZ, PX, PY, PZ, NV, ROUGH, A, METAL, SCALE, NEAR) = (k * BLOCK for k in range(15))
COLOR, OUT = 15 * BLOCK, 18 * BLOCK  # three rows each: base colour; the radiance, or its gradient
# gradients: by n, v, position, n·v, a, metallic, base colour; by a light's place and colour
(G_NX, G_NY, G_NZ, G_VX, G_VY, G_VZ, G_PX, G_PY, G_PZ, G_NV, G_A, G_METAL) = (k * BLOCK for k in range(21, 33))
G_COLOR, G_LIGHT, G_INTENSITY = 33 * BLOCK, 36 * BLOCK, 39 * BLOCK
G_ROUGH = 42 * BLOCK
SEEN, G_SEEN = 43 * BLOCK, 44 * BLOCK  # how much of the light gets here, and its gradient
ROWS = 45


@jit
def _load(block, first, count, base_color, roughness, metallic, normal, position):
    """Points [first, first + count) into the block."""
    for i in range(count):
        s = first + i
        block[NX + i], block[NY + i], block[NZ + i] = normal[s, 0], normal[s, 1], normal[s, 2]
        block[PX + i], block[PY + i], block[PZ + i] = position[s, 0], position[s, 1], position[s, 2]
        block[ROUGH + i], block[METAL + i] = roughness[s], metallic[s]
        for c in range(3):
            block[COLOR + c * BLOCK + i] = base_color[s, c]


@jit_simd
def _prepare(block, eye):
    """Unit normals turned to the eye, views, n·v and a."""
    number = block.dtype.type
    zero, one, tiny, least, grazing = number(0), number(1), number(1e-30), number(MIN_ROUGHNESS), number(MIN_COSINE)
    x, y, z, placed = eye[0], eye[1], eye[2], eye[3]
    for i in range(BLOCK):
        vx, vy, vz = x - placed * block[PX + i], y - placed * block[PY + i], z - placed * block[PZ + i]
        squared = vx * vx + vy * vy + vz * vz
        near = one / math.sqrt(squared) if squared > tiny else zero
        vx, vy, vz = vx * near, vy * near, vz * near
        nx, ny, nz = block[NX + i], block[NY + i], block[NZ + i]
        squared = nx * nx + ny * ny + nz * nz
        scale = one / math.sqrt(squared) if squared > tiny else zero
        scale = -scale if nx * vx + ny * vy + nz * vz < zero else scale
        nx, ny, nz = nx * scale, ny * scale, nz * scale
        rough = max(block[ROUGH + i], least)
        block[VX + i], block[VY + i], block[VZ + i], block[NEAR + i] = vx, vy, vz, near
        block[NX + i], block[NY + i], block[NZ + i], block[SCALE + i] = nx, ny, nz, scale
        block[NV + i] = max(nx * vx + ny * vy + nz * vz, grazing)
        block[A + i] = rough * rough * rough * rough


@jit_simd
def _sent(base, metal, specular, matt, schlick):
    """One channel of F · specular + (1 − F) · body · matt."""
    one, least = type(base)(1), type(base)(DIELECTRIC)
    f0 = least + metal * (base - least)
    fresnel = f0 + (one - f0) * schlick
    return fresnel * specular + (one - fresnel) * base * (one - metal) * matt


@jit
def _cell(table, nv, rough):
    """The table's cell for a cosine and a roughness, and the place in it."""
    last = table.shape[0] - 1
    x = math.sqrt(min(nv, 1.0)) * last
    y = (min(rough, 1.0) - MIN_ROUGHNESS) / (1 - MIN_ROUGHNESS) * last
    # not a number is in no cell: any will do, as what is found there is not a number, too
    i, j = min(int(x), last - 1) if x >= 0 else 0, min(int(y), last - 1) if y >= 0 else 0
    return i, j, x - i, y - j


@jit
def _mix(table, i, j, x, y, channel):
    """One number from a cell, and its derivatives by x and y."""
    a, b, c, d = table[i, j, channel], table[i, j + 1, channel], table[i + 1, j, channel], table[i + 1, j + 1, channel]
    low, high = a + (b - a) * y, c + (d - c) * y
    return low + (high - low) * x, high - low, (b - a) * (1 - x) + (d - c) * x


@jit
def _shade_evenly(block, count, intensity, table):
    """Add what comes from everywhere."""
    for i in range(count):
        if block[SCALE + i] == 0:
            continue
        cell = _cell(table, block[NV + i], max(block[ROUGH + i], MIN_ROUGHNESS))
        lobe, bias, loss = _mix(table, *cell, 0)[0], _mix(table, *cell, 1)[0], _mix(table, *cell, 2)[0]
        metal = block[METAL + i]
        for c in range(3):
            base = block[COLOR + c * BLOCK + i]
            f0 = DIELECTRIC + metal * (base - DIELECTRIC)
            body = base * (1 - metal)
            block[OUT + c * BLOCK + i] += intensity[c] * (f0 * lobe + bias + body * (1 - f0) * (1 - loss))


@jit
def _shade_evenly_backward(block, count, intensity, table, g_intensity):
    """`_shade_evenly` from back to front."""
    for i in range(count):
        if block[SCALE + i] == 0:
            continue
        nv, rough = block[NV + i], max(block[ROUGH + i], MIN_ROUGHNESS)
        cell = _cell(table, nv, rough)
        lobe, lobe_x, lobe_y = _mix(table, *cell, 0)
        bias, bias_x, bias_y = _mix(table, *cell, 1)
        loss, loss_x, loss_y = _mix(table, *cell, 2)
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
def _shade(block, light, intensity):
    """Add what comes from a place or a direction."""
    number = block.dtype.type
    zero, one, half, tiny, nearest = number(0), number(1), number(0.5), number(1e-12), number(NEAREST**2)
    pi, two_pi = number(math.pi), number(2 * math.pi)
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
        falloff *= block[SEEN + i]
        nl = max(nx * lx + ny * ly + nz * lz, zero)
        hx, hy, hz = block[VX + i] + lx, block[VY + i] + ly, block[VZ + i] + lz
        squared = max(hx * hx + hy * hy + hz * hz, tiny)
        cx, cy, cz = ny * hz - nz * hy, nz * hx - nx * hz, nx * hy - ny * hx
        rest = one - a
        width = (cx * cx + cy * cy + cz * cz) / squared * rest + a
        smith = nl * math.sqrt(nv * nv * rest + a) + nv * math.sqrt(nl * nl * rest + a)
        specular = falloff * a * nl / (two_pi * width * width * smith)
        matt = falloff * nl / pi
        short = max(one - half * math.sqrt(squared), zero)
        schlick = short * short * short * short * short
        metal = block[METAL + i]
        block[OUT + i] += red * _sent(block[COLOR + i], metal, specular, matt, schlick)
        block[OUT + BLOCK + i] += green * _sent(block[COLOR + BLOCK + i], metal, specular, matt, schlick)
        block[OUT + 2 * BLOCK + i] += blue * _sent(block[COLOR + 2 * BLOCK + i], metal, specular, matt, schlick)


@jit_simd
def _sent_backward(g, base, metal, specular, matt, schlick):
    """Derivatives of g · `_sent` by all five."""
    one, least = type(base)(1), type(base)(DIELECTRIC)
    f0, body = least + metal * (base - least), base * (one - metal)
    fresnel = f0 + (one - f0) * schlick
    g_fresnel, g_body = g * (specular - body * matt), g * (one - fresnel) * matt
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
        specular, matt = by_nl * nl, falloff * nl / pi
        length = math.sqrt(squared)
        short = max(one - half * length, zero)
        short4 = short * short * short * short
        schlick = short4 * short
        # colours
        metal = block[METAL + i]
        r, g, b = block[COLOR + i], block[COLOR + BLOCK + i], block[COLOR + 2 * BLOCK + i]
        to_r, to_g, to_b = block[OUT + i], block[OUT + BLOCK + i], block[OUT + 2 * BLOCK + i]
        sent_r = to_r * _sent(r, metal, specular, matt, schlick)
        sent_g = to_g * _sent(g, metal, specular, matt, schlick)
        sent_b = to_b * _sent(b, metal, specular, matt, schlick)
        block[G_SEEN + i] = red * sent_r + green * sent_g + blue * sent_b
        # what follows is as if the light that does not get here had not been sent
        seen = block[SEEN + i]
        to_r, to_g, to_b = to_r * seen, to_g * seen, to_b * seen
        block[G_INTENSITY + i], block[G_INTENSITY + BLOCK + i] = sent_r * seen, sent_g * seen
        block[G_INTENSITY + 2 * BLOCK + i] = sent_b * seen
        g_r, metal_r, specular_r, matt_r, schlick_r = _sent_backward(to_r * red, r, metal, specular, matt, schlick)
        g_g, metal_g, specular_g, matt_g, schlick_g = _sent_backward(to_g * green, g, metal, specular, matt, schlick)
        g_b, metal_b, specular_b, matt_b, schlick_b = _sent_backward(to_b * blue, b, metal, specular, matt, schlick)
        block[G_COLOR + i] += g_r
        block[G_COLOR + BLOCK + i] += g_g
        block[G_COLOR + 2 * BLOCK + i] += g_b
        block[G_METAL + i] += metal_r + metal_g + metal_b
        g_specular, g_matt = specular_r + specular_g + specular_b, matt_r + matt_g + matt_b
        g_schlick = schlick_r + schlick_g + schlick_b
        # specular = falloff a (n · l) / (2π width² smith)
        share = g_specular * specular
        g_smith, g_width = -share / smith, -two * share / width
        g_root_v, g_root_l = g_smith * nl / root_v, g_smith * nv / root_l
        g_nl = g_specular * by_nl + g_matt * falloff / pi + g_smith * root_v + g_root_l * nl * rest
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
            # a place: the direction keeps its length, and specular and matt both grow with the fall-off
            radial = g_x * lx + g_y * ly + g_z * lz + two * (share + g_matt * matt)
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
def _add_up(block, row, count, total):
    """Sums of three rows over the block's points, in double precision."""
    for c in range(3):
        for i in range(count):
            total[c] += block[row + c * BLOCK + i]


@jit
def _load_visibility(block, first, count, visibility, light):
    """What of a light gets to points [first, first + count)."""
    for i in range(count):
        block[SEEN + i] = visibility[first + i, light]


# kernels take arrays, not structures of them: numba compiles anew for every kind of structure


@jit
def forward(
    start,
    stop,
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
    out,
):
    """`ggx.metallic_roughness_reference` for points [start, stop)."""
    block = np.zeros(ROWS * BLOCK, out.dtype)
    block[SEEN : SEEN + BLOCK] = 1
    for first in range(start, stop, BLOCK):
        count = min(BLOCK, stop - first)
        _load(block, first, count, base_color, roughness, metallic, normal, position)
        _prepare(block, eye)
        block[OUT : OUT + 3 * BLOCK] = 0
        for k in range(ambient.shape[0]):
            _shade_evenly(block, count, ambient[k], table)
        for k in range(lights.shape[0]):
            if visibility.shape[0] > 0:
                _load_visibility(block, first, count, visibility, k)
            _shade(block, lights[k], intensity[k])
        for i in range(count):
            for c in range(3):
                out[first + i, c] = block[OUT + c * BLOCK + i]


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
        _load(block, first, count, base_color, roughness, metallic, normal, position)
        _prepare(block, eye)
        block[G_NX : G_ROUGH + BLOCK] = 0
        for i in range(count):
            for c in range(3):
                block[OUT + c * BLOCK + i] = grad[first + i, c]
        for k in range(ambient.shape[0]):
            _shade_evenly_backward(block, count, ambient[k], table, g_ambient)
        for k in range(lights.shape[0]):
            if visibility.shape[0] > 0:
                _load_visibility(block, first, count, visibility, k)
            _shade_backward(block, lights[k], intensity[k])
            _add_up(block, G_LIGHT, count, g_lights[k])
            _add_up(block, G_INTENSITY, count, g_intensity[k])
            if visibility.shape[0] > 0:
                for i in range(count):
                    g_visibility[first + i, k] = block[G_SEEN + i]
        _prepare_backward(block, eye)
        _add_up(block, G_LIGHT, count, g_eye)
        for i in range(count):
            for c in range(3):
                g_base_color[first + i, c] = block[G_COLOR + c * BLOCK + i]
                g_normal[first + i, c] = block[G_NX + c * BLOCK + i]
                g_position[first + i, c] = block[G_PX + c * BLOCK + i]
            g_roughness[first + i], g_metallic[first + i] = block[G_ROUGH + i], block[G_METAL + i]
    return g_eye, g_lights, g_intensity, g_ambient
