"""A stranger's arguments take no more memory than a stranger's file has, and no random numbers."""

import pytest
import torch
from torch import nn

from neurotex.generators import MaterialGenerator, StyleGAN2, StyleGAN3
from neurotex.generators.rebuild import UNFIT, Rationed, plan, reason, rebuild

SHAPES = {str(k): (10,) for k in range(100)}
# from a rate of 8192 down to 8: filters of 6144 x 6144 taps
RATES = {"num_layers": 2, "num_critical": 0, "first_stopband": 8192.0, "last_stopband_rel": 1e-6}


def test_what_is_planned_is_the_network_with_zeros_for_random_numbers():
    config = StyleGAN3(16, z_dim=6, w_dim=8, channel_base=64, channel_max=8, num_layers=4).config
    planned, real = plan(StyleGAN3, config, SHAPES), StyleGAN3(**config)
    assert not any(planned.mapping.fc0.weight.flatten())
    buffers = dict(real.named_buffers())
    for name, buffer in planned.named_buffers():
        if name.endswith(("filter", "ticks")):
            assert torch.equal(buffer, buffers[name])


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        (StyleGAN2, {"img_resolution": 8, "w_dim": 1 << 40}),
        (StyleGAN2, {"img_resolution": 4096}),
        (StyleGAN2, {"img_resolution": 8, "resample_filter": [1] * 1000}),
        (StyleGAN2, {"img_resolution": 1 << 100}),
        (StyleGAN3, {"img_resolution": 8, "margin_size": 1 << 40}),
        (StyleGAN3, {"img_resolution": 4096, "use_radial_filters": True, "channel_max": 1, **RATES}),
        (StyleGAN3, {"img_resolution": 8, "num_layers": 1 << 30}),
        (MaterialGenerator, {"size": 1 << 40}),
        (MaterialGenerator, {"size": 8192, "widths": [1], "substances": 1}),
        (MaterialGenerator, {"widths": [1 << 40, 1]}),
        (MaterialGenerator, {"size": "128"}),
    ],
)
def test_arguments_of_absurd_sizes_are_refused(architecture, config):
    with pytest.raises(UNFIT) as caught:
        plan(architecture, config, SHAPES)
    assert 0 < len(reason(caught.value)) <= 200


def test_the_ration_is_of_all_that_is_made():
    with Rationed(100):
        kept = [torch.zeros(2, 5) for _ in range(10)]
        with pytest.raises(ValueError, match="more numbers than it has"):
            kept.append(torch.zeros(1))
    with Rationed(100):
        row = torch.arange(20.0)
        assert torch.randn(3, 4).sum() == 0
        assert torch.equal(torch.full((2,), 3.0), torch.tensor([3.0, 3.0]))
        assert torch.equal(torch.eye(2), torch.tensor([[1.0, 0], [0, 1]]))
        with pytest.raises(ValueError, match="more numbers than it has"):
            torch.hypot(row[:, None], row)


def test_a_network_comes_back_whole():
    class Small(nn.Module):
        def __init__(self, width: int):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(width, 2))

    state = {"weight": torch.randn(3, 2)}
    assert torch.equal(rebuild(Small, {"width": 3}, state).weight, state["weight"])
    with pytest.raises(ValueError, match=r"weight is \(3, 2\) where its arguments say \(4, 2\)"):
        rebuild(Small, {"width": 4}, state)


def test_reasons_are_one_line_without_control_characters():
    assert reason(ValueError("first.\nsecond")) == "first"
    assert reason(TypeError("\x1b[31mred" + "x" * 999)) == "[31mred" + "x" * 192
    assert reason(KeyError("name")) == "it has no 'name'"
