"""The texture that a generator makes, and the maps of a material that lie in it."""

from __future__ import annotations

import warnings
from typing import TypedDict

from torch import Tensor, nn

from ..discrete.clamp import clamp
from ..errors import ArgumentError, SceneError
from ..generators import protocol
from ..raster.sampler import Wrap
from .channels import ChannelTexture, NormalsFromXY
from .latent import Evaluation, Latent
from .textures import Texture


class _Colour(TypedDict):
    base_color: Texture


class GeneratedMaps(_Colour, total=False):
    """The maps that a generator makes: arguments of `Material`."""

    normal: Texture
    roughness: Texture
    metallic: Texture


class GeneratedTexture(Texture):
    """What a generator makes of a latent: the node that puts a GAN into the scene.

    `generator` is any module that maps (1, *latent_shape) to (1, C, H, W) in [-1, 1], as GANs do; the node maps
    that to [0, 1]. Gradients reach the latent and every weight of the generator. A latent of another shape than the
    generator's own `latent_shape` raises ArgumentError.

    The generator is put in eval mode and `train()` leaves it there, also where its weights are fitted: no dropout, the
    same noise each time, and normalisation by the statistics that it came with, which a fit does not touch.
    """

    def __init__(self, generator: nn.Module, latent: Latent, wrap: Wrap = "repeat", filter: str = "bilinear"):
        super().__init__(wrap, filter)
        takes = protocol.latent_shape(generator)
        if takes is not None and takes != latent.shape:
            raise ArgumentError(
                f"latent '{latent.name}' has shape {(1, *latent.shape)}, but generator {type(generator).__name__} "
                f"expects {(1, *takes)}: make it of the generator, neurotex.Latent(generator)."
            )
        self.generator = generator.eval()
        self.latent = latent

    def train(self, mode: bool = True) -> GeneratedTexture:
        """In train mode a scene's steps are soft; the generator stays in eval mode."""
        self.training = mode
        self.latent.train(mode)
        self.generator.eval()
        return self

    def compute(self, evaluation: Evaluation) -> Tensor:
        latent, like = evaluation(self.latent), protocol.like(self.generator)
        if like is not None and (latent.dtype, latent.device) != (like.dtype, like.device):
            latent = latent.to(like)
        return clamp(protocol.as_texels(self.generator(latent)))

    def maps(self) -> GeneratedMaps:
        """The maps of a material, by name: `Material(**texture.maps())` wears all that the generator makes.

        Its `out_channels` (3 where it does not say) are a base_color, 3; or 6, the base_color, x and y of the normals,
        and the roughness; or 7, how metallic it is beside. Of other numbers the first three are the base_color,
        with a warning; fewer raise SceneError. The generator is evaluated once, however many maps are used.
        """
        channels = protocol.out_channels(self.generator)
        channels = 3 if channels is None else channels
        if channels < 3:
            raise SceneError(
                f"a base_color has 3 channels, but this generator makes {channels}: build a scene of your own around "
                "it, with neurotex.GeneratedTexture as its roughness or metallic map."
            )
        if channels == 3:
            return {"base_color": self}
        maps: GeneratedMaps = {"base_color": ChannelTexture(self, 0, 3)}
        if channels in (6, 7):
            maps["normal"] = ChannelTexture(self, 3, 5).through(NormalsFromXY())
            maps["roughness"] = ChannelTexture(self, 5, 6)
            if channels == 7:
                maps["metallic"] = ChannelTexture(self, 6, 7)
        else:
            warnings.warn(
                f"this generator makes {channels} channels: the first 3 are used as base_color, the others are left "
                "out; neurotex.scene.ChannelTexture makes maps of them.",
                stacklevel=2,
            )
        return maps
