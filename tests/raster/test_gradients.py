"""Every differentiable function of `raster` passes gradcheck and gradgradcheck: a new one without a case fails."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from neurotex import raster
from neurotex.raster.antialias import Crossings, crossing_lines
from neurotex.raster.antialias_kernels import EDGE, MEETING
from neurotex.raster.mipmap import level_of_detail, probes
from neurotex.raster.pixels import place_pixels
from neurotex.raster.samples import barycentric_derivatives, barycentrics
from neurotex.raster.textures import gather_texels
from neurotex.raster.zbuffer import edge_functions
from tests.gradients import public_functions

# what they return is discrete, or made once for arguments that carry no gradient
DISCRETE = {
    "assemble_rows",
    "cell_on_face",
    "level_shapes",
    "number_seen",
    "opposite_corners",
    "transpose",
    "z_buffer",
}

FACES = torch.tensor([[0, 1, 2], [2, 1, 3]])
SIZE = (5, 6)
INDEX = torch.tensor([[0, 3, 5, 2], [1, 1, 4, 0], [2, 5, 0, 3]], dtype=torch.int32)
FIRST = torch.tensor([0, 2, 3])
LAYOUT = raster.TexelLayout.of([(3, 2), (4, 4)], ["repeat", "clamp"], filters=["trilinear", "anisotropic"])

Case = tuple[Callable, tuple[Tensor, ...]]


def _leaf(*shape: int) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, requires_grad=True)


def _screen() -> Tensor:
    """Two faces that share an edge, in perspective, over most of a small image."""
    place = torch.tensor([[0.3, 0.4], [5.2, 0.2], [0.6, 4.7], [5.4, 4.1]], dtype=torch.float64)
    w = torch.tensor([2.0, 2.5, 1.8, 3.0], dtype=torch.float64)[:, None]
    return torch.cat([place * w, w, w], 1).requires_grad_()


def _crossing_lines() -> Case:
    place, axis, kind = torch.tensor([7, 9, 14]), torch.tensor([0, 1, 0]), torch.tensor([EDGE, EDGE, MEETING])
    found = Crossings(place, axis, kind, torch.tensor([0, 1, 0]), torch.tensor([2, 3, 1]), axis, axis)
    return lambda screen: crossing_lines(found, screen, FACES, 6), (_screen(),)


def _blends() -> Case:
    ids, _ = raster.z_buffer(_screen(), FACES, SIZE)

    def weights(screen: Tensor) -> Tensor:
        found = raster.edge_blends(ids, screen, FACES).weights
        assert len(found) > 4
        return found

    return weights, (_screen(),)


def _antialias() -> Case:
    ids, _ = raster.z_buffer(_screen(), FACES, SIZE)
    return lambda image, screen: raster.antialias(image, ids, screen, FACES), (_leaf(*SIZE, 2), _screen())


def _sample_surface() -> Case:
    def values(screen: Tensor, attributes: Tensor) -> tuple[Tensor, Tensor]:
        found = raster.sample_surface(screen, FACES, attributes, SIZE, grid=1, derivatives=2)
        assert len(found.face.unique()) == 2
        return found.values, found.derivatives

    return values, (_screen(), _leaf(4, 3))


def _gather_surface() -> Case:
    ids, _ = raster.z_buffer(_screen(), FACES, (4, 6))

    def values(screen: Tensor, attributes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found = raster.gather_surface(ids, screen, FACES, attributes, grid=2, derivatives=2, barycentrics=True)
        return found.values, found.derivatives, found.barycentrics

    return values, (_screen(), _leaf(4, 3))


def _duv() -> Tensor:
    """Footprints of about 1, 2 and 4 texels, long ones among them, away from the steps between levels."""
    values = [[[0.4, 0.1], [0.05, 0.3]], [[0.9, 0.2], [-0.3, 0.6]], [[0.35, 0.02], [0.1, 0.28]]]
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def _taps() -> Case:
    uv = torch.tensor([[0.31, 0.42], [-0.77, 1.23], [0.58, 0.11]], dtype=torch.float64, requires_grad=True)
    texels = torch.rand(LAYOUT.total, 2, dtype=torch.float64)
    which = torch.tensor([0, 1, 1])
    return lambda uv, duv: raster.taps(uv, duv, which, LAYOUT, 4).gather(texels), (uv, _duv())


def _surface_taps() -> Case:
    layout = raster.TexelLayout.of([(4, 1), (4, 4)], ["clamp"] * 2, filters=["vertex", "bilinear"])
    texels, which = torch.rand(layout.total, 3, dtype=torch.float64), torch.tensor([0, 1, 0])
    element, duv = torch.tensor([[0, 0, 1, 2], [1, 1, 3, 2], [1, 1, 3, 2]]), torch.empty(3, 0, 2)

    def look_up(uv: Tensor, barycentrics: Tensor) -> Tensor:
        points = raster.MeshPoints(element, barycentrics)
        return raster.surface_taps(uv, duv.to(uv), points, which, layout).gather(texels)

    uv = torch.tensor([[0.31, 0.42], [0.77, 0.23], [0.58, 0.11]], dtype=torch.float64, requires_grad=True)
    return look_up, (uv, _leaf(3, 3))


def _flatten_maps() -> Case:
    return lambda *maps: raster.flatten_maps(maps, LAYOUT), (_leaf(2, 3, 2), _leaf(2, 4, 4))


def _bilinear_taps() -> Case:
    layout = raster.TexelLayout.of([(3, 2)], ["repeat"])
    uv = torch.tensor([[0.31, 0.42], [-0.77, 1.23]], dtype=torch.float64, requires_grad=True)
    return lambda uv: raster.bilinear_taps(uv, torch.zeros(2, dtype=torch.int64), layout)[1], (uv,)


def _resolve() -> Case:
    return (
        lambda texels, weight, light: raster.resolve(texels, FIRST, INDEX, weight, light),
        (_leaf(6, 4), _leaf(3, 4), _leaf(3, 3)),
    )


def _operator() -> raster.SparseOperator:
    weight, light = torch.rand(3, 4, dtype=torch.float64), torch.rand(3, 3, dtype=torch.float64)
    return raster.SparseOperator(*raster.assemble_rows(FIRST, INDEX, weight, light), 6)


def _on_corners(function: Callable) -> Case:
    pixel = torch.tensor([[2.1, 1.9], [3.6, 3.2]], dtype=torch.float64, requires_grad=True)
    return lambda screen, pixel: function(screen[FACES], pixel), (_screen(), pixel)


CASES: dict[str, Callable[[], Case]] = {
    "antialias": _antialias,
    "barycentric_derivatives": lambda: _on_corners(barycentric_derivatives),
    "barycentrics": lambda: _on_corners(barycentrics),
    "bilinear_taps": _bilinear_taps,
    "crossing_lines": _crossing_lines,
    "edge_blends": _blends,
    "edge_functions": lambda: (lambda screen: edge_functions(screen[FACES]), (_screen(),)),
    "flatten_maps": _flatten_maps,
    "gather_surface": _gather_surface,
    "gather_texels": lambda: (lambda x, w: gather_texels(x, INDEX, w), (_leaf(6, 2), _leaf(3, 4))),
    "level_of_detail": lambda: (
        lambda duv: level_of_detail(duv, torch.tensor([[4, 4]] * 3), torch.tensor([2] * 3)),
        (_duv(),),
    ),
    "mip_levels": lambda: (lambda texture: tuple(raster.mip_levels(texture)), (_leaf(2, 5, 4),)),
    "place_pixels": lambda: (
        lambda colour: place_pixels(colour, torch.ones(2).double(), torch.tensor([1, 4]), 6),
        (_leaf(2, 4),),
    ),
    "probes": lambda: (
        lambda duv: probes(duv, torch.tensor([[4, 4]] * 3), torch.tensor([2] * 3), 4)[1:],
        (_duv(),),
    ),
    "resolve": _resolve,
    "sample_surface": _sample_surface,
    "SparseOperator": lambda: (_operator(), (_leaf(6, 3),)),
    "SparseOperator.transposed_product": lambda: (_operator().transposed_product, (_leaf(2, 3),)),
    "surface_taps": _surface_taps,
    "take_texels": lambda: (lambda planes: raster.take_texels(planes, torch.tensor([0, 2, 4])), (_leaf(3, 5),)),
    "taps": _taps,
}


@pytest.mark.parametrize("name", CASES)
def test_gradcheck(name):
    function, leaves = CASES[name]()
    assert gradcheck(function, leaves)


@pytest.mark.parametrize("name", CASES)
def test_gradgradcheck(name):
    function, leaves = CASES[name]()
    assert gradgradcheck(function, leaves, atol=1e-4, fast_mode=True)


def test_no_public_function_is_left_out():
    public = public_functions(raster)
    assert public - CASES.keys() - DISCRETE == set(), "give these a case, or say that they are discrete"
    assert DISCRETE - public == set(), "these are gone"
