"""Cameras in Mitsuba's words: +X to the left, looking along +Z, which is half a turn around Y from ours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ...errors import SceneError
from ...scene import Camera, OrthographicCamera, PerspectiveCamera, PinholeCamera

UNEQUAL = 1e-6  # relative difference of focal lengths that is more than rounding


def sensors(
    mi: Any, cameras: Sequence[Camera], bounds: tuple[Float[Tensor, "3"], float], size: tuple[int, int]
) -> dict[str, Any]:
    """A sensor per camera, "camera_0", "camera_1", …, of (height, width) pixels, box filtered, with alpha.

    `bounds` are the centre and radius of what is to be seen. Raises SceneError for a camera that Mitsuba cannot
    express.
    """
    center, radius = bounds
    # nothing is cut off far away; one number for all cameras, since Mitsuba compiles it in
    far = max(2 * (float((camera.position - center).norm()) + radius + camera.near_plane(radius)) for camera in cameras)
    found = {}
    for k, camera in enumerate(cameras):
        film = {"type": "hdrfilm", "width": size[1], "height": size[0], "rfilter": {"type": "box"}}
        found[f"camera_{k}"] = {
            **_lens(mi, camera, f"camera {k}", size),
            "near_clip": camera.near_plane(radius),
            "far_clip": far,
            "film": {**film, "pixel_format": "rgba", "component_format": "float32"},
            "sampler": {"type": "multijitter"},
        }
    return found


def even_samples(spp: int) -> int:
    """The number of samples that Mitsuba's multijitter sampler makes of `spp`: a full grid of about as many columns
    as rows (it does the same, and says so each time)."""
    rows = math.isqrt(spp)
    return rows * -(-spp // rows)


def _lens(mi: Any, camera: Camera, name: str, size: tuple[int, int]) -> dict[str, Any]:
    height, width = size
    # the columns right and back change sign
    pose = camera.transform.double().cpu() * torch.tensor([-1.0, 1, -1, 1], dtype=torch.float64)
    if isinstance(camera, OrthographicCamera):
        # Mitsuba's shows [−1, 1] along x, and as much of y as square pixels do
        xmag = camera.ymag * width / height if camera.xmag is None else camera.xmag
        pose = pose @ torch.diag(pose.new_tensor([xmag, camera.ymag * width / height, 1, 1]))
        return {"type": "orthographic", "to_world": mi.ScalarTransform4f(pose.numpy())}
    lens = {"type": "perspective", "fov_axis": "y", "to_world": mi.ScalarTransform4f(pose.numpy())}
    if isinstance(camera, PerspectiveCamera):
        return {**lens, "fov": camera.fov}
    if not isinstance(camera, PinholeCamera):
        raise SceneError(f"{name} is a {type(camera).__name__}, which Mitsuba has no counterpart for: remove it.")
    intrinsics = camera.intrinsics(height, width)
    fx, fy = float(intrinsics[0, 0]), -float(intrinsics[1, 1])
    if abs(fx - fy) > UNEQUAL * fy:
        raise SceneError(
            f"{name} has focal lengths of {fx:g} and {fy:g} pixels in an image of {width} x {height}, but Mitsuba's "
            "pixels are square: resample its photographs, or choose a size of another shape."
        )
    cx, cy = -float(intrinsics[0, 2]), -float(intrinsics[1, 2])
    return {
        **lens,
        "fov": math.degrees(2 * math.atan(height / 2 / fy)),
        "principal_point_offset_x": 0.5 - cx / width,
        "principal_point_offset_y": 0.5 - cy / height,
    }
