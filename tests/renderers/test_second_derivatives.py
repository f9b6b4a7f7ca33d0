"""Second derivatives of images, in vertices, cameras, lights and textures at once, are those of finite differences."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import neurotex as nt
from neurotex.compat.pytorch3d.shaders import SHADINGS

SIZE = (7, 6)
# a fold in general position: no edge is upright, no sample lies on the border of a texel
FOLD = torch.tensor([[-1.13, -0.97, 0.11], [0.93, -1.21, 0.23], [1.07, 0.89, -0.31], [-0.91, 1.03, 0.17]])
FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])
UVS = torch.tensor([[0.03, 0.07], [0.91, 0.13], [0.97, 0.89], [0.11, 0.93]])


def _scene(light: nt.Light, normals: bool = False, filter: str = "bilinear", **maps: object) -> nt.Scene:
    skin = nt.ImageTexture(0.2 + 0.6 * torch.rand(3, 5, 4), trainable=True, filter=filter)
    if normals:
        maps["normal"] = nt.ImageTexture(0.3 + 0.4 * torch.rand(3, 3, 3), trainable=True)
    mesh = nt.Mesh(FOLD, FACES, UVS, material=nt.Material(skin, **maps))
    camera = nt.PerspectiveCamera(nt.look_at(torch.tensor([0.4, 0.3, 3.1])))
    return nt.Scene(nt.Node(mesh, nt.look_at(torch.tensor([0.2, 0.1, -0.3]))), camera, light).double()


def _lamp() -> nt.Light:
    return nt.PointLight((0.7, 0.9, 2.3), (5.0, 4.0, 3.0))


def _sky() -> nt.Light:
    return nt.EnvironmentLight(0.2 + torch.rand(3, 4, 8), 1.3, trainable=True)


GLOSSY = {"roughness": 0.4, "metallic": 0.3}
SOFT = {"faces_per_pixel": 2, "blur_radius": 1e-2}
CASES: dict[str, tuple[Callable[[], nt.Scene], Callable[[nt.Scene], Tensor]]] = {
    "diffuse": (lambda: _scene(_lamp()), lambda s: nt.render(s, SIZE, grid=2)),
    "anisotropic": (lambda: _scene(_lamp(), filter="anisotropic"), lambda s: nt.render(s, SIZE, grid=1)),
    "strips": (lambda: _scene(_lamp()), lambda s: nt.render(s, SIZE, grid=1, budget=1)),
    "antialias": (lambda: _scene(_lamp()), lambda s: nt.render(s, SIZE, grid=2, antialias=True)),
    "flash": (lambda: _scene(nt.Flash((5.0, 4.0, 3.0))), lambda s: nt.render(s, SIZE, grid=1)),
    "sun": (lambda: _scene(nt.DirectionalLight((0.3, -1, -2), 2.0)), lambda s: nt.render(s, SIZE, grid=1)),
    "sky": (lambda: _scene(_sky()), lambda s: nt.render(s, SIZE, grid=1)),
    "glossy": (lambda: _scene(_lamp(), True, **GLOSSY), lambda s: nt.render(s, SIZE, grid=1)),
    "glossy, even light": (lambda: _scene(nt.AmbientLight(0.7), **GLOSSY), lambda s: nt.render(s, SIZE, grid=1)),
    "glossy sky": (lambda: _scene(_sky(), **GLOSSY), lambda s: nt.render(s, SIZE, grid=1)),
    "passes": (lambda: _scene(_lamp(), True), lambda s: _floats(nt.render_passes(s, SIZE))),
    **{
        name: (lambda: _scene(_lamp()), lambda s, name=name: nt.render_phong(s, SIZE, shading=name, **SOFT))
        for name in SHADINGS
    },
}


def _floats(passes: nt.renderers.Passes) -> Tensor:
    return torch.cat([image for image in vars(passes).values() if image.is_floating_point()], 1)


def _slots(scene: nt.Scene) -> list[tuple[torch.nn.Module, str]]:
    """Where the numbers are that an image of this scene depends on smoothly."""
    places = [(scene.meshes()[0], "vertices"), (scene.nodes[0], "transform"), (scene.cameras[0], "transform")]
    for light in scene.lights:
        places += [(light, name) for name in ("intensity", "position", "direction", "image") if hasattr(light, name)]
    maps = scene.materials()[0].maps().values()
    return places + [(map, name) for map in maps for name in ("image", "color") if hasattr(map, name)]


def check_second_derivatives(scene: nt.Scene, draw: Callable[[nt.Scene], Tensor]) -> None:
    """A gradient along a random direction of all inputs, differentiated by backward and by differences."""
    slots = _slots(scene)
    start = [getattr(module, name).detach().clone() for module, name in slots]
    way, weights = [torch.randn_like(t) for t in start], torch.rand_like(draw(scene).detach())

    def slopes(values: list[Tensor], again: bool = False) -> list[Tensor]:
        for (module, name), value in zip(slots, values, strict=True):
            kind = module._parameters if name in module._parameters else module._buffers
            kind[name] = value.requires_grad_()
        loss = (draw(scene) * weights).square().sum()
        found = torch.autograd.grad(loss, values, create_graph=again, allow_unused=True)
        return [torch.zeros_like(v) if g is None else g for v, g in zip(values, found, strict=True)]

    leaves = [t.clone().requires_grad_() for t in start]
    along = sum((g * d).sum() for g, d in zip(slopes(leaves, True), way, strict=True))
    exact = torch.autograd.grad(along, leaves, allow_unused=True)
    step = 1e-6
    there, back = (slopes([t + sign * step * d for t, d in zip(start, way, strict=True)]) for sign in (1, -1))
    for ours, plus, minus in zip(exact, there, back, strict=True):
        expected = (plus - minus) / (2 * step)
        ours = torch.zeros_like(expected) if ours is None else ours
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()) + 1e-7)


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_are_those_of_finite_differences(name):
    make, draw = CASES[name]
    check_second_derivatives(make(), draw)
