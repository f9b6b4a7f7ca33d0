"""Cameras as things that can be seen: pyramids of thin bars, in one mesh."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from ..errors import ArgumentError
from ..scene import AmbientLight, Camera, Flash, Material, Mesh, Node, PerspectiveCamera, Scene, look_at
from ..scene.views import Frame

YFOV, ASIDE, ABOVE = 40.0, math.radians(30), math.radians(30)  # of the picture; the first in degrees
ORANGE = (1.0, 0.35, 0.02)
SHARE = 0.12  # how long a pyramid is, of the distance from what it looks at
BAR = 0.03  # how thick its bars are, of its length
# eye, four corners of the picture (top left first), the tip of the mark that points up
EDGES = ((0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (2, 3), (3, 4), (4, 1), (1, 5), (2, 5))


def with_frusta(scene: Scene, frames: Sequence[Frame]) -> Scene:
    """The scene with the cameras of `frames` drawn in it as orange pyramids, a mark at the upper edge of each picture;
    before one camera that sees them all, and lit.

    Cameras have no size of their own: a pyramid is as long as an eighth of their typical distance from the middle of
    the meshes, or of each other.
    """
    if not frames:
        raise ArgumentError("there are no cameras to draw: give at least one frame.")
    placed = scene.replace(cameras=[frame.camera for frame in frames])  # all told from one origin
    with torch.no_grad():
        eyes = torch.stack([camera.position for camera in placed.cameras]).double()
        middle = placed.bounds()[0].double() if placed.meshes() else eyes.mean(0)
        length = SHARE * float((eyes - middle).norm(dim=1).median()) or SHARE
        parts = [
            _bars(_points(camera, frame.size, length), length * BAR)
            for camera, frame in zip(placed.cameras, frames, strict=True)
        ]
        vertices = torch.cat(parts).to(placed.cameras[0].transform.dtype)
    faces = torch.arange(len(vertices), device=vertices.device).view(-1, 3)
    mesh = Mesh(vertices, faces, material=Material((0.0, 0.0, 0.0), emissive=ORANGE), name="cameras")
    scene = Scene([*placed.nodes, Node(mesh, name="cameras")])
    return scene.replace(cameras=_overview(scene, list(placed.cameras), middle), lights=_light(scene))


def _overview(scene: Scene, cameras: list[Camera], middle: Tensor) -> PerspectiveCamera:
    """One that sees all of the scene from where the cameras stand, a little aside and above; up is what is up there."""
    up = normalize(torch.stack([camera.transform[:3, 1] for camera in cameras]).double().mean(0), dim=0)
    if not bool(up.norm() > 0.5):  # as many upside down
        up = torch.tensor([0.0, 1, 0], dtype=torch.float64)
    towards = torch.stack([camera.position for camera in cameras]).double().mean(0) - middle
    towards = towards - towards.dot(up) * up
    if float(towards.norm()) < 1e-6 * float(middle.norm() + 1):  # all around
        towards = torch.eye(3, dtype=torch.float64)[up.abs().argmin()]
        towards = towards - towards.dot(up) * up
    towards = normalize(towards, dim=0)
    aside = torch.linalg.cross(up, towards)
    direction = math.cos(ASIDE) * towards + math.sin(ASIDE) * aside
    direction = math.cos(ABOVE) * direction + math.sin(ABOVE) * up
    center, radius = scene.bounds()
    distance = 1.02 * radius / math.sin(math.radians(YFOV) / 2)
    return PerspectiveCamera(look_at(center.double() + distance * direction, center.double(), up), YFOV)


def _light(scene: Scene) -> list:
    """Half from everywhere, half from where one looks."""
    _, radius = scene.bounds()
    distance = 1.02 * radius / math.sin(math.radians(YFOV) / 2)
    return [AmbientLight(0.5), Flash(0.5 * math.pi * distance**2)]


def _points(camera: Camera, size: tuple[int, int], length: float) -> Float[Tensor, "6 3"]:
    """The eye, the corners of the picture at a distance, and a mark above its upper edge, in the world."""
    height, width = size
    matrix = camera.intrinsics(height, width)
    across, down = float(matrix[0, 0]), -float(matrix[1, 1])
    left, right = float(matrix[0, 2]) / across, (width + float(matrix[0, 2])) / across
    top, bottom = -float(matrix[1, 2]) / down, (-float(matrix[1, 2]) - height) / down
    middle, mark = (left + right) / 2, top + 0.3 * (top - bottom)
    rows = [[0, 0, 0], [left, top, -1], [right, top, -1], [right, bottom, -1], [left, bottom, -1], [middle, mark, -1]]
    local = torch.tensor(rows, dtype=torch.float64) * length
    place = camera.transform.double().cpu()
    return local @ place[:3, :3].T + place[:3, 3]


def _bars(points: Float[Tensor, "6 3"], width: float) -> Float[Tensor, "corners 3"]:
    """The corners of triangles along the edges: each bar is two ribbons across each other, seen from all sides."""
    start, end = (points[list(which)] for which in zip(*EDGES, strict=True))
    along = normalize(end - start, dim=1)
    other = torch.eye(3, dtype=torch.float64)[along.abs().argmin(1)]
    side = torch.linalg.cross(along, other)
    side = normalize(side, dim=1) * width / 2
    ribbons = []
    for across in (side, torch.linalg.cross(along, side)):
        a, b, c, d = start - across, start + across, end + across, end - across
        ribbons += [torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)]
    return torch.cat(ribbons).reshape(-1, 3)
