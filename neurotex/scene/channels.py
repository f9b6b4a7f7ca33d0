"""Some channels of a texture as a texture: so one generator feeds several maps of a material."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ArgumentError, SceneError
from .latent import Evaluation
from .textures import Texture


class ChannelTexture(Texture):
    """Channels `first` to `stop` − 1 of another texture, read as it is: (1, stop − first, H, W).

    The other is evaluated once per render, however many nodes take channels of it. A generator of SVBRDFs as
    MaterialGAN has them (Guo et al. 2020, arXiv:2010.00114: diffuse 3, normal x and y 2, roughness 1, specular 3):

        maps = nt.GeneratedTexture(generator, latent)  # (1, 9, H, W)
        colour, bumps, rough = (nt.scene.ChannelTexture(maps, *part) for part in ((0, 3), (3, 5), (5, 6)))
        material = nt.Material(colour, roughness=rough, normal=bumps.through(nt.scene.NormalsFromXY()))

    glTF's dielectrics reflect 4 % at their front whatever their colour: it has no map for the specular three. `source`
    is the other texture. ArgumentError unless 0 ≤ `first` < `stop`.
    """

    def __init__(self, source: Texture, first: int, stop: int):
        super().__init__(*source.reading)
        if not 0 <= first < stop:
            raise ArgumentError(f"channels are taken from one up to another, as in 0 to 3, not {first} to {stop}.")
        self.source = source
        self.first, self.stop = first, stop

    def compute(self, evaluation: Evaluation) -> Tensor:
        value = evaluation(self.source)
        if value.shape[1] < self.stop:
            raise SceneError(
                f"channels {self.first} to {self.stop - 1} of a {type(self.source).__name__} are wanted, "
                f"but it has {value.shape[1]}: take fewer."
            )
        return value[:, self.first : self.stop]

    def extra_repr(self) -> str:
        return f"channels {self.first} to {self.stop - 1}"


class NormalsFromXY(nn.Module):
    """Normal maps given by x and y alone, (N, 2, H, W) → (N, 3, H, W), each 2 · value − 1: z = √(1 − x² − y²).

    Where x and y are too long for a unit vector, they are shortened, and z is 0.
    """

    def forward(self, value: Float[Tensor, "n 2 h w"]) -> Float[Tensor, "n 3 h w"]:
        slopes = 2 * value - 1
        square = slopes.square().sum(1, keepdim=True)
        slopes = slopes * square.clamp(min=1).rsqrt()
        z = (1 - square).clamp(min=1e-8).sqrt()  # a root has no slope at 0
        return (torch.cat([slopes, z], 1) + 1) / 2
