import jaxtyping
import pytest
import torch

import neurotex as nt


def test_a_constant_is_one_texel():
    assert nt.ConstantTexture((0.2, 0.4, 0.6))().shape == (1, 3, 1, 1)


def test_an_image_is_a_parameter_only_when_trainable():
    pixels = torch.rand(3, 4, 6)
    assert list(nt.ImageTexture(pixels).parameters()) == []
    texture = nt.ImageTexture(pixels[None], trainable=True)
    assert torch.equal(texture(), pixels[None])
    assert len(list(texture.parameters())) == 1


def test_a_stack_of_images_is_refused():
    with pytest.raises(nt.ArgumentError, match="one image"):
        nt.ImageTexture(torch.rand(2, 3, 4, 4))


def test_a_generated_texture_lies_in_the_unit_range_and_carries_gradients(tiny_generator):
    latent = nt.Latent(tiny_generator).sample()
    texture = nt.GeneratedTexture(tiny_generator, latent)
    torch.testing.assert_close(texture(), (tiny_generator(latent.value) + 1) / 2)
    texture().sum().backward()
    assert all(bool((p.grad != 0).any()) for p in (latent.value, *tiny_generator.parameters()))


def test_latents_are_given_by_name(tiny_generator):
    texture = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin"))
    z = torch.randn(1, 4)
    torch.testing.assert_close(texture({"skin": z}), (tiny_generator(z) + 1) / 2)


def test_a_step_is_applied_and_wrapping_kept():
    texture = nt.ImageTexture(torch.rand(3, 4, 4), wrap="clamp").through(nt.discrete.Threshold())
    assert texture.wrap == "clamp"
    assert set(texture().unique().tolist()) == {0.0, 1.0}


def test_an_unknown_wrap_is_refused(monkeypatch):
    for wrap in ("mirrored", ("repeat", "none")):
        with pytest.raises(nt.ArgumentError, match="repeat, clamp, mirror"):
            nt.ImageTexture(torch.rand(3, 4, 4), wrap=wrap)
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    for wrap in (("repeat", "clamp", "clamp"), None, ()):
        with pytest.raises(nt.ArgumentError, match="along u and along v"):
            nt.ImageTexture(torch.rand(3, 4, 4), wrap=wrap)


def test_a_sampler_is_kept_by_what_reads_a_texture():
    image = nt.ImageTexture(torch.rand(3, 4, 4), ("clamp", "mirror"), uv_transform=((2, 0, 0.5), (0, 2, 0)))
    assert image.sampler == nt.raster.Sampler("clamp", "mirror", "bilinear")
    assert image.uv_transform == ((2.0, 0.0, 0.5), (0.0, 2.0, 0.0))
    for reader in (image.through(nt.discrete.Threshold()), nt.scene.ChannelTexture(image, 0, 1)):
        assert reader.reading == image.reading
    assert nt.ImageTexture(torch.rand(3, 4, 4), ("mirror", "mirror")).wrap == "mirror"


@pytest.mark.parametrize("transform", [((1, 0), (0, 1)), ((1, 0, float("nan")), (0, 1, 0)), "turn", 3.0])
def test_a_transform_of_uvs_is_two_rows_of_three_numbers(transform, monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(nt.ArgumentError, match="two rows of three finite numbers"):
        nt.ImageTexture(torch.rand(3, 4, 4), uv_transform=transform)


def test_a_filter_is_kept_by_every_texture(tiny_generator):
    textures = [
        nt.ImageTexture(torch.rand(3, 4, 4), filter="trilinear"),
        nt.PyramidTexture(8, filter="trilinear"),
        nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator), filter="trilinear"),
    ]
    for texture in textures:
        assert texture.filter == texture.through(nt.discrete.Threshold()).filter == "trilinear"
    assert nt.ImageTexture(torch.rand(3, 4, 4)).filter == nt.ConstantTexture((0, 0, 0)).filter == "bilinear"


def test_an_unknown_filter_is_refused():
    with pytest.raises(nt.ArgumentError, match="nearest, bilinear, trilinear, anisotropic"):
        nt.PyramidTexture(4, filter="bicubic")


@pytest.mark.parametrize("size", [1, 4, 5, 33])
def test_a_pyramid_starts_even_at_its_full_size(size):
    value = nt.PyramidTexture(size, start=0.3)()
    assert value.shape == (1, 3, size, size)
    torch.testing.assert_close(value, torch.full_like(value, 0.3))


def test_unseen_texels_of_a_pyramid_follow_what_is_around_them():
    """Only the right half is compared; the left half must move along, near the border almost all the way."""
    texture = nt.PyramidTexture(32)
    optimizer = torch.optim.Adam(texture.parameters(), 0.05)
    for _ in range(60):
        loss = (texture()[..., 16:] - 0.9).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    value = texture().detach()
    assert float((value[..., 16:] - 0.9).abs().max()) < 0.02
    assert float(value[..., 14:16].min()) > 0.75
    assert float(value[..., :16].min()) > 0.5 - 1e-6


def test_a_pyramid_needs_a_size():
    with pytest.raises(nt.ArgumentError, match="at least 1"):
        nt.PyramidTexture(0)
