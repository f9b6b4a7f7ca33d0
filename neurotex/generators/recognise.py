"""Which of NVIDIA's generators a state dict is, by the names, shapes and filters of its tensors.

What these do not show is taken to be as in NVIDIA's own training: layers' outputs clamped at 256, leaky ReLUs, a
mapping trained at a hundredth of the rate, StyleGAN3's image scaled by 1/4. Where a tensor contradicts that, or the
networks' plans, the state dict is not guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from .nvidia import architecture_of
from .rebuild import plan
from .style_network import StyleNetwork
from .stylegan3 import StyleGAN3, plan_bands

LIKELY_STD = 10  # of a mapping's weights: they start at 100 where it learns at a hundredth of the rate, else at 1
BANDS = {"num_critical": 2, "first_cutoff": 2.0, "first_stopband": 2**2.1, "last_stopband_rel": 2**0.3}


@runtime_checkable
class Stored(Protocol):
    """A tensor in a file: its shape is known, its numbers are read when asked for."""

    @property
    def size(self) -> tuple[int, ...]: ...

    def load(self) -> Tensor: ...


Tensors = Mapping[str, Stored]


def generators_in(tensors: Tensors) -> dict[str, Tensors]:
    """The tensors of each generator in a file, by what precedes their names: {"g_ema": {"mapping.w_avg": …}}."""
    groups: dict[str, dict[str, Stored]] = {}
    for name, tensor in tensors.items():
        found = re.fullmatch(r"((?:.*?\.)??)((?:mapping|synthesis)\..+)", name, re.DOTALL)
        if found:
            groups.setdefault(found[1].rstrip("."), {})[found[2]] = tensor
    known = ("synthesis.input.freqs", "synthesis.b4.conv1.weight")
    return {prefix: group for prefix, group in groups.items() if any(name in group for name in known)}


def recognise(tensors: Tensors) -> tuple[type[StyleNetwork], dict]:
    """Class and `config` of the generator that has these tensors; one of `rebuild.UNFIT` if that cannot be told."""
    architecture = architecture_of(tensors)
    config = _stylegan3(tensors) if architecture is StyleGAN3 else _stylegan2(tensors)
    return architecture, config


def _mapping(tensors: Tensors) -> dict:
    """The arguments that both networks have in common."""
    layers = 0
    while f"mapping.fc{layers}.weight" in tensors:
        layers += 1
    width, inputs = tensors["mapping.fc0.weight"].size
    embedded, c_dim = tensors["mapping.embed.weight"].size if "mapping.embed.weight" in tensors else (None, 0)
    std = float(tensors["mapping.fc0.weight"].load().float().std())
    if not std > LIKELY_STD:
        raise ValueError(f"weights of its mapping have a deviation of {std:.3g}, which training at NVIDIA's rate lacks")
    (w_dim,) = tensors["mapping.w_avg"].size
    widths = {"embed_features": embedded, "layer_features": width if layers > 1 else None}
    return {
        "z_dim": inputs - (embedded or 0),
        "c_dim": c_dim,
        "w_dim": w_dim,
        "mapping_kwargs": {"num_layers": layers, **widths},
        "conv_clamp": 256,
    }


def _stylegan2(tensors: Tensors) -> dict:
    found = (re.fullmatch(r"synthesis\.b(\d{1,6})\.conv1\.weight", name) for name in tensors)
    sides = sorted(int(match[1]) for match in found if match)
    widths = [tensors[f"synthesis.b{side}.conv1.weight"].size[0] for side in sides]
    architecture = "orig"
    if "synthesis.b4.torgb.weight" in tensors:
        architecture = "skip"
    elif "synthesis.b8.skip.weight" in tensors:
        architecture = "resnet"
    return {
        **_mapping(tensors),
        "img_resolution": sides[-1],
        "img_channels": tensors[f"synthesis.b{sides[-1]}.torgb.weight"].size[0],
        "channel_base": sides[-1] * widths[-1],
        "channel_max": max(widths),
        "architecture": architecture,
        "use_noise": "synthesis.b4.conv1.noise_const" in tensors,
        "resample_filter": _taps(tensors),
    }


def _taps(tensors: Tensors) -> list[float]:
    """The factor of the separable filter that resamples, the same at all resolutions: (taps, taps), or (taps,)."""
    filters = [tensor for name, tensor in tensors.items() if name.endswith("resample_filter")]
    if not filters:
        return [1, 3, 3, 1]  # what every release has
    first = filters[0].load().double()
    taps = first.sum(0) if first.ndim == 2 else first
    product = torch.outer(taps, taps) if first.ndim == 2 else taps
    if not all(torch.allclose(tensor.load().double(), product, atol=1e-6) for tensor in filters):
        raise ValueError("its filters are not one that is separable")
    return taps.tolist()


def _stylegan3(tensors: Tensors) -> dict:
    found = (re.fullmatch(r"synthesis\.L(\d{1,6})_(\d{1,6})_(\d{1,6})\.weight", name) for name in tensors)
    layers = sorted((tuple(map(int, match.groups())), match[0].removesuffix("weight")) for match in found if match)
    (_, first_side, _), first = layers[0]
    (num_layers, resolution, channels), _ = layers[-1]
    widths = [tensors[f"{name}weight"].size[0] for _, name in layers[:-1]]
    if len(layers) != num_layers + 1:
        raise ValueError("its layers are not numbered from 0")
    bands = plan_bands(resolution, resolution, 1, num_layers, margin_size=0, **BANDS)
    config = {
        **_mapping(tensors),
        **BANDS,
        "img_resolution": resolution,
        "img_channels": channels,
        "num_layers": num_layers,
        "channel_base": resolution * widths[-1],  # the last cutoff is half the resolution
        "channel_max": max(widths),
        "margin_size": (first_side - bands[0].rate) // 2,
        "conv_kernel": tensors[f"{first}weight"].size[2],
        "filter_size": tensors[f"{first}up_filter"].size[0] // 2,
        "use_radial_filters": len(tensors[f"{first}down_filter"].size) == 2,
    }
    _check_filters(tensors, config)
    return config


def _check_filters(tensors: Tensors, config: dict) -> None:
    """They show the cutoffs that shapes do not. A network of single channels has the same."""
    small = {**config, "z_dim": 1, "c_dim": 0, "w_dim": 1, "mapping_kwargs": {"num_layers": 1}, "channel_max": 1}
    theirs = _filters(tensors)
    ours = _filters(plan(StyleGAN3, small, {name: tensor.size for name, tensor in tensors.items()}).state_dict())
    if {key: tuple(tensor.shape) for key, tensor in ours.items()} != {k: tuple(t.size) for k, t in theirs.items()}:
        raise ValueError("its filters have other sizes than in NVIDIA's training")
    for key, tensor in ours.items():
        if not torch.allclose(theirs[key].load().to(tensor), tensor, atol=1e-5):
            raise ValueError(f"{' '.join(key)} is not that of NVIDIA's training")


def _filters(tensors: Mapping) -> dict[tuple[str, ...], Any]:
    """The filters of StyleGAN3 by layer and kind, ("L0", "up_filter"): names of layers have their channels, too."""
    found = ((re.fullmatch(r"synthesis\.(L\d+)_.*\.(up_filter|down_filter)", name), name) for name in tensors)
    return {match.groups(): tensors[name] for match, name in found if match}
