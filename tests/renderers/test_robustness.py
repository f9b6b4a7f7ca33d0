"""Bad input gives a defined image with finite gradients, or one sentence that says what to do."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import neurotex as nt
from neurotex.compat.pytorch3d.shaders import SHADINGS, render_phong
from neurotex.raster import FILTERS, WRAPS

SQUARE = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
UVS = (SQUARE[:, :2] + 1) / 2
FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])
EYE = torch.tensor([0.0, 0, 3])
PLAIN_CALLS = Path(__file__).with_name("plain_calls.py")


def _passes(scene: nt.Scene, size: tuple[int, int]) -> Tensor:
    found = nt.render_passes(scene, size)
    return torch.cat([image.to(found.depth) for image in vars(found).values()], 1)


def _preset(shading: str) -> Callable:
    soft = {"faces_per_pixel": 3, "blur_radius": 1e-3} if shading.startswith("soft") else {}
    return lambda scene, size: render_phong(scene, size, shading=shading, **soft)


RENDERERS: dict[str, Callable[[nt.Scene, tuple[int, int]], Tensor]] = {
    "render": lambda scene, size: nt.render(scene, size, grid=2),
    "antialiased": lambda scene, size: nt.render(scene, size, grid=2, antialias=True),
    "baked": lambda scene, size: nt.bake(scene, size, grid=2)(),
    "passes": _passes,
    **{shading: _preset(shading) for shading in SHADINGS},
}


def _scene(
    vertices: Tensor = SQUARE,
    faces: Tensor = FACES,
    uvs: Tensor | None = None,
    normals: Tensor | None = None,
    *,
    texture: tuple[int, int] = (5, 3),
    sampler: tuple[str, str] = ("repeat", "bilinear"),
    glossy: bool = True,
    lamp: tuple[float, ...] = (0.4, 0.3, 2.0),
    camera: nt.Camera | None = None,
    dtype: torch.dtype = torch.float32,
) -> nt.Scene:
    """A scene in which every leaf wants a gradient: textures, vertices, the light's place and intensity."""
    wrap, filter = sampler

    def map_of(channels: int) -> nt.ImageTexture:
        return nt.ImageTexture(torch.rand(channels, *texture), wrap, True, filter)

    rest = {"roughness": map_of(1), "metallic": map_of(1), "normal": map_of(3)} if glossy else {}
    uvs = UVS[torch.arange(len(vertices)) % 4] if uvs is None else uvs
    mesh = nt.Mesh(vertices.clone(), faces, uvs.clone(), normals, nt.Material(map_of(3), **rest))
    lamps = [nt.PointLight(lamp, 5.0), nt.AmbientLight(0.2), nt.DirectionalLight((0, 0, -1), 1.0)]
    scene = nt.Scene(mesh, camera or nt.PerspectiveCamera(nt.look_at(EYE)), lamps).to(dtype)
    for tensor in (mesh.vertices, scene.lights[0].position, scene.lights[0].intensity):
        tensor.requires_grad_()
    return scene


def _assert_defined(scene: nt.Scene, name: str, size: tuple[int, int] = (9, 4)) -> Tensor:
    image = RENDERERS[name](scene, size)
    assert bool(image.isfinite().all()), name
    if image.requires_grad:  # of what is seen by no ray, there may be none
        tensors = {**dict(scene.named_parameters()), **dict(scene.named_buffers())}
        leaves = {key: tensor for key, tensor in tensors.items() if tensor.requires_grad}
        probe = torch.rand_like(image)
        gradients = torch.autograd.grad((image * probe).sum(), tuple(leaves.values()), allow_unused=True)
        for key, gradient in zip(leaves, gradients, strict=True):
            assert gradient is None or bool(gradient.isfinite().all()), f"{name}: {key}"
    return image


