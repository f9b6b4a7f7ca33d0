"""The metallic-roughness surface: kernel against reference, physics by quadrature, Mitsuba, and awkward places."""

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.functional import normalize

from neurotex.shading import diffuse, metallic_roughness
from neurotex.shading.albedo import MIN_ROUGHNESS, directional_albedo
from neurotex.shading.ggx import metallic_roughness_reference

FLASH, SUN, LAMP = [0.3, -0.2, 2.0, 1.0], [1.0, 2.0, 3.0, 0.0], [4.0, 0, 0, 2.0]
NAMES = ["base_color", "roughness", "metallic", "normal", "position", "eye", "lights", "intensity", "ambient"]
F64 = torch.float64


def _inputs(n: int, dtype: torch.dtype = F64, eye: tuple = (0.5, 1.0, 1.5, 1.0), lights: tuple = ()) -> list[Tensor]:
    points = torch.tensor(lights or [FLASH, SUN, LAMP], dtype=dtype)
    colors = torch.rand(n, 3, dtype=dtype), 0.05 + 0.95 * torch.rand(n, dtype=dtype), torch.rand(n, dtype=dtype)
    surface = 3 * torch.randn(n, 3, dtype=dtype), torch.randn(n, 3, dtype=dtype)
    strength = torch.rand(len(points), 3, dtype=dtype), torch.rand(3, dtype=dtype)
    return [*colors, *surface, torch.tensor(eye, dtype=dtype), points, *strength]


def _plate(
    view: Tensor,
    light: Tensor,
    base: float = 1.0,
    roughness: float = 0.5,
    metallic: float = 1.0,
    intensity: float = 1.0,
    ambient: float = 0.0,
) -> Tensor:
    """What a surface facing +Z sends along `view` (n, 3) of parallel light from `light` (l, 3): (n, 3)."""
    out = []
    for eye in view:
        points = torch.cat([light, light[:, :1] * 0], 1)
        strength = light.new_full((len(light), 3), intensity)
        one = light.new_ones(1)
        plate = one.new_tensor([[0.0, 0, 1]])
        surface = (base * one.expand(1, 3), roughness * one, metallic * one, plate, 0 * plate)
        everywhere = light.new_full((3,), ambient)
        out.append(metallic_roughness(*surface, torch.cat([eye, one * 0]), points, strength, everywhere)[0])
    return torch.stack(out)


def _upper(n: int) -> Tensor:
    return normalize(torch.randn(n, 3, dtype=F64), dim=1).abs()


def _view(cosine: float) -> Tensor:
    return torch.tensor([[math.sqrt(1 - cosine**2), 0, cosine]], dtype=F64)


def _hemisphere(height: int) -> tuple[Tensor, float]:
    """Directions z > 0, evenly spread: what each stands for is the same solid angle."""
    z = (torch.arange(height, dtype=F64) + 0.5) / height
    phi = (torch.arange(2 * height, dtype=F64) + 0.5) * (math.pi / height)
    ring = (1 - z * z).sqrt()[:, None]
    grid = torch.stack([ring * phi.cos(), ring * phi.sin(), z[:, None].expand(height, 2 * height)], -1)
    return grid.reshape(-1, 3), math.pi / height**2


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-3), (F64, 1e-9)])
@pytest.mark.parametrize("eye", [(0.5, 1.0, 1.5, 1.0), (0.6, 2.0, 3.0, 2.0), (0.0, 0.6, 0.8, 0.0)])
def test_the_kernel_equals_the_reference_with_its_gradients(dtype, tolerance, eye):
    inputs = _inputs(4000, dtype, eye)
    inputs[1][:50] = 0.01  # below the minimum
    inputs[3][50] = 0
    view = normalize(inputs[5][:3] - inputs[5][3] * inputs[4][60:70], dim=1)
    across = normalize(torch.linalg.cross(view, inputs[3][60:70]), dim=1)
    inputs[3][60:70] = across + 5e-5 * view  # seen at less than the least cosine
    inputs = [t.requires_grad_() for t in inputs]
    found, expected = metallic_roughness(*inputs), metallic_roughness_reference(*inputs)
    torch.testing.assert_close(found, expected, rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=1e-6)
    probe = torch.rand_like(found)
    gradients = [torch.autograd.grad(out, inputs, probe) for out in (found, expected)]
    for name, one, other in zip(NAMES, *gradients, strict=True):
        if name in ("eye", "lights"):  # where w is 0 it says so, and is no number to differentiate by
            kept = inputs[NAMES.index(name)][..., 3:] != 0
            one, other = (torch.cat([g[..., :3], g[..., 3:] * kept], -1) for g in (one, other))
        scale = tolerance * float(other.abs().mean())
        torch.testing.assert_close(one, other, rtol=tolerance, atol=scale, msg=lambda text, name=name: name + text)


