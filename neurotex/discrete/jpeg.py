"""What a JPEG file keeps."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from ..core.op import Op, side_by_side
from ..errors import ArgumentError
from .clamp import clamp
from .estimators import Estimator
from .levels import staircase
from .step import Step

SUBSAMPLINGS = {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:2:0": (2, 2)}  # texels per chroma sample, across and down
LONGEST = 65500  # libjpeg's limit for a side
INSIDE = 0.4  # steps off a code's middle that still round to it, when the texture becomes 8 bits

# R, G, B to Y, Cb, Cr and back (JFIF 1.02, ITU-T T.871), all from 0 to 255, chroma around 0
Y = (0.299, 0.587, 0.114)
TO_YCC = (Y, (-Y[0] / 1.772, -Y[1] / 1.772, 0.5), (0.5, -Y[1] / 1.402, -Y[2] / 1.402))
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -1.772 * Y[2] / Y[1], -1.402 * Y[0] / Y[1]), (1.0, 1.772, 0.0))


class Jpeg(Step):
    """Save as JPEG and read again, with libjpeg through Pillow. 1 or 3 channels, `quality` from 1 to 100.

    `subsampling` is how chroma is stored: "4:4:4" in full, "4:2:2" at half the width, "4:2:0" at half both ways. A
    texel changes with all that share its block; for a `Perturbation` that is a reach of 7, or 16 if chroma is halved.
    ArgumentError for another quality or subsampling.
    """

    dimensions = 4
    tables: Float[Tensor, "2 8 8"]  # steps of quantisation, luma's and chroma's
    cosine: Float[Tensor, "8 8"]  # frequencies by places

    def __init__(
        self, quality: int = 75, estimator: str | Estimator = "straight_through", subsampling: str = "4:2:0"
    ) -> None:
        super().__init__(estimator)
        if not (isinstance(quality, int) and 1 <= quality <= 100):
            raise ArgumentError(f"the quality of a JPEG is a whole number from 1 to 100, not {quality}.")
        if subsampling not in SUBSAMPLINGS:
            raise ArgumentError(
                f"chroma is not subsampled as '{subsampling}': choose one of {', '.join(SUBSAMPLINGS)}."
            )
        self.quality, self.subsampling = quality, subsampling
        # as libjpeg scales them: read from a file of its own
        with Image.open(io.BytesIO(_file(np.zeros((8, 8, 3), np.uint8), quality, subsampling))) as image:
            tables = [image.quantization[k] for k in (0, 1)]
        self.register_buffer("tables", torch.tensor(tables, dtype=torch.float32).view(2, 8, 8), persistent=False)
        frequency, place = torch.arange(8.0)[:, None], torch.arange(8.0) + 0.5
        cosine = (math.pi / 8 * frequency * place).double().cos() / 2
        cosine[0] /= math.sqrt(2)
        self.register_buffer("cosine", cosine, persistent=False)

    @property
    def tile(self) -> int:
        """Of one luma block, or of a chroma block at half the size; smooth enlargement reaches one texel further."""
        return 8 * max(SUBSAMPLINGS[self.subsampling])

    def hard(self, x: Tensor) -> Tensor:
        _check(x)
        return _jpeg(x.detach(), self.quality, self.subsampling)

    def encode(self, x: Float[Tensor, "1 c h w"]) -> tuple[bytes, str]:
        """The JPEG file whose pixels are `hard(x)`."""
        _check(x)
        return _file(_pixels(x[0]), self.quality, self.subsampling), ".jpg"

    def soft(self, x: Tensor, temperature: float) -> Tensor:
        """The same with a smooth staircase for the rounding of coefficients. Temperature in steps of quantisation.

        Differentiable almost everywhere (kornia's differentiable JPEG, too, but its rounding has no temperature, and
        its chroma is always 4:2:0). What is only 8-bit rounding in a real codec is left out: pixels, YCbCr, the means
        of chroma. So as the temperature → 0 this is the real one up to about 1/255, but for coefficients that lie next
        to a tie: these may round the other way. In the mean that is 0.1 to 0.5 of 255 for a painted texture, 1 to 2 for
        noise.
        """
        _check(x)
        return _codec(x, self.tables.to(x), self.cosine.to(x), SUBSAMPLINGS[self.subsampling], temperature)

    def codes(self, x: Float[Tensor, "1 3 h w"]) -> tuple[Float[Tensor, "1 _ _ 8 8"], Float[Tensor, "2 _ _ 8 8"]]:
        """How many steps of quantisation each coefficient of the file of `x` counts: luma's blocks, and chroma's.

        Sides are multiples of `tile`. What a codec rounds on the way may settle near ties otherwise. ArgumentError for
        others.
        """
        _check(x)
        if x.shape[2] % self.tile or x.shape[3] % self.tile:
            raise ArgumentError(f"blocks of {self.tile} texels do not fill {tuple(x.shape[2:])}: crop the texture.")
        luma, chroma = self._coefficients((x[0].clamp(0, 1) * 255).round(), round_chroma=True)
        return luma.round(), chroma.round()

    def planes(
        self, luma: Float[Tensor, "1 _ _ 8 8"], chroma: Float[Tensor, "2 _ _ 8 8"]
    ) -> Float[Tensor, "3 height width"]:
        """What codes stand for: Y − 128, Cb and Cr of each texel, before they become whole bytes."""
        tables, cosine = self.tables.to(luma), self.cosine.to(luma)
        chroma = _joined(chroma * tables[1], cosine).round()
        return torch.cat(
            [_joined(luma * tables[0], cosine), _enlarged(chroma[None], SUBSAMPLINGS[self.subsampling])[0]]
        )

    def patches(self) -> tuple[Float[Tensor, "8 8 64"], Float[Tensor, "_ _ 64"]]:
        """What one step of each coefficient, row by row, adds to its plane: for a luma block, and for a chroma block.

        The latter begins a texel before its block in each direction in which chroma is halved.
        """
        one = torch.einsum("ai,bj->abij", self.cosine, self.cosine).reshape(64, 8, 8)
        luma, chroma = (one * table.reshape(64, 1, 1) for table in self.tables.to(one))
        chroma = _enlarged(pad(chroma, (1, 1, 1, 1))[None], SUBSAMPLINGS[self.subsampling])[0, :, 1:-1, 1:-1]
        return luma.movedim(0, -1), chroma.movedim(0, -1)

    def becoming(
        self,
        luma: Float[Tensor, "1 _ _ 8 8"],
        chroma: Float[Tensor, "2 _ _ 8 8"],
        x: Float[Tensor, "1 3 h w"],
        rounds: int = 20,
    ) -> Float[Tensor, "1 3 h w"]:
        """A texture near `x` that becomes these `codes`, where there is one.

        By projections in turn onto what has the codes and onto [0, 1], which leave no more than 8 bits can hold: a code
        that overshoots white or black may have no such texture, and those of its tile then are others. `rounds` is how
        many of these there are at most.
        """
        pixels = x[0] * 255
        tables, cosine = self.tables.to(x), self.cosine.to(x)
        for _ in range(rounds):
            missing = [
                codes + (place - codes).clamp(-INSIDE, INSIDE) - place
                for place, codes in zip(self._coefficients(pixels), (luma, chroma), strict=True)
            ]
            if all(float(part.abs().max()) < 0.01 for part in missing):
                break
            y, c = (_joined(part * table, cosine) for part, table in zip(missing, tables, strict=True))
            across, down = SUBSAMPLINGS[self.subsampling]
            ycc = torch.cat([y, c.repeat_interleave(across, 2).repeat_interleave(down, 1)])
            pixels = (pixels + torch.einsum("dc,chw->dhw", x.new_tensor(TO_RGB), ycc)).clamp(0, 255)
        return pixels[None] / 255

    def _coefficients(self, pixels: Float[Tensor, "3 h w"], round_chroma: bool = False) -> tuple[Tensor, Tensor]:
        """Coefficients of pixels from 0 to 255 in steps of quantisation, luma's and chroma's."""
        ycc = torch.einsum("dc,chw->dhw", pixels.new_tensor(TO_YCC), pixels)
        ycc = ycc.round() if round_chroma else ycc
        tables, cosine = self.tables.to(pixels), self.cosine.to(pixels)
        chroma = _shrunk(ycc[None, 1:], SUBSAMPLINGS[self.subsampling])[0]
        return _parted(ycc[:1] - 128, cosine) / tables[0], _parted(chroma, cosine) / tables[1]

    def extra_repr(self) -> str:
        return f"{self.quality}, subsampling={self.subsampling}, {super().extra_repr()}"


def _check(x: Tensor) -> None:
    if x.ndim != 4 or x.shape[1] not in (1, 3) or not all(0 < side <= LONGEST for side in x.shape[2:]):
        raise ArgumentError(
            f"a JPEG has 1 or 3 channels and sides from 1 to {LONGEST} texels, but this texture is {tuple(x.shape)}."
        )


def _codec(x: Tensor, tables: Tensor, cosine: Tensor, factors: tuple[int, int], temperature: float) -> Tensor:
    height, width = x.shape[2:]
    pixels = x.clamp(0, 1) * 255
    if x.shape[1] == 1:
        return clamp((_quantised(pixels - 128, tables[0], cosine, temperature) + 128) / 255)
    ycc = torch.einsum("dc,nchw->ndhw", x.new_tensor(TO_YCC), pixels)
    luma = _quantised(ycc[:, :1] - 128, tables[0], cosine, temperature)
    chroma = _quantised(_shrunk(ycc[:, 1:], factors), tables[1], cosine, temperature)
    stored = chroma[..., : -(-height // factors[1]), : -(-width // factors[0])]
    ycc = clamp(torch.cat([luma, _enlarged(stored, factors)[..., :height, :width]], 1), -128.0, 127.0)
    rgb = torch.einsum("dc,nchw->ndhw", x.new_tensor(TO_RGB), ycc) + 128
    return clamp(rgb / 255)


def _quantised(planes: Tensor, table: Tensor, cosine: Tensor, temperature: float) -> Tensor:
    """Planes (N, C, H, W) around 0 through the DCT of blocks of 8 × 8, rounding to steps of `table`, and back."""
    height, width = planes.shape[2:]
    places = _parted(pad(planes, (0, -width % 8, 0, -height % 8), mode="replicate"), cosine) / table
    return _joined(staircase(places, temperature) * table, cosine)[..., :height, :width]


def _parted(planes: Float[Tensor, "*n h w"], cosine: Float[Tensor, "8 8"]) -> Float[Tensor, "*n rows columns 8 8"]:
    """The DCT of blocks of 8 × 8."""
    blocks = planes.unflatten(-1, (-1, 8)).unflatten(-3, (-1, 8))
    return torch.einsum("ai,...hiwj,bj->...hwab", cosine, blocks, cosine)


def _joined(places: Float[Tensor, "*n rows columns 8 8"], cosine: Float[Tensor, "8 8"]) -> Float[Tensor, "*n h w"]:
    """The inverse of `_parted`."""
    blocks = torch.einsum("ai,...hwab,bj->...hiwj", cosine, places, cosine)
    return blocks.flatten(-2, -1).flatten(-3, -2)


def _shrunk(chroma: Tensor, factors: tuple[int, int]) -> Tensor:
    """Means of as many texels as `factors` say. To the right texels repeat for whole blocks, below for whole means."""
    across, down = factors
    height, width = chroma.shape[2:]
    edge = (0, -width % (8 * across), 0, -height % down)
    return avg_pool2d(pad(chroma, edge, mode="replicate"), (down, across))


def _enlarged(chroma: Tensor, factors: tuple[int, int]) -> Tensor:
    """libjpeg's "fancy" upsampling: weights 3/4 and 1/4 of the two nearest, in each direction that was halved."""
    across, down = factors
    if across == 1:
        return chroma
    if chroma.shape[3] <= 2:  # it is not fancy there
        return chroma.repeat_interleave(across, 3).repeat_interleave(down, 2)
    size = (chroma.shape[2] * down, chroma.shape[3] * across)
    return interpolate(chroma, size=size, mode="bilinear", align_corners=False)


def _pixels(image: Float[Tensor, "c h w"]) -> np.ndarray:
    """8-bit pixels (H, W, C)."""
    return (image.detach().clamp(0, 1) * 255).round().byte().movedim(0, -1).cpu().numpy()


def _file(pixels: np.ndarray, quality: int, subsampling: str) -> bytes:
    file = io.BytesIO()
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else np.ascontiguousarray(pixels))
    picture.save(file, "JPEG", quality=quality, subsampling=subsampling)
    return file.getvalue()


def _through_files(x: Tensor, quality: int, subsampling: str) -> Tensor:
    """Each texture of (N, C, H, W) written and read."""
    out = np.empty((len(x), *x.shape[2:], x.shape[1]), np.uint8)
    for image, target in zip(x, out, strict=True):
        with Image.open(io.BytesIO(_file(_pixels(image), quality, subsampling))) as picture:
            target[...] = np.asarray(picture).reshape(target.shape)
    return (torch.from_numpy(out).movedim(-1, 1).to(x) / 255).contiguous()


_jpeg = Op(
    "jpeg(Tensor x, int quality, str subsampling) -> Tensor",
    reference=_through_files,
    fake=lambda x, quality, subsampling: x.new_empty(x.shape),
    vmap=side_by_side,
)
