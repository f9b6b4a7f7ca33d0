"""Taps of texels on vertices and faces, beside those by UV."""

import pytest
import torch

from neurotex import raster
from neurotex.raster import MeshPoints, TexelLayout, surface_taps

SHAPES = [(6, 1), (4, 5), (3, 4), (2, 1), (8, 8)]
FILTERS = ["vertex", "bilinear", "face", "face", "anisotropic"]


def points(n: int) -> MeshPoints:
    element = torch.cat([torch.randint(2, (n, 1)), torch.randint(6, (n, 3))], 1)
    return MeshPoints(element, torch.rand(n, 3, dtype=torch.float64).softmax(1))


@pytest.mark.parametrize("names", [FILTERS, [*FILTERS[:4], "nearest"], ["vertex"] * 5])
def test_textures_of_all_kinds_side_by_side(names):
    shapes = [(6, 1)] * 5 if len(set(names)) == 1 else SHAPES
    layout = TexelLayout.of(shapes, ["clamp"] * 5, filters=names)
    texels = torch.rand(layout.total, 3, dtype=torch.float64)
    where, uv, texture = points(50), torch.rand(50, 2, dtype=torch.float64), torch.randint(5, (50,))
    duv = 0.1 * torch.randn(50, 2, 2, dtype=torch.float64)
    found = surface_taps(uv, duv, where, texture, layout).gather(texels)
    by_uv = raster.taps(uv, duv, texture, layout.by_uv()).gather(texels)
    for k in range(50):
        name, own = names[texture[k]], texels[layout.first[texture[k]] :]
        face, *corners = where.element[k].tolist()
        a, b = where.barycentrics[k, :2].tolist()
        if name == "vertex":
            expected = where.barycentrics[k] @ own[corners]
        elif name == "face":
            side = {4: 2, 1: 1}[shapes[texture[k]][1]]
            cell = (int(b * side), int(a * side))
            if a * side % 1 + b * side % 1 > 1:
                cell = (side - 1 - cell[0], side - 1 - cell[1])
            expected = own[face * side**2 + cell[0] * side + cell[1]]
        else:
            expected = by_uv[k]
        torch.testing.assert_close(found[k], expected)


def test_coordinates_on_the_border_of_a_face_stay_in_it():
    layout = TexelLayout.of([(1, 9)], ["clamp"], filters=["face"])
    border = torch.tensor(
        [[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1 + 1e-6, -1e-6, 0], [-1e-6, 1 + 1e-6, 0], [0.5, 0.5, 0]]
    )
    where = MeshPoints(torch.zeros(6, 4, dtype=torch.long), border)
    taps = surface_taps(border[:, :2], torch.empty(6, 0, 2), where, torch.zeros(6).long(), layout)
    assert taps.index[:, 0].tolist() == [2, 6, 0, 2, 6, 4]


def test_samples_know_where_on_their_face_they_lie():
    screen = torch.tensor([[1.0, 1, 0.5, 1], [14, 3, 0.3, 2], [4, 15, 0.2, 3]])
    screen[:, :2] *= screen[:, 3:]
    faces = torch.tensor([[0, 1, 2]], dtype=torch.int32)
    ids, _ = raster.z_buffer(screen, faces, (16, 16), 1e-3)
    kernel = raster.gather_surface(ids, screen, faces, torch.eye(3), 2, barycentrics=True)
    plain = raster.gather_surface(ids, screen, faces, torch.eye(3).requires_grad_(), 2, barycentrics=True)
    assert len(kernel.pixel) > 20
    torch.testing.assert_close(kernel.barycentrics, kernel.values)
    torch.testing.assert_close(plain.barycentrics, kernel.barycentrics)
    assert raster.gather_surface(ids, screen, faces, torch.eye(3), 2).barycentrics.shape == (len(kernel.pixel), 0)
