"""Every public function that reaches a kernel, called with arguments that are wrong in some way.

Run by test_checked.py in a process of its own, without the checks of annotations that tests have: what a kernel reads
beyond an array may end the process, and then its name is the last line printed. A call must give what the reference
gives, or raise a NeurotexError.
"""

# Over 400 lines: a list of all functions that reach a kernel, a few lines each

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

import neurotex as nt
from neurotex import discrete, raster, shading
from neurotex.compat import pytorch3d
from neurotex.discrete.palette_lookup import blend_colors, blend_reference, nearest_colors, nearest_reference
from neurotex.raster import operator, pixels, texels, textures, zbuffer
from neurotex.raster.resolve import resolve_reference
from neurotex.shading import ggx
from neurotex.shading.diffuse import diffuse_reference

V, F, N, T = 7, 5, 6, 24  # vertices, faces, samples or points, texels


class Case:
    """A function, good arguments for a seed, and what a reference makes of arguments (None where there is none)."""

    def __init__(self, call: Callable, good: Callable[[], dict[str, Any]], reference: Callable | None = None):
        self.call, self.good, self.reference = call, good, reference


def _ints(high: int, *shape: int, dtype: torch.dtype = torch.int32) -> Tensor:
    return torch.randint(high, shape, dtype=dtype)


def _screen() -> dict[str, Tensor]:
    screen = torch.rand(V, 4) * torch.tensor([8, 8, 1, 1]) + torch.tensor([0, 0, 1, 0.5])
    return {"screen": screen, "faces": _ints(V, F, 3)}


def _seen(**more: Any) -> dict[str, Any]:
    given = _screen()
    ids, _ = raster.z_buffer(given["screen"], given["faces"], (4, 6))
    return {"ids": ids, **given, **more}


def _taps() -> dict[str, Tensor]:
    return {"first": torch.tensor([0, 2, 2, N]), "index": _ints(T, N, 4), "weight": torch.rand(N, 4)}


def _layout(filters: tuple[str, ...]) -> raster.TexelLayout:
    return raster.TexelLayout.of([(4, 6), (5, 3)], ["repeat", "clamp"], filters=filters)


def _lookup(*filters: str) -> Callable[[], dict[str, Any]]:
    return lambda: {
        "uv": 3 * torch.randn(N, 2),
        "duv": torch.rand(N, 2, 2),
        "texture": _ints(2, N),
        "layout": _layout(filters),
        "anisotropy": 4,
    }


LIGHTS = ("lights", "intensity", "ambient", "visibility")


def _lit() -> dict[str, Tensor]:
    return {
        "position": torch.randn(N, 3),
        "normal": torch.randn(N, 3),
        "eye": torch.tensor([0.0, 0, 3, 1]),
        "lights": torch.cat([torch.randn(2, 4), torch.zeros(1, 4)]),
        "intensity": torch.rand(3, 3),
        "ambient": torch.rand(3),
        "visibility": torch.rand(N, 3),
    }


def _glossy() -> dict[str, Tensor]:
    return {"base_color": torch.rand(N, 3), "roughness": torch.rand(N), "metallic": torch.rand(N), **_lit()}


def _operator() -> dict[str, Any]:
    return {
        "pointers": torch.tensor([0, 2, 2, 5]),
        "columns": _ints(T, 5),
        "values": torch.rand(5, 3),
        "width": T,
        "x": torch.rand(T, 3),
        "y": torch.rand(3, 3),
    }


def _product(pointers: Any, columns: Any, values: Any, width: Any, x: Any, y: Any) -> tuple[Tensor, Tensor]:
    a = raster.SparseOperator(pointers, columns, values, width)
    return a(x), a.transposed_product(y)


def _dense(pointers: Any, columns: Any, values: Any, width: Any, x: Any, y: Any) -> tuple[Tensor, Tensor]:
    transposed = operator.transpose(pointers.long(), columns.int(), values, width)
    return operator.product_reference(x, pointers, columns, values), operator.product_reference(y, *transposed)


