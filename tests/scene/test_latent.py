import pytest
import torch

import neurotex as nt
from neurotex.scene import Evaluation


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
    assert Evaluation({"skin": torch.ones(4)})(latent).tolist() == [[1, 1, 1, 1]]
    assert Evaluation({"other": torch.ones(4)})(latent).tolist() == [[0, 0, 0, 0]]


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
        Evaluation({"skin": torch.zeros(shape)})(latent)


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
