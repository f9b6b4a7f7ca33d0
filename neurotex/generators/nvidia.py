"""Generators of NVIDIA's releases, by the arguments and the state that their pickles hold."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import FileError
from .style_network import StyleNetwork
from .stylegan2 import StyleGAN2
from .stylegan3 import StyleGAN3

# how the originals train and at which precision: neither changes what they compute
IGNORED = {"num_fp16_res", "fp16_channels_last", "fused_modconv_default", "magnitude_ema_beta", "w_avg_beta"}


def from_nvidia(kwargs: Mapping[str, object], state: Mapping[str, Tensor]) -> StyleNetwork:
    """A `StyleGAN2` or `StyleGAN3` in eval mode, float32, from the original generator's arguments and state_dict.

    `kwargs` are those of `Generator` in stylegan2-ada-pytorch or in stylegan3 (which has both networks); the state
    tells which of the networks it is. FileError where one does not fit the other, or asks for what is not here;
    nothing of the sizes that the arguments name is allocated before that.
    """
    third = "synthesis.input.freqs" in state
    architecture = StyleGAN3 if third else StyleGAN2
    # StyleGAN2's filters follow from its arguments
    state = {name: tensor for name, tensor in state.items() if third or not name.endswith("resample_filter")}
    try:
        arguments = _arguments(dict(kwargs), third)
        _check_layers(arguments, len(state))
        with torch.device("meta"):
            planned = architecture(**arguments).state_dict()
        _check_shapes(planned, state)
        generator = architecture(**arguments)
        generator.load_state_dict(state)
    except (TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise FileError(
            f"this is no {architecture.__name__} that neurotex can rebuild ({reason}): give the generator's own "
            "constructor arguments with its state_dict, as one pickle holds them."
        ) from None
    return generator.eval()


def _arguments(given: dict, third: bool) -> dict:
    """The originals' constructor arguments → ours."""
    if not third and "synthesis_kwargs" not in given:
        given.setdefault("conv_clamp", 256)  # stylegan3's own copy of StyleGAN2 clamps where ADA's does not
    given |= given.pop("synthesis_kwargs", None) or {}
    mapping = given.pop("mapping_kwargs", None) or {}
    ours = {name: value for name, value in given.items() if name not in IGNORED}
    ours["mapping_kwargs"] = {name: value for name, value in mapping.items() if name not in IGNORED}
    return ours


def _check_layers(arguments: dict, tensors: int) -> None:
    """Every layer has a tensor; so a file cannot ask for millions of modules."""
    counts = [section.get("num_layers", 1) for section in (arguments, arguments["mapping_kwargs"])]
    counts.append(arguments["img_resolution"].bit_length() if "img_resolution" in arguments else 1)
    if max(counts) > tensors:
        raise ValueError(f"it has {tensors} tensors, too few for {max(counts)} layers")


def _check_shapes(planned: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
    for name in sorted(planned.keys() | state.keys()):
        shapes = [tuple(tensors[name].shape) if name in tensors else "absent" for tensors in (planned, state)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"{name} is {shapes[1]} where its arguments say {shapes[0]}")
