"""`scene.check()` knows from shapes alone what a render would say."""

import pytest
import torch

import neurotex as nt
from neurotex.generators.stylegan2 import StyleGAN2
from neurotex.scene.check import FakeEvaluation, fake_tensors


class Paint(torch.nn.Module):
    """(N, 4) → (N, channels, 8, 8)."""

    latent_shape = (4,)

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.out = torch.nn.Linear(4, channels * 64)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.out(z).unflatten(1, (-1, 8, 8))


def _scene(mesh: nt.Mesh, *args: object, **maps: object) -> nt.Scene:
    mesh.material = nt.Material(*args, **maps)
    body = nt.Node(mesh, name="body")
    return nt.Scene([nt.Node(children=[body], name="teapot")], nt.orbit(2, 3.0), nt.Flash(5.0))


def test_shapes_are_known_without_values(plate):
    generator = Paint()
    skin = nt.GeneratedTexture(generator, nt.Latent(generator, "skin", batch="people"))
    bumps = nt.ImageTexture(torch.rand(3, 4, 6))
    scene = _scene(plate, skin.through(nt.discrete.Palette(4)), "skin", roughness=0.4, normal=bumps)
    found = scene.check((20, 30))
    assert found.image == ("people", 2, 4, 20, 30)
    assert found.latents == {"skin": "(people, 4)"}
    where = "/teapot/body: material 'skin', "
    expected = {"base_color": (1, 3, 8, 8), "roughness": (1, 1, 1, 1), "metallic": (1, 1, 1, 1), "normal": (1, 3, 4, 6)}
    assert found.maps == {where + name: shape for name, shape in expected.items()}


STEPS = {
    "levels": lambda: nt.discrete.Levels(4),
    "threshold": lambda: nt.discrete.Threshold(),
    "palette": lambda: nt.discrete.Palette(4, "gumbel"),
    "diffusion": lambda: nt.discrete.Dither(2),
    "blue noise": lambda: nt.discrete.Dither(2, "blue_noise"),
    "jpeg": lambda: nt.discrete.Jpeg(50),
    "blocks": lambda: nt.discrete.BlockCompress("bc1", "surrogate"),
    "box": lambda: nt.discrete.BlackBox(_never, "perturbation"),
}


def _never(array: object) -> object:
    raise AssertionError("a check computes nothing")


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("training", [True, False])
def test_steps_say_their_shapes(plate, name, training):
    scene = _scene(plate, nt.ImageTexture(torch.rand(3, 8, 12)).through(STEPS[name]())).train(training)
    assert list(scene.check().maps.values()) == [(1, 3, 8, 12)]


def test_nothing_is_computed_and_nothing_is_left_behind(plate, tiny_generator):
    latent = nt.Latent(tiny_generator, "skin")
    scene = _scene(plate, nt.GeneratedTexture(tiny_generator, latent).through(nt.discrete.Palette(4)))
    before = {name: (value, value.clone()) for name, value in scene.state_dict().items()}
    state = torch.get_rng_state()
    scene.check()
    assert latent.value is None
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in scene.state_dict().items():
        assert value.data_ptr() == before[name][0].data_ptr()
        assert torch.equal(value, before[name][1])
    scene.double()
    assert nt.render(scene, 8, latents={"skin": torch.zeros(1, 4, dtype=torch.float64)}).dtype == torch.float64
    assert list(scene.check().maps.values()) == [(1, 3, 8, 8)]


def test_a_generator_needs_no_memory(plate):
    with torch.device("meta"):
        generator = StyleGAN2(1024)
    scene = _scene(plate, nt.GeneratedTexture(generator, nt.Latent(generator, "skin")))
    assert list(scene.check().maps.values()) == [(1, 3, 1024, 1024)]


def test_a_map_with_other_channels_is_named_with_its_path(plate):
    scene = _scene(plate, nt.GeneratedTexture(Paint(5), nt.Latent((4,), "skin")), "paint")
    expected = (
        r"^/teapot/body: material 'paint', base_color: GeneratedTexture\(Paint\) of Latent 'skin' \(1, 4\) gives "
        r"\(1, 5, 8, 8\), expected \(1, 3 or 4, H, W\)\.$"
    )
    with pytest.raises(nt.SceneError, match=expected):
        scene.check()


def test_alpha_that_cuts_must_be_there(plate):
    plain = nt.GeneratedTexture(Paint(3), nt.Latent((4,), "skin"))
    with pytest.raises(nt.SceneError, match=r"gives \(1, 3, 8, 8\), expected \(1, 4, H, W\)"):
        _scene(plate, plain, alpha_cutoff=0.5).check()


def test_a_node_that_fails_is_named_with_what_it_reads(plate):
    skin = nt.GeneratedTexture(Paint(4), nt.Latent((4,), "skin"))
    scene = _scene(plate, skin.through(nt.discrete.Palette(4)).through(nt.discrete.Levels(4)))
    expected = (
        r"/teapot/body: .*base_color: SteppedTexture\(Levels\) of SteppedTexture\(Palette\) of "
        r"GeneratedTexture\(Paint\) \(1, 4, 8, 8\) of Latent 'skin' \(1, 4\) fails: .*3 channels, but the texture has 4"
    )
    with pytest.raises(nt.SceneError, match=expected):
        scene.check()


def test_a_latent_of_another_shape_is_refused_when_the_node_is_built(tiny_generator):
    with pytest.raises(nt.ArgumentError, match=r"latent 'skin' .*\(1, 5\).*expects \(1, 4\)"):
        nt.GeneratedTexture(tiny_generator, nt.Latent((5,), "skin"))


def test_what_depends_on_values_is_left_open(plate):
    class Crop(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[..., : int(x.sum())]

    class Host(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.from_numpy(x.detach().numpy() * 1)

    for step in (Crop(), Host()):
        scene = _scene(plate, nt.ImageTexture(torch.rand(3, 8, 8)).through(step).through(nt.discrete.Levels(4)))
        assert list(scene.check().maps.values()) == [None]


def test_a_scene_that_shows_nothing_is_refused(plate):
    scene = _scene(plate, (0.5, 0.5, 0.5))
    for part, message in (("lights", "no light"), ("cameras", "no camera")):
        setattr(scene, part, torch.nn.ModuleList())
        with pytest.raises(nt.SceneError, match=message):
            scene.check()
    with pytest.raises(nt.SceneError, match="no mesh"):
        nt.Scene(nt.Node(), nt.orbit(1, 3.0), nt.Flash(1.0)).check()
    with pytest.raises(nt.ArgumentError, match="image size"):
        scene.check(0)


def test_a_texture_needs_uvs(plate):
    scene = _scene(plate, torch.rand(3, 4, 4))
    plate.uvs = None
    with pytest.raises(nt.SceneError, match=r"'/teapot/body': mesh '.*' has no UVs for its texture: unwrap"):
        scene.check()


def test_a_shared_node_is_run_once(plate, tiny_generator):
    skin = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator))
    rough = skin.through(torch.nn.Conv2d(3, 1, 1))
    _scene(plate, skin, roughness=rough).check()
    assert tiny_generator.calls == 1


def test_latents_stand_in_with_the_type_of_what_reads_them(tiny_generator):
    node = nt.GeneratedTexture(tiny_generator.double(), nt.Latent(tiny_generator))
    with torch.no_grad(), fake_tensors():
        assert FakeEvaluation(node)(node).dtype == torch.float64
