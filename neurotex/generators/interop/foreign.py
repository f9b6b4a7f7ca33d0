"""A generator that another framework computes, as a torch module that holds its weights."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from ...errors import ArgumentError
from .bridge import ForeignFunction, call
from .named import NamedTensors


class ForeignGenerator(nn.Module):
    """Latents (N, ...) → textures (N, C, H, W), by a function of all tensors in `weights`, in their order, and latents.

    `channels_last` says that the function gives (N, H, W, C). Derivatives are the other framework's, and exist once:
    not of gradients.
    """

    latent_shape: tuple[int, ...]  # where it is known

    def __init__(self, function: ForeignFunction, weights: NamedTensors, channels_last: bool = False) -> None:
        super().__init__()
        self.function = function
        self.weights = weights
        self.channels_last = channels_last

    def forward(self, latent: Float[Tensor, "n *latent"]) -> Float[Tensor, "n c h w"]:
        weights = self.weights.values()
        for weight in weights:
            if weight.is_floating_point() and weight.dtype != latent.dtype:
                raise ArgumentError(
                    f"the generator's weights are {weight.dtype}, but the latents are {latent.dtype}: "
                    "convert one of them with .to()."
                )
        texture = call(self.function, *weights, latent)
        if texture.ndim != 4 or len(texture) != len(latent):
            raise ArgumentError(
                f"a generator must return {'(N, H, W, C)' if self.channels_last else '(N, C, H, W)'}, one texture per "
                f"latent, but for {tuple(latent.shape)} it returned {tuple(texture.shape)}."
            )
        return texture.movedim(-1, 1) if self.channels_last else texture
