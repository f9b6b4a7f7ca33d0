"""PyTorch3D's rasteriser and renderer of meshes with our kernels under them: its arguments, its results, in less time.

On CPU, PyTorch3D looks at every face for every pixel, and shades every pixel of the frame. Here faces are rasterised by
`neurotex.rasterize`, which agrees with its rasteriser to the bit, and the shader sees covered pixels alone.

Nothing here needs PyTorch3D itself: whatever has the methods of its meshes, cameras and settings will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ...errors import ArgumentError
from . import fragments as raster
from .installed import require

if TYPE_CHECKING:
    MeshRasterizer = MeshRenderer = Any
    Fragments: Any
    RasterizationSettings: Any
else:
    try:
        from pytorch3d.renderer.mesh.rasterizer import Fragments, MeshRasterizer, RasterizationSettings
        from pytorch3d.renderer.mesh.renderer import MeshRenderer
    except ImportError:  # it is optional: without it, these are modules of torch that give our own fragments
        Fragments, MeshRasterizer, MeshRenderer = raster.Fragments, torch.nn.Module, torch.nn.Module

# PyTorch3D's shaders that work pixel by pixel. Its only other one, SplatterPhongShader, looks at neighbours.
POINTWISE = {
    *(f"{kind}{shading}Shader" for kind in ("Hard", "Soft") for shading in ("Phong", "Gouraud", "Depth")),
    "HardFlatShader",
    "SoftSilhouetteShader",
}
AGREE = 1e-5  # how far two images of one shader may lie apart by rounding


# 11 parameters: PyTorch3D's function of this name has these
def rasterize_meshes(
    meshes: Any,
    image_size: int | Sequence = 256,
    blur_radius: float = 0.0,
    faces_per_pixel: int = 8,
    bin_size: int | None = None,
    max_faces_per_bin: int | None = None,
    perspective_correct: bool = False,
    clip_barycentric_coords: bool = False,
    cull_backfaces: bool = False,
    z_clip_value: float | None = None,
    cull_to_frustum: bool = False,
) -> tuple[Int[Tensor, "n h w k"], Float[Tensor, "n h w k"], Float[Tensor, "n h w k 3"], Float[Tensor, "n h w k"]]:
    """`pytorch3d.renderer.mesh.rasterize_meshes.rasterize_meshes`: (pix_to_face, zbuf, bary_coords, dists).

    Mesh i of the batch, its vertices in PyTorch3D's NDC (x to the left, y up, z the depth in the scene's units), fills
    image i of `image_size`, a side or (height, width) in pixels. Of `meshes`, their number, `verts_packed`,
    `faces_packed` and `mesh_to_faces_packed_first_idx` are asked for. What the other arguments mean is told at
    `neurotex.rasterize`; `z_clip_value` is its `near`. `bin_size` and `max_faces_per_bin` steer nothing but the
    speed of PyTorch3D's CUDA kernels, and are taken for their sake only.

    `cull_to_frustum` leaves out the faces that PyTorch3D leaves out: those whose first or second corner has x, y and
    depth all above 1, or all below −1. (Its `clip.py` means the faces that have all corners on the outer side of
    x = ±1 or y = ±1, but takes corners for axes; some faces that it drops can be seen.)

    Of a face that `z_clip_value` cuts, gradients are those of the image; PyTorch3D holds a part of the cut constant
    there. Vertices may be float64, too.
    """
    size = tuple(image_size) if isinstance(image_size, Sequence) else (image_size, image_size)
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise ArgumentError(
            f"image_size is {image_size}: give a side or a tuple/list of (H, W); "
            "sizes must be integers, and sizes must be greater than 0."
        )
    _check_meshes(meshes)
    vertices, faces = meshes.verts_packed(), meshes.faces_packed()
    mirrored = vertices * vertices.new_tensor([-1, 1, 1])
    corners = mirrored.index_select(0, faces.flatten()).view(-1, 3, 3)
    if cull_to_frustum:
        beyond = (vertices > 1).all(1) | (vertices < -1).all(1)
        # faces that are not finite cover nothing, and leave the numbers of the others as they are
        corners = corners.masked_fill(beyond[faces[:, :2]].any(1)[:, None, None], torch.nan)
    # where no mesh has a face, PyTorch3D does not say where each mesh's begin
    first = meshes.mesh_to_faces_packed_first_idx().tolist() or [0] * len(meshes)
    seen = raster.rasterize(
        corners,
        size,
        first=first or [0],  # no image at all is one image, cut off below
        faces_per_pixel=faces_per_pixel,
        blur_radius=float(blur_radius),
        perspective_correct=perspective_correct,
        clip_barycentric_coords=clip_barycentric_coords,
        cull_backfaces=cull_backfaces,
        near=z_clip_value,
    )
    count = len(first)
    return seen.pix_to_face[:count], seen.zbuf[:count], seen.bary_coords[:count], seen.dists[:count]


def _check_meshes(meshes: Any) -> None:
    if not (hasattr(meshes, "verts_packed") and hasattr(meshes, "faces_packed")):
        raise ArgumentError(
            f"this rasteriser draws PyTorch3D's Meshes, not a {type(meshes).__name__}: point clouds are for its "
            "PointsRasterizer, and to_meshes makes Meshes of a neurotex Scene."
        )


class FastMeshRasterizer(MeshRasterizer):
    """`pytorch3d.renderer.MeshRasterizer`, with `rasterize_meshes` above in it.

    A renderer is made faster by putting this in its place::

        renderer = MeshRenderer(FastMeshRasterizer(cameras, raster_settings), shader)

    Any camera of PyTorch3D will do. Meshes on another device than the CPU are left to PyTorch3D's own kernels.
    """

    def __init__(self, cameras: Any = None, raster_settings: Any = None) -> None:
        super().__init__()
        if raster_settings is None:
            require()
            raster_settings = RasterizationSettings()
        self.cameras, self.raster_settings = cameras, raster_settings

    def to(self, device: Any) -> FastMeshRasterizer:
        """Move the cameras."""
        if self.cameras is not None:
            self.cameras = self.cameras.to(device)
        return self

    def transform(self, meshes_world: Any, **kwargs: Any) -> Any:
        """The meshes with vertices in NDC, their z the depth along the view axis in the scene's units.

        Takes `cameras`, and what these take: R, T, `eps` (the least absolute value to divide by), and so on.
        """
        cameras = self._cameras(meshes_world, kwargs)
        # computed once and kept: its indices are then handed on, not computed again
        if len(meshes_world.verts_packed()) == 0:
            return meshes_world
        world, eps = meshes_world.verts_padded(), kwargs.get("eps")
        view = cameras.get_world_to_view_transform(**kwargs).transform_points(world, eps=eps)
        to_ndc = cameras.get_ndc_camera_transform(**kwargs)
        try:
            projection = cameras.get_projection_transform(**kwargs)
        except NotImplementedError:  # no matrix says what a fisheye does
            projection = None
        if projection is None:
            ndc = to_ndc.transform_points(cameras.transform_points(world, eps=eps), eps=eps)
        else:
            ndc = projection.compose(to_ndc).transform_points(view, eps=eps)
        return meshes_world.update_padded(torch.cat([ndc[..., :2], view[..., 2:]], -1))

    def forward(self, meshes_world: Any, **kwargs: Any) -> Any:
        """Fragments of the meshes; `cameras`, `raster_settings` and what `transform` takes may be given anew.

        Settings that are None follow from the camera and from each other: coordinates are corrected for perspective if
        the camera has one, faces then cut at half of the camera's `znear`, and coordinates clipped where there is blur.
        """
        cameras = self._cameras(meshes_world, kwargs)
        if meshes_world.device.type != "cpu" and MeshRasterizer is not torch.nn.Module:
            return super().forward(meshes_world, **kwargs)
        settings = kwargs.get("raster_settings", self.raster_settings)
        if not hasattr(settings, "perspective_correct"):
            raise ArgumentError(
                f"meshes are rasterised by RasterizationSettings, but raster_settings is a {type(settings).__name__}."
            )
        perspective, clip = settings.perspective_correct, settings.clip_barycentric_coords
        if perspective is None:
            perspective = cameras.is_perspective()
        near = settings.z_clip_value
        if near is None and perspective and (znear := cameras.get_znear()) is not None:
            near = float(torch.as_tensor(znear).min()) / 2
        return Fragments(
            *rasterize_meshes(
                self.transform(meshes_world, **kwargs),
                image_size=settings.image_size,
                blur_radius=settings.blur_radius,
                faces_per_pixel=settings.faces_per_pixel,
                perspective_correct=perspective,
                clip_barycentric_coords=settings.blur_radius > 0 if clip is None else clip,
                cull_backfaces=settings.cull_backfaces,
                z_clip_value=near,
                cull_to_frustum=settings.cull_to_frustum,
            )
        )

    def _cameras(self, meshes: Any, kwargs: dict) -> Any:
        """The cameras to use, if there are as many as there are meshes, or one, and both lie on one device."""
        _check_meshes(meshes)
        cameras = kwargs.get("cameras", self.cameras)
        if cameras is None:
            raise ArgumentError("Cameras must be specified: give them to the rasteriser, or with the meshes.")
        if not hasattr(cameras, "get_world_to_view_transform"):
            raise ArgumentError(
                f"a rasteriser for PyTorch3D looks through its cameras, not through a {type(cameras).__name__}: "
                "to_camera makes them of ours."
            )
        if len(cameras) not in (1, len(meshes)):
            raise ArgumentError(
                f"there are {len(cameras)} cameras for {len(meshes)} meshes: give one, or one for each."
            )
        if torch.device(cameras.device) != torch.device(meshes.device):
            raise ArgumentError(
                f"the cameras are on {cameras.device}, but the meshes on {meshes.device}: "
                f"move them by cameras.to(meshes.device)."
            )
        return cameras


class FastMeshRenderer(MeshRenderer):
    """`pytorch3d.renderer.MeshRenderer` that shades the pixels that are covered, and of the others one for all::

        renderer = FastMeshRenderer(FastMeshRasterizer(cameras, raster_settings), shader)

    This gives the same image if the shader works pixel by pixel. All of PyTorch3D's do but SplatterPhongShader, which
    is given whole frames. A shader of yours may say which it is by an attribute `pointwise`, True or False. If it does
    not, it is tried: the first frame in which something is covered is shaded both ways, and if the images differ, or
    if the shader fails where it is not given a frame, it has frames from then on.

    A pointwise shader is called as always, with fragments of images one pixel high: (N, 1, P, K), where P is one more
    than the largest number of covered pixels of an image, and K no larger than need be.
    """

    def __init__(self, rasterizer: Any, shader: Any) -> None:
        torch.nn.Module.__init__(self)  # not super's, which without PyTorch3D takes nothing
        self.rasterizer, self.shader = rasterizer, shader
        self._tried = (None, False)  # a shader, and whether it was found to be pointwise

    def to(self, device: Any) -> FastMeshRenderer:
        """Move rasteriser and shader."""
        self.rasterizer.to(device)
        self.shader.to(device)
        return self

    def forward(self, meshes_world: Any, **kwargs: Any) -> Any:
        """The images, as the shader makes them: PyTorch3D's give (N, H, W, 4), or depths (N, H, W, 1).

        `kwargs` go to the rasteriser and to the shader.
        """
        fragments = self.rasterizer(meshes_world, **kwargs)
        pointwise = self._is_pointwise(kwargs)
        if pointwise is None and bool((fragments.pix_to_face >= 0).any()):
            image = self.shader(fragments, meshes_world, **kwargs)
            self._tried = (self.shader, self._agrees(image, fragments, meshes_world, kwargs))
            return image
        if pointwise and len(fragments.pix_to_face):
            return shade_covered(self.shader, fragments, meshes_world, **kwargs)
        return self.shader(fragments, meshes_world, **kwargs)

    def _is_pointwise(self, kwargs: dict) -> bool | None:
        """None if this is not known yet."""
        shader, kind = self.shader, type(self.shader)
        blend = kwargs.get("blend_params", getattr(shader, "blend_params", None))
        background = getattr(blend, "background_color", None)
        if isinstance(background, Tensor) and background.dim() > 1:
            return False  # a picture
        if (said := getattr(shader, "pointwise", None)) is not None:
            return said
        if kind.__module__ == "pytorch3d.renderer.mesh.shader":
            return kind.__name__ in POINTWISE
        return self._tried[1] if self._tried[0] is shader else None

    def _agrees(self, image: Any, fragments: Any, meshes: Any, kwargs: dict) -> bool:
        """Whether the shader makes the same image of covered pixels alone."""
        try:
            with torch.no_grad():
                other = shade_covered(self.shader, fragments, meshes, **kwargs)
            torch.testing.assert_close(other, image, rtol=AGREE, atol=AGREE, equal_nan=True)
        except Exception:  # whatever it is that a shader of frames does when it is not given one
            return False
        return True


def shade_covered(shader: Any, fragments: Any, meshes: Any, **kwargs: Any) -> Float[Tensor, "n h w ..."]:
    """What `shader(fragments, meshes, **kwargs)` is for a pointwise shader and one image or more, without the waste.

    Covered pixels are listed in images one pixel high, filled up with empty ones: at least one per image, which then
    stands for all the others. Layers that are empty in all pixels are left out.
    """
    pix = fragments.pix_to_face
    images, height, width, _ = pix.shape
    pixel = (pix[..., 0] >= 0).flatten().nonzero()[:, 0]  # layers are filled from the first on
    start = torch.searchsorted(pixel, torch.arange(images + 1, device=pix.device) * (height * width))
    count = start.diff()
    length = int(count.max()) + 1
    # image i's pixels go to i * length and on: each list moves by as much as those before it were filled up
    moved = torch.arange(images, device=pix.device) * length - start[:-1]
    place = torch.arange(len(pixel), device=pix.device) + torch.repeat_interleave(moved, count)
    used = max(1, int((pix.flatten(0, 2).index_select(0, pixel) >= 0).any(0).sum()))

    def listed(values: Tensor | None) -> Tensor | None:
        if values is None:
            return None
        rows = values.flatten(0, 2).index_select(0, pixel)[:, :used]
        empty = rows.new_full((images * length, *rows.shape[1:]), -1)
        return empty.index_copy(0, place, rows).view(images, 1, length, *rows.shape[1:])

    given = Fragments(listed(pix), listed(fragments.zbuf), listed(fragments.bary_coords), listed(fragments.dists))
    shaded = shader(given, meshes, **kwargs)
    return _Unlist.apply(shaded.flatten(1, 2), pixel, place, height, width)


class _Unlist(torch.autograd.Function):
    """Images (N, H, W, ...) from lists (N, P, ...): row `place` of them all to pixel `pixel` of them all, and to the
    other pixels of an image the last row of its list.

    Every pixel takes a row, which torch does several times as fast as spreading one and writing over it. Its own
    gradient of that would add up the background's pixels one by one, in float32.
    """

    @staticmethod
    def forward(ctx: Any, lists: Tensor, pixel: Tensor, place: Tensor, height: int, width: int) -> Tensor:
        images, length, *shape = lists.shape
        ctx.save_for_backward(pixel, place)
        ctx.shape = lists.shape
        last = torch.arange(1, images + 1, device=lists.device) * length - 1
        source = torch.repeat_interleave(last, height * width).index_copy(0, pixel, place)
        return lists.flatten(0, 1).index_select(0, source).view(images, height, width, *shape)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        pixel, place = ctx.saved_tensors
        rows = grad.flatten(0, 2)
        lists = rows.new_zeros((ctx.shape[0] * ctx.shape[1], *ctx.shape[2:]))
        lists = lists.index_copy(0, place, rows.index_select(0, pixel)).view(ctx.shape)
        background = rows.index_fill(0, pixel, 0).view(grad.shape).sum((1, 2))
        return torch.cat([lists[:, :-1], background[:, None]], 1), None, None, None, None