def test_gradients_pass_gradcheck_in_every_input():
    inputs = _inputs(5)[:8]
    leaves = [t.requires_grad_() for k, t in enumerate(inputs) if k != 6]
    assert gradcheck(lambda *x: metallic_roughness(*x[:6], inputs[6], x[6]), leaves)
    detached = [t.detach() for t in inputs]
    lamps = detached[6][[0, 2]].clone().requires_grad_()
    assert gradcheck(lambda x: metallic_roughness(*detached[:6], x, detached[7][:2]), (lamps,))


def test_gradients_of_even_light_pass_gradcheck():
    inputs = _inputs(5)
    none = inputs[6][:0], inputs[7][:0]
    leaves = [t.requires_grad_() for k, t in enumerate(inputs) if k not in (6, 7)]
    assert gradcheck(lambda *x: metallic_roughness(*x[:6], *none, x[6]), leaves, eps=1e-7, atol=1e-5)


def test_second_derivatives_go_through_the_reference():
    inputs = [t.detach() for t in _inputs(2, lights=(FLASH,))]
    leaves = [inputs[k].requires_grad_() for k in (0, 1, 3)]
    assert gradgradcheck(lambda c, r, n: metallic_roughness(c, r, inputs[2], n, *inputs[4:]), leaves, atol=1e-4)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_torchs_function_transforms_see_through_it():
    colors, *rest = _inputs(6)
    leaf = colors.clone().requires_grad_()
    metallic_roughness(leaf, *rest).sum().backward()
    torch.testing.assert_close(torch.func.grad(lambda c: metallic_roughness(c, *rest).sum())(colors), leaf.grad)
    stack = torch.stack([colors, 0.5 * colors])
    mapped = torch.func.vmap(lambda c: metallic_roughness(c, *rest))(stack)
    torch.testing.assert_close(mapped, torch.stack([metallic_roughness(c, *rest) for c in stack]))


def test_light_goes_the_same_way_back():
    """Helmholtz: the BRDF is the same with eye and light exchanged."""
    view, light = _upper(40), _upper(40)
    for roughness, metallic in ((0.1, 0.0), (0.5, 0.3), (1.0, 1.0)):
        surface = {"base": 0.7, "roughness": roughness, "metallic": metallic}
        there = torch.cat([_plate(v[None], w[None], **surface) / w[2] for v, w in zip(view, light, strict=True)])
        back = torch.cat([_plate(w[None], v[None], **surface) / v[2] for v, w in zip(view, light, strict=True)])
        torch.testing.assert_close(there, back)


@pytest.mark.parametrize("cosine", [0.15, 0.5, 0.9, 1.0])
@pytest.mark.parametrize(("roughness", "metallic"), [(0.3, 1.0), (0.6, 0.0), (0.6, 0.5), (1.0, 1.0)])
def test_even_light_is_the_integral_over_the_hemisphere(cosine, roughness, metallic):
    """The table's values are the sum over 320,000 parallel lights."""
    grid, solid = _hemisphere(400)
    surface = {"base": 0.8, "roughness": roughness, "metallic": metallic}
    summed = _plate(_view(cosine), grid, **surface, intensity=solid)
    even = _plate(_view(cosine), torch.empty(0, 3, dtype=F64), **surface, ambient=1.0)
    torch.testing.assert_close(even, summed, rtol=5e-3, atol=0)


def test_in_a_white_furnace_no_metal_glows():
    """Of even light at most all comes back, and little is lost where the surface is smooth."""
    cosine, roughness = (t.flatten() for t in torch.meshgrid(*[torch.linspace(0, 1, 40)] * 2, indexing="ij"))
    scale, bias, loss = directional_albedo(cosine, roughness).unbind(1)
    white = scale + bias
    assert float(white.max()) < 1.001
    assert float(white[(roughness < 0.2) & (cosine > 0.2)].min()) > 0.97
    assert float(torch.stack([scale, bias, loss]).min()) >= 0
    # a white dielectric gains a little where it is looked at; at grazing angles glTF's formula doubles the light
    dielectric = 0.04 * scale + bias + 0.96 * (1 - loss)
    assert float(dielectric[cosine > 0.6].max()) < 1.011
    assert 1.7 < float(dielectric.max()) < 2


def test_a_rough_dielectric_that_reflects_nothing_is_lamberts():
    """Light and view close together make (1 − v·h)⁵ = 0; base colour black leaves the specular layer alone."""
    inputs = _inputs(300, lights=(FLASH,), eye=tuple(FLASH))[:8]
    inputs[1:3] = torch.ones(300, dtype=F64), torch.zeros(300, dtype=F64)
    full = metallic_roughness(*inputs)
    black = metallic_roughness(torch.zeros_like(inputs[0]), *inputs[1:])
    body = diffuse(inputs[4], inputs[3], *inputs[5:])
    torch.testing.assert_close(full - black, 0.96 * inputs[0] * body)


