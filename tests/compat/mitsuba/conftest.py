"""Mitsuba, where it is installed, and small things to look at with it."""

import math
from typing import Any

import pytest
import torch

import neurotex as nt
from neurotex.compat.mitsuba import activate, find_llvm


@pytest.fixture(scope="session")
def mi() -> Any:
    """Mitsuba with llvm_ad_rgb active."""
    pytest.importorskip("mitsuba", reason="Mitsuba 3 is not installed", exc_type=ImportError)
    if find_llvm() is None:
        pytest.skip("no shared library of LLVM 16 or later, which Mitsuba's llvm_ad_rgb needs")
    return activate()


@pytest.fixture
def ball() -> nt.Mesh:
    """The unit ball, u from −Z over +X, v from pole to pole."""
    u, v = (t.flatten() for t in torch.meshgrid(torch.linspace(0, 1, 33), torch.linspace(0, 1, 17), indexing="ij"))
    a, b = 2 * math.pi * u, math.pi * v
    points = torch.stack([b.sin() * a.sin(), -b.cos(), b.sin() * a.cos()], 1)
    corner = torch.arange(33 * 17).view(33, 17)[:-1, :-1].flatten()
    quad = [corner, corner + 17, corner + 18, corner + 1]
    faces = torch.cat([torch.stack([quad[i] for i in pick], 1) for pick in ((0, 1, 2), (0, 2, 3))])
    return nt.Mesh(points, faces, torch.stack([u, v], 1), points, name="ball")


@pytest.fixture
def picture() -> torch.Tensor:
    """(3, 12, 20): no two corners alike, smooth between them."""
    coarse = torch.rand(1, 3, 3, 5)
    return torch.nn.functional.interpolate(coarse, (12, 20), mode="bilinear", align_corners=False)[0]


@pytest.fixture
def wall(mi: Any) -> Any:
    """Makes scenes of a plate |x|, |y| ≤ 1 with a bitmap, in even light, and two sensors of 12 x 12 pixels."""

    def make(texture: dict | None = None, bsdf: dict | None = None, **more: Any) -> Any:
        blank = {"type": "bitmap", "raw": True, "data": mi.TensorXf(torch.zeros(2, 2, 3))}
        film = {"type": "hdrfilm", "width": 12, "height": 12, "rfilter": {"type": "box"}, "pixel_format": "rgb"}
        film["component_format"] = "float32"
        look = {"type": "perspective", "fov": 40, "film": film}
        transform = mi.ScalarTransform4f()
        return mi.load_dict(
            {
                "type": "scene",
                "integrator": {"type": "direct"},
                "near": {**look, "to_world": transform.look_at([0, 0, 2.5], [0, 0, 0], [0, 1, 0])},
                "far": {**look, "to_world": transform.look_at([0.5, 0, 4], [0, 0, 0], [0, 1, 0])},
                "light": {"type": "constant"},
                "plate": {"type": "rectangle", "bsdf": bsdf or {"type": "diffuse", "reflectance": texture or blank}},
                **more,
            }
        )

    return make
