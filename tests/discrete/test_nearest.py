import doctest

import pytest
import torch
from torch import Tensor
from torch.autograd import grad, gradcheck

from neurotex.compat.pytorch3d.lookup import sample_texture
from neurotex.discrete import nearest
from neurotex.discrete.estimators import Surrogate
from neurotex.discrete.nearest import MipLevel, Nearest
from neurotex.errors import ArgumentError
from neurotex.raster.mipmap import mip_levels

SIZE = torch.tensor([7.0, 5.0], dtype=torch.float64)  # texels in x and y


def _lookup(image: Tensor, uv: Tensor, mode: str) -> Tensor:
    return sample_texture(image, uv, align_corners=False, sampling_mode=mode)


def test_a_bilinear_lookup_at_snapped_places_is_a_nearest_one_with_a_slope():
    image = torch.rand(3, 5, 7, dtype=torch.float64)
    uv = torch.rand(200, 2, dtype=torch.float64, requires_grad=True)
    seed = torch.rand(200, 3, dtype=torch.float64)
    snapped = Nearest()(uv * SIZE) / SIZE
    found = _lookup(image, snapped, "bilinear")
    torch.testing.assert_close(found, _lookup(image, uv, "nearest"))
    places = snapped.detach().requires_grad_()
    (slope,) = grad(found, uv, seed)
    (expected,) = grad(_lookup(image, places, "bilinear"), places, seed)
    torch.testing.assert_close(slope, expected)
    assert float((slope != 0).double().mean()) > 0.5  # a texel at the border has none beyond it
    (none,) = grad(_lookup(image, uv, "nearest"), uv, seed)
    assert float(none.abs().max()) == 0  # torch's own


@pytest.mark.parametrize(("temperature", "mode"), [(1e-5, "nearest"), (1e4, "bilinear")])
def test_the_surrogate_goes_from_nearest_to_bilinear(temperature, mode):
    image, uv = torch.rand(3, 5, 7, dtype=torch.float64), torch.rand(200, 2, dtype=torch.float64)
    snapped = Nearest(Surrogate(temperature))(uv * SIZE) / SIZE
    near = ((uv * SIZE) % 1).sub(0.5).abs().amax(1) < 0.499  # not on the border of two texels
    torch.testing.assert_close(_lookup(image, snapped, "bilinear")[near], _lookup(image, uv, mode)[near])


def test_places_of_any_shape_go_to_the_centres_of_their_texels():
    assert Nearest()(torch.tensor([-0.2, 0.0, 0.99, 1.0, 17.3])).tolist() == [-0.5, 0.5, 0.5, 1.5, 17.5]
    assert Nearest()(torch.rand(2, 3, 4, 2) + 5).eq(5.5).all()


def test_levels_of_detail_are_whole_from_0_to_the_last():
    lod = torch.tensor([-1.0, 0.2, 0.8, 1.4, 1.6, 9.7])
    assert MipLevel()(lod).tolist() == [0, 0, 1, 1, 2, 10]
    assert MipLevel(3)(lod).tolist() == [0, 0, 1, 1, 2, 3]
    assert float(MipLevel(0).soft(lod, 0.1).abs().max()) < 1e-6


@pytest.mark.parametrize("step", [Nearest(), MipLevel()])
@pytest.mark.parametrize("temperature", [0.02, 0.3, 5.0])
def test_the_staircase_is_smooth_where_steps_meet(step, temperature):
    meet = torch.tensor([1.0, 2, 3], dtype=torch.float64) + (0.5 if isinstance(step, Nearest) else 0)
    slopes = []
    for side in (-1e-9, 1e-9):
        x = (meet + side).requires_grad_()
        y = step.soft(x, temperature)
        torch.testing.assert_close(y, meet, atol=1e-6, rtol=0)
        slopes.append(grad(y.sum(), x)[0])
    torch.testing.assert_close(*slopes, atol=1e-6, rtol=1e-6)
    x = (3 * torch.rand(20, dtype=torch.float64) + 0.1).requires_grad_()
    assert gradcheck(lambda x: step.soft(x, temperature), (x,))


def test_a_last_level_below_0_is_refused():
    with pytest.raises(ArgumentError, match="not -1"):
        MipLevel(-1)


def test_the_lines_at_the_top_of_the_file_run_and_are_right():
    names = {name: value for name, value in globals().items() if not name.startswith("__")}
    names["image"] = image = torch.rand(3, 5, 7)
    names["uv"] = uv = torch.rand(40, 2, requires_grad=True)
    names["level"] = level = (3 * torch.rand(40)).requires_grad_()
    test = doctest.DocTestParser().get_doctest(nearest.__doc__, names, "nearest", None, None)
    assert doctest.DocTestRunner().run(test, clear_globs=False).failed == 0
    texels, blurred = test.globs["texels"], test.globs["blurred"]
    torch.testing.assert_close(texels, _lookup(image, uv, "nearest"), atol=1e-5, rtol=0)
    assert bool(grad(texels.sum(), uv)[0].any())
    found = torch.stack([_lookup(mip, uv, "bilinear") for mip in mip_levels(image)])
    whole = level.detach().clamp(0, 2).round().long()
    low, point = whole.clamp_max(1), torch.arange(40)
    assert torch.equal(blurred, found[whole, point])
    slope = (found[low + 1, point] - found[low, point]).sum(1)
    torch.testing.assert_close(grad(blurred.sum(), level)[0], slope.detach())
