import pytest
import torch

import neurotex as nt
from neurotex.scene import Evaluation


def test_a_material_takes_a_colour_pixels_or_a_node():
    node = nt.ConstantTexture((0.1, 0.2, 0.3))
    assert nt.Material(node).base_color is node
    assert isinstance(nt.Material((0.1, 0.2, 0.3)).base_color, nt.ConstantTexture)
    assert isinstance(nt.Material(torch.tensor([0.1, 0.2, 0.3])).base_color, nt.ConstantTexture)
    assert isinstance(nt.Material(torch.rand(3, 4, 4)).base_color, nt.ImageTexture)


def test_without_roughness_it_is_diffuse_and_has_one_map():
    material = nt.Material()
    assert material.roughness is None
    assert material.metallic is None
    assert list(material.maps()) == ["base_color"]
    assert not material.needs_uvs()
    assert "diffuse" in repr(material)


def test_every_map_is_a_number_pixels_or_a_node(tiny_generator):
    normal = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator).sample())
    material = nt.Material(roughness=0.5, metallic=torch.rand(1, 6, 4), normal=normal)
    assert material.normal is normal
    assert material.needs_uvs()
    values = material.values(Evaluation())
    assert {name: tuple(value.shape) for name, value in values.items()} == {
        "base_color": (1, 3, 1, 1),
        "roughness": (1, 1, 1, 1),
        "metallic": (1, 1, 6, 4),
        "normal": (1, 3, 8, 8),
    }
    assert float(values["roughness"]) == 0.5
    assert len(list(material.parameters())) == len(list(normal.parameters()))


def test_a_metal_of_numbers_needs_no_uvs():
    material = nt.Material((1.0, 0.8, 0.3), roughness=0.2, metallic=1)
    assert list(material.maps()) == ["base_color", "roughness", "metallic"]
    assert not material.needs_uvs()


def test_alpha_counts_only_where_it_cuts():
    pixels = torch.rand(4, 3, 5)
    plain, cut = nt.Material(pixels), nt.Material(pixels, alpha_cutoff=0.5)
    assert torch.equal(plain.values(Evaluation())["base_color"][0], pixels[:3])
    assert torch.equal(cut.values(Evaluation())["base_color"][0], pixels)
    assert nt.Material((0.1, 0.2, 0.3, 0.4), alpha_cutoff=1).alpha_cutoff == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metallic": 1.0}, "has no roughness"),
        ({"metallic": torch.rand(1, 2, 2)}, "has no roughness"),
        ({"roughness": 1.5}, r"roughness lies in \[0, 1\], but got values from 1.5"),
        ({"roughness": float("nan")}, "roughness lies in"),
        ({"roughness": (0.5, 0.5)}, "roughness has 1 channel, but got 2"),
        ({"normal": torch.rand(1, 4, 4)}, "normal has 3 channels, but got 1"),
        ({"base_color": (0.5, 0.5)}, "base_color has 3 or 4 channels, but got 2"),
        ({"alpha_cutoff": 0.5}, "base_color has no alpha"),
        ({"base_color": torch.rand(3, 2, 2), "alpha_cutoff": 0.5}, "base_color has no alpha"),
        ({"base_color": (0.1, 0.1, 0.1, 0.1), "alpha_cutoff": 0.0}, "alpha_cutoff is above 0"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(arguments, message):
    with pytest.raises(nt.ArgumentError, match=message):
        nt.Material(**arguments)


def test_a_node_of_another_shape_is_refused_when_it_is_evaluated(tiny_generator):
    node = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator).sample())
    with pytest.raises(nt.SceneError, match=r"'skin': roughness must be \(1, 1, H, W\).*\(1, 3, 8, 8\)"):
        nt.Material(name="skin", roughness=node).values(Evaluation())
    with pytest.raises(nt.SceneError, match=r"base_color must be \(1, 4, H, W\)"):
        nt.Material(node, alpha_cutoff=0.5).values(Evaluation())


def test_a_material_with_other_maps_shares_the_rest():
    rough, colour = nt.ConstantTexture((0.5,)), torch.rand(3, 4, 4)
    material = nt.Material((0.2, 0.3, 0.4), "skin", roughness=rough, emissive=(0.1, 0, 0))
    other = material.replace(base_color=colour, emissive=None, metallic=1.0)
    assert (other.name, other.roughness, other.emissive) == ("skin", rough, None)
    assert torch.equal(other.base_color()[0], colour)
    assert float(other.metallic()) == 1
    assert material.emissive is not None
    assert float(material.metallic()) == 0
    with pytest.raises(nt.ArgumentError, match="'skin': there is no map 'specular', but base_color"):
        material.replace(specular=1.0)
    with pytest.raises(nt.ArgumentError, match="lies in"):
        material.replace(base_color=(2.0, 0, 0))