ORTHOGRAPHIC = nt.OrthographicCamera(nt.look_at(EYE))
GEOMETRY: dict[str, dict] = {
    "a point and a line among the faces": {"faces": torch.tensor([[0, 0, 0], [0, 1, 1], [0, 1, 2]])},
    "nothing but points and lines": {"faces": torch.tensor([[0, 0, 0], [0, 1, 1], [2, 1, 2]])},
    "corners in one line": {"vertices": torch.tensor([[-1.0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 1, 0]])},
    "all in one place": {"vertices": torch.zeros(4, 3)},
    "every vertex twice": {"vertices": SQUARE.repeat(2, 1), "faces": torch.cat([FACES, FACES + 4])},
    "every face twice": {"faces": FACES.repeat(2, 1)},
    "every face from both sides": {"faces": torch.cat([FACES, FACES.flip(1)])},
    "faces whose normals cancel, and points": {"faces": torch.tensor([[0, 1, 2], [2, 1, 0], [0, 2, 2], [1, 0, 0]])},
    "a vertex at the eye": {"vertices": torch.cat([SQUARE[:3], EYE[None]])},
    "two vertices in the eye's plane": {"vertices": SQUARE + torch.tensor([[0.0], [0], [1], [1]]) * EYE},
    "all in the eye's plane": {"vertices": SQUARE + EYE},
    "all behind the eye": {"vertices": SQUARE + 2 * EYE},
    "through the eye's plane": {"vertices": SQUARE + torch.tensor([[0.0], [0], [2], [2]]) * EYE},
    "seen from the edge": {"vertices": torch.tensor([[-1.0, 0, 0], [1, 0, 0], [1, 0, 5], [-1, 0, 5]])},
    "seen from the edge, but for rounding": {
        "vertices": torch.tensor([[0.2, 0, 3], [0.1, 0, 0], [0, 0, 0.1]]),
        "faces": torch.tensor([[0, 1, 2]]),
    },
    "through the plane of parallel rays": {
        "vertices": SQUARE + torch.tensor([[0.0], [0], [2], [2]]) * EYE,
        "camera": ORTHOGRAPHIC,
    },
    "far beyond the image": {"vertices": 1e8 * SQUARE},
    "as large as may be": {"vertices": 1e15 * SQUARE},
    "smaller than a pixel": {"vertices": 1e-6 * SQUARE},
    "smaller than single precision's squares": {"vertices": 1e-30 * SQUARE},
    "one corner far away": {"vertices": torch.cat([SQUARE[:3], torch.tensor([[-1e12, 1e12, 0]])])},
    "normals of length 0": {"normals": torch.zeros(4, 3)},
    "normals of length 1e30": {"normals": torch.full((4, 3), 1e30)},
    "normals across the view": {"normals": torch.tensor([[1.0, 0, 0]]).expand(4, 3)},
    "normals that cancel": {"normals": torch.tensor([[0.0, 0, 1], [0, 0, -1]]).repeat(2, 1)},
    "UVs all in one place": {"uvs": torch.zeros(4, 2)},
    "UVs in one line": {"uvs": UVS[:, :1].expand(4, 2)},
    "a light on the surface": {"lamp": (0.0, 0, 0)},
    "a light at a vertex": {"lamp": (-1.0, -1, 0)},
    "a light at the eye": {"lamp": (0.0, 0, 3)},
    "a light 1e15 away": {"lamp": (0.0, 0, 1e15)},
}


@pytest.mark.parametrize("what", GEOMETRY)
def test_geometry_of_any_kind_gives_a_defined_image(what):
    for name in RENDERERS:
        for dtype in (torch.float32, torch.float64):
            _assert_defined(_scene(**GEOMETRY[what], dtype=dtype), name)
    _assert_defined(_scene(**GEOMETRY[what], glossy=False), "render")
    _assert_defined(_scene(**GEOMETRY[what], glossy=False), "baked")


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("wrap", WRAPS)
def test_textures_of_any_shape_and_uvs_of_any_size_give_a_defined_image(wrap, filter):
    for texture in ((1, 1), (1, 7), (5, 1), (3, 6)):
        for uvs in (UVS, 1e6 * (UVS - 0.3), 1e12 * UVS):
            for name in ("render", "baked", "passes", "hard_phong"):
                scene = _scene(uvs=uvs, texture=texture, sampler=(wrap, filter), glossy=name == "render")
                assert bool((_assert_defined(scene, name, (3, 4)) != 0).any())


@pytest.mark.parametrize("name", RENDERERS)
def test_images_of_any_shape(name):
    for height, width in ((1, 1), (1, 7), (7, 1)):
        assert _assert_defined(_scene(), name, (height, width)).shape[2:] == (height, width)


def test_a_budget_of_nothing_renders_row_by_row():
    scene = _scene()
    for antialias in (False, True):
        expected = nt.render(scene, 6, grid=2, antialias=antialias)
        for budget in (0, -1, 1):
            torch.testing.assert_close(nt.render(scene, 6, grid=2, antialias=antialias, budget=budget), expected)
    torch.testing.assert_close(nt.bake(scene, 6, grid=2, budget=0)(), nt.bake(scene, 6, grid=2)())


@st.composite
def soups(draw):
    """Few vertices on a coarse lattice, the eye among them, so that much falls together; any faces between them."""
    lattice = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.1, 1.0, 3.0, 4.0])
    vertices = draw(hnp.arrays(np.float32, (draw(st.integers(3, 7)), 3), elements=lattice))
    faces = draw(hnp.arrays(np.int64, (draw(st.integers(1, 8)), 3), elements=st.integers(0, len(vertices) - 1)))
    uvs = draw(hnp.arrays(np.float32, (len(vertices), 2), elements=st.sampled_from([0.0, 0.5, 1.0, -7.3, 1e6])))
    return {
        "vertices": torch.from_numpy(vertices),
        "faces": torch.from_numpy(faces),
        "uvs": torch.from_numpy(uvs),
        "sampler": (draw(st.sampled_from(WRAPS)), draw(st.sampled_from(FILTERS))),
        "glossy": draw(st.booleans()),
        "lamp": tuple(vertices[0].tolist()),
        "camera": draw(st.sampled_from([None, ORTHOGRAPHIC])),
        "dtype": draw(st.sampled_from([torch.float32, torch.float64])),
    }


