"""What a fit minimises: the terms of its loss, of what a baked scene shows."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from ..renderers import BakedScene
from ..scene import Evaluation, Latent, Scene
from ..shading import linear_to_srgb
from . import losses


class Objective:
    """How far `baked`, a bake of `scene`, is from photographs: call it for the loss, a tensor with a gradient.

    The loss is `losses.photometric` with `huber` and `ssim` of `images`, (views, channels, height, width), linear, plus
    `prior` times `losses.latent_prior` of every bound latent of the scene.
    """

    def __init__(
        self,
        scene: Scene,
        baked: BakedScene,
        images: Float[Tensor, "views channels h w"],
        *,
        huber: float | None = None,
        ssim: float = 0.0,
        prior: float = 0.0,
    ):
        self.scene, self.baked = scene, baked
        self.huber, self.ssim, self.prior = huber, ssim, prior
        self.images = images.to(baked.alpha)
        encoded = linear_to_srgb(self.images[:, :3])
        self._target = pad(baked.rows(encoded), (0, 1))
        # pixels that the mesh never covers stay black: their error is a constant of the loss
        self._count = encoded.numel()
        everywhere, covered = (
            float(losses.squared(x, x.new_zeros(x.shape), huber)) * x.numel() for x in (encoded, self._target)
        )
        self._constant = everywhere - covered

    def __call__(self) -> Float[Tensor, ""]:
        if self.ssim:
            total = losses.photometric(self.baked(), self.images, huber=self.huber, ssim=self.ssim)
        else:  # background cannot change: compare covered pixels alone
            rows = linear_to_srgb(self.baked.padded_pixels())
            share = self._target.numel() / self._count
            total = losses.squared(rows, self._target, self.huber) * share + self._constant / self._count
        if self.prior:
            for latent in self.scene.modules():
                if isinstance(latent, Latent):
                    total = total + self.prior * losses.latent_prior(Evaluation()(latent))
        return total
