"""Generators of NVIDIA's releases, by the arguments and the state that their pickles hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from ..errors import FileError
from .rebuild import UNFIT, reason, rebuild
from .style_network import StyleNetwork
from .stylegan2 import StyleGAN2
from .stylegan3 import StyleGAN3

# how the originals train and at which precision: neither changes what they compute
IGNORED = {"num_fp16_res", "fp16_channels_last", "fused_modconv_default", "magnitude_ema_beta", "w_avg_beta"}


def from_nvidia(kwargs: Mapping[str, Any], state: Mapping[str, Tensor]) -> StyleNetwork:
    """A `StyleGAN2` or `StyleGAN3` in eval mode, float32, from the original generator's arguments and state_dict.

    `kwargs` are those of `Generator` in stylegan2-ada-pytorch or in stylegan3 (which has both networks); the state
    tells which of the networks it is. FileError where one does not fit the other, or asks for what is not here;
    nothing of the sizes that the arguments name is allocated before that.
    """
    architecture = architecture_of(state)
    state = without_filters(architecture, state)
    try:
        return rebuild(architecture, our_config(architecture, kwargs), state)
    except UNFIT as error:
        raise FileError(
            f"this is no {architecture.__name__} that neurotex can rebuild ({reason(error)}): give the generator's own "
            "constructor arguments with its state_dict, as one pickle holds them."
        ) from None


def architecture_of(names: Collection[str]) -> type[StyleNetwork]:
    """Both call their class alike; the third draws its input from frequencies."""
    return StyleGAN3 if "synthesis.input.freqs" in names else StyleGAN2


def without_filters(architecture: type[StyleNetwork], tensors: Mapping) -> dict:
    """The tensors that count: filters of StyleGAN2 follow from its arguments."""
    keep = architecture is StyleGAN3
    return {name: tensor for name, tensor in tensors.items() if keep or not name.endswith("resample_filter")}


def our_config(architecture: type[StyleNetwork], kwargs: Mapping[str, Any]) -> dict:
    """The originals' constructor arguments → ours. One of UNFIT where they are not of the kinds that they should be."""
    given = dict(kwargs)
    if architecture is StyleGAN2 and "synthesis_kwargs" not in given:
        given.setdefault("conv_clamp", 256)  # stylegan3's own copy of StyleGAN2 clamps where ADA's does not
    given |= given.pop("synthesis_kwargs", None) or {}
    mapping = given.pop("mapping_kwargs", None) or {}
    ours = {name: value for name, value in given.items() if name not in IGNORED}
    ours["mapping_kwargs"] = {name: value for name, value in mapping.items() if name not in IGNORED}
    return ours
