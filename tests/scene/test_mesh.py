import math

import pytest
import torch
from torch.autograd import gradcheck

from neurotex.errors import SceneError
from neurotex.scene import Mesh, vertex_normals

TRIANGLE = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
FACE = torch.tensor([[0, 1, 2]])


def _nan(rows: int, columns: int) -> torch.Tensor:
    out = torch.zeros(rows, columns)
    out[1, 1] = math.nan
    return out


BAD = {
    "not finite, first at index 1": [
        {"vertices": _nan(3, 3)},
        {"uvs": _nan(3, 2)},
        {"normals": _nan(3, 3)},
        {"vertices": TRIANGLE * torch.tensor([[1], [math.inf], [1]])},
    ],
    "vertex index 3, but only 3": [{"faces": torch.tensor([[0, 1, 3]])}],
    "vertex index -1": [{"faces": torch.tensor([[0, -1, 2]])}],
    "is empty": [{"faces": torch.zeros(0, 3, dtype=torch.int64)}, {"vertices": torch.zeros(0, 3)}],
}


@pytest.mark.parametrize(("message", "change"), [(m, c) for m, changes in BAD.items() for c in changes])
def test_a_bad_mesh_is_refused_by_name(message, change):
    with pytest.raises(SceneError, match=f"mesh 'hull'.*{message}"):
        Mesh(**{"vertices": TRIANGLE, "faces": FACE, "name": "hull", **change})


def test_normals_of_a_sphere_point_outwards():
    import trimesh

    ball = trimesh.creation.icosphere(3)
    vertices = torch.tensor(ball.vertices)
    normals = vertex_normals(vertices, torch.tensor(ball.faces))
    assert float((normals * vertices).sum(1).min()) > 0.9999


def test_normals_of_a_box_are_its_diagonals_whatever_the_triangulation():
    import trimesh

    box = trimesh.creation.box()  # corners touch one or two triangles of a side: weighting by angle makes up for it
    vertices = torch.tensor(box.vertices)
    expected = vertices / vertices.norm(dim=1, keepdim=True)
    torch.testing.assert_close(vertex_normals(vertices, torch.tensor(box.faces)), expected)


def test_degenerate_faces_count_nothing():
    vertices = torch.cat([TRIANGLE, torch.tensor([[5.0, 5, 5]])])
    normals = vertex_normals(vertices, torch.tensor([[0, 1, 2], [0, 0, 1], [0, 1, 1]]))
    assert normals.tolist() == [[0, 0, 1]] * 3 + [[0, 0, 0]]


def test_normals_carry_gradients_to_vertices():
    vertices = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    assert gradcheck(lambda v: vertex_normals(v, torch.tensor([[0, 1, 2], [0, 2, 3], [1, 4, 2]])), (vertices,))


def test_given_normals_are_kept_and_missing_ones_follow_the_vertices():
    tilted = torch.tensor([[0.6, 0, 0.8]]).expand(3, 3)
    assert torch.equal(Mesh(TRIANGLE, FACE, normals=tilted).shading_normals(), tilted)
    mesh = Mesh(TRIANGLE, FACE)
    mesh.vertices = TRIANGLE.flip(1)
    assert torch.equal(mesh.shading_normals(), torch.tensor([[-1.0, 0, 0]]).expand(3, 3))


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_normals_do_not_depend_on_the_unit_of_length(torus, scale):
    torch.testing.assert_close(
        vertex_normals(scale * torus.vertices, torus.faces), vertex_normals(torus.vertices, torus.faces)
    )
