"""Make a fitted texture fit for other viewers: fill what no view and no face uses, and close the seams.

Along a UV seam the same edge of the surface lies in two places of the texture. A fit sees each place only through its
own pixels, and a viewer with other filtering or mip levels also reads texels beyond the islands. So texels outside
are filled from within, and the two sides of every seam are made to agree.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from ..core.typed import sides
from ..raster import SparseOperator, TexelLayout, bilinear_taps, z_buffer
from ..scene import Mesh
from .conjugate_gradients import conjugate_gradients

STAY_INSIDE, STAY_OUTSIDE = 0.05, 1e-4  # how strongly a texel keeps its value against a disagreement at a seam


def island_mask(mesh: Mesh, size: tuple[int, int]) -> Bool[Tensor, "h w"]:
    """Texels of a (height, width) texture whose centre lies on a face of the mesh."""
    height, width = size
    u, v = mesh.unwrapped().unbind(1)
    one = torch.ones_like(u)
    flat = torch.stack([u * width, (1 - v) * height, one, one], dim=1)
    return z_buffer(flat, mesh.faces, size)[0] >= 0


def fill_unknown(texture: Float[Tensor, "c h w"], known: Bool[Tensor, "h w"]) -> Float[Tensor, "c h w"]:
    """Replace unknown texels by what is around them: pull–push (Gortler et al. 1996, "The Lumigraph").

    Each coarser level averages what is known; each finer one takes what it lacks from the level below.
    """
    if bool(known.all()) or not bool(known.any()):
        return texture
    weight = known[None].to(texture)
    height, width = known.shape
    even = (0, width % 2, 0, height % 2)
    share = avg_pool2d(pad(weight, even), 2)
    coarse = avg_pool2d(pad(texture * weight, even), 2) / share.clamp_min(1e-12)
    coarse = fill_unknown(coarse, share[0] > 0)
    fine = interpolate(coarse[None], scale_factor=2, mode="bilinear")[0, :, :height, :width]
    return torch.where(known, texture, fine)


def seam_points(mesh: Mesh, size: tuple[int, int]) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2"]]:
    """UVs on both sides of every seam, about two points to a texel: the same surface points in both lists."""
    vertices, faces = mesh.vertices.cpu().numpy(), mesh.faces.cpu().numpy()
    _, welded = np.unique(vertices, axis=0, return_inverse=True)
    edges = np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)])
    ends = welded.reshape(-1)[edges]
    edges = np.where((ends[:, :1] > ends[:, 1:]), edges[:, ::-1], edges)  # both sides run the same way
    key = np.sort(ends, axis=1)
    order = np.lexsort((key[:, 1], key[:, 0]))
    edges, key = edges[order], key[order]
    same = (key[1:] == key[:-1]).all(1)
    uvs = mesh.unwrapped().cpu().numpy()
    a, b = uvs[edges[:-1][same]], uvs[edges[1:][same]]  # pairs of (2 ends, uv)
    apart = np.abs(a - b).max(axis=(1, 2)) > 1e-6
    a, b = a[apart], b[apart]
    scale = np.array([size[1], size[0]])
    texels = np.maximum(*(np.linalg.norm((e[:, 1] - e[:, 0]) * scale, axis=1) for e in (a, b)))
    count = np.ceil(2 * texels).astype(int) + 1
    edge = np.repeat(np.arange(len(count)), count)
    t = (np.arange(len(edge)) - np.repeat(count.cumsum() - count, count)) / np.maximum(count[edge] - 1, 1)
    sides = [e[edge, 0] * (1 - t)[:, None] + e[edge, 1] * t[:, None] for e in (a, b)]
    first, second = (torch.from_numpy(side.astype(np.float64)).reshape(-1, 2) for side in sides)
    return first, second


def seam_gap(texture: Float[Tensor, "c h w"], mesh: Mesh) -> float:
    """Root mean square difference between the two sides of the seams, as a bilinear viewer reads them; 0 without."""
    size = sides(texture)
    a, b = seam_points(mesh, size)
    if len(a) == 0:
        return 0.0
    index, weight = _difference_taps(a, b, size)
    texels = texture.detach().cpu().double().flatten(1).T
    return float((texels[index.long()] * weight[..., None]).sum(1).square().mean().sqrt())


def close_seams(
    texture: Float[Tensor, "c h w"], mesh: Mesh, inside: Bool[Tensor, "h w"], iterations: int = 100
) -> Float[Tensor, "c h w"]:
    """Move the texels along UV seams as little as needed for both sides to agree.

    Minimises |T(a) − T(b)|² over points a, b on the two sides plus how far texels move, by conjugate gradients on the
    texels that the points read (Sylvan, "Fixing texture seams with linear least squares", 2013). Texels outside the
    islands move almost freely.
    """
    size = sides(texture)
    a, b = seam_points(mesh, size)
    if len(a) == 0:
        return texture
    index, weight = _difference_taps(a, b, size)
    used, index = index.unique(return_inverse=True)
    used = used.long()
    start = texture.flatten(1).T[used.to(texture.device)].cpu().double()
    stay = torch.where(inside.flatten().cpu()[used], STAY_INSIDE, STAY_OUTSIDE).double()[:, None]
    # T(a) − T(b) at every seam point
    pointers = torch.arange(len(index) + 1) * index.shape[1]
    gap = SparseOperator(pointers, index.flatten().int(), weight.reshape(-1, 1), len(used))

    def product(x: Tensor) -> Tensor:
        return gap.transposed_product(gap(x)) + stay * x

    # of the change x: (gapᵀ gap + stay) x = −gapᵀ gap start
    right = -gap.transposed_product(gap(start))
    x = conjugate_gradients(product, right, torch.zeros_like(start), iterations=iterations, accuracy=1e-3)
    flat = texture.flatten(1).clone()
    flat[:, used.to(texture.device)] = (start + x).clamp(0, 1).T.to(texture)
    return flat.view_as(texture)


def _difference_taps(a: Tensor, b: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Taps of T(a) − T(b): (n, 8) texels and weights."""
    layout = TexelLayout.of([size], ["repeat"])
    texture = torch.zeros(len(a), dtype=torch.int64)
    (ia, wa), (ib, wb) = bilinear_taps(a, texture, layout), bilinear_taps(b, texture, layout)
    return torch.cat([ia, ib], 1), torch.cat([wa, -wb], 1)
