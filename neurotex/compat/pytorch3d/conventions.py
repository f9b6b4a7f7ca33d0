"""PyTorch3D's cameras in our conventions: what a rasteriser needs of them, without importing PyTorch3D.

Their view space has +X to the left, +Y up and +Z into the scene, and their vectors are rows: x_view = x_world R + T.
Ours has +X to the right, +Y up and looks along −Z, so the two differ by half a turn around Y, diag(−1, 1, −1). NDC
differ by the sign of x alone; in both, the image's shorter side spans [−1, 1].

The arithmetic follows PyTorch3D 0.7.9 (`renderer/cameras.py`, `transforms/transform3d.py`) operation by operation, so
that float32 coordinates come out as they do there: to the bit where torch sums products in order, and within their
rounding where its BLAS does so otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import ArgumentError
from ...geometry import product, transform


@dataclass(frozen=True)
class PyTorch3DCamera:
    """One camera per view. Make them with `fov_perspective`, `fov_orthographic` or `pinhole`.

    `znear` (scene units) is None for cameras that have none. PyTorch3D's `MeshRasterizer` clips at half of it by
    default where it corrects for perspective: `near`.
    """

    rotation: Float[Tensor, "views 3 3"]
    translation: Float[Tensor, "views 3"]
    projection: Float[Tensor, "4 4"]
    perspective: bool
    znear: float | None

    @property
    def near(self) -> float | None:
        """Where `rasterize` is to clip to do as PyTorch3D does by default; None for not at all."""
        return self.znear / 2 if self.perspective and self.znear is not None else None

    def ndc(self, vertices: Float[Tensor, "vertices 3"]) -> Float[Tensor, "views vertices 3"]:
        """Vertices of the world in each view's NDC, x to the right; the third coordinate is depth in the view.

        Differentiable; a vertex in the plane of the eye has no image: NaN, with a gradient of zero.
        """
        view = transform(vertices.expand(len(self.rotation), -1, -1), self._world_to_view.to(vertices))
        clip = transform(view[..., :3], self.projection.to(vertices).T.expand(len(view), -1, -1))
        w = clip[..., 3:]
        ndc = torch.where(w != 0, clip[..., :2] / torch.where(w != 0, w, torch.ones_like(w)), torch.nan)
        return torch.cat([-ndc[..., :1], ndc[..., 1:], view[..., 2:3]], -1)

    @property
    def _world_to_view(self) -> Float[Tensor, "views 4 4"]:
        """Acts on rows: (x, 1) M = (x R + T, 1)."""
        top = torch.nn.functional.pad(self.rotation, (0, 1))
        bottom = torch.nn.functional.pad(self.translation, (0, 1), value=1.0)
        return torch.cat([top, bottom[:, None]], 1)


def fov_perspective(
    rotation: Float[Tensor, "views 3 3"],
    translation: Float[Tensor, "views 3"],
    fov: float = 60.0,
    znear: float = 1.0,
    zfar: float = 100.0,
    aspect_ratio: float = 1.0,
) -> PyTorch3DCamera:
    """`FoVPerspectiveCameras`: `fov` is the angle over the image's shorter side, in degrees."""
    if not 0 < fov < 180:
        raise ArgumentError(f"a field of view lies between 0 and 180 degrees, but fov is {fov}.")
    near, far, aspect = (rotation.new_tensor(value) for value in (znear, zfar, aspect_ratio))
    top = torch.tan((math.pi / 180) * rotation.new_tensor(fov) / 2) * near
    right = top * aspect
    projection = rotation.new_zeros(4, 4)
    projection[0, 0] = 2.0 * near / (right - -right)
    projection[1, 1] = 2.0 * near / (top - -top)
    projection[2, 2] = far / (far - near)
    projection[2, 3] = -(far * near) / (far - near)
    projection[3, 2] = 1.0
    return PyTorch3DCamera(rotation, translation, projection, True, float(near))


def fov_orthographic(
    rotation: Float[Tensor, "views 3 3"],
    translation: Float[Tensor, "views 3"],
    scale: float | Sequence[float] = 1.0,
    znear: float = 1.0,
    zfar: float = 100.0,
) -> PyTorch3DCamera:
    """`FoVOrthographicCameras` of a view volume of ±1: `scale` is one factor, or theirs of x, y and z."""
    x, y, z = (rotation.new_tensor(scale) * rotation.new_ones(3)).unbind()
    near, far = rotation.new_tensor(znear), rotation.new_tensor(zfar)
    projection = rotation.new_zeros(4, 4)
    projection[0, 0] = x
    projection[1, 1] = y
    projection[2, 2] = 1.0 / (far - near) * z
    projection[2, 3] = -near / (far - near)
    projection[3, 3] = 1.0
    return PyTorch3DCamera(rotation, translation, projection, False, float(near))


def pinhole(
    rotation: Float[Tensor, "views 3 3"],
    translation: Float[Tensor, "views 3"],
    focal: float | Sequence[float] = 1.0,
    principal: Sequence[float] = (0.0, 0.0),
) -> PyTorch3DCamera:
    """`PerspectiveCameras` in NDC: focal length (one, or of x and y) and principal point (their +X left, +Y up)."""
    projection = rotation.new_zeros(4, 4)
    projection[[0, 1], [0, 1]] = rotation.new_tensor(focal) * rotation.new_ones(2)
    projection[[0, 1], [2, 2]] = rotation.new_tensor(principal)
    projection[2, 3] = projection[3, 2] = 1.0
    return PyTorch3DCamera(rotation, translation, projection, True, None)


def camera_to_world(
    rotation: Float[Tensor, "*views 3 3"], translation: Float[Tensor, "*views 3"]
) -> Float[Tensor, "*views 4 4"]:
    """PyTorch3D's (R, T) as our cameras' `transform`: columns are right, up, back and position."""
    position = -product(rotation, translation[..., None])
    top = torch.cat([rotation * rotation.new_tensor([-1, 1, -1]), position], -1)
    bottom = top.new_tensor([0, 0, 0, 1]).expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], -2)


def rotation_and_translation(
    transform: Float[Tensor, "*views 4 4"],
) -> tuple[Float[Tensor, "*views 3 3"], Float[Tensor, "*views 3"]]:
    """Our cameras' rigid `transform` as PyTorch3D's (R, T): the inverse of `camera_to_world`."""
    rotation = transform[..., :3, :3] * transform.new_tensor([-1, 1, -1])
    return rotation, -product(transform[..., None, :3, 3], rotation)[..., 0, :]
