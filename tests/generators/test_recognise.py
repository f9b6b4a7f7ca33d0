"""What a state dict shows of its network, and when it shows too little."""

import pytest
import torch

import neurotex as nt
from neurotex.generators import StyleGAN2, StyleGAN3, from_nvidia, info, load
from neurotex.generators.recognise import generators_in

SMALL = {"z_dim": 6, "w_dim": 8, "channel_base": 64, "channel_max": 8, "mapping_kwargs": {"num_layers": 2}}


def weights(path, state):
    torch.save(state, path)
    return path


def test_another_filter_is_read_from_the_state(tmp_path):
    taps = torch.tensor([1.0, 5, 10, 10, 5, 1]) / 32
    generator = StyleGAN2(8, resample_filter=(1, 5, 10, 10, 5, 1), conv_clamp=256, **SMALL).eval()
    state = generator.state_dict() | {"synthesis.b8.resample_filter": torch.outer(taps, taps)}
    z = torch.randn(2, 6)
    torch.testing.assert_close(load(weights(tmp_path / "a.pt", state))(z), generator(z))
    state["synthesis.b8.conv0.resample_filter"] = torch.rand(6, 6)
    with pytest.raises(nt.FileError, match=r"a.pt has NVIDIA's names.*not one that is separable.*from_nvidia\(kwargs"):
        load(weights(tmp_path / "a.pt", state))
    assert info(tmp_path / "a.pt")["networks"] == {"": {"architecture": "StyleGAN2"}}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first_cutoff": 1.5}, "up_filter is not that of NVIDIA's training"),
        ({"num_critical": 1}, "is not that of NVIDIA's training"),
        ({"lrelu_upsampling": 4}, "is not that of NVIDIA's training"),
        ({"margin_size": 2000}, "margin_size is 2000, above 1024"),
        ({"mapping_kwargs": {"num_layers": 2, "lr_multiplier": 1.0}}, "have a deviation of [01]"),
    ],
)
def test_a_network_of_another_plan_is_not_guessed_at(options, message, tmp_path):
    generator = StyleGAN3(16, num_layers=4, **{**SMALL, **options})
    with pytest.raises(nt.FileError, match=message):
        load(weights(tmp_path / "a.pt", generator.state_dict()))


def test_arguments_say_what_a_state_does_not():
    generator, z = StyleGAN3(16, num_layers=4, first_cutoff=1.5, **SMALL).eval(), torch.randn(1, 6)
    assert torch.equal(from_nvidia(generator.config, generator.state_dict())(z), generator(z))


def test_tensors_that_are_missing_or_of_another_shape_are_named(tmp_path):
    state = StyleGAN2(8, **SMALL).state_dict()
    for name in ("mapping.w_avg", "mapping.fc0.weight", "synthesis.b8.torgb.weight"):
        with pytest.raises(nt.FileError, match=f"it has no '{name}'"):
            load(weights(tmp_path / "a.pt", {key: tensor for key, tensor in state.items() if key != name}))
    with pytest.raises(nt.FileError, match=r"synthesis.b4.const is \(8, 4, 5\) where its arguments say \(8, 4, 4\)"):
        load(weights(tmp_path / "a.pt", state | {"synthesis.b4.const": torch.zeros(8, 4, 5)}))


def test_generators_go_by_what_precedes_their_names():
    class Stored:
        size = ()

        def load(self):
            raise AssertionError("nothing is read")

    names = ["mapping.w_avg", "synthesis.b4.conv1.weight", "d.mapping.w_avg", "a.b.synthesis.input.freqs", "other"]
    found = generators_in({name: Stored() for name in names})
    assert {prefix: list(group) for prefix, group in found.items()} == {
        "": ["mapping.w_avg", "synthesis.b4.conv1.weight"],
        "a.b": ["synthesis.input.freqs"],
    }
