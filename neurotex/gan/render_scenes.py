"""What `Renders` photographs: meshes under cameras all around, or under the cameras of photographs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import ArgumentError
from ..renderers.lighting import transport
from ..scene import AmbientLight, Camera, Flash, Mesh, Node, PerspectiveCamera, Scene, Views, look_at
from ..scene.check import check_unwrapped
from ..scene.counts import is_count

LIGHTS = ("flash", "uniform")

Object = str | Path | Mesh


def objects(meshes: Object) -> list[Node]:
    """The nodes of a scene file, of a Mesh, or of the "sphere"; SceneError for meshes without UVs."""
    if meshes == "sphere":
        meshes = sphere()
    scene = Scene(meshes) if isinstance(meshes, Mesh) else Scene.load(meshes)
    check_unwrapped(scene.meshes(), f"mesh '{meshes.name}'" if isinstance(meshes, Mesh) else str(meshes))
    return list(scene.nodes)


def sphere(around: int = 64, rings: int = 32) -> Mesh:
    """The unit sphere by longitude and latitude: (r sin 2πs, −cos πv, r cos 2πs) with r = sin πv, s and v in [0, 1].

    Its UVs are (2s, v): a texture goes around twice, so that texels are square at the equator.
    """
    s, v = torch.meshgrid(torch.linspace(0, 1, around + 1), torch.linspace(0, 1, rings + 1), indexing="ij")
    turn, r = 2 * math.pi * (s % 1), (math.pi * torch.minimum(v, 1 - v)).sin()  # so that seam and poles are closed
    places = torch.stack([r * turn.sin(), -(math.pi * v).cos(), r * turn.cos()], -1).flatten(0, 1)
    corner = torch.arange(len(places)).view(around + 1, rings + 1)
    west, east = corner[:-1], corner[1:]
    # at a pole one of the two triangles of a patch has no area
    lower = torch.stack([west[:, 1:-1], east[:, 1:-1], east[:, 2:]], -1).flatten(0, 1)
    upper = torch.stack([west[:, :-2], east[:, 1:-1], west[:, 1:-1]], -1).flatten(0, 1)
    uvs = torch.stack([2 * s, v], -1).flatten(0, 1)
    return Mesh(places, torch.cat([lower, upper]), uvs, places.clone(), name="sphere")


def random_cameras(
    count: int,
    points: Float[Tensor, "v 3"],
    seed: int = 0,
    *,
    fill: tuple[float, float] = (0.7, 0.9),
    elevation: tuple[float, float] = (-90.0, 90.0),
    fov: float = 40.0,
) -> list[PerspectiveCamera]:
    """`count` cameras all around some points, looking at the middle of their box. The same seed, the same cameras.

    Directions are even over the belt between two elevations (degrees). In a square image the points just touch a frame
    that takes a share of its sides, drawn evenly from `fill`: with points (x, y, z) from the middle, in the camera's
    axes, and t = tan(fov / 2), the share f is had at the distance max(max(|x|, |y|) / (f t) + z).
    """
    if not is_count(count):
        raise ArgumentError(f"a scene is seen by 1 camera or more, not {count!r}.")
    if not 0 < fill[0] <= fill[1]:
        raise ArgumentError(f"fill is two shares of the image's sides, above 0 and ascending, not {fill}.")
    if not -90 <= elevation[0] <= elevation[1] <= 90:
        raise ArgumentError(f"elevation is two angles from -90 to 90 degrees, ascending, not {elevation}.")
    middle = (points.amin(0) + points.amax(0)) / 2
    low, high = (math.sin(math.radians(angle)) for angle in elevation)
    cameras = []
    for s, t, f in torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)).tolist():
        turn, height = 2 * math.pi * s, low + (high - low) * t
        r = math.sqrt(1 - height**2)
        way = middle.new_tensor([r * math.sin(turn), height, r * math.cos(turn)])
        x, y, z = ((points - middle) @ look_at(way)[:3, :3].to(points)).unbind(1)
        share = (fill[0] + (fill[1] - fill[0]) * f) * math.tan(math.radians(fov) / 2)
        distance = float((torch.maximum(x.abs(), y.abs()) / share + z).max())
        cameras.append(PerspectiveCamera(look_at(middle + distance * way, middle), fov, near=1e-3 * distance))
    return cameras


def scene_around(nodes: list[Node], views: int, seed: int = 0, light: str = "flash", **cameras: Any) -> Scene:
    """A mesh under `views` random cameras (see `random_cameras`), by its light.

    "uniform" comes from everywhere alike: a surface looks as bright as it is. "flash" is at the camera, and as strong
    as that white just reaches 1 at the vertex that any camera sees brightest.
    """
    if light not in LIGHTS:
        raise ArgumentError(f"the light is 'flash' or 'uniform', not {light!r}.")
    geometry = Scene(nodes).geometry()
    vertices = geometry.vertices.detach()
    around = random_cameras(views, vertices, seed, **cameras)
    if light == "uniform":
        return Scene(nodes, around, AmbientLight(1.0))
    normals = geometry.normals.detach()
    brightest = max(float(transport([Flash(1.0)], camera, vertices, normals).max()) for camera in around)
    return Scene(nodes, around, Flash(1 / brightest))


def scene_of_views(nodes: list[Node], views: Views) -> Scene:
    """A mesh under cameras and lights of photographs, made square; evenly lit where they say nothing of light."""
    cameras = [squared(camera, views.size) for camera in views.cameras]
    return Scene(nodes, cameras, views.lights or [AmbientLight(1.0)])


def squared(camera: Camera, size: tuple[int, int]) -> Camera:
    """The camera whose image is the square in the middle of the image of `camera`, which has (height, width) pixels."""
    return camera if size[0] == size[1] else SquaredCamera(camera, size)


class SquaredCamera(Camera):
    """See `squared`. Pixels (x, y) of the image become (x − (width − m) / 2, y − (height − m) / 2), m = min(size)."""

    def __init__(self, camera: Camera, size: tuple[int, int]):
        super().__init__(camera.transform, camera.near)
        self.camera, self.whole = camera, tuple(size)
        self.has_place = camera.has_place

    def intrinsics(self, height: int, width: int) -> Float[Tensor, "4 4"]:
        side = min(self.whole)
        inside = self.camera.intrinsics(*self.whole)
        shift = torch.eye(4).to(inside)
        shift[0, 3], shift[1, 3] = ((side - length) / 2 for length in reversed(self.whole))
        return torch.diag(inside.new_tensor([width / side, height / side, 1, 1])) @ shift @ inside

    @property
    def eye(self) -> Float[Tensor, "4"]:
        return self.camera.eye
