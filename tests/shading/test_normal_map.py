"""Tangent frames of plates worked out by hand, normals turned by a map, and places without a frame."""

import math

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.functional import normalize

from neurotex.shading import apply_normal_map, face_tangents
from neurotex.shading.normal_map import perpendicular

TRIANGLE = torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 2, 0]])
UV = torch.tensor([[0.0, 0], [1, 0], [0, 1]])
FACE = torch.tensor([[0, 1, 2]])
UP = torch.tensor([[0.0, 0, 1]])


def _turned(angle: float) -> Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s], [s, c]])


def test_the_tangent_is_where_u_grows():
    torch.testing.assert_close(face_tangents(TRIANGLE, UV, FACE), torch.tensor([[1.0, 0, 0, 1]]))
    turned = face_tangents(TRIANGLE, UV @ _turned(0.5).T, FACE)
    torch.testing.assert_close(turned, torch.tensor([[math.cos(0.5), -math.sin(0.5), 0, 1]]))


def test_mirrored_uvs_turn_the_bitangent():
    mirrored = UV * torch.tensor([-1.0, 1])
    torch.testing.assert_close(face_tangents(TRIANGLE, mirrored, FACE), torch.tensor([[-1.0, 0, 0, -1]]))


def test_the_frame_is_the_derivative_by_u_and_v(torus):
    """w · (n × t) points where v grows; u and v are perpendicular on the torus."""
    frame = face_tangents(torus.vertices, torus.uvs, torus.faces)
    corner, uv = torus.vertices[torus.faces], torus.uvs[torus.faces]
    edges, steps = corner[:, 1:] - corner[:, :1], uv[:, 1:] - uv[:, :1]
    by_u, by_v = torch.linalg.solve(steps, edges).unbind(1)
    side = torch.linalg.cross(edges[:, 0], edges[:, 1])
    torch.testing.assert_close(frame[:, :3], normalize(by_u, dim=1), atol=1e-4, rtol=0)
    bitangent = torch.linalg.cross(normalize(side, dim=1), frame[:, :3]) * frame[:, 3:]
    assert float((bitangent * normalize(by_v, dim=1)).sum(1).min()) > 0.98


def test_given_normals_tell_the_side():
    """A mirrored instance winds the other way round; its bitangent must follow v all the same."""
    flip = torch.tensor([-1.0, 1, 1])
    frame = face_tangents(TRIANGLE * flip, UV, FACE, UP.expand(3, 3))
    torch.testing.assert_close(frame, torch.tensor([[-1.0, 0, 0, -1]]))
    bitangent = apply_normal_map(UP, frame, torch.tensor([[0.5, 1, 0.5]]))
    torch.testing.assert_close(bitangent, torch.tensor([[0.0, 1, 0]]))


BAD_UVS = {
    "one point": torch.full((3, 2), 0.3),
    "a line": torch.tensor([[0.0, 0], [0.5, 0.5], [1, 1]]),
    "two corners": torch.tensor([[0.0, 0], [0, 0], [1, 1]]),
}


@pytest.mark.parametrize("name", BAD_UVS)
def test_uvs_without_area_give_some_frame_across(name):
    vertices, uvs = TRIANGLE.clone().requires_grad_(), BAD_UVS[name].clone().requires_grad_()
    frame = face_tangents(vertices, uvs, FACE)
    frame.sum().backward()
    frame = frame.detach()
    torch.testing.assert_close(frame[0, :3].norm(), torch.tensor(1.0))
    assert abs(float(frame[0, 2])) < 1e-6
    assert float(frame[0, 3]) == 1
    assert bool(vertices.grad.isfinite().all())
    assert bool(uvs.grad.isfinite().all())


def test_a_face_without_area_gives_a_finite_frame():
    vertices = torch.stack([TRIANGLE[0]] * 3).requires_grad_()
    frame = face_tangents(vertices, UV, FACE)
    torch.testing.assert_close(frame[0, :3].norm(), torch.tensor(1.0))
    frame.sum().backward()
    assert bool(vertices.grad.isfinite().all())


def test_tangents_pass_gradcheck():
    faces = torch.tensor([[0, 1, 2], [1, 3, 2]])
    vertices, uvs = torch.randn(4, 3, dtype=torch.float64), torch.rand(4, 2, dtype=torch.float64)
    assert gradcheck(lambda v, t: face_tangents(v, t, faces), (vertices.requires_grad_(), uvs.requires_grad_()))


def test_each_colour_is_an_axis_of_the_frame():
    """The blue of an empty map leaves the normal; red turns it along u, green along v."""
    tangent = torch.tensor([[1.0, 0, 0, 1]]).expand(5, 4)
    value = torch.tensor([[0.5, 0.5, 1], [1, 0.5, 0.5], [0.5, 1, 0.5], [0.8, 0.5, 0.9], [0.5, 0.5, 0.5]])
    expected = torch.tensor([[0.0, 0, 1], [1, 0, 0], [0, 1, 0], [0.6, 0, 0.8], [0, 0, 1]])
    torch.testing.assert_close(apply_normal_map(3 * UP.expand(5, 3), tangent, value), expected)


def test_the_tangent_is_made_perpendicular_to_the_interpolated_normal():
    normal = normalize(torch.tensor([[0.6, 0.0, 0.8]]), dim=1)
    out = apply_normal_map(normal, torch.tensor([[1.0, 0, 0, -1]]), torch.tensor([[1, 0.5, 0.5], [0.5, 1, 0.5]])[:1])
    torch.testing.assert_close(out, torch.tensor([[0.8, 0, -0.6]]))
    across = apply_normal_map(normal, torch.tensor([[1.0, 0, 0, -1]]), torch.tensor([[0.5, 1, 0.5]]))
    torch.testing.assert_close(across, torch.tensor([[0.0, -1, 0]]))


def test_normals_come_out_unit_and_finite_wherever_they_come_from():
    normal = torch.tensor([[0.0, 0, 0], [0, 0, 1], [1e-9, 0, 0], [1, 0, 0]]).repeat_interleave(3, 0).requires_grad_()
    tangent = torch.tensor([[0.0, 0, 0, 1], [0, 0, 1, -1], [1, 0, 0, 1]]).repeat(4, 1).requires_grad_()
    value = torch.rand(12, 3).requires_grad_()
    out = apply_normal_map(normal, tangent, value)
    lengths = torch.tensor([0.0] * 3 + [1.0] * 9)
    torch.testing.assert_close(out.norm(dim=1), lengths)
    out.sum().backward()
    for leaf in (normal, tangent, value):
        assert bool(leaf.grad.isfinite().all())


def test_turned_normals_pass_gradcheck():
    leaves = [torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 4, dtype=torch.float64)]
    leaves = [t.requires_grad_() for t in (*leaves, torch.rand(4, 3, dtype=torch.float64))]
    assert gradcheck(apply_normal_map, leaves)


def test_a_perpendicular_is_one():
    direction = torch.cat([torch.randn(50, 3), torch.eye(3), torch.zeros(1, 3)])
    out = perpendicular(direction)
    torch.testing.assert_close(out.norm(dim=1), torch.ones(54))
    torch.testing.assert_close((out * direction).sum(1), torch.zeros(54), atol=1e-5, rtol=0)
