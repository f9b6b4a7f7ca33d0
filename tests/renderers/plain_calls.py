"""Calls with arguments of the wrong kind, as users make them: without the checks of annotations that tests have.

Run by test_robustness.py in a process of its own. Prints every call that neither works nor fails as it should.
"""

import sys

import numpy as np
import torch

import neurotex as nt
from neurotex.compat.pytorch3d.blend import Blend
from neurotex.compat.pytorch3d.phong import PhongLight, PhongMaterial
from neurotex.compat.pytorch3d.shaders import render_phong

SQUARE = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
UVS = (SQUARE[:, :2] + 1) / 2
FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])
PLACE = nt.look_at(torch.tensor([0.0, 0, 3]))
PIXELS = torch.rand(3, 4, 4)
NAN, INF = float("nan"), float("inf")


def scene(material=None, lights=None, cameras=None):
    mesh = nt.Mesh(SQUARE, FACES, UVS, material=material or nt.Material(PIXELS))
    return nt.Scene(mesh, cameras or [nt.PerspectiveCamera(PLACE)], lights or [nt.Flash(1.0)])


sizes = (0, -1, 2.5, True, "256", "ab", None, (4,), (4, 4, 4), (4, 0), (4, 2.0), (True, 4), NAN, torch.tensor(5))
renderers = (nt.render, nt.bake, nt.render_passes, render_phong)
REFUSED = {
    "one whole number or": [lambda f=f, size=size: f(scene(), size) for f in renderers for size in sizes],
    "at least 1 x 1 samples": [
        lambda f=f, grid=grid: f(scene(), 4, grid=grid)
        for f in (nt.render, nt.bake)
        for grid in (0, -1, 1.5, 2.0, True, "2", None, NAN)
    ],
    "cut polygons into triangles": [
        lambda: nt.Mesh(SQUARE, torch.tensor([[0, 1, 2, 3]])),
        lambda: nt.Mesh(SQUARE, torch.tensor([0, 1, 2])),
    ],
    "drop or add columns": [lambda: nt.Mesh(SQUARE[:, :2], FACES), lambda: nt.Mesh(SQUARE, FACES, SQUARE)],
    "give a tensor": [lambda: nt.Mesh(SQUARE.tolist(), FACES), lambda: nt.Mesh(SQUARE, FACES.numpy())],
    "make it torch.float32 or torch.float64": [
        lambda: nt.Mesh(SQUARE.half(), FACES),
        lambda: nt.Mesh(SQUARE.long(), FACES),
    ],
    "make it torch.int32 or torch.int64": [
        lambda: nt.Mesh(SQUARE, FACES.float()),
        lambda: nt.Mesh(SQUARE, FACES.bool()),
    ],
    "give every vertex its own": [
        lambda: nt.Mesh(SQUARE, FACES, UVS[:3]),
        lambda: nt.Mesh(SQUARE, FACES, UVS, SQUARE[:2]),
    ],
    "give neurotex.Material": [lambda x=x: nt.Mesh(SQUARE, FACES, UVS, material=x) for x in ("red", PIXELS)],
    "an image texture is": [
        lambda x=x: nt.ImageTexture(x)
        for x in (
            PIXELS[:, :0],
            PIXELS[0],
            PIXELS.expand(2, 3, 4, 4),
            (255 * PIXELS).int(),
            PIXELS > 0.5,
            PIXELS.numpy().astype(complex),
            PIXELS.tolist(),
            None,
        )
    ],
    "holds NaN or infinity": [lambda x=x: nt.ImageTexture(PIXELS * x) for x in (NAN, INF)],
    "numbers or pixels": [lambda x=x: nt.Material(x) for x in ({}, None)],
    "is not a texture file": [lambda: nt.Material("red"), lambda: nt.ImageTexture("red")],
    "sides of a texture": [
        lambda size=size: nt.PyramidTexture(*size) for size in ((0,), (1.5,), (4, 0.5, 0), (4, 0.5, -1))
    ],
    "light's intensity": [
        lambda x=x: nt.Flash(x) for x in (-1.0, NAN, INF, (1.0, 2.0), "a", None, torch.full((3, 1), NAN))
    ],
    "point light's position": [
        lambda x=x: nt.PointLight(x, 1.0) for x in ((1.0, 2.0), (0, 0, NAN), (0, 0, INF), "abc", None)
    ],
    "light's direction": [
        lambda x=x: nt.DirectionalLight(x, 1.0) for x in ((0, 0, 0), (0, 1), (0, 0, NAN), (0, 0, INF), None)
    ],
    "an environment is": [
        lambda x=x: nt.EnvironmentLight(x)
        for x in (np.ones((3, 2, 2), int), PIXELS[:, :0], PIXELS.int(), PIXELS[0], PIXELS.tolist(), None)
    ],
    "near is": [lambda x=x: nt.PerspectiveCamera(PLACE, near=x) for x in (0, -1, NAN, INF)],
    "focal lengths": [lambda x=x: nt.PinholeCamera(PLACE, (x, 1), (1, 1), (4, 4)) for x in (0, NAN, INF)],
    "principal point": [lambda x=x: nt.PinholeCamera(PLACE, (1, 1), (1, x), (4, 4)) for x in (NAN, INF)],
    "ymag is": [lambda x=x: nt.OrthographicCamera(PLACE, x) for x in (0, NAN, INF)],
    "neurotex nodes of that kind": [
        lambda: nt.Scene("mesh.obj"),
        lambda: nt.Scene(None),
        lambda: nt.Scene([], lights=3.0),
        lambda: nt.Scene([], cameras=[PLACE]),
    ],
    "a light's": [
        lambda: PhongLight((0.0, 1.0)),
        lambda: PhongLight.at((0.0, NAN, 1.0)),
        lambda: PhongLight(ambient=(1.0, 2.0)),
    ],
    "a material's": [lambda x=x: PhongMaterial(shininess=x) for x in (-1.0, NAN, INF)],
    "a background is": [lambda: Blend(background=(1, 1, 1, 1)), lambda: Blend(background=(1,))],
    "choose one of": [lambda: render_phong(scene(), 4, shading=None)],
}
WORKS = {
    "numpy's whole numbers": [lambda f=f: f(scene(), (np.int64(4), np.int32(5))) for f in renderers],
    "a list": [lambda f=f: f(scene(), [4, 5]) for f in renderers],
    "a shape": [lambda f=f: f(scene(), PIXELS.shape[1:]) for f in renderers],
    "one number of numpy's": [lambda f=f: f(scene(), np.int64(4)) for f in renderers],
    "grids of numpy's": [lambda f=f: f(scene(), 4, grid=np.int64(2)) for f in (nt.render, nt.bake)],
    "maps of another precision": [
        lambda f=f: f(scene(nt.Material(nt.ImageTexture(PIXELS.double()), roughness=0.5)), 4) for f in renderers
    ],
    "a colour as a column": [lambda: nt.render(scene(lights=nt.Flash(torch.ones(3, 1))), 4)],
}


def outcome(call) -> str:
    try:
        call()
    except nt.NeurotexError as error:
        return str(error)
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
    return ""


def main() -> int:
    wrong = []
    for message, calls in REFUSED.items():
        found = [outcome(call) for call in calls]
        wrong += [f"{message!r}, call {k}: {text or 'works'}" for k, text in enumerate(found) if message not in text]
        wrong += [f"{message!r}, call {k}: {text}" for k, text in enumerate(found) if text.startswith("raised")]
    for what, calls in WORKS.items():
        wrong += [f"{what!r}, call {k}: {text}" for k, call in enumerate(calls) if (text := outcome(call))]
    print("\n".join(wrong))
    return len(wrong) > 0


if __name__ == "__main__":
    sys.exit(main())
