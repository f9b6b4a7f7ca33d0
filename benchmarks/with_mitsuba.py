"""What Mitsuba 3 does of the benchmarks: photographs of a mesh under a flash, and a fit of its texture to them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

import neurotex as nt
from neurotex.shading import srgb_to_linear

# Chosen by trial on Spot's views for the least time to 45.5 dB, among rates of 0.05 to 0.4, memories of (0, 0.7) to
# (0.9, 0.999), 1 to 16 samples, 5 to 30 steps, linear and sRGB-encoded texels. All views in every step, loss in sRGB.
RATE, BETAS, SAMPLES, STEPS = 0.3, (0.2, 0.7), 4, 8


class Stage:
    """A mesh with a bitmap, several cameras of one image size and a flash that follows them."""

    def __init__(self, mi: object, mesh: Path, cameras: list[nt.Camera], flash: nt.Flash, size: int, texture: Tensor):
        self.mi = mi
        film = {"type": "hdrfilm", "width": size, "height": size, "rfilter": {"type": "box"}}
        film |= {"pixel_format": "rgba", "component_format": "float32"}
        sensors = {}
        for number, camera in enumerate(cameras):
            pose = camera.transform.numpy() * [-1.0, 1, -1, 1]  # x to the left, looking along +z
            sensors[f"camera_{number:03d}"] = {
                "type": "perspective",
                "fov": camera.fov,
                "fov_axis": "y",
                "to_world": mi.ScalarTransform4f(pose),
                "film": film,
                "sampler": {"type": "multijitter"},
            }
        bitmap = {
            "type": "bitmap",
            "raw": True,
            "data": mi.TensorXf(srgb_to_linear(texture).movedim(0, -1).contiguous().numpy()),
        }
        shape = {"type": "obj", "filename": str(mesh)}
        shape["bsdf"] = {"type": "twosided", "paint": {"type": "diffuse", "reflectance": bitmap}}
        light = {"type": "rgb", "value": flash.intensity.tolist()}
        self.scene = mi.load_dict(
            {
                "type": "scene",
                # no ray that follows the BSDF can meet a point light
                "integrator": {"type": "direct", "emitter_samples": 1, "bsdf_samples": 0},
                **sensors,
                "flash": {"type": "point", "position": [0, 0, 0], "intensity": light},
                "shape": shape,
            }
        )
        self.positions = [camera.position.tolist() for camera in cameras]
        self.params = mi.traverse(self.scene)
        self.key = next(key for key in self.params.keys() if key.endswith("reflectance.data"))  # noqa: SIM118

    def render(self, number: int, samples: int, seed: int) -> object:
        """One view, (H, W, 4) linear, as a differentiable tensor of Mitsuba's."""
        self.params["flash.position"] = self.positions[number]
        self.params.update()
        return self.mi.render(self.scene, self.params, sensor=number, spp=samples, seed=seed)

    def photographs(self, samples: int) -> Tensor:
        """All views, (N, 4, H, W) linear over black."""
        views = [self.render(number, samples, number).torch() for number in range(len(self.positions))]
        return torch.stack(views).movedim(-1, 1).cpu()


def fit(
    stage: Stage, targets: Tensor, steps: int = STEPS, samples: int = SAMPLES, rate: float = RATE, betas: tuple = BETAS
) -> Iterator[Tensor]:
    """Adam on the sRGB-encoded bitmap, its rate falling along a half cosine; every step renders every view.

    Yields the bitmap after each step, (3, side, side), sRGB-encoded.
    """
    import drjit as dr

    mi = stage.mi
    optimizer = mi.ad.Adam(lr=rate, beta_1=betas[0], beta_2=betas[1])
    optimizer["paint"] = _encode(dr, stage.params[stage.key])  # steps of one size for dark and light, as an eye sees
    wanted = [_encode(dr, mi.TensorXf(image.movedim(0, -1)[..., :3].contiguous().numpy())) for image in targets]
    for step in range(steps):
        optimizer.set_learning_rate(rate * 0.5 * (1 + math.cos(math.pi * step / steps)))
        for number, target in enumerate(wanted):
            stage.params[stage.key] = _decode(dr, optimizer["paint"])  # again: a backward pass cuts this graph
            image = _encode(dr, stage.render(number, samples, step * len(wanted) + number)[..., :3])
            dr.backward(dr.mean(dr.square(image - target), axis=None))
        optimizer.step()
        optimizer["paint"] = dr.clip(optimizer["paint"], 0, 1)
        dr.eval(optimizer["paint"])
        dr.sync_thread()
        yield optimizer["paint"].torch().detach().clone().movedim(-1, 0)


def rays(mi: object, scene: nt.Scene, side: int) -> Callable[[], object]:
    """What a ray of the first camera meets first, through each pixel's centre; the tree of boxes is built before."""
    import drjit as dr

    mesh, camera = scene.geometry(), scene.cameras[0]
    shape = mi.Mesh("mesh", len(mesh.vertices), len(mesh.faces))
    params = mi.traverse(shape)
    params["vertex_positions"] = mesh.vertices.numpy().ravel()
    params["faces"] = mesh.faces.numpy().ravel().astype("uint32")
    params.update()
    world = mi.load_dict({"type": "scene", "shape": shape})
    focal = 1 / math.tan(math.radians(camera.fov) / 2)
    at = (torch.arange(side) + 0.5) / side * 2 - 1
    x, y = torch.meshgrid(at, -at, indexing="xy")
    towards = torch.stack([x, y, torch.full_like(x, -focal)], -1).reshape(-1, 3) @ camera.transform[:3, :3].T
    direction = mi.Vector3f(torch.nn.functional.normalize(towards, dim=1).T.contiguous().numpy())
    origin = mi.Point3f(camera.position.tolist())
    dr.eval(direction, origin)

    def trace() -> object:
        found = world.ray_intersect(mi.Ray3f(origin, direction))
        dr.eval(found.t, found.prim_index, found.uv)
        dr.sync_thread()
        return found

    return trace


def _encode(dr: object, linear: object) -> object:
    """IEC 61966-2-1, with the slope at 0 kept finite for the derivative."""
    safe = dr.maximum(linear, 0.0031308)
    return dr.select(linear <= 0.0031308, 12.92 * linear, 1.055 * dr.power(safe, 1 / 2.4) - 0.055)


def _decode(dr: object, encoded: object) -> object:
    safe = dr.maximum(encoded, 0.04045)
    return dr.select(encoded <= 0.04045, encoded / 12.92, dr.power((safe + 0.055) / 1.055, 2.4))
