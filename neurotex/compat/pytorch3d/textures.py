"""PyTorch3D's textures, with texture nodes for maps: a generator paints meshes that any PyTorch3D renderer draws."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import interpolate

from ...errors import ArgumentError
from ...scene.counts import is_count
from ...scene.latent import Evaluation, Latents
from ...scene.textures import Texture
from .charts import Chart, check_channels, for_each_mesh, ids_for_each_mesh, maps_for_each_mesh, padded
from .interpolation import interpolate_at
from .lookup import PADDINGS, SAMPLINGS, sample_texture

# PyTorch3D asks by isinstance what textures are; nothing but this type is inherited
if TYPE_CHECKING:
    TexturesUV = Any
else:
    try:
        from pytorch3d.renderer import TexturesUV
    except ImportError:
        TexturesUV = object


class _Detached(Texture):
    """The same picture, without a gradient to where it comes from."""

    def __init__(self, source: Texture):
        super().__init__(*source.reading)
        self.source = source

    def compute(self, evaluation: Evaluation) -> Tensor:
        return evaluation(self.source).detach()


class GeneratedTexturesUV(TexturesUV):
    """Textures of a batch of N meshes, as PyTorch3D's `TexturesUV`, whose maps may be texture nodes.

    `faces_uvs` (F, 3) and `verts_uvs` (V, 2) are given for each mesh, in lists or padded to tensors (N, F, 3) and
    (N, V, 2); UV (0, 0) is bottom-left, row 0 of a map is v = 1. `maps` is one of

    - a texture node, worn by all meshes,
    - a list with a node or a tensor (H, W, C) for each mesh, or a tensor (N, H, W, C);
    - with `maps_ids`, which gives each face its map (lists of (F,), or (N, F)): a list with a sequence of nodes and
      tensors, or a tensor (M, H, W, C), for each mesh, or a tensor (N, M, H, W, C).

    A node's map is its value (1, C, H, W), hence sRGB-encoded if the node is; all maps have equally many channels,
    each its own size. `padding_mode` is "border", "zeros", "reflection" or, beyond PyTorch3D, "repeat"; `align_corners`
    and `sampling_mode` ("bilinear", "nearest") are those of `lookup.sample_texture`. A node's own `wrap` and
    `filter` are the embedded renderer's and have no say here.

    Nodes are evaluated when texels are asked for, never before: by `sample_textures`, `faces_verts_textures_packed`,
    `maps_padded` and `maps_list`, each time anew, every distinct node once however many meshes wear it. So meshes are
    built once, copied, joined and cut, and each render shows what latents and weights are by then, with gradients to
    both. For several renders of one state, or to give values to unbound latents, `bind` first.

    Where this differs from TexturesUV: each map is read in its own size, not resized to the largest first. Empty
    fragments give zeros, not the texel at (0, 0). `join_scene` keeps maps apart, instead of packing them in one atlas,
    and so their sizes and padding. Several maps per mesh go with all operations, with `align_corners` or without, and
    with any numbers of maps and faces. Copies made by `extend` share their tensors.
    """

    def __init__(
        self,
        maps: Texture | Tensor | Sequence[Any],
        faces_uvs: Tensor | Sequence[Tensor],
        verts_uvs: Tensor | Sequence[Tensor],
        *,
        maps_ids: Tensor | Sequence[Tensor] | None = None,
        padding_mode: str = "border",
        align_corners: bool = True,
        sampling_mode: str = "bilinear",
    ):
        for name, value, choices in (
            ("padding_mode", padding_mode, PADDINGS),
            ("sampling_mode", sampling_mode, SAMPLINGS),
        ):
            if value not in choices:
                raise ArgumentError(f"{name} '{value}' is unknown: choose one of {', '.join(choices)}.")
        self.padding_mode = padding_mode
        self.align_corners = align_corners
        self.sampling_mode = sampling_mode
        faces = for_each_mesh("faces_uvs", faces_uvs, "(F, 3)")
        self.device = faces[0].device if faces else torch.device("cpu")
        verts = for_each_mesh("verts_uvs", verts_uvs, "(V, 2)", len(faces), self.device)
        several = maps_ids is not None
        worn = maps_for_each_mesh(maps, several, len(faces), self.device)
        ids = ids_for_each_mesh(maps_ids, faces, worn) if several else [None] * len(faces)
        self._wear([Chart(*parts) for parts in zip(faces, verts, worn, ids, strict=True)], several)

    def _wear(self, charts: list[Chart], several: bool) -> None:
        self._charts = charts
        self._several = several  # maps per mesh: whether there are maps_ids
        # Meshes sets these once more, when it takes these textures
        self._num_faces_per_mesh = [len(chart.faces) for chart in charts]
        self.valid = torch.ones(len(charts), dtype=torch.bool, device=self.device)

    def _wearing(self, charts: list[Chart], several: bool | None = None) -> GeneratedTexturesUV:
        """Textures of other meshes, read in the same way."""
        other = copy.copy(self)
        other._wear(charts, self._several if several is None else several)
        return other

    def _mapped(self, change: Callable[[Tensor], Tensor], exchange: Callable[[Texture], Any]) -> list[Chart]:
        """The charts with every tensor and node changed, each distinct one once."""
        done: dict[int, Any] = {}

        def changed(part: Any) -> Any:
            if part is not None and id(part) not in done:
                done[id(part)] = exchange(part) if isinstance(part, Texture) else change(part)
            return done.get(id(part))

        return [
            Chart(changed(c.faces), changed(c.verts), tuple(changed(m) for m in c.maps), changed(c.ids))
            for c in self._charts
        ]

    def _copied(self, change: Callable[[Tensor], Tensor], exchange: Callable[[Texture], Any]) -> GeneratedTexturesUV:
        """The same textures of the same meshes with every tensor and node changed."""
        other = copy.copy(self)
        other._charts = self._mapped(change, exchange)
        other._num_faces_per_mesh = list(self._num_faces_per_mesh)
        other.valid = change(self.valid)
        return other

    def _trimmed(self) -> list[Chart]:
        """The charts without faces that are padding, as far as Meshes has said how many are not."""
        counts = self._num_faces_per_mesh
        if len(counts) != len(self._charts):  # Meshes without any face say nothing
            return self._charts
        return [
            chart if count >= len(chart.faces) else chart.of_faces(slice(count))
            for chart, count in zip(self._charts, counts, strict=True)
        ]

    def clone(self) -> GeneratedTexturesUV:
        """A copy with tensors of its own; texture nodes, with their latents and weights, are shared."""
        return self._copied(Tensor.clone, lambda node: node)

    def detach(self) -> GeneratedTexturesUV:
        """The same without gradients. It still follows its nodes: they are evaluated anew for each render."""
        return self._copied(Tensor.detach, _Detached)

    def to(self, device: torch.device | str) -> GeneratedTexturesUV:
        """Move UVs and tensor maps, in place, as TexturesUV does (Meshes.to clones first). Returns self.

        A texture node stays where it is, for other meshes may wear it: its map is brought here when it is evaluated.
        """
        self._charts = self._mapped(lambda tensor: tensor.to(device), lambda node: node)
        self.valid = self.valid.to(device)
        self.device = self.valid.device
        return self

    def bind(self, latents: Latents | None = None) -> GeneratedTexturesUV:
        """The same with the maps that all nodes have now, as tensors; `latents` gives values to latents by name.

        For one forward over several renders: their gradients sum up, so call backward once, on the sum of the losses.
        """
        with Evaluation(latents) as evaluation:
            return self._copied(
                lambda tensor: tensor, lambda node: _evaluated(node, evaluation).movedim(0, -1).to(self.device)
            )

    def worn(self, index: int) -> tuple[tuple[Texture | Tensor, ...], Int[Tensor, "faces"] | None]:
        """The maps of one mesh, nodes and tensors (H, W, C), and which of them each face wears; None if it has one."""
        chart = self._trimmed()[index]
        return chart.maps, chart.ids

    def __getitem__(self, index: Any) -> GeneratedTexturesUV:
        """The textures of some meshes: an int, a slice, a list of ints or bools, or a tensor of either."""
        charts = self._trimmed()
        if isinstance(index, slice):
            return self._wearing(charts[index])
        rows = torch.as_tensor(index).cpu()
        if rows.numel() == 0:  # as_tensor takes an empty list for floats
            return self._wearing([])
        return self._wearing([charts[row] for row in torch.arange(len(charts))[rows].reshape(-1).tolist()])

    def extend(self, N: int) -> GeneratedTexturesUV:
        """Each mesh's textures N times in a row."""
        if not is_count(N):
            raise ArgumentError(f"textures are extended N times, with N a whole number of at least 1, not {N}.")
        return self._wearing([chart for chart in self._trimmed() for _ in range(N)])

    def join_batch(self, textures: Sequence[Any]) -> GeneratedTexturesUV:
        """These textures and, after them, those of others, which may be TexturesUV too."""
        joined = [self, *(self._like(other) for other in textures)]
        charts = [chart for one in joined for chart in one._trimmed()]
        return self._wearing(charts, any(one._several for one in joined))

    def _like(self, other: Any) -> GeneratedTexturesUV:
        """Textures that can be joined to these, else an error."""
        if not isinstance(other, GeneratedTexturesUV):
            other = _converted(other)
        for name in ("padding_mode", "align_corners", "sampling_mode", "device"):
            mine, others = getattr(self, name), getattr(other, name)
            if mine != others:
                raise ArgumentError(f"textures with {name} {mine} and {others} cannot be joined: give both the same.")
        return other

    def join_scene(self) -> GeneratedTexturesUV:
        """The textures of all meshes as those of one mesh: its faces wear the maps they wore, each kept once."""
        charts, maps = self._trimmed(), tuple(self._sources())
        if not charts:
            raise ArgumentError("textures of no mesh cannot be joined to a scene: join at least one.")
        faces, start = [], 0
        for chart in charts:
            count = len(chart.verts)
            # negative ones, which load_obj gives faces without UVs, count from the end of their own mesh
            faces.append(torch.where(chart.faces < 0, chart.faces + count, chart.faces) + start)
            start += count
        several = self._several or len(maps) > 1
        verts, ids = torch.cat([chart.verts for chart in charts]), self._map_of_face() if several else None
        return self._wearing([Chart(torch.cat(faces), verts, maps, ids)], several)

    def submeshes(self, vertex_ids_list: Sequence[Any], faces_ids_list: Sequence[Any]) -> GeneratedTexturesUV:
        """The textures of parts of the meshes: for each mesh, the faces of each of its parts. Vertices are not used."""
        charts = self._trimmed()
        if len(faces_ids_list) != len(charts):
            raise ArgumentError(f"{len(charts)} meshes are cut by as many lists of parts, not {len(faces_ids_list)}.")
        parts = zip(charts, faces_ids_list, strict=True)
        return self._wearing([chart.of_faces(part) for chart, its in parts for part in its])

    def sample_textures(self, fragments: Any, **kwargs: Any) -> Float[Tensor, "n height width k channels"]:
        """The texels that PyTorch3D's `fragments` show, differentiable in maps, UVs and barycentric coordinates.

        Zeros where a fragment is empty; only those that are not cost time. (Meshes give `faces_packed`, for textures
        that need it: this does not.)
        """
        faces = fragments.pix_to_face.flatten()
        place = (faces >= 0).nonzero()[:, 0]
        faces = faces[place]
        bary = fragments.bary_coords.reshape(-1, 3).index_select(0, place)
        texels = self._texels(faces, interpolate_at(faces, bary, self._corners()))
        image = texels.new_zeros(fragments.pix_to_face.numel(), texels.shape[1]).index_copy_(0, place, texels)
        return image.view(*fragments.pix_to_face.shape, texels.shape[1])

    def faces_verts_textures_packed(self) -> Float[Tensor, "faces 3 channels"]:
        """The texels at the corners of all faces of all meshes."""
        corners = self._corners()
        faces = torch.arange(len(corners), device=self.device).repeat_interleave(3)
        return self._texels(faces, corners.flatten(0, 1)).unflatten(0, (-1, 3))

    def centers_for_image(self, index: int) -> Float[Tensor, "verts 2"]:
        """Where the `verts_uvs` of one mesh lie in its map, in texels from the centre of the top-left one: (x, y)."""
        chart = self._charts[index]
        if len(chart.maps) != 1:
            raise ArgumentError(f"mesh {index} wears {len(chart.maps)} maps: the centres are in one only.")
        with torch.no_grad():
            image = _as_source(chart.maps[0], Evaluation())
            y, x = torch.meshgrid(*(torch.arange(n).to(chart.verts) for n in image.shape[-2:]), indexing="ij")
            return self._sample(torch.stack([x, y]), chart.verts).cpu()

    def _corners(self) -> Float[Tensor, "faces 3 2"]:
        """The coordinates of all faces."""
        charts = self._trimmed()
        if not charts:
            return torch.zeros(0, 3, 2, device=self.device)
        return torch.cat([chart.verts[chart.faces.long()] for chart in charts])

    def _sources(self) -> list[Texture | Tensor]:
        """Every distinct map, in the order they are first worn."""
        return list({id(source): source for chart in self._charts for source in chart.maps}.values())

    def _map_of_face(self) -> Int[Tensor, "faces"]:
        """For every face, its map among the `_sources`."""
        place = {id(source): i for i, source in enumerate(self._sources())}
        own = [torch.tensor([place[id(m)] for m in chart.maps], device=self.device) for chart in self._charts]
        return torch.cat(
            [
                maps[:1].expand(len(chart.faces)) if chart.ids is None else maps[chart.ids.long()]
                for maps, chart in zip(own, self._trimmed(), strict=True)
            ]
        )

    def _values(self) -> list[Float[Tensor, "channels _ _"]]:
        """What the `_sources` are now, through one evaluation of all nodes."""
        evaluation = Evaluation()
        values = [_as_source(source, evaluation).to(self.device) for source in self._sources()]
        check_channels(value.shape[0] for value in values)
        return values

    def _sample(self, image: Float[Tensor, "c h w"], uv: Float[Tensor, "n 2"]) -> Float[Tensor, "n c"]:
        return sample_texture(
            image,
            uv,
            align_corners=self.align_corners,
            padding_mode=self.padding_mode,
            sampling_mode=self.sampling_mode,
        )

    def _texels(self, faces: Int[Tensor, "n"], uv: Float[Tensor, "n 2"]) -> Float[Tensor, "n channels"]:
        """What faces show at coordinates: points are sorted by map, so that each map is looked up once."""
        values = self._values()
        if not values:
            return uv.new_zeros(len(uv), 3)
        if len(values) == 1:
            return self._sample(values[0], uv)
        maps = self._map_of_face()[faces]
        order = maps.argsort()
        parts = uv.index_select(0, order).split(maps.bincount(minlength=len(values)).tolist())
        texels = torch.cat([self._sample(value, part) for value, part in zip(values, parts, strict=True)])
        return torch.zeros_like(texels).index_copy(0, order, texels)

    def maps_padded(self) -> Float[Tensor, "n *m h w channels"]:
        """The maps now, (N, H, W, C): smaller ones stretched. With `maps_ids` (N, M, H, W, C): missing ones zeros."""
        values, count = self._worn_values(), len(self._charts)
        if not count:
            return torch.zeros(0, *([0] * (2 + self._several)), 3, device=self.device)
        most = max(len(maps) for maps in values)
        blank = values[0][0].new_zeros(len(values[0][0]), 1, 1)
        stacked = self._stacked([m for maps in values for m in maps + [blank] * (most - len(maps))])
        return stacked.unflatten(0, (count, most)) if self._several else stacked

    def maps_list(self) -> list[Float[Tensor, "*m h w channels"]]:
        """The map of each mesh now, (H, W, C). With `maps_ids` (M, H, W, C): smaller ones stretched."""
        if self._several:
            return [self._stacked(maps) for maps in self._worn_values()]
        return [maps[0].movedim(0, -1) for maps in self._worn_values()]

    def _worn_values(self) -> list[list[Float[Tensor, "channels _ _"]]]:
        """The maps of each mesh now."""
        values = dict(zip(map(id, self._sources()), self._values(), strict=True))
        return [[values[id(source)] for source in chart.maps] for chart in self._charts]

    def _stacked(self, maps: list[Float[Tensor, "c _ _"]]) -> Float[Tensor, "m h w c"]:
        """Maps in the size of the largest."""
        size = tuple(max(image.shape[i] for image in maps) for i in (1, 2))
        stretch = {"size": size, "mode": "bilinear", "align_corners": self.align_corners}
        same = [m[None] if m.shape[1:] == size else interpolate(m[None], **stretch) for m in maps]
        return torch.cat(same).movedim(1, -1)

    def maps_ids_padded(self) -> Int[Tensor, "n faces"] | None:
        return padded([_ids(chart) for chart in self._charts], (), self.device) if self._several else None

    def maps_ids_list(self) -> list[Int[Tensor, "_"]] | None:
        return [_ids(chart) for chart in self._trimmed()] if self._several else None

    def faces_uvs_padded(self) -> Tensor:
        return padded([chart.faces for chart in self._charts], (3,), self.device)

    def faces_uvs_list(self) -> list[Tensor]:
        return [chart.faces for chart in self._trimmed()]

    def verts_uvs_padded(self) -> Tensor:
        return padded([chart.verts for chart in self._charts], (2,), self.device)

    def verts_uvs_list(self) -> list[Tensor]:
        return [chart.verts for chart in self._charts]

    def isempty(self) -> bool:
        """Whether there is no mesh, or none with faces."""
        return not bool(self.valid.any())

    def check_shapes(self, batch_size: int, max_num_verts: int, max_num_faces: int) -> bool:
        """Whether they can be worn by so many meshes, the largest of so many faces. Vertices need not be as many."""
        most = max((len(chart.faces) for chart in self._charts), default=0)
        return len(self._charts) == batch_size and most == max_num_faces