def _ascending(high: int, count: int) -> Tensor:
    return torch.randperm(high)[:count].sort().values


def _flat(found: Any) -> list[Tensor]:
    if isinstance(found, Tensor):
        return [found]
    values = vars(found).values() if hasattr(found, "__dataclass_fields__") else found
    return [tensor for value in values if value is not None for tensor in _flat(value)]


def _step(make: Callable[[], discrete.Step], channels: int) -> Case:
    """Forward, exact and backward of a step of textures."""

    def call(x: Any) -> Tensor:
        step = make()
        if isinstance(x, Tensor) and x.is_floating_point():
            x = x.detach().requires_grad_()
            step(x).sum().backward()
        return step.eval()(x)

    return Case(call, lambda: {"x": torch.rand(1, channels, 8, 8)})


def _in_order(pointers: Tensor, columns: Tensor, values: Tensor) -> tuple[Tensor, ...]:
    """Entries of a row come in any order."""
    rows = torch.repeat_interleave(pointers.diff())
    order = (rows << 32 | columns).argsort()
    return pointers, columns[order], values[order]


def _weighted(taps: raster.Taps) -> tuple[Tensor, Tensor, Tensor]:
    """Where a tap has no weight, any texel will do."""
    return taps.first, taps.index * (taps.weight != 0), taps.weight


def _finite(index: Tensor, distance: Tensor) -> tuple[Tensor, Tensor]:
    """Of colours beyond all measure, none is nearer."""
    return index * distance.isfinite(), distance.where(distance.isfinite(), torch.inf)