@given(soups(), st.sampled_from(sorted(RENDERERS)))
@settings(max_examples=150)
def test_soups_of_triangles_give_a_defined_image(case, name):
    _assert_defined(_scene(**case), name)


@pytest.mark.parametrize("name", RENDERERS)
def test_what_cannot_be_rendered_is_refused_by_name(name):
    def broken(change: Callable[[nt.Scene], object]) -> nt.Scene:
        scene = _scene()
        with torch.no_grad():
            change(scene)
        return scene

    def mesh(scene: nt.Scene) -> nt.Mesh:
        return scene.meshes()[0]

    for change, message in (
        (lambda scene: mesh(scene).vertices[1].fill_(torch.nan), "node '/mesh' has vertices that are not finite"),
        (lambda scene: mesh(scene).vertices[1].fill_(torch.inf), "node '/mesh' has vertices that are not finite"),
        (lambda scene: mesh(scene).vertices.mul_(1e30), r"node '/mesh' has vertices as large as 1e\+30: scale"),
        (lambda scene: scene.nodes[0].transform[:3].mul_(1e30), r"node '/mesh' has vertices as large as 1e\+30: scale"),
        (lambda scene: mesh(scene).uvs[1].fill_(torch.nan), "node '/mesh' has uvs that are not finite"),
        (lambda scene: mesh(scene).half(), "mesh 'mesh' has vertices of torch.float16: make it torch.float32 or"),
        (lambda scene: scene.bfloat16(), "mesh 'mesh' has vertices of torch.bfloat16: make it torch.float32 or"),
        (lambda scene: mesh(scene).faces[1].fill_(7), "mesh 'mesh' has a face with vertex index 7, but only 4"),
        (lambda scene: mesh(scene).faces.neg_(), "mesh 'mesh' has a face with vertex index -3, but only 4"),
        (
            lambda scene: setattr(mesh(scene), "normals", torch.full((4, 3), torch.nan)),
            "'mesh' has normals that are not",
        ),
        (
            lambda scene: scene.cameras[0].transform[1].fill_(torch.nan),
            r"cameras\[0\], a Persp.* has a transform that is",
        ),
        (lambda scene: setattr(scene, "cameras", torch.nn.ModuleList()), "no camera: pass cameras="),
    ):
        with pytest.raises(nt.SceneError, match=message):
            RENDERERS[name](broken(change), (4, 4))


@pytest.mark.parametrize("name", ["render", "antialiased", "baked"])
def test_lights_that_are_not_finite_are_refused_by_name(name):
    for k, what in ((0, "position"), (1, "intensity"), (2, "direction")):
        scene = _scene()
        with torch.no_grad():
            getattr(scene.lights[k], what)[0] = torch.nan
        with pytest.raises(nt.SceneError, match=rf"lights\[{k}\], a .*Light, has a {what} that is not finite"):
            RENDERERS[name](scene, (4, 4))
    scene.lights = torch.nn.ModuleList([nt.EnvironmentLight(torch.ones(3, 4, 8))])
    RENDERERS[name](scene, (4, 4))
    scene.lights[0].image[1, 2, 3] = torch.nan
    with pytest.raises(nt.SceneError, match="the image of an EnvironmentLight is no longer finite"):
        RENDERERS[name](scene, (4, 4))


def test_only_what_is_lit_needs_lights():
    scene = nt.Scene(_scene().meshes()[0], nt.PerspectiveCamera(nt.look_at(EYE)))
    for name in ("render", "antialiased", "baked"):
        with pytest.raises(nt.SceneError, match="no light: pass lights="):
            RENDERERS[name](scene, (4, 4))
    for name in ("passes", *SHADINGS):
        _assert_defined(scene, name)


@pytest.mark.parametrize("draw", [nt.render, nt.bake, nt.render_passes, nt.render_phong])
def test_what_is_no_scene_is_refused(draw, unchecked):
    with pytest.raises(nt.ArgumentError, match="a neurotex Scene, not a Mesh: make one of meshes, cameras and lights"):
        draw(nt.Mesh(torch.rand(3, 3), torch.tensor([[0, 1, 2]])), 8)


def test_a_mesh_of_nothing_or_of_nan_is_refused():
    with pytest.raises(nt.SceneError, match="mesh 'mesh' is empty: it has 4 vertices and 0 faces"):
        nt.Mesh(SQUARE, FACES[:0])
    with pytest.raises(nt.SceneError, match="vertices that are not finite, first at index 2: repair"):
        nt.Mesh(SQUARE.where(torch.arange(4)[:, None] != 2, torch.nan), FACES)
    with pytest.raises(nt.SceneError, match="vertex index 4294967296, but only 4 vertices"):
        nt.Mesh(SQUARE, torch.tensor([[0, 1, 1 << 32]]))  # 0 in 32 bits


def test_calls_without_the_checker_fail_in_one_sentence():
    """Annotations are checked in this process, but not at users': what they would see is asked in another one."""
    found = subprocess.run([sys.executable, PLAIN_CALLS], capture_output=True, text=True, timeout=120)
    assert found.returncode == 0, found.stdout + found.stderr
