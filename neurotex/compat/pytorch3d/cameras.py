"""Cameras, from neurotex to PyTorch3D and back.

How their cameras' spaces lie to ours is told in `conventions`. Their NDC has +X to the left and +Y up,
and the image's shorter side spans [−1, 1].
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import ArgumentError
from ...scene import Camera, OrthographicCamera, PerspectiveCamera, PinholeCamera, resolution
from . import installed
from .conventions import camera_to_world, rotation_and_translation

ROUNDING = 1e-5  # of a calibration matrix's entries, as a share of its focal lengths


def to_camera(camera: Camera, size: int | tuple[int, int]) -> Any:
    """PyTorch3D's camera, a batch of one, in NDC, that takes the same picture of (height, width) pixels.

    A PerspectiveCameras, or an OrthographicCameras. It has no znear: set a rasteriser's `z_clip_value` to our `near`.
    Raises ArgumentError for cameras of a user's own.
    """
    installed.require()
    from pytorch3d.renderer import OrthographicCameras, PerspectiveCameras

    _check_lens(camera)
    kind = OrthographicCameras if isinstance(camera, OrthographicCamera) else PerspectiveCameras
    rotation, translation = rotation_and_translation(camera.transform[None])
    focal, principal = (values[None].to(rotation) for values in ndc_lens(camera, resolution(size)))
    return kind(focal, principal, rotation, translation, device=rotation.device)


def ndc_lens(camera: Camera, size: tuple[int, int]) -> tuple[Float[Tensor, "2"], Float[Tensor, "2"]]:
    """Focal lengths (scales of an orthographic camera) and principal point in PyTorch3D's NDC, float64."""
    _check_lens(camera)
    height, width = size
    matrix = camera.intrinsics(height, width)
    # pixels are (fx x + cx, cy − fy y) of a point (x, y), over its depth −z in perspective: then a column holds −c
    center = matrix[:2, 3] if isinstance(camera, OrthographicCamera) else -matrix[:2, 2]
    focal = matrix.diagonal()[:2] * matrix.new_tensor([1, -1])
    principal = matrix.new_tensor([width / 2, height / 2]) - center
    half = min(size) / 2
    return focal / half, principal / half


def _check_lens(camera: object) -> None:
    if not isinstance(camera, PerspectiveCamera | PinholeCamera | OrthographicCamera):
        raise ArgumentError(
            f"a {type(camera).__name__} has no counterpart in PyTorch3D: give a PerspectiveCamera, a PinholeCamera or "
            "an OrthographicCamera."
        )


def from_cameras(cameras: Any, size: int | tuple[int, int]) -> list[PinholeCamera | OrthographicCamera]:
    """neurotex cameras that take the pictures of (height, width) pixels of a batch of PyTorch3D's.

    FoVPerspectiveCameras and PerspectiveCameras become PinholeCamera, FoVOrthographicCameras and OrthographicCameras
    OrthographicCamera, whether given in NDC or in screen space (of `size`, if they have no image_size), by numbers or
    by a matrix K. `near` is where PyTorch3D's rasteriser cuts by default: half of the smallest znear of perspective
    cameras that have one, else None. No gradient goes through. Raises ArgumentError for other cameras and what ours
    cannot hold.
    """
    installed.require()
    from pytorch3d.renderer import (
        FoVOrthographicCameras,
        FoVPerspectiveCameras,
        OrthographicCameras,
        PerspectiveCameras,
    )

    size, name = resolution(size), type(cameras).__name__
    if not isinstance(
        cameras, FoVPerspectiveCameras | PerspectiveCameras | FoVOrthographicCameras | OrthographicCameras
    ):
        raise ArgumentError(
            f"{name} cannot become neurotex cameras, which show straight edges as straight, in perspective or "
            "parallel: give PerspectiveCameras, with images that are undistorted, or OrthographicCameras."
        )
    own_size = {} if cameras.get_image_size() is not None else {"image_size": size}
    projection = cameras.get_projection_transform().compose(cameras.get_ndc_camera_transform(**own_size))
    matrices = projection.get_matrix().detach().transpose(1, 2).double().cpu()  # theirs act on rows
    transforms = camera_to_world(cameras.R.detach(), cameras.T.detach())
    parallel = not cameras.is_perspective()
    znear = None if parallel else cameras.get_znear()
    near = None if znear is None else float(torch.as_tensor(znear).min()) / 2
    pairs = enumerate(zip(matrices, transforms, strict=True))
    return [_from_ndc(f"number {n} of these {name}", *pair, parallel, size, near) for n, pair in pairs]


def _from_ndc(
    what: str,
    matrix: Float[Tensor, "4 4"],
    transform: Float[Tensor, "4 4"],
    parallel: bool,
    size: tuple[int, int],
    near: float | None,
) -> PinholeCamera | OrthographicCamera:
    """Our camera with this projection from PyTorch3D's view space to its NDC, both as columns."""
    (fx, fy), least = matrix.diagonal()[:2].tolist(), ROUNDING * float(matrix[0, 0].abs())
    if not (fx > 0 and fy > 0):
        raise ArgumentError(f"{what} has focal lengths {fx:g} and {fy:g}, but only those above 0 make a picture.")
    column = 3 if parallel else 2
    odd = matrix[:2].clone()
    odd[:, column] = 0
    odd[[0, 1], [0, 1]] = 0
    last = matrix.new_tensor([0, 0, 0, 1] if parallel else [0, 0, 1, 0])
    if bool((odd.abs() > least).any()) or not torch.allclose(matrix[3], last):
        raise ArgumentError(
            f"{what} has a skewed or oblique projection, which no neurotex camera has: leave only focal lengths and "
            "principal points in its K."
        )
    height, width = size
    half = min(size) / 2
    x, y = matrix[:2, column].tolist()
    if not parallel:
        return PinholeCamera(
            transform, (fx * half, fy * half), (width / 2 - x * half, height / 2 - y * half), size, near
        )
    # ours looks at the middle of its image: a principal point elsewhere moves it, to the right and down
    aside = transform[:3, :2] @ transform.new_tensor([x / fx, -y / fy])
    moved = torch.cat([transform[:, :3], transform[:, 3:] + torch.nn.functional.pad(aside, (0, 1))[:, None]], 1)
    xmag = None if abs(fx - fy) <= least else width / min(size) / fx
    return OrthographicCamera(moved, height / min(size) / fy, near, xmag)