CASES = {
    "z_buffer": Case(
        raster.z_buffer,
        lambda: {**_screen(), "size": (4, 6), "near": 1e-4, "top": 0, "beyond": torch.zeros(4, 6)},
        zbuffer.z_buffer_reference,
    ),
    "gather_surface": Case(
        raster.gather_surface,
        lambda: _seen(attributes=torch.rand(V, 5), grid=2, derivatives=2, top=1),
        None,  # of other faces than were seen, coordinates beyond all measure are rounded differently
    ),
    "sample_surface": Case(
        raster.sample_surface,
        lambda: {**_screen(), "attributes": torch.rand(V, 5), "size": (3, 4), "grid": 2, "near": 0.1, "derivatives": 2},
    ),
    "edge_blends": Case(raster.edge_blends, lambda: _seen(opposite=None)),
    "edge_blends with neighbours": Case(
        raster.edge_blends,
        lambda: (lambda given: {**given, "opposite": raster.opposite_corners(given["faces"])})(_seen()),
    ),
    "antialias": Case(raster.antialias, lambda: {"image": torch.rand(4, 6, 2), **_seen()}),
    "opposite_corners": Case(raster.opposite_corners, lambda: {"faces": _ints(V, F, 3)}),
    "resolve": Case(
        raster.resolve,
        lambda: {"texels": torch.rand(T, 4), **_taps(), "light": torch.rand(N, 3)},
        resolve_reference,
    ),
    "assemble_rows": Case(
        lambda **given: _in_order(*raster.assemble_rows(**given)),
        lambda: {**_taps(), "light": torch.rand(N, 3)},
        lambda **given: _in_order(*operator.assemble_reference(**given)),
    ),
    "SparseOperator": Case(_product, _operator, _dense),
    "take_texels": Case(
        raster.take_texels, lambda: {"planes": torch.rand(3, T), "index": _ascending(T, N)}, texels.take_reference
    ),
    "number_seen": Case(
        lambda first, second, total: raster.number_seen([first, second], total),
        lambda: {"first": _ints(T, N, 4), "second": _ints(T, 2, 1), "total": T},
    ),
    "place_pixels": Case(
        raster.place_pixels,
        lambda: {"colour": torch.rand(N, 4), "alpha": torch.rand(N), "pixel": _ascending(T, N), "total": T},
        lambda colour, alpha, pixel, total: pixels.place_reference(colour, alpha, pixel.long(), total),
    ),
    "nearest and bilinear taps": Case(
        lambda **given: _weighted(raster.taps(**given)),
        _lookup("nearest", "bilinear"),
        lambda **given: _weighted(textures.taps_reference(**given)),
    ),
    "anisotropic taps": Case(raster.taps, _lookup("anisotropic", "trilinear")),
    "bilinear_taps": Case(
        raster.bilinear_taps,
        lambda: {"uv": torch.randn(N, 2), "texture": _ints(2, N), "layout": _layout(("bilinear", "bilinear"))},
        textures.bilinear_taps_reference,
    ),
    "Taps.gather": Case(
        lambda first, index, weight, texels: raster.Taps(first, index, weight).gather(texels),
        lambda: {**_taps(), "texels": torch.rand(T, 2)},
    ),
    "TexelLayout": Case(raster.TexelLayout, lambda: dict(vars(_layout(("trilinear", "bilinear"))))),
    "TexelLayout.of": Case(raster.TexelLayout.of, lambda: {"shapes": [(4, 6)], "wraps": ["repeat"], "filters": None}),
    "flatten_maps": Case(
        lambda a, b: raster.flatten_maps([a, b], _layout(("trilinear", "bilinear"))),
        lambda: {"a": torch.rand(3, 4, 6), "b": torch.rand(3, 5, 3)},
    ),
    "mip_levels": Case(raster.mip_levels, lambda: {"texture": torch.rand(3, 5, 6)}),
    "rasterize": Case(
        pytorch3d.rasterize,
        lambda: {
            "corners": torch.randn(F, 3, 3) + torch.tensor([0, 0, 2]),
            "size": (5, 6),
            "first": (0, 2),
            "faces_per_pixel": 2,
            "blur_radius": 1e-3,
            "near": 0.5,
        },
    ),
    "interpolate": Case(
        lambda pix, bary, attributes: pytorch3d.interpolate(pytorch3d.Fragments(pix, pix, bary, pix), attributes),
        lambda: {
            "pix": _ints(F + 1, 1, 3, 4, 2, dtype=torch.int64) - 1,
            "bary": torch.rand(1, 3, 4, 2, 3),
            "attributes": torch.rand(F, 3, 2),
        },
    ),
    "sample_texture": Case(pytorch3d.sample_texture, lambda: {"image": torch.rand(3, 5, 4), "uv": torch.randn(N, 2)}),
    "diffuse": Case(shading.diffuse, _lit, diffuse_reference),
    "metallic_roughness": Case(shading.metallic_roughness, _glossy, ggx.metallic_roughness_reference),
    "incident": Case(
        shading.incident,
        lambda: {"light": torch.randn(4), "position": torch.randn(N, 3)},
    ),
    "environment_reflection": Case(
        shading.environment_reflection,
        lambda: {
            **{name: value for name, value in _glossy().items() if name not in LIGHTS},
            "coefficients": torch.rand(9, 3),
            "prefiltered": torch.rand(3, 3, 4, 8),
        },
    ),
    "environment_diffuse": Case(
        shading.environment_diffuse,
        lambda: {
            **{name: value for name, value in _lit().items() if name not in LIGHTS},
            "coefficients": torch.rand(9, 3),
        },
    ),
    "environment_specular": Case(
        shading.environment_specular,
        lambda: {"prefiltered": torch.rand(3, 3, 4, 8), "direction": torch.randn(N, 3), "roughness": torch.rand(N)},
    ),
    "irradiance": Case(shading.irradiance, lambda: {"coefficients": torch.rand(9, 3), "normal": torch.randn(N, 3)}),
    "sh_irradiance": Case(shading.sh_irradiance, lambda: {"image": torch.rand(3, 4, 8)}),
    "prefilter": Case(shading.prefilter, lambda: {"image": torch.rand(3, 4, 8), "height": 4, "levels": 3}),
    "face_tangents": Case(
        shading.face_tangents,
        lambda: {"vertices": torch.randn(V, 3), "uvs": torch.rand(V, 2), "faces": _ints(V, F, 3), "normals": None},
    ),
    "apply_normal_map": Case(
        shading.apply_normal_map,
        lambda: {"normal": torch.randn(N, 3), "tangent": torch.randn(N, 4), "value": torch.rand(N, 3)},
    ),
    "nearest_colors": Case(
        lambda **given: _finite(*nearest_colors(**given)),
        lambda: {"x": torch.rand(2, 3, 4, 5), "colors": torch.rand(6, 3), "count": 3},
        lambda **given: _finite(*nearest_reference(**given)),
    ),
    "blend_colors": Case(
        blend_colors,
        lambda: {"weights": torch.rand(2, 3, 4, 5), "colors": torch.rand(6, 3), "index": _ints(6, 2, 3, 4, 5)},
        blend_reference,
    ),
    "Palette.paint": Case(
        lambda index, colors: discrete.Palette(6).paint(index, colors),
        lambda: {"index": _ints(6, 2, 4, 5), "colors": torch.rand(6, 3)},
    ),
    "Levels": _step(lambda: discrete.Levels(4), 3),
    "Palette": _step(lambda: discrete.Palette(9), 3),
    "Palette, surrogate": _step(lambda: discrete.Palette(9, "surrogate"), 3),
    "Floyd-Steinberg of levels": _step(lambda: discrete.Dither(3), 3),
    "Floyd-Steinberg of colours": _step(lambda: discrete.Dither(palette=torch.rand(9, 3)), 3),
    "bayer": _step(lambda: discrete.Dither(3, "bayer"), 3),
    "blue_noise": _step(lambda: discrete.Dither(3, "blue_noise"), 3),
    "Jpeg": _step(lambda: discrete.Jpeg(50), 3),
    "bc1": _step(lambda: discrete.BlockCompress("bc1"), 3),
    "bc3": _step(lambda: discrete.BlockCompress("bc3", "surrogate"), 4),
    "bc4": _step(lambda: discrete.BlockCompress("bc4", "surrogate"), 1),
    "bc5": _step(lambda: discrete.BlockCompress("bc5"), 2),
    "Threshold": _step(lambda: discrete.Threshold(0.5), 3),
    "Mesh": Case(
        lambda vertices, faces, uvs, normals: nt.render(
            nt.Scene(nt.Mesh(vertices, faces, uvs, normals), nt.orbit(1, 3.0), nt.Flash(1.0)), 4, grid=1
        ),
        lambda: {
            "vertices": torch.rand(V, 3),
            "faces": _ints(V, F, 3),
            "uvs": torch.rand(V, 2),
            "normals": torch.nn.functional.normalize(torch.randn(V, 3), dim=1),
        },
    ),
}


