"""Normal maps in tangent space: frames from UVs, and normals turned by a map.

glTF asks for MikkTSpace where a mesh brings no tangents. That averages tangents over the faces around a vertex, so that
renderer and baker of a map agree on smooth frames. Here a face's tangent is its own ∂p/∂u, which is constant over it
and exact: what a map that is fitted through this renderer needs. Both are the same where UVs are unwrapped without
shear between neighbours; elsewhere a map baked for MikkTSpace shows frames that turn at edges.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core import checked
from ..geometry import dot, unit

# a UV triangle is a line if it is this much thinner than long: then rounding decides about its direction
THINNEST = 1e-6


@checked.door()
def face_tangents(
    vertices: Float[Tensor, "v 3"],
    uvs: Float[Tensor, "v 2"],
    faces: Int[Tensor, "f 3"],
    normals: Float[Tensor, "v 3"] | None = None,
) -> Float[Tensor, "f 4"]:
    """Unit tangent ∂p/∂u of every face, and its handedness ±1: the bitangent is w · (normal × tangent), along ∂p/∂v.

    From edges and UV differences (Lengyel, Foundations of Game Engine Development 2, 2019). Which side is the normal's
    is told by `normals` at the vertices, or without them by the winding; they differ where an instance is mirrored.
    A face without area, in space or in UV, gets the frame of `perpendicular` and +1. Differentiable.
    """
    checked.indices("faces", faces, len(vertices), "vertex")
    return face_tangents_unchecked(vertices, uvs, faces, normals)


def face_tangents_unchecked(
    vertices: Float[Tensor, "v 3"],
    uvs: Float[Tensor, "v 2"],
    faces: Int[Tensor, "f 3"],
    normals: Float[Tensor, "v 3"] | None = None,
) -> Float[Tensor, "f 4"]:
    """`face_tangents` of vertices that exist."""
    corner, uv = vertices[faces.long()], uvs[faces.long()]
    e1, e2 = corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]
    (du1, dv1), (du2, dv2) = ((uv[:, k] - uv[:, 0]).unbind(1) for k in (1, 2))
    area = du1 * dv2 - du2 * dv1
    flat = area.abs() <= THINNEST * torch.maximum(du1 * du1 + dv1 * dv1, du2 * du2 + dv2 * dv2)
    side = torch.linalg.cross(e1, e2)
    along = (e1 * dv2[:, None] - e2 * dv1[:, None]) * area.sign()[:, None]
    # a face without area but with UVs may still have a direction along u: the normal is needed for nothing then
    tangent = unit(along)
    found = ~flat & (tangent != 0).any(1)
    tangent = torch.where(found[:, None], tangent, perpendicular(side))
    turn = area.detach().sign()
    if normals is not None:
        outward = dot(side, normals[faces.long()].sum(1)).detach()
        turn = torch.where(outward < 0, -turn, turn)
    return torch.cat([tangent, torch.where(found, turn, 1)[:, None]], 1)


@checked.door()
def apply_normal_map(
    normal: Float[Tensor, "n 3"], tangent: Float[Tensor, "n 4"], value: Float[Tensor, "n 3"]
) -> Float[Tensor, "n 3"]:
    """Unit normals from a map's `value` in [0, 1], as glTF has it: 2 · value − 1 along tangent, bitangent and normal.

    +X is the tangent (u grows), +Y the bitangent (v grows, up in the picture), +Z out of the surface. `normal` is the
    interpolated one, of any length; `tangent` as from `face_tangents`, made perpendicular to it (Gram, Schmidt).
    A tangent along the normal is replaced by `perpendicular`; the value (0.5, 0.5, 0.5), which points nowhere, leaves
    the normal as it is. (0, 0, 0) is returned for no normal. Differentiable, and finite everywhere.
    """
    normal, along = unit(normal), tangent[:, :3]
    along = along - normal * dot(normal, along)[:, None]
    along = unit(along, perpendicular(normal), shortest=1e-6)
    across = torch.linalg.cross(normal, along) * tangent[:, 3:]
    x, y, z = (2 * value - 1)[:, :, None].unbind(1)
    turned = along * x + across * y + normal * z
    there = (normal != 0).any(1, keepdim=True)
    return torch.where(there, unit(turned, normal, shortest=1e-6), 0)


def perpendicular(direction: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Some unit vector across each direction, always the same one; (1, 0, 0) for (0, 0, 0). Not differentiated.

    The cross product with the axis that the direction leans on least.
    """
    direction = direction.detach()
    axis = torch.nn.functional.one_hot(direction.abs().argmin(1), 3).to(direction)
    first = torch.nn.functional.pad(direction.new_ones(1), (0, 2)).expand_as(direction)
    return unit(torch.linalg.cross(axis, direction), first)
