"""Scenes that PyTorch3D 0.7.9 rendered on CPU, with everything it computed on the way.

They are the `*.npz` with `pix_to_face` in shared/golden beside the repository, in tests/golden, and in every folder
that the environment names in NEUROTEX_GOLDEN. A file holds a mesh, R and T of a camera, fragments, the image, and the
gradients of (image * probe).sum(), or some of these; `meta` (JSON) holds the camera, the settings of rasteriser and
shader, and the light.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neurotex.compat.pytorch3d import conventions
from neurotex.compat.pytorch3d.conventions import PyTorch3DCamera

REPOSITORY = Path(__file__).parents[2]
# Files hold no corners, and PyTorch3D projects by a product of matrices, which every CPU rounds in its own way. These
# scenes were recorded where it sums term by term, as we do: from our corners all else follows to the bit.
IN_ORDER = (
    frozenset(
        f"ball_{name}"
        for name in ("align_corners_false", "ambient", "inside", "nearest", "silhouette_ortho", "soft", "soft_pinhole")
    )
    | frozenset(
        f"spot_{name}" for name in ("flat_directional", "hard", "ortho", "pinhole", "rect", "silhouette", "soft")
    )
    | {"fine_subpixel", "quad_repeat_border", "quad_soft", "ring_cull", "ring_flat_ortho", "soup_layers"}
)
FOCAL = 1.7320506572723389  # 1 / tan 30° in float32, as it was there: the last bit of a tangent may differ, too


@dataclass(frozen=True)
class Golden:
    """One scene: `data` has its arrays as tensors, images without a leading axis, indices as int64."""

    name: str
    data: dict[str, Tensor]
    meta: dict

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        size = self.meta["settings"]["image_size"]
        return (size, size) if isinstance(size, int) else tuple(size)

    def camera(self, dtype: torch.dtype = torch.float32) -> PyTorch3DCamera:
        """The camera, of one view."""
        rotation, translation = self.data["R"].to(dtype).view(1, 3, 3), self.data["T"].to(dtype).view(1, 3)
        settings = self.meta["camera"]
        kind, keys = {
            "fov_perspective": (conventions.fov_perspective, ("fov", "znear", "zfar", "aspect_ratio")),
            "fov_orthographic": (conventions.fov_orthographic, ("scale", "znear", "zfar")),
            "pinhole": (conventions.pinhole, ("focal", "principal")),
        }[settings["kind"]]
        camera = kind(rotation, translation, **{key: settings[key] for key in keys if key in settings})
        if settings.get("fov") == 60 and settings.get("aspect_ratio", 1) == 1:
            torch.testing.assert_close(camera.projection[0, 0], torch.tensor(FOCAL).to(dtype), rtol=3e-7, atol=0)
            camera.projection[[0, 1], [0, 1]] = FOCAL
        return camera

    def corners(self, vertices: Tensor) -> Tensor:
        """NDC corners (faces, 3, 3) of the scene's faces for `vertices` (vertices, 3) of the world; differentiable."""
        return self.camera(vertices.dtype).ndc(vertices)[0, self.data["faces"]]

    @property
    def raster_settings(self) -> dict:
        """What `rasterize` is to be given beside corners and size: PyTorch3D's settings, its defaults made explicit."""
        settings, camera = self.meta["settings"], self.camera()
        blur = settings.get("blur_radius", 0.0)
        clip, correct = settings.get("clip_barycentric_coords"), settings.get("perspective_correct")
        correct = camera.perspective if correct is None else correct
        near = camera.znear / 2 if correct and camera.znear is not None else None
        return {
            "faces_per_pixel": settings.get("faces_per_pixel", 1),
            "blur_radius": blur,
            "perspective_correct": correct,
            "clip_barycentric_coords": blur > 0 if clip is None else clip,
            "cull_backfaces": settings.get("cull_backfaces", False),
            "near": near if settings.get("z_clip_value") is None else settings["z_clip_value"],
        }


def paths() -> list[Path]:
    """Every golden scene within reach, by name; the first folder that has a name wins."""
    more = [Path(folder) for folder in os.environ.get("NEUROTEX_GOLDEN", "").split(os.pathsep) if folder]
    found: dict[str, Path] = {}
    for folder in [REPOSITORY.parent / "shared" / "golden", REPOSITORY / "tests" / "golden", *more]:
        for path in sorted(folder.glob("*.npz")):
            with np.load(path) as file:
                if "pix_to_face" in file.files:
                    found.setdefault(path.stem, path)
    return [found[name] for name in sorted(found)]


def load(path: Path) -> Golden:
    with np.load(path) as file:
        meta = json.loads(str(file["meta"]))
        data = {key: torch.from_numpy(file[key]) for key in file.files if key != "meta"}
    data = {key: value if value.is_floating_point() else value.long() for key, value in data.items()}
    rank = {"pix_to_face": 3, "zbuf": 3, "bary_coords": 4, "dists": 3, "image": 3, "probe": 3}
    data = {key: value[0] if value.dim() == rank.get(key, -1) + 1 else value for key, value in data.items()}
    return Golden(path.stem, data, meta)
