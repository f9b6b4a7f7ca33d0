"""What is measured: scenes, and pieces of work on them as calls without arguments that are ready to be timed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

import neurotex as nt
from neurotex.compat.pytorch3d import conventions
from neurotex.compat.pytorch3d.fragments_reference import rasterize_faces_reference

BLUR, LAYERS = 1e-5, 8  # a squared distance in NDC; faces per pixel
SHARED = Path(__file__).parents[2] / "shared" / "data" / "spot"


@dataclass(frozen=True)
class Scale:
    """How much work: sides of images, textures and views in pixels, faces of the large mesh."""

    image: int = 512
    texture: int = 512
    view: int = 256
    views: int = 12
    large_faces: int = 1_000_000
    large_image: int = 1024
    samples: int = 256  # per pixel, where Mitsuba takes photographs to measure by
    copied: int = 256 << 20  # bytes, several times the largest caches in use


QUICK = Scale(image=48, texture=32, view=24, views=2, large_faces=4_096, large_image=64, samples=16, copied=1 << 20)


@dataclass(frozen=True)
class Data:
    """A mesh with UVs and flash photographs of it; the texture that they show, or photographs to measure by."""

    folder: Path
    name: str
    mesh: Path
    photographs: Path
    truth: Path | None
    holdout: Path | None

    @classmethod
    def find(cls, folder: Path | None) -> Data:
        """An OBJ with a folder `flash` or `views`; by default Spot if it is there, else the bundled teapot."""
        if folder is None:
            folder = SHARED if SHARED.is_dir() else nt.assets.folder() / "demo"
        meshes = sorted(folder.glob("*.obj"))
        found = [folder / name for name in ("flash", "views") if (folder / name / "transforms.json").is_file()]
        if not meshes or not found:
            raise nt.FileError(f"{folder} needs an .obj, and photographs of it in flash/ or views/: see --data.")
        names = {"cow": "Spot", "spot": "Spot", "mesh": "the teapot"}
        holdout = folder / "holdout"
        return cls(
            folder,
            names.get(meshes[0].stem, meshes[0].stem),
            meshes[0],
            found[0],
            next(iter(sorted(folder.glob("*.png"))), None),
            holdout if holdout.is_dir() else None,
        )

    @property
    def views(self) -> nt.Views:
        """The photographs."""
        return _load(self.photographs)

    def scene(self, texture: nt.Texture | nt.Material, views: nt.Views, count: int | None = None) -> nt.Scene:
        """The mesh in front of the cameras that took the photographs, or of the first `count` of them."""
        material = texture if isinstance(texture, nt.Material) else nt.Material(texture)
        return nt.Scene.load(self.mesh, material, views.cameras[:count], views.lights)


@lru_cache(maxsize=1)
def _load(folder: Path) -> nt.Views:
    return nt.Views.load(folder)


def random_texture(side: int, channels: int = 3) -> nt.ImageTexture:
    """Pixels to be fitted."""
    return nt.ImageTexture(torch.rand(channels, side, side), trainable=True)


def glossy(side: int) -> nt.Material:
    """A metallic-roughness material with all its maps."""
    maps = {name: random_texture(side, channels) for name, channels in (("roughness", 1), ("metallic", 1))}
    bumps = torch.tensor([0.5, 0.5, 0.95])[:, None, None] + 0.05 * torch.rand(3, side, side)
    return nt.Material(random_texture(side), **maps, normal=nt.ImageTexture(bumps, trainable=True))


def camera_corners(scene: nt.Scene) -> Tensor:
    """Corners of all faces in the first camera's NDC, x to the right: (faces, 3, 3)."""
    geometry, camera = scene.geometry(), scene.cameras[0]
    rotation, translation = conventions.rotation_and_translation(camera.transform[None])
    lens = conventions.fov_perspective(rotation, translation, camera.fov)
    return lens.ndc(geometry.vertices)[0][geometry.faces.long()]


def torus(faces: int) -> nt.Mesh:
    """A closed, bumpy mesh of about `faces` triangles (4 n², for a whole n), with UVs; its seams are doubled."""
    n = max(3, round(math.sqrt(faces / 4)))
    u, v = torch.meshgrid(torch.linspace(0, 1, 2 * n + 1), torch.linspace(0, 1, n + 1), indexing="ij")
    a, b = (2 * math.pi * x.flatten() for x in (u, v))
    tube = 0.35 + 0.03 * torch.sin(9 * a) * torch.sin(5 * b)
    ring = 0.65 + tube * b.cos()
    vertices = torch.stack([ring * a.cos(), ring * a.sin(), tube * b.sin()], 1)
    corner = torch.arange(2 * n * (n + 1)).view(2 * n, -1)[:, :-1].flatten()
    quad = [corner, corner + n + 1, corner + n + 2, corner + 1]
    sides = torch.cat([torch.stack([quad[i] for i in pick], 1) for pick in ((0, 1, 2), (0, 2, 3))])
    return nt.Mesh(vertices, sides, torch.stack([u.flatten(), v.flatten()], 1), name="torus")


