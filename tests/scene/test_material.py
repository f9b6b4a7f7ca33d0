import torch

import neurotex as nt


def test_a_material_takes_a_colour_pixels_or_a_node():
    node = nt.ConstantTexture((0.1, 0.2, 0.3))
    assert nt.Material(node).base_color is node
    assert isinstance(nt.Material((0.1, 0.2, 0.3)).base_color, nt.ConstantTexture)
    assert isinstance(nt.Material(torch.tensor([0.1, 0.2, 0.3])).base_color, nt.ConstantTexture)
    assert isinstance(nt.Material(torch.rand(3, 4, 4)).base_color, nt.ImageTexture)