def _of_a_tensor(draw: Callable, value: Tensor) -> Any:
    """A tensor that is wrong, or only unusual."""
    axis = draw(st.integers(0, max(value.ndim - 1, 0)))
    place = tuple(draw(st.integers(0, size - 1)) for size in value.shape) if value.numel() else ()
    how = draw(st.sampled_from(["entry", "entry", "entry", "type", "strided", "less", "more", "axis", "empty", "none"]))
    if how == "entry" and value.numel():
        out = value.clone()
        far = [-1, -2, -(1 << 31), (1 << 31) - 1, 1 << 20, *range(2, 30)]
        odd = [np.nan, np.inf, -np.inf, 1e30, -1e30, -1.0, 1e-30]
        number = draw(st.sampled_from(odd if value.is_floating_point() else far))
        out[place] = torch.tensor(number, dtype=torch.float64).to(value.dtype)
        return out
    if how == "type":
        kinds = (torch.float16, torch.float64, torch.int64, torch.int16, torch.uint8, torch.bool)
        return value.to(draw(st.sampled_from(kinds)))
    if how == "strided":
        return torch.stack([value, value], -1)[..., 0] if value.ndim else value
    if how in ("less", "more") and value.ndim:
        rows = value.shape[axis] - 1 if how == "less" else value.shape[axis]
        less = value.narrow(axis, 0, max(rows, 0))
        return less if how == "less" else torch.cat([less, less.narrow(axis, 0, min(1, less.shape[axis]))], axis)
    if how == "axis":
        return (
            value[None] if draw(st.booleans()) or value.ndim == 0 else value.select(axis, 0) if value.numel() else value
        )
    if how == "empty" and value.ndim:
        return value.narrow(axis, 0, 0)
    return draw(st.sampled_from([None, "a", 3, value.tolist(), value.numpy()]))