@pytest.mark.parametrize("roughness", [0.2, 0.6, 1.0])
def test_looked_at_along_normal_and_light_it_is_known(roughness):
    """D = 1 / (π a), V = 1 / 4, F = f0."""
    up = torch.tensor([[0.0, 0, 1]], dtype=F64)
    expected = 0.9 / (4 * math.pi * roughness**4)
    torch.testing.assert_close(_plate(up, up, 0.9, roughness), torch.full((1, 3), expected, dtype=F64))


def test_roughness_near_zero_counts_as_its_minimum():
    view, light = _upper(5), _upper(1)
    least = _plate(view, light, roughness=MIN_ROUGHNESS)
    assert torch.equal(_plate(view, light, roughness=0.0), least)
    assert not torch.equal(_plate(view, light, roughness=2 * MIN_ROUGHNESS), least)


def test_surfaces_have_two_sides_and_lights_add_up():
    inputs = _inputs(100)
    total = metallic_roughness(*inputs)
    assert torch.equal(metallic_roughness(*inputs[:3], -inputs[3], *inputs[4:]), total)
    each = [metallic_roughness(*inputs[:6], inputs[6][k : k + 1], inputs[7][k : k + 1]) for k in range(3)]
    each.append(metallic_roughness(*inputs[:6], inputs[6][:0], inputs[7][:0], inputs[8]))
    torch.testing.assert_close(sum(each), total)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("shade", [metallic_roughness, metallic_roughness_reference])
def test_nothing_is_nan_or_infinite_where_geometry_degenerates(dtype, shade):
    """Normals of zero, across the view and the light, lights and eye on the surface, opposite or together."""
    normals = torch.tensor([[0.0, 0, 0], [0, 0, 1], [1, 0, 0], [1e-8, 0, 0], [0.6, 0.8, 1e-9]], dtype=dtype)
    places = torch.tensor([[0.0, 0, 0], [0, 0, 2], [1, 0, 0], [0, 0, -2]], dtype=dtype)
    colors = torch.tensor([[0.0, 0.5, 1.0]], dtype=dtype)
    rough = torch.tensor([0.0, 1.0], dtype=dtype)
    grid = torch.cartesian_prod(torch.arange(5), torch.arange(4), torch.arange(2), torch.arange(2))
    lights = torch.tensor([[0.0, 0, 2, 1], [0, 0, -1, 0], [0, 0, 0, 0], [1, 0, 0, 1], [0, 0, 0, 1]], dtype=dtype)
    ambient = torch.ones(3, dtype=dtype)
    for eye in ([0.0, 0, 2, 1], [0.0, 0, 1, 0]):
        inputs = [
            colors.expand(len(grid), 3).clone(),
            rough[grid[:, 2]],
            rough[grid[:, 3]],
            normals[grid[:, 0]],
            places[grid[:, 1]],
            torch.tensor(eye, dtype=dtype),
            lights,
            torch.ones(5, 3, dtype=dtype),
            ambient,
        ]
        leaves = [t.requires_grad_(k != 6) for k, t in enumerate(inputs)]
        out = shade(*leaves)
        assert bool(out.isfinite().all())
        assert bool((out[grid[:, 0] == 0] == 0).all())  # no normal, no light
        out.sum().backward()
        for name, leaf in zip(NAMES, leaves, strict=True):
            assert leaf.grad is None or bool(leaf.grad.isfinite().all()), name


def test_shapes_alone_are_enough_for_fake_tensors():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode() as mode:
        inputs = [mode.from_tensor(t) for t in _inputs(7, torch.float32)]
        assert metallic_roughness(*inputs).shape == (7, 3)


def test_the_lobe_is_mitsubas():
    """`roughconductor` that reflects everything is D G / (4 n·v n·l), but with G₁(v) G₁(l) for G."""
    mi = pytest.importorskip("mitsuba", reason="mitsuba is not installed")
    mi.set_variant("scalar_rgb")
    view, light = _upper(20), _upper(20)
    for roughness in (0.2, 0.5, 0.9):
        a = roughness**4
        bsdf = mi.load_dict(
            {"type": "roughconductor", "distribution": "ggx", "alpha": roughness**2, "material": "none"}
        )
        for v, w in zip(view, light, strict=True):
            si = mi.SurfaceInteraction3f()
            si.wi = mi.Vector3f(v.tolist())
            theirs = float(mi.luminance(bsdf.eval(mi.BSDFContext(), si, mi.Vector3f(w.tolist()))))
            g1 = [2 * c / (c + math.sqrt(a + (1 - a) * c * c)) for c in (float(v[2]), float(w[2]))]
            # ours takes into account that high points are seen and lit together (Heitz 2014)
            theirs /= g1[0] + g1[1] - g1[0] * g1[1]
            assert float(_plate(v[None], w[None], roughness=roughness)[0, 0]) == pytest.approx(theirs, rel=2e-4)
