"""Lights and materials of Phong's shading there and back: the same pictures, and what is refused."""

import re

import pytest
import torch

import neurotex as nt
from neurotex.compat.pytorch3d import (
    from_cameras,
    from_lights,
    from_materials,
    from_meshes,
    to_lights,
    to_materials,
)
from tests.compat.pytorch3d.theirs import render_theirs

LIGHTS = [
    nt.PhongLight.at((1.0, 2.0, 3.0), ambient=(0.1, 0.2, 0.3), diffuse=(0.5, 0.6, 0.4), specular=(0.3, 0.1, 0.2)),
    nt.PhongLight((2.0, 4.0, 6.0, 2.0)),
    nt.PhongLight.towards((1.0, 0.5, 2.0), diffuse=(0.9, 0.8, 0.7)),
    nt.PhongLight.everywhere((0.3, 0.6, 0.9)),
]


@pytest.mark.parametrize("light", LIGHTS)
def test_a_pipeline_of_theirs_becomes_ours(pytorch3d, torus, light):
    """Mesh, camera, light and material: drawn by PyTorch3D, and by us after they have come over."""
    structures = pytest.importorskip("pytorch3d.structures")
    # vertices on the seams are one in theirs, which has UVs apart, so that its normals are smooth there
    welded, number = (torus.vertices * 1e4).round().unique(dim=0, return_inverse=True)
    faces = torus.faces.long()
    textures = pytorch3d.TexturesUV([torch.rand(6, 9, 3)], [faces], [torus.uvs / 3])
    meshes = structures.Meshes([welded / 1e4], [number[faces]], textures)
    cameras = pytorch3d.PerspectiveCameras(1.9, R=torch.eye(3)[None], T=torch.tensor([[0.1, 0.2, 3]]))
    lights = to_lights(light)
    materials = to_materials(nt.PhongMaterial((0.9, 0.8, 0.7), (0.6, 0.7, 0.8), (0.5, 0.4, 0.3), 12.0))
    theirs = render_theirs(pytorch3d, meshes, cameras, lights=lights, materials=materials)
    ours = nt.render_phong(
        nt.Scene(from_meshes(meshes), from_cameras(cameras, 40)),
        40,
        light=from_lights(lights),
        material=from_materials(materials),
        lookup=nt.Lookup(align_corners=False),
    )
    assert torch.equal(ours[:, 3], theirs[:, 3])
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
    assert float(theirs[:, :3].std()) > 0.05


def test_lights_carry_gradients(pytorch3d):
    place = torch.tensor([1.0, 2, 3], requires_grad=True)
    (back,) = from_lights(to_lights(nt.PhongLight.at(place)))
    assert torch.autograd.grad(back.point.sum(), place)[0].tolist() == [1, 1, 1]


def test_batches_of_lights_and_materials_come_over_and_go_back(pytorch3d, torus):
    """Each image of a batch has its own light and material."""
    structures = pytest.importorskip("pytorch3d.structures")
    welded, number = (torus.vertices * 1e4).round().unique(dim=0, return_inverse=True)
    ring = nt.Mesh(welded / 1e4, number[torus.faces.long()])
    meshes = structures.Meshes(
        [ring.vertices], [ring.faces.long()], pytorch3d.TexturesVertex(torch.full((1, len(ring.vertices), 3), 0.6))
    ).extend(3)
    places, colors = torch.tensor([[2.0, 0, -3], [0, 2, -3], [-2, 0, -1]]), torch.rand(3, 3)
    theirs = pytorch3d.PointLights(location=places, diffuse_color=colors)
    # it draws all images of a batch in the colours of the first one's material: only shininess differs
    materials = pytorch3d.Materials(shininess=torch.tensor([2.0, 20, 80]), specular_color=torch.rand(1, 3).expand(3, 3))
    view = {"R": torch.eye(3)[None], "T": torch.tensor([[0.0, 0, 3]])}
    cameras = pytorch3d.PerspectiveCameras(1.9, **view)
    wanted = render_theirs(pytorch3d, meshes, cameras, lights=theirs, materials=materials)
    ours = from_lights(theirs)
    assert [light.point.tolist() for light in ours] == [[*place, 1] for place in places.tolist()]
    ring.material = nt.Material((0.6, 0.6, 0.6))
    eyes = from_cameras(pytorch3d.PerspectiveCameras(1.9, R=view["R"].expand(3, 3, 3), T=view["T"].expand(3, 3)), 40)
    image = nt.render_phong(nt.Scene(ring, eyes), 40, light=ours, material=from_materials(materials))
    torch.testing.assert_close(image, wanted, atol=1e-4, rtol=0)
    assert float((wanted[0] - wanted[1]).abs().max()) > 0.1
    back, again = to_lights(ours), to_materials(from_materials(materials))
    assert torch.equal(back.location, places)
    assert torch.equal(back.diffuse_color, colors)
    assert again.shininess.tolist() == [2, 20, 80]
    with pytest.raises(nt.ArgumentError, match=r"directional and points.*of one kind"):
        to_lights([ours[0], nt.PhongLight.towards((0, 0, 1))])


def test_other_lights_are_refused_by_name(pytorch3d, unchecked):
    with pytest.raises(nt.ArgumentError, match=re.escape("Materials cannot become a PhongLight")):
        from_lights(pytorch3d.Materials())
    with pytest.raises(nt.ArgumentError, match="PointLights cannot become a PhongMaterial"):
        from_materials(pytorch3d.PointLights())
    with pytest.raises(nt.ArgumentError, match=r"a light is a neurotex PhongLight, .* not a Flash: SceneLights"):
        to_lights(nt.Flash(7.0))
    with pytest.raises(nt.ArgumentError, match=r"a material is a neurotex PhongMaterial, .* not a Material"):
        to_materials(nt.Material())
