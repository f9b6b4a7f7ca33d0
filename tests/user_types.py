# pyright: reportUnnecessaryTypeIgnoreComment=true
"""What a type checker knows of neurotex where somebody uses it. Never run: `make lint` checks it.

A comment that ignores an error stands where there must be one.
"""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import assert_type

import neurotex as nt


def user() -> None:
    generator = nt.generators.load("materials")
    latent = nt.Latent(generator).sample(seed=0)
    skin = nt.Material(**nt.GeneratedTexture(generator, latent).maps())
    scene = nt.Scene.load("mesh.obj", skin, nt.orbit(4, distance=3.0), nt.Flash(10.0))
    assert_type(nt.render(scene, size=256), Tensor)
    assert_type(scene.cameras[0].position, Tensor)
    assert_type([light.intensity for light in scene.lights], list[Tensor])
    assert_type(scene.nodes[0].mesh, nt.Mesh | None)
    assert_type(scene.meshes()[0].vertices, Tensor)
    nt.bake(scene, (120, 160))().sum().backward()
    fit = nt.Fit(scene, nt.Views.load("views"), torch.optim.Adam(latent.parameters()), steps=10)
    assert_type(fit.run(), list[float])
    views = nt.Views(nt.orbit(2, distance=3.0), ["left.png", "right.png"])
    assert_type(views.images, Tensor)
    paint = nt.ImageTexture("paint.png").through(nt.discrete.Levels(8, "gumbel"))
    nt.Mesh(torch.rand(3, 3), torch.tensor([[0, 1, 2]]), material=nt.Material(paint, roughness=0.5))


def mistaken(scene: nt.Scene) -> None:
    nt.render(scene, "large")  # pyright: ignore[reportArgumentType]
    nt.render(scene, sise=256)  # pyright: ignore[reportCallIssue]
    nt.Material(color=(1, 0, 0))  # pyright: ignore[reportCallIssue]
    _ = scene.meshes()[0].uvs.shape  # pyright: ignore[reportOptionalMemberAccess]
    _ = nt.no_such_name  # pyright: ignore[reportAttributeAccessIssue]
