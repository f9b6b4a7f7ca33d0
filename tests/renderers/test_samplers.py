"""Maps with transforms of their own: the picture is that of a mesh whose UVs are moved."""

import pytest
import torch

import neurotex as nt

TURN = ((0.6, -0.8, 0.3), (0.8, 0.6, -0.1))
TILE = ((3.0, 0.0, 0.25), (0.0, 2.0, 0.5))


def _scene(plate: nt.Mesh, uvs: torch.Tensor, **maps: nt.scene.Texture) -> nt.Scene:
    mesh = nt.Mesh(plate.vertices, plate.faces, uvs, plate.normals, nt.Material(**maps))
    return nt.Scene(mesh, nt.orbit(2, 3.0), [nt.Flash(7.0)])


def _moved(uvs: torch.Tensor, transform: tuple) -> torch.Tensor:
    rows = torch.tensor(transform)
    return uvs @ rows[:, :2].T + rows[:, 2]


def _image(channels: int, filter: str, transform: tuple | None = None) -> nt.ImageTexture:
    pixels = torch.rand(channels, 16, 12, generator=torch.Generator().manual_seed(channels))
    return nt.ImageTexture(pixels, ("mirror", "repeat"), filter=filter, uv_transform=transform)


@pytest.mark.parametrize("filter", nt.raster.FILTERS)
def test_a_transform_of_a_texture_is_one_of_the_meshs_uvs(plate, filter):
    transformed = _scene(plate, plate.uvs, base_color=_image(3, filter, TILE))
    moved = _scene(plate, _moved(plate.uvs, TILE), base_color=_image(3, filter))
    expected = nt.render(moved, 32)
    torch.testing.assert_close(nt.render(transformed, 32), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(nt.bake(transformed, 32)(), expected, rtol=0, atol=1e-4)
    assert float((expected - nt.render(_scene(plate, plate.uvs, base_color=_image(3, filter)), 32)).abs().max()) > 0.1


def test_each_map_has_a_transform_of_its_own(plate):
    plain = nt.render_passes(_scene(plate, _moved(plate.uvs, TILE), base_color=_image(3, "bilinear")), 32)
    maps = {"base_color": _image(3, "bilinear", TILE), "roughness": _image(1, "bilinear", TURN), "metallic": 0.0}
    both = nt.render_passes(_scene(plate, plate.uvs, **maps), 32)
    torch.testing.assert_close(both.albedo, plain.albedo, rtol=0, atol=1e-4)
    rough = nt.render_passes(
        _scene(plate, _moved(plate.uvs, TURN), base_color=(0.0, 0, 0), roughness=_image(1, "bilinear")), 32
    )
    torch.testing.assert_close(both.material, rough.material, rtol=0, atol=1e-4)


def test_a_cut_out_is_where_its_texture_is(plate):
    cut = nt.Material(_image(4, "bilinear", TILE), alpha_cutoff=0.5)
    expected = nt.Material(_image(4, "bilinear"), alpha_cutoff=0.5)
    scenes = [_scene(plate, plate.uvs), _scene(plate, _moved(plate.uvs, TILE))]
    for scene, material in zip(scenes, (cut, expected), strict=True):
        scene.meshes()[0].material = material
    ours, theirs = (nt.render(scene, 48)[:, 3] for scene in scenes)
    assert 0.2 < float(theirs[theirs > 0].numel() / (nt.render(_scene(plate, plate.uvs), 48)[:, 3] > 0).sum()) < 0.95
    assert float((ours - theirs).abs().mean()) < 1e-3


def test_phongs_shading_reads_transformed_and_mirrored_textures(plate):
    pixels = torch.rand(3, 16, 12)

    def seen(uvs: torch.Tensor, transform: tuple | None) -> torch.Tensor:
        image = nt.ImageTexture(pixels, "mirror", uv_transform=transform)
        return nt.render_phong(_scene(plate, uvs, base_color=image), 32)

    torch.testing.assert_close(seen(plate.uvs, TILE), seen(_moved(plate.uvs, TILE), None), rtol=0, atol=1e-4)
    with pytest.raises(nt.SceneError, match=r"wraps as \('mirror', 'repeat'\)"):
        nt.render_phong(_scene(plate, plate.uvs, base_color=_image(3, "bilinear")), 32)