def _converted(textures: Any) -> GeneratedTexturesUV:
    """PyTorch3D's own textures as ours."""
    if TexturesUV is object or not isinstance(textures, TexturesUV):
        raise ArgumentError(f"only GeneratedTexturesUV and TexturesUV can be joined, not {type(textures).__name__}.")
    ids, faces = textures.maps_ids_list(), textures.faces_uvs_list()
    if ids is not None:  # from these TexturesUV does not cut the padding
        ids = [row[: len(own)] for row, own in zip(ids, faces, strict=True)]
    return GeneratedTexturesUV(
        list(textures.maps_list()),
        list(faces),
        list(textures.verts_uvs_list()),
        maps_ids=ids,
        padding_mode=textures.padding_mode,
        align_corners=textures.align_corners,
        sampling_mode=textures.sampling_mode,
    )


def _as_source(source: Texture | Tensor, evaluation: Evaluation) -> Float[Tensor, "channels h w"]:
    """A map's value, channels first."""
    return _evaluated(source, evaluation) if isinstance(source, Texture) else source.movedim(-1, 0)


def _evaluated(node: Texture, evaluation: Evaluation) -> Float[Tensor, "channels h w"]:
    value = evaluation(node)
    if value.ndim != 4 or len(value) != 1:
        raise ArgumentError(f"a texture node gives a map (1, C, H, W), but {type(node).__name__} {tuple(value.shape)}.")
    return value[0]


def _ids(chart: Chart) -> Int[Tensor, "faces"]:
    return chart.faces.new_zeros(len(chart.faces), dtype=torch.long) if chart.ids is None else chart.ids
