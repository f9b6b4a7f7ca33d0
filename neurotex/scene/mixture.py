"""One material per texel, or a little of each: textures mixed by weights, which are a node of their own.

All maps of a material mix by the same weights node, and a node is evaluated once per render, so that they agree on
what is where, even where it is drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..core.typed import ModuleList
from ..errors import ArgumentError, SceneError
from ..raster.sampler import Wrap
from .latent import Evaluation
from .map_kinds import MAPS
from .material import Material
from .textures import ConstantTexture, Texture


class LogitTexture(Texture):
    """Any real numbers, K for each texel, as one parameter (1, K, H, W): what to choose by; given as (K, H, W).

    where = nt.scene.LogitTexture(torch.zeros(4, 64, 64)).through(nt.discrete.Select("gumbel"))

    `logits` are float32 or float64. ArgumentError for other types, and for numbers that are not finite.
    """

    def __init__(self, logits: Tensor, wrap: Wrap = "repeat", filter: str = "bilinear"):
        super().__init__(wrap, filter)
        if logits.dtype not in (torch.float32, torch.float64) or logits.ndim != 3 or logits.numel() == 0:
            raise ArgumentError(f"logits are floats (K, H, W), but these are {logits.dtype} {tuple(logits.shape)}.")
        if not bool(logits.isfinite().all()):
            raise ArgumentError("logits are finite, but these hold NaN or infinity: start from zeros.")
        self.logits = nn.Parameter(logits.detach().clone()[None])

    def compute(self, evaluation: Evaluation) -> Tensor:
        return self.logits


class MixedTexture(Texture):
    """Σ_k w_k texture_k, with the k-th channel of `weights` for w_k: (1, C, H, W).

    Weights that come from `neurotex.discrete.Select` are one for one texture and zero for the others, and its estimator
    says how the gradient reaches the logits; that of a texture comes from where it shows. Any other node in [0, 1]
    whose channels sum to 1 fades from one texture to the next.

    Sizes are those of the largest; a texel of a smaller one stands for the block of texels that it covers, so its sides
    divide the largest ones. Samples are read as `weights` is, so that all maps are read alike.
    `textures` and `weights` are texture nodes; ArgumentError for anything else.
    """

    def __init__(self, textures: Sequence[Texture], weights: Texture):
        for node in (weights, *textures):
            if not isinstance(node, Texture):
                raise ArgumentError(f"a mix is of texture nodes by a texture node, but one is a {type(node).__name__}.")
        super().__init__(*weights.reading)
        self.textures = ModuleList(textures)
        self.weights = weights

    def compute(self, evaluation: Evaluation) -> Tensor:
        weights = evaluation(self.weights)
        values = [evaluation(texture) for texture in self.textures]
        self._check(weights, values)
        size = tuple(max(sides) for sides in zip(*(v.shape[2:] for v in (weights, *values)), strict=True))
        shares = _blocks(weights, size).split(1, dim=1)
        total = shares[0] * _blocks(values[0], size)
        for share, value in zip(shares[1:], values[1:], strict=True):
            total = total + share * _blocks(value, size)
        return total

    def _check(self, weights: Tensor, values: list[Tensor]) -> None:
        if weights.shape[1] != len(values):
            raise SceneError(
                f"{self._who()} has {len(values)} textures, but its weights have {weights.shape[1]} channels: give as "
                "many."
            )
        nodes = [("weights", self.weights, weights)]
        nodes += [(f"texture {k}", *pair) for k, pair in enumerate(zip(self.textures, values, strict=True))]
        sides = [max(value.shape[axis] for _, _, value in nodes) for axis in (2, 3)]
        for name, node, value in nodes:
            if any(side % have for side, have in zip(sides, value.shape[2:], strict=True)):
                raise SceneError(
                    f"{self._who()} is {sides[0]} x {sides[1]} texels, but its {name} ({type(node).__name__}) "
                    f"{value.shape[2]} x {value.shape[3]}: give it sides that divide those."
                )
        for k, value in enumerate(values):
            if value.shape[1] != values[0].shape[1]:
                raise SceneError(
                    f"{self._who()} cannot add channels that differ: texture 0 has {values[0].shape[1]}, but texture "
                    f"{k} ({type(self.textures[k]).__name__}) {value.shape[1]}."
                )

    def _who(self) -> str:
        return f"a mix of {', '.join(type(texture).__name__ for texture in self.textures)}"


def mixed_material(materials: Sequence[Material], weights: Texture, name: str = "mixed") -> Material:
    """A material whose every map is the mix of `materials`' maps by one node of weights.

        found = nt.scene.mixed_material([gold, leather, paint], logits.through(nt.discrete.Select("gumbel")))

    Who has no normal map is flat, and who has no emissive one is dark. All are diffuse or none is, and alpha cuts all
    alike or none; else ArgumentError.
    """
    materials = list(materials)
    if not materials:
        raise ArgumentError(f"material '{name}' is a mix of nothing: give at least one material.")
    first = materials[0]
    for material in materials:
        pair = f"material '{name}' cannot mix '{first.name}' and '{material.name}'"
        if (material.roughness is None) != (first.roughness is None):
            raise ArgumentError(f"{pair}: one of them is diffuse, the other is not; give both a roughness, or none.")
        if material.alpha_cutoff != first.alpha_cutoff:
            raise ArgumentError(
                f"{pair}: alpha cuts at {first.alpha_cutoff} and {material.alpha_cutoff}; give both the same."
            )
    maps = {}
    for what, kind in MAPS.items():
        found = [getattr(material, what) for material in materials]
        if any(texture is not None for texture in found):
            neutral = ConstantTexture(kind.neutral)
            maps[what] = MixedTexture([neutral if texture is None else texture for texture in found], weights)
    return Material(name=name, alpha_cutoff=first.alpha_cutoff, **maps)


def _blocks(value: Tensor, size: tuple[int, ...]) -> Tensor:
    """Each texel as often as it takes to fill `size`; a single one is left to broadcasting."""
    height, width = value.shape[2:]
    if (height, width) in (size, (1, 1)):
        return value
    return value.repeat_interleave(size[0] // height, 2).repeat_interleave(size[1] // width, 3)
