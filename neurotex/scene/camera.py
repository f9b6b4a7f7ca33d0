"""Cameras: right-handed, +Y up, looking along −Z (glTF, OpenGL, NeRF)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from ..errors import ArgumentError, SceneError
from ..geometry import inverse, product
from .origin import Placed

Transform = Float[Tensor, "4 4"]
NEAR = 1e-3
SMALLEST = 1e-11  # scene units: ten times as near, lights count as lying on surfaces


class Camera(Placed):
    """Base of all cameras. `transform` (4, 4) is rigid and takes camera space to the world.

    `near` (scene units) cuts what is closer; None: see `near_plane`. Cameras of `Views` have an `origin` (see
    `Scene.origin`). `has_place` is False for those that look from infinitely far away. ArgumentError for a transform
    that is not rigid, and for numbers that make no view.
    """

    has_place = True

    def __init__(self, transform: Transform | None = None, near: float | None = None):
        super().__init__()
        transform = torch.eye(4) if transform is None else torch.as_tensor(transform, dtype=torch.get_default_dtype())
        check_rigid(transform)
        if near is not None and not 0 < near < math.inf:
            raise ArgumentError(f"near is a distance above 0, in scene units, but is {near}.")
        self.near = near
        self.register_buffer("transform", transform.clone())

    def near_plane(self, radius: float) -> float:
        """`near`; or by default 0.001, and in a scene of a `radius` below 1 a thousandth of that.

        Raises SceneError for a scene and a camera so small that squares of distances are no numbers.
        """
        if 0 < radius < SMALLEST and float(self.position.detach().norm()) < SMALLEST:
            raise SceneError(f"scene and camera lie within {SMALLEST:.0e} of the origin: scale them up.")
        return NEAR * min(1.0, radius) or NEAR if self.near is None else self.near

    @property
    def position(self) -> Float[Tensor, "3"]:
        """Where the camera stands in the world."""
        return self.transform[:3, 3]

    def intrinsics(self, height: int, width: int) -> Float[Tensor, "4 4"]:
        """Camera space (x, y, z, 1) → homogeneous pixels with depth (x·w, y·w, depth, w).

        `height` and `width` are the image's, in pixels.
        """
        raise NotImplementedError

    def screen_matrix(self, size: tuple[int, int]) -> Float[Tensor, "4 4"]:
        """World space → the rasteriser's screen space, for an image of `size` (height, width) pixels."""
        to_camera = inverse(self.transform.double())
        return product(_beside(self.intrinsics(*size), to_camera), to_camera).to(self.transform)

    @property
    def eye(self) -> Float[Tensor, "4"]:
        """The eye as a homogeneous point: (position, 1), or (direction, 0) towards one infinitely far away."""
        return torch.cat([self.position, self.position.new_ones(1)])


def _beside(matrix: Tensor, like: Tensor) -> Tensor:
    """A matrix of known numbers where another is. A GPU is told them one by one, and not waited for as by a copy."""
    if matrix.device == like.device or matrix.device.type != "cpu" or matrix.requires_grad:
        return matrix.to(like)
    there = like.new_zeros(matrix.shape)
    for row, column in matrix.nonzero().tolist():
        there[row, column] = float(matrix[row, column])
    return there


def _pixel_matrix(fx: float, fy: float, cx: float, cy: float) -> Tensor:
    """Perspective intrinsics; camera looks along −Z, so depth = −z = w; image y points down."""
    return torch.tensor([[fx, 0, -cx, 0], [0, -fy, -cy, 0], [0, 0, -1, 0], [0, 0, -1, 0]], dtype=torch.float64)


class PerspectiveCamera(Camera):
    """A camera with square pixels and a vertical field of view `fov`, in degrees."""

    def __init__(self, transform: Transform | None = None, fov: float = 45.0, near: float | None = None):
        super().__init__(transform, near)
        if not 0 < fov < 180:
            raise ArgumentError(f"a field of view lies between 0 and 180 degrees, but fov is {fov}.")
        self.fov = fov

    def intrinsics(self, height: int, width: int) -> Tensor:
        focal = height / 2 / math.tan(math.radians(self.fov) / 2)
        return _pixel_matrix(focal, focal, width / 2, height / 2)

    def extra_repr(self) -> str:
        return f"fov={self.fov:g}"


class PinholeCamera(Camera):
    """A calibrated camera: focal lengths and principal point in pixels of a `height` × `width` image.

    Rendering at another size scales them along. `focal` is (fx, fy), `center` (cx, cy) from the top left corner of the
    image, and `size` (height, width).
    """

    def __init__(
        self,
        transform: Transform | None,
        focal: tuple[float, float],
        center: tuple[float, float],
        size: tuple[int, int],
        near: float | None = None,
    ):
        super().__init__(transform, near)
        if not all(0 < length < math.inf for length in (*focal, *size)):
            raise ArgumentError(f"focal lengths and image size are above 0, but focal is {focal} and size {size}.")
        if not all(map(math.isfinite, center)):
            raise ArgumentError(f"a principal point is two finite numbers, but center is {center}.")
        self.focal, self.center, self.size = tuple(focal), tuple(center), tuple(size)

    def intrinsics(self, height: int, width: int) -> Tensor:
        sx, sy = width / self.size[1], height / self.size[0]
        return _pixel_matrix(self.focal[0] * sx, self.focal[1] * sy, self.center[0] * sx, self.center[1] * sy)

    def extra_repr(self) -> str:
        return f"focal={self.focal}, center={self.center}, size={self.size}"


