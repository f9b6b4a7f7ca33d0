import math

import jaxtyping
import numpy as np
import pytest
import torch

import neurotex as nt
from neurotex.scene import Evaluation


@pytest.fixture
def _as_users_call(monkeypatch):
    """Without the checks of annotations that tests have."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def value(node, latents=None):
    with Evaluation(latents) as evaluation:
        return evaluation(node)


def test_a_latent_is_symbolic_until_it_is_bound(tiny_generator):
    latent = nt.Latent(tiny_generator, "skin")
    assert "unbound" in repr(latent)
    assert list(latent.parameters()) == []
    with pytest.raises(nt.SceneError, match=r"latent 'skin' is unbound.*\(1, 4\)"):
        Evaluation()(latent)
    latent.bind(torch.arange(4.0))
    assert "unbound" not in repr(latent)
    assert Evaluation()(latent).tolist() == [[0, 1, 2, 3]]
    assert [tuple(p.shape) for p in latent.parameters()] == [(1, 4)]


def test_binding_copies():
    value = torch.zeros(1, 4)
    latent = nt.Latent((4,)).bind(value)
    value += 1
    assert bool((latent.value == 0).all())


def test_a_given_value_goes_before_the_bound_one():
    latent = nt.Latent((4,), "skin").bind(torch.zeros(4))
    assert value(latent, {"skin": torch.ones(4)}).tolist() == [[1, 1, 1, 1]]
    assert value(latent).tolist() == [[0, 0, 0, 0]]


def test_samples_repeat_with_the_seed_and_follow_the_prior():
    class Prior(torch.nn.Module):
        latent_shape = (3,)

        def sample_latents(self, n: int, rng: torch.Generator) -> torch.Tensor:
            return 100 + torch.rand(n, 3, generator=rng)

    assert torch.equal(nt.Latent((4,)).sample(5).value, nt.Latent((4,)).sample(5).value)
    assert not torch.equal(nt.Latent((4,)).sample(5).value, nt.Latent((4,)).sample(6).value)
    assert bool((nt.Latent(Prior()).sample().value >= 100).all())


@pytest.mark.parametrize("shape", [(3,), (2, 4), (1, 1, 4), ()])
def test_other_shapes_are_refused_by_name(shape):
    latent = nt.Latent((4,), "skin")
    with pytest.raises(nt.SceneError, match=r"'skin' expects shape \(1, 4\)"):
        latent.bind(torch.zeros(shape))
    with pytest.raises(nt.SceneError, match=r"'skin' expects shape \(1, 4\)"):
        value(latent, {"skin": torch.zeros(shape)})


def test_a_generator_must_say_its_latent_shape():
    with pytest.raises(nt.ArgumentError, match="Linear does not say its latent_shape"):
        nt.Latent(torch.nn.Linear(2, 2))


def test_a_pass_computes_every_node_once(tiny_generator):
    skin = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator).sample())
    left, right = skin.through(nt.discrete.Levels(4)), skin.through(nt.discrete.Threshold())
    evaluation = Evaluation()
    values = [evaluation(node) for node in (left, right, skin, left)]
    assert tiny_generator.calls == 1
    assert values[0] is values[3]
    Evaluation()(left)
    assert tiny_generator.calls == 2


def test_a_pass_that_is_given_latents_checks_their_names(tiny_generator):
    skin = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin").sample())
    with pytest.raises(nt.SceneError, match="put it in a with statement"):
        Evaluation({"skin": torch.zeros(4)})(skin)
    with pytest.raises(nt.SceneError, match="there is no latent 'skn' in the scene: its latents are skin"):
        value(skin, {"skn": torch.zeros(4)})
    with pytest.raises(nt.SceneError, match=r"'skin' is unbound, and latents has values for 'skn' alone: call"):
        nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin"))({"skn": torch.zeros(4)})
    with pytest.raises(ZeroDivisionError), Evaluation({"skn": torch.zeros(4)}):
        raise ZeroDivisionError  # what went wrong first is what is said


@pytest.mark.usefixtures("_as_users_call")
@pytest.mark.parametrize(
    "use",
    [
        lambda skin, latents, path: skin(latents),
        lambda skin, latents, path: nt.scene.encode_texture(skin, latents),
        lambda skin, latents, path: nt.scene.save_texture(skin, path / "skin", latents),
        lambda skin, latents, path: nt.render(dressed(skin), 8, latents=latents),
        lambda skin, latents, path: nt.render_passes(dressed(skin), 8, latents=latents),
        lambda skin, latents, path: nt.render_phong(dressed(skin), 8, latents=latents),
        lambda skin, latents, path: nt.render_phong(dressed(skin), 8, shading="soft_silhouette", latents=latents),
        lambda skin, latents, path: nt.bake(dressed(skin), 8)(latents),
        lambda skin, latents, path: nt.bake(dressed(skin), 8).pixels(latents),
    ],
)
def test_a_mistyped_name_is_told_wherever_latents_are_given(use, tiny_generator, tmp_path):
    skin = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin").sample())
    use(skin, {"skin": torch.zeros(4)}, tmp_path)
    with pytest.raises(nt.SceneError, match="no latent 'skn' in the scene: its latents are skin"):
        use(skin, {"skn": torch.zeros(4)}, tmp_path)
    with pytest.raises(nt.ArgumentError, match=r"by their names, as in \{'skin': value\}, and not as a Tensor"):
        use(skin, torch.zeros(4), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"skin.png"}


def dressed(skin):
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0]])
    mesh = nt.Mesh(corners, torch.tensor([[0, 1, 2]]), (corners[:, :2] + 1) / 2, material=nt.Material(skin))
    return nt.Scene(mesh, nt.orbit(1, 3.0), nt.Flash(7.0))


GOOD = [
    torch.tensor([1, 0, 2, -3]),
    torch.tensor([1.0, 0, 2, -3], dtype=torch.float64),
    torch.tensor([1.0, 0, 2, -3]).half(),
    torch.tensor([[1.0, 0, 2, -3]]).bfloat16(),
    np.array([1.0, 0, 2, -3]),
    np.array([[1, 0, 2, -3]], np.int16),
    [1, 0, 2.0, -3],
    (1, 0, 2, -3),
]


@pytest.mark.parametrize("given", GOOD, ids=lambda given: f"{type(given).__name__} {getattr(given, 'dtype', '')}")
def test_values_of_any_kind_mean_the_same(tiny_generator, given):
    skin = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin"))
    right = torch.tensor([[1.0, 0, 2, -3]])
    expected = (tiny_generator(right) + 1) / 2
    assert torch.equal(skin({"skin": given}), expected)
    assert torch.equal(
        nt.render(dressed(skin), 8, latents={"skin": given}), nt.render(dressed(skin), 8, latents={"skin": right})
    )
    assert torch.equal(skin.latent.bind(given).value, right)
    assert skin.latent.value.dtype == torch.float32
    assert torch.equal(skin(), expected)
    assert torch.equal(skin.double()({"skin": given}), (tiny_generator(right.double()) + 1) / 2)


BAD = {
    "NaN or infinity": [[math.nan, 0, 0, 0], np.array([0, 0, 0, np.inf]), torch.full((4,), math.nan)],
    "on 'meta', which has no values": [torch.zeros(4, device="meta")],
    "takes numbers of shape": ["abcd", object(), {"a": 1}, [[1, 2], [3]], ["1", "2", "3", "4"]],
    "plain real numbers": [torch.zeros(4, dtype=torch.complex64), torch.zeros(4).to_sparse()],
    "expects shape": [3.0, [1, 2, 3], np.zeros((2, 4)), torch.zeros(4, 4)],
}


@pytest.mark.usefixtures("_as_users_call")
@pytest.mark.parametrize(("said", "given"), [(said, given) for said, all_ in BAD.items() for given in all_])
def test_what_cannot_be_a_value_is_refused_by_the_latent_s_name(tiny_generator, said, given):
    skin = nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin"))
    for use in (
        skin.latent.bind,
        lambda z: skin({"skin": z}),
        lambda z: nt.render(dressed(skin), 8, latents={"skin": z}),
    ):
        with pytest.raises(nt.SceneError, match=f"latent 'skin' .*{said}"):
            use(given)
    assert skin.latent.value is None


def test_a_batch_takes_lists_and_refuses_by_name(tiny_generator):
    latent = nt.Latent(tiny_generator, "skin", batch="people")
    scene = dressed(nt.GeneratedTexture(tiny_generator, latent))
    given = [[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 2, 0]]
    expected = nt.render(scene, 8, latents={"skin": torch.tensor(given).float()})
    assert torch.equal(nt.render(scene, 8, latents={"skin": given}), expected)
    assert torch.equal(nt.render(scene, 8, latents={"skin": np.array(given)}), expected)
    with pytest.raises(nt.SceneError, match="latent 'skin' is given NaN"):
        nt.render(scene, 8, latents={"skin": np.full((2, 4), np.nan)})


def test_a_state_binds_a_latent_whatever_it_held(tiny_generator):
    def scene():
        return nt.GeneratedTexture(tiny_generator, nt.Latent(tiny_generator, "skin", batch="people"))

    saved = scene()
    saved.latent.bind(torch.randn(3, 4))
    state = saved.state_dict()
    unbound, bound = scene(), scene()
    before = bound.latent.bind(torch.zeros(3, 4)).value
    unbound.load_state_dict(state)
    bound.load_state_dict(state)
    assert torch.equal(unbound.latent.value, saved.latent.value)
    assert bound.latent.value is before
    assert torch.equal(before, saved.latent.value)
    with pytest.raises(nt.SceneError, match="latent 'skin' is given NaN"):
        unbound.load_state_dict({**state, "latent.value": torch.full((3, 4), math.nan)})
    with pytest.raises(nt.SceneError, match="latent 'skin' expects shape"):
        unbound.load_state_dict({**state, "latent.value": torch.zeros(3, 5)})


def test_draws_are_what_the_weights_are_and_the_same_everywhere():
    layer = torch.nn.Linear(4, 3)
    expected = nt.generators.wrap(layer, 4).sample_latents(5, torch.Generator().manual_seed(1))
    for kind in (torch.float64, torch.float16, torch.bfloat16):
        latent = nt.Latent(nt.generators.wrap(torch.nn.Linear(4, 3).to(kind), 4))
        drawn = latent.draw(5, torch.Generator().manual_seed(1))
        assert drawn.dtype == kind
        assert torch.equal(drawn, expected.to(kind))
        assert latent.sample().value.dtype == kind
    nowhere = nt.generators.wrap(torch.nn.Linear(4, 3, device="meta"), 4)
    assert nowhere.sample_latents(2, torch.Generator().manual_seed(1)).is_meta
    with torch.device("meta"):
        assert torch.equal(nt.Latent((4,)).draw(5, torch.Generator().manual_seed(1)), expected)