def large_scene(faces: int, texture: int) -> nt.Scene:
    """The torus from above, with a flash."""
    mesh = torus(faces)
    mesh.material = nt.Material(random_texture(texture))
    return nt.Scene(mesh, nt.orbit(1, 2.7, elevation=30.0), [nt.Flash(7.0)])


def rasterize(corners: Tensor, side: int, layers: int = 1, blur: float = 0.0) -> Callable[[], nt.Fragments]:
    """Complete fragments: faces, depths, coordinates and distances."""
    return lambda: nt.rasterize(corners, (side, side), faces_per_pixel=layers, blur_radius=blur)


def rasterize_reference(corners: Tensor, side: int, layers: int = 1, blur: float = 0.0) -> Callable[[], tuple]:
    """The same in plain torch."""
    none = torch.empty(0, dtype=torch.int64)
    return lambda: rasterize_faces_reference(corners, (0,), none, side, side, layers, blur, True, blur > 0, False)


def step(image: Callable[[], Tensor], parameters: Iterable[Tensor]) -> Callable[[], tuple]:
    """Forward, and backward from a gradient of the image to whatever can be fitted: what no loss adds to."""
    with torch.no_grad():
        gradient = torch.rand_like(image())
    leaves = list(parameters)
    return lambda: torch.autograd.grad(image(), leaves, gradient)


def descent(loss: Callable[[], Tensor], parameter: Tensor) -> Callable[[], None]:
    """A step of a fit: the loss, its gradient, and the parameter moved against it."""
    optimizer = torch.optim.SGD([parameter], lr=0.1)

    def move() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return move


def _single_view(data: Data, scale: Scale) -> nt.Scene:
    return data.scene(random_texture(scale.texture), data.views, 1)


def _all_views(data: Data, scale: Scale, material: Callable = random_texture) -> nt.Scene:
    return data.scene(material(scale.texture), data.views, scale.views)


def _hard(data: Data, scale: Scale) -> Callable:
    return rasterize(camera_corners(_single_view(data, scale)), scale.image)


def _soft(data: Data, scale: Scale) -> Callable:
    return rasterize(camera_corners(_single_view(data, scale)), scale.image, LAYERS, BLUR)


def _unbaked(data: Data, scale: Scale) -> Callable:
    scene = _single_view(data, scale)
    return step(lambda: nt.render(scene, scale.image, grid=1), scene.parameters())


def _baked(data: Data, scale: Scale) -> Callable:
    scene = _single_view(data, scale)
    return step(nt.bake(scene, scale.image, grid=1), scene.parameters())


def _bake(data: Data, scale: Scale) -> Callable:
    scene = _all_views(data, scale)
    return lambda: nt.bake(scene, scale.view)


def _bake_glossy(data: Data, scale: Scale) -> Callable:
    scene = _all_views(data, scale, glossy)
    return lambda: nt.bake(scene, scale.view)


def _step_glossy(data: Data, scale: Scale) -> Callable:
    scene = _all_views(data, scale, glossy)
    return step(nt.bake(scene, scale.view), scene.parameters())


def _large_fragments(data: Data, scale: Scale) -> Callable:
    return rasterize(camera_corners(large_scene(scale.large_faces, scale.texture)), scale.large_image)


def _large_image(data: Data, scale: Scale) -> Callable:
    scene = large_scene(scale.large_faces, scale.texture)
    return torch.no_grad()(lambda: nt.render(scene, scale.large_image, grid=1))


def _large_step(data: Data, scale: Scale) -> Callable:
    scene = large_scene(scale.large_faces, scale.texture)
    return step(lambda: nt.render(scene, scale.large_image, grid=1), scene.parameters())


WORK: dict[str, Callable[[Data, Scale], Callable]] = {
    "hard": _hard,
    "soft": _soft,
    "unbaked": _unbaked,
    "baked": _baked,
    "bake": _bake,
    "bake glossy": _bake_glossy,
    "step glossy": _step_glossy,
    "large fragments": _large_fragments,
    "large image": _large_image,
    "large step": _large_step,
}