class OrthographicCamera(Camera):
    """Parallel projection; the image is 2·`ymag` scene units high and 2·`xmag` wide (glTF's).

    Without `xmag` pixels are square, whatever the shape of the image.
    """

    has_place = False

    def __init__(
        self,
        transform: Transform | None = None,
        ymag: float = 1.0,
        near: float | None = None,
        xmag: float | None = None,
    ):
        super().__init__(transform, near)
        for name, mag, what in (("ymag", ymag, "height"), ("xmag", xmag, "width")):
            if mag is not None and not 0 < mag < math.inf:
                raise ArgumentError(f"{name} is half the {what} of the view and above 0, but is {mag}.")
        self.ymag, self.xmag = ymag, xmag

    def intrinsics(self, height: int, width: int) -> Tensor:
        sy = height / (2 * self.ymag)
        sx = sy if self.xmag is None else width / (2 * self.xmag)
        rows = [[sx, 0, 0, width / 2], [0, -sy, 0, height / 2], [0, 0, -1, 0], [0, 0, 0, 1]]
        return torch.tensor(rows, dtype=torch.float64)

    @property
    def eye(self) -> Tensor:
        return self.transform[:, 2]

    def extra_repr(self) -> str:
        return f"ymag={self.ymag:g}" + ("" if self.xmag is None else f", xmag={self.xmag:g}")


def look_at(eye: Tensor, target: Tensor | None = None, up: Tensor | None = None) -> Transform:
    """Camera-to-world transform of a camera at `eye` (3,) that looks at `target` (default the origin), +Y up.

    Raises ArgumentError where they are the same point.
    """
    eye = torch.as_tensor(eye, dtype=torch.get_default_dtype())
    target = torch.zeros_like(eye) if target is None else torch.as_tensor(target).to(eye)
    up = eye.new_tensor([0, 1, 0]) if up is None else torch.as_tensor(up).to(eye)
    back, up = _direction(eye - target), _direction(up)
    if not bool(back.any()):
        raise ArgumentError(f"a camera at {eye.tolist()} cannot look at that very point: move it, or give a target.")
    if float(torch.linalg.cross(up, back).norm()) < 1e-6:  # straight up or down: any other axis will do
        up = eye.new_tensor([0, 0, 1])
    right = _direction(torch.linalg.cross(up, back))
    out = torch.eye(4).to(eye)
    out[:3] = torch.stack([right, torch.linalg.cross(back, right), back, eye], dim=1)
    return out


def _direction(vector: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
    """Of length 1, however long it was; 0 stays."""
    _, exponent = math.frexp(float(vector.detach().abs().max()))
    return normalize(vector * 2.0 ** -max(exponent, -126), dim=0)


def orbit(
    views: int,
    distance: float,
    elevation: float = 20.0,
    fov: float = 45.0,
    target: Tensor | None = None,
    azimuth: float = 0.0,
) -> list[PerspectiveCamera]:
    """`views` cameras on a circle around `target`; angles in degrees, the first one `azimuth` from +Z towards +X.

    `views` is 1 or more, `distance` (scene units) is that from `target` (3,), by default the origin, `elevation` the
    angle above it, and `fov` the vertical field of view.
    """
    cameras = []
    target = torch.zeros(3) if target is None else torch.as_tensor(target)
    rise = math.radians(elevation)
    for k in range(views):
        turn = 2 * math.pi * k / views + math.radians(azimuth)
        offset = [math.cos(rise) * math.sin(turn), math.sin(rise), math.cos(rise) * math.cos(turn)]
        eye = target + distance * torch.tensor(offset).to(target)
        cameras.append(PerspectiveCamera(look_at(eye, target), fov))
    return cameras


def check_rigid(transform: Tensor, what: str = "a camera's transform") -> None:
    """Raise ArgumentError unless `transform` is (4, 4), finite, a rotation and a translation."""
    if tuple(transform.shape) != (4, 4) or not bool(transform.isfinite().all()):
        raise ArgumentError(f"{what} must be a 4 x 4 matrix of finite numbers.")
    rotation, last = transform[:3, :3].double(), transform[3].double()
    unit = torch.allclose(rotation @ rotation.T, torch.eye(3).to(rotation), atol=1e-3)
    if not unit or torch.linalg.det(rotation) < 0 or not torch.allclose(last, last.new_tensor([0, 0, 0, 1])):
        raise ArgumentError(
            f"{what} is not rigid: give a rotation and a translation, camera to world, without scale or mirror."
        )
