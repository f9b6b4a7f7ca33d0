"""Texture nodes: where a material's maps come from.

Each is a small graph of its own, evaluated once per render. A texture's value is (1, C, H, W) in [0, 1], row 0 at
v = 1; a base_color is sRGB-encoded.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..discrete.clamp import clamp
from ..errors import ArgumentError, SceneError
from ..images.notebook import texture_png
from ..raster.sampler import Sampler, Wrap
from .counts import is_count
from .latent import Evaluation, Latents, TextureNode
from .texels import Pixels, texels

UVTransform = tuple[tuple[float, float, float], tuple[float, float, float]]

ASTRAY = 2.0  # no fit comes there


class Texture(TextureNode):
    """Base of all texture nodes. A subclass defines `compute(evaluation)`.

    `wrap` and `filter` are its `sampler`. `wrap` says how coordinates outside [0, 1] are read: "repeat",
    "clamp" or "mirror" (glTF's REPEAT, CLAMP_TO_EDGE, MIRRORED_REPEAT), or two of these: (along u, along v).
    `uv_transform`, two rows of three numbers, takes (u, v, 1) of the mesh to where this texture is read
    (KHR_texture_transform); None leaves them. `filter` says which texels a sample reads:

    - "nearest": the one that it lies in (glTF's NEAREST).
    - "bilinear": the four around it (LINEAR), whatever area the sample covers.
    - "trilinear": averages over a square as wide as the sample's area is long, from mip maps (LINEAR_MIPMAP_LINEAR);
      where magnified, bilinear.
    - "anisotropic": up to eight trilinear lookups along that area, sharp at grazing angles too. glTF has no name for
      it; OpenGL has EXT_texture_filter_anisotropic.

    Two more find texels on the mesh itself, and need no UVs (see `neurotex.raster.mesh_taps`):

    - "vertex": one texel for each vertex, (1, C, V, 1), interpolated over faces.
    - "face": one texel for each face, (1, C, F, 1), or the R² cells of each, (1, C, F, R²), in PyTorch3D's order.

    ArgumentError for a sampler that is none of these.
    """

    def __init__(self, wrap: Wrap = "repeat", filter: str = "bilinear", uv_transform: UVTransform | None = None):
        super().__init__()
        self.sampler = Sampler.of(wrap, filter)
        self.uv_transform = None if uv_transform is None else _rows(uv_transform)

    @property
    def wrap(self) -> Wrap:
        """The sampler's: one word, or two where the axes differ."""
        return self.sampler.wrap

    @property
    def filter(self) -> str:
        """The sampler's."""
        return self.sampler.filter

    @property
    def reading(self) -> tuple[Wrap, str, UVTransform | None]:
        """(wrap, filter, uv_transform): what this constructor takes, for another texture that is read alike."""
        return self.wrap, self.filter, self.uv_transform

    def forward(self, latents: Latents | None = None) -> Float[Tensor, "1 c h w"]:
        """Evaluate this texture alone; `latents` binds latents by name."""
        with Evaluation(latents) as evaluation:
            return evaluation(self)

    @torch.no_grad()
    def _repr_png_(self) -> bytes | None:
        """In notebooks, its texels as they are now; nothing but its words while a latent of it is unbound."""
        try:
            return texture_png(self())
        except SceneError:
            return None

    def through(self, step: nn.Module) -> SteppedTexture:
        """This texture after a step of `neurotex.discrete`, or any module that maps textures to textures."""
        return SteppedTexture(self, step)


class ConstantTexture(Texture):
    """One colour everywhere, (C,) in [0, 1]; needs no UVs. `color` has C numbers."""

    color: Float[Tensor, "c"]

    def __init__(self, color: Sequence[float] | Tensor):
        super().__init__()
        self.register_buffer("color", torch.as_tensor(color, dtype=torch.get_default_dtype()))

    def compute(self, evaluation: Evaluation) -> Tensor:
        return self.color[None, :, None, None]


class ImageTexture(Texture):
    """Given pixels, (C, H, W) in [0, 1]; a parameter if `trainable`.

    They may also come from a file, as an image of Pillow's, as an array, in 8 or 16 bits, or with channels last: see
    `texels`. What is not in [0, 1], but finite, is kept: a fit may go astray for a while. Values far beyond, as of
    floats up to 255, are warned of. ArgumentError for an image that is not finite.
    """

    image: Float[Tensor, "1 c h w"]

    def __init__(
        self,
        image: Pixels,
        wrap: Wrap = "repeat",
        trainable: bool = False,
        filter: str = "bilinear",
        uv_transform: UVTransform | None = None,
    ):
        super().__init__(wrap, filter, uv_transform)
        image = texels(image)
        if not bool(image.isfinite().all()):
            raise ArgumentError("an image texture lies in [0, 1], but this image holds NaN or infinity: repair it.")
        if float(image.max()) > ASTRAY:
            warnings.warn(
                f"an image texture lies in [0, 1], but this image goes up to {float(image.max()):g}: divide it by what "
                "white is in it, such as 255.",
                stacklevel=2,
            )
        image = image.detach()[None].clone(memory_format=torch.contiguous_format)
        if trainable:
            self.image = nn.Parameter(image)
        else:
            self.register_buffer("image", image)

    def compute(self, evaluation: Evaluation) -> Tensor:
        return self.image


class VertexTexture(ImageTexture):
    """A value for each vertex of the mesh that wears it, interpolated over faces: `colors` (V, C) in [0, 1].

    No UVs are needed. As a base_color they are sRGB-encoded, as scanners' PLY and OBJ files have them, and decoded
    before they are interpolated; glTF's COLOR_0 is linear, see `Mesh`. The node's value is (1, C, V, 1), so it goes
    `through` discrete steps, is baked and fitted as any texture is. A parameter if `trainable`. Any other node with one
    texel per vertex does the same with filter="vertex".
    """

    def __init__(self, colors: Tensor, trainable: bool = False):
        super().__init__(_on_mesh(colors, "vertex", "(V, C)", 2), trainable=trainable, filter="vertex")


class FaceTexture(ImageTexture):
    """A value for each face, `colors` (F, C) in [0, 1], or an atlas of R × R cells for each, (F, R, R, C).

    The latter is PyTorch3D's TexturesAtlas: a face is cut into R² equal triangles, each of one colour. No UVs are
    needed. For all else see `VertexTexture`; the node's value is (1, C, F, R²). ArgumentError for an array of another
    shape.
    """

    def __init__(self, colors: Tensor, trainable: bool = False):
        if isinstance(colors, Tensor) and colors.ndim == 4 and colors.shape[1] != colors.shape[2]:
            raise ArgumentError(f"the cells of a face are R x R, but these are {colors.shape[1]} x {colors.shape[2]}.")
        rows = _on_mesh(colors, "face", "(F, C) or (F, R, R, C)", 2, 4)
        super().__init__(rows, trainable=trainable, filter="face")


def _on_mesh(colors: Tensor, what: str, shape: str, *dimensions: int) -> Tensor:
    """Values of vertices or faces as an image (C, rows, columns)."""
    if not isinstance(colors, Tensor) or colors.ndim not in dimensions or colors.numel() == 0:
        given = tuple(colors.shape) if isinstance(colors, Tensor) else type(colors).__name__
        raise ArgumentError(f"a {what} texture is a tensor {shape} in [0, 1], not {given}.")
    return colors.reshape(len(colors), -1, colors.shape[-1]).movedim(-1, 0)


class PyramidTexture(Texture):
    """Trainable pixels, held as a sum of images from coarse to fine: (1, 3, size, size).

    An optimiser's step on a coarse level moves a whole region at once. So smooth parts converge in a few steps, and a
    texel that no view sees takes the colour of what is around it instead of keeping its start value. `size` is its side
    in texels, `coarsest` that of the smallest image at most, and `start` the value of all texels. ArgumentError for
    sides below 1.
    """

    def __init__(
        self, size: int, start: float = 0.5, coarsest: int = 4, wrap: Wrap = "repeat", filter: str = "bilinear"
    ):
        super().__init__(wrap, filter)
        if not (is_count(size) and is_count(coarsest)):
            raise ArgumentError(
                f"the sides of a texture and of its coarsest level are at least 1, not {size} and {coarsest}."
            )
        sides = [size]
        while sides[0] > coarsest:
            sides.insert(0, -(-sides[0] // 2))
        self.levels = nn.ParameterList(torch.zeros(1, 3, side, side) for side in sides)
        with torch.no_grad():
            self.levels[0].fill_(start)

    def compute(self, evaluation: Evaluation) -> Tensor:
        total = self.levels[0]
        for level in list(self.levels)[1:]:
            total = level + _enlarged(total, level)
        return clamp(total)

    @torch.no_grad()
    def draw(self, picture: Float[Tensor, "3 size size"]) -> None:
        """Become this picture: each level holds what the coarser ones, averages of it, lack."""
        pictures = [picture[None].to(self.levels[0])]
        for level in list(self.levels)[-2::-1]:
            pictures.insert(0, interpolate(pictures[0], size=level.shape[-2:], mode="area"))
        self.levels[0].copy_(pictures[0])
        for level, coarse, fine in zip(list(self.levels)[1:], pictures, pictures[1:], strict=False):
            level.copy_(fine - _enlarged(coarse, level))


def _rows(transform: object) -> UVTransform:
    """Two rows of three floats; ArgumentError for anything else."""
    try:
        rows = torch.as_tensor(transform, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        rows = torch.full((0,), torch.nan)
    if rows.shape != (2, 3) or not bool(rows.isfinite().all()):
        raise ArgumentError(f"a uv_transform is two rows of three finite numbers, not {transform}.")
    (a, b, c), (d, e, f) = rows.tolist()
    return (a, b, c), (d, e, f)


def _enlarged(image: Tensor, like: Tensor) -> Tensor:
    return interpolate(image, size=like.shape[-2:], mode="bilinear", align_corners=False)


class SteppedTexture(Texture):
    """A texture after a discrete step, read as the texture is. `source` is the texture before it."""

    def __init__(self, source: Texture, step: nn.Module):
        super().__init__(*source.reading)
        self.source = source
        self.step = step

    def compute(self, evaluation: Evaluation) -> Tensor:
        return self.step(evaluation(self.source))
