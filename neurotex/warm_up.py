"""Compile kernels ahead of their first use: `neurotex warm-up`.

numba compiles a kernel when it is first called and keeps the result on disk. This calls each of them once, on a tiny
scene in the two float types, so that nobody waits later.
"""

from __future__ import annotations

import torch

from .compat.pytorch3d import rasterize
from .core import warp
from .core.op import kernels_for_gpus
from .discrete import BlockCompress, Dither, Jpeg, Levels, Palette
from .fit.codes import search_codes
from .fit.coefficients import search_coefficients
from .renderers import BakedMatrix, bake, render
from .scene import Flash, ImageTexture, Material, Mesh, Scene, orbit
from .shading import linear_to_srgb


def warm_up() -> None:
    """Render and bake a triangle in the ways that differ in their kernels: filters, materials, layers, steps."""
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0]])
    for dtype in (torch.float32, torch.float64):
        for light in (1.0, (1.0, 0.5, 0.25)):
            material = Material(ImageTexture(torch.rand(3, 16, 16), trainable=True))  # a whole tile of a JPEG
            mesh = Mesh(corners, torch.tensor([[0, 1, 2]]), corners[:, :2], material=material)
            scene = Scene(mesh, orbit(1, 3.0), Flash(light)).to(dtype)
            linear_to_srgb(render(scene, 8)).sum().backward()
            with torch.no_grad():
                render(scene, 8)
            baked = bake(scene, 8)
            baked().sum().backward()
            assert isinstance(baked, BakedMatrix)  # the triangle is diffuse
            start = torch.rand(1, 3, 16, 16, dtype=dtype)
            for step in (Levels(2), Palette(3)):
                search_codes(baked, baked().detach(), step.to(dtype), start, 1)
            search_coefficients(baked, baked().detach(), Jpeg(20), start, 1)
        picture = ImageTexture(torch.rand(4, 4, 4), filter="anisotropic", trainable=True)
        mesh.material = Material(picture, roughness=ImageTexture(torch.rand(1, 4, 4)), alpha_cutoff=0.5).to(dtype)
        render(scene, 8, antialias=True).sum().backward()
        ndc = corners[None].to(dtype).requires_grad_()
        for layers in (1, 2):
            fragments = rasterize(ndc + 2, (8, 8), faces_per_pixel=layers, blur_radius=1e-4 * (layers - 1))
            (fragments.zbuf.sum() + fragments.bary_coords.sum() + fragments.dists.sum()).backward()
        texture = torch.rand(1, 3, 8, 8, dtype=dtype, requires_grad=True)
        for estimator in ("straight_through", "surrogate"):
            Palette(9, estimator).to(dtype)(texture).sum().backward()
        BlockCompress("bc3", "surrogate")(torch.rand(1, 4, 8, 8, dtype=dtype, requires_grad=True)).sum().backward()
        for palette in (None, torch.rand(9, 3)):
            Dither(palette=palette).to(dtype)(texture).sum().backward()
    if torch.cuda.is_available() and warp.available():
        warp.compile_ahead(kernels_for_gpus())
