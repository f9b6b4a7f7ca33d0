"""Whether one texture can be fitted to a file's meshes: their UVs give each place of the surface texels of its own."""

from __future__ import annotations

import warnings

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..errors import SceneError
from ..raster import z_buffer
from ..scene import Material, Scene
from ..scene.check import check_unwrapped
from ..scene.mesh import UNWRAP

SIDE = 256  # of the grid on which places are told apart
SHARED = 0.01  # of the texels covered: islands that only touch share less
FARTHEST = 16  # squares that UVs may reach over
SLACK = 1e-3  # how far a face may reach out of its square: rounding, and islands that touch the border
TILES = 10  # to a row of UDIM's
NAMED = 5  # materials and tiles that a message names at most
PACK = "pack its UVs into one square (in Blender: join, then UV > Pack Islands), or fit each part alone"


def check_uvs(scene: Scene, path: str) -> None:
    """Raise SceneError, with the file's name, where what is fitted would be a mean of what lies in several places.

    So it is without UVs, with UVs of no area or in pixels, and where several materials, or tiles of UDIM's, cover the
    same texels. Warns where one material repeats its texture.
    """
    meshes = scene.meshes()
    check_unwrapped(meshes, path)
    corners = {mesh: mesh.unwrapped().detach()[mesh.faces.long()] for mesh in meshes}
    every = torch.cat(list(corners.values()))
    a, b = every[:, 1] - every[:, 0], every[:, 2] - every[:, 0]
    if not bool((a[:, 0] * b[:, 1] != a[:, 1] * b[:, 0]).any()):
        raise SceneError(f"{path} has UVs that all lie on a line or a point: {UNWRAP}.")
    low, high = every.amin((0, 1)), every.amax((0, 1))
    if float((high - low).max()) > FARTHEST:
        raise SceneError(
            f"{path} has UVs that reach from {float(low.min()):g} to {float(high.max()):g}, so that they are counted "
            "in pixels, or repeat the texture: divide them by the picture's size, or unwrap the mesh into one square."
        )
    squares, apart = _squares(every)
    layers: dict[tuple[Material, tuple[int, int]], Tensor] = {}
    for material in scene.materials():
        uvs = torch.cat([corners[mesh] for mesh in meshes if mesh.material is material])
        for square in squares:
            covered = _covered(uvs - uvs.new_tensor(square))
            if bool(covered.any()):
                layers[material, square] = covered
    materials = list(dict.fromkeys(material for material, _ in layers))
    if _overlap([torch.stack([c for (m, _), c in layers.items() if m is own]).any(0) for own in materials]):
        raise SceneError(
            f"{path} wears {len(materials)} materials ({_few([m.name for m in materials])}) that cover the same "
            f"texels, but one texture is fitted: {PACK}."
        )
    if _overlap(list(layers.values())):
        squares = list(dict.fromkeys(square for _, square in layers))
        if apart:
            tiles = [str(1001 + u + TILES * v) for u, v in sorted(squares, key=lambda uv: uv[::-1])]
            raise SceneError(
                f"{path} has UVs in {len(tiles)} tiles ({_few(tiles)}), but one texture is fitted: {PACK}."
            )
        warnings.warn(
            f"{path} has UVs that repeat the texture: what is fitted is the mean of all its places.", stacklevel=2
        )


def _squares(corners: Float[Tensor, "f 3 2"]) -> tuple[list[tuple[int, int]], bool]:
    """Lower left corners of the unit squares that faces may lie in, and whether each face lies in one."""
    first, last = (corners.amin(1) + SLACK).floor().int(), (corners.amax(1) - SLACK).ceil().int() - 1
    low, high = first.amin(0).tolist(), torch.maximum(first, last).amax(0).tolist()
    apart = bool((first >= last).all()) and low[0] >= 0 and low[1] >= 0 and high[0] < TILES
    return [(u, v) for v in range(low[1], high[1] + 1) for u in range(low[0], high[0] + 1)], apart


def _covered(corners: Float[Tensor, "f 3 2"]) -> Bool[Tensor, "side side"]:
    """Where on a grid of the unit square faces lie."""
    near = ((corners.amax(1) > 0) & (corners.amin(1) < 1)).all(1)
    flat = SIDE * corners[near].reshape(-1, 2)
    one = torch.ones_like(flat[:, :1])
    faces = torch.arange(len(flat), dtype=torch.int32).view(-1, 3)
    return z_buffer(torch.cat([flat, one, one], 1), faces, (SIDE, SIDE))[0] >= 0


def _overlap(layers: list[Bool[Tensor, "side side"]]) -> bool:
    """Whether more than a few texels lie in several layers."""
    count = torch.stack(layers).sum(0)
    return int((count > 1).sum()) > SHARED * int((count > 0).sum())


def _few(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