def _spoil(draw: Callable, value: Any) -> Any:
    if isinstance(value, Tensor):
        return _of_a_tensor(draw, value)
    if isinstance(value, tuple):
        return draw(st.sampled_from([(), (0, 0), (-1, 4), (2.5, 3), None, (4, 5, 6), (1 << 20, 1 << 20), "ab", (3, 3)]))
    if isinstance(value, float):
        return draw(st.sampled_from([0.0, -1.0, np.nan, np.inf, None, "a", 1]))
    if isinstance(value, int):
        return draw(st.sampled_from([0, -1, 1, 3, 5, 1 << 40, 2.5, None, "a", True]))
    return value


def _is_right(case: Case, arguments: dict[str, Any]) -> str:
    """What is wrong with a call; "" for nothing."""
    try:
        found = case.call(**arguments)
    except nt.NeurotexError:
        return ""
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
    if case.reference is None:
        return ""
    # torch does not index by all kinds of whole numbers
    whole = {n: v.long() for n, v in arguments.items() if isinstance(v, Tensor) and not v.is_floating_point()}
    expected = case.reference(**{**arguments, **whole})
    for one, other in zip(_flat(found), _flat(expected), strict=True):
        # a kernel may lose what is not a number in a maximum
        one = one.where(~other.isnan(), torch.nan) if one.shape == other.shape and other.is_floating_point() else one
        if one.shape != other.shape or not torch.allclose(one.double(), other.double(), 1e-3, 1e-4, equal_nan=True):
            return f"gave {one}, but its reference {other}"
    return ""


def _told(arguments: dict[str, Any]) -> str:
    parts = []
    for name, value in arguments.items():
        told = repr(value)
        if isinstance(value, Tensor):
            odd = value[~value.isfinite()].tolist() if value.is_floating_point() else []
            ends = value.aminmax() if value.numel() and not value.is_complex() else ()
            told = f"{value.dtype} {tuple(value.shape)} {[float(v) for v in ends]} {odd}"
        parts.append(f"{name}: {told[:150]}")
    return ", ".join(parts)


def check(name: str, examples: int) -> None:
    case = CASES[name]

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        phases=[Phase.generate],
    )
    @given(st.data(), st.integers(0, 1 << 20), st.integers(0, 2))
    def hostile(data: st.DataObject, seed: int, spoiled: int) -> None:
        torch.manual_seed(seed)
        arguments = case.good()
        for _ in range(spoiled):
            which = data.draw(st.sampled_from(sorted(arguments)))
            arguments[which] = _spoil(data.draw, arguments[which])
        wrong = _is_right(case, arguments)
        assert not wrong, f"{wrong[:600]} for {_told(arguments)}"

    hostile()


def main(examples: int, names: list[str]) -> int:
    torch.set_num_threads(2)
    failed = 0
    for name in names or CASES:
        print(name, flush=True)  # the last line, if the process ends here
        try:
            check(name, examples)
        except Exception as error:
            failed += 1
            print(f"  {str(error)[:1500]}", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]) > 0)
