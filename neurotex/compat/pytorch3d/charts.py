"""What the meshes of a batch wear, from the lists and padded tensors that PyTorch3D's textures are given as."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...errors import ArgumentError
from ...scene.textures import Texture


class Chart(NamedTuple):
    """What one mesh wears: face f has the coordinates verts[faces[f]] in maps[ids[f]], or in maps[0] without ids."""

    faces: Tensor  # (F, 3)
    verts: Tensor  # (V, 2)
    maps: tuple[Texture | Tensor, ...]  # tensors are (H, W, C)
    ids: Tensor | None  # (F,)

    def of_faces(self, keep: Tensor | slice) -> Chart:
        return self._replace(faces=self.faces[keep], ids=None if self.ids is None else self.ids[keep])


def for_each_mesh(
    name: str, given: Any, shape: str, count: int | None = None, device: torch.device | None = None
) -> list[Tensor]:
    """A tensor of this shape for each mesh, from a list of them or one padded; if known, for `count` on `device`."""
    rows = given.unbind(0) if isinstance(given, Tensor) and given.ndim else given
    if not isinstance(rows, (list, tuple)):
        raise ArgumentError(
            f"{name} is a list with a tensor {shape} for each mesh, or one padded tensor, not {type(given).__name__}."
        )
    sizes = shape.strip("(,)").split(", ")
    for row in rows:
        if not isinstance(row, Tensor) or row.ndim != len(sizes) or (row.ndim > 1 and str(row.shape[1]) != sizes[1]):
            what = tuple(row.shape) if isinstance(row, Tensor) else type(row).__name__
            raise ArgumentError(f"{name} is a tensor {shape} for each mesh, but here one is {what}.")
        _check_device(name, row, device or rows[0].device)
    if count is not None and len(rows) != count:
        raise ArgumentError(f"{name} is given for {len(rows)} meshes and faces_uvs for {count}: give both for each.")
    return list(rows)


def _check_device(name: str, tensor: Tensor, device: torch.device) -> None:
    if tensor.device != device:
        raise ArgumentError(f"{name} is on {tensor.device} and faces_uvs on {device}: move both to one device.")


def ids_for_each_mesh(maps_ids: Any, faces: list[Tensor], maps: list[tuple]) -> list[Tensor]:
    """The map of each face, from a list of (F,) or padded, where it has as many columns as the largest mesh faces."""
    device = faces[0].device if faces else None
    rows = for_each_mesh("maps_ids", maps_ids, "(F,)", len(faces), device)
    most = max(map(len, faces), default=0)
    for i, (row, own, worn) in enumerate(zip(rows, faces, maps, strict=True)):
        if len(row) != (most if isinstance(maps_ids, Tensor) else len(own)) or row.is_floating_point():
            raise ArgumentError(
                f"maps_ids is a whole number for each face, but mesh {i} has {len(own)} faces and "
                f"maps_ids {tuple(row.shape)} of {row.dtype}."
            )
        rows[i] = row[: len(own)]
        # faces that are padding may have any
        if bool((((rows[i] < 0) | (rows[i] >= len(worn))) & (own >= 0).all(1)).any()):
            raise ArgumentError(f"maps_ids of mesh {i} are from 0 to {len(worn) - 1}, for it has {len(worn)} maps.")
    return rows


def maps_for_each_mesh(maps: Any, several: bool, count: int, device: torch.device) -> list[tuple]:
    """The maps of each mesh."""
    if isinstance(maps, Texture):
        maps = [maps] * count
    rows = list(maps.unbind(0)) if isinstance(maps, Tensor) and maps.ndim else maps
    if not isinstance(rows, (list, tuple)):
        raise ArgumentError(f"maps is a texture node, a list or a tensor, not {type(maps).__name__}.")
    if len(rows) != count:
        raise ArgumentError(f"maps are given for {len(rows)} meshes and faces_uvs for {count}: give both for each.")
    if several:
        rows = [tuple(row.unbind(0)) if isinstance(row, Tensor) and row.ndim else row for row in rows]
        rows = [tuple(row) if isinstance(row, (list, tuple)) else (row,) for row in rows]
    else:
        rows = [(row,) for row in rows]
    for i, row in enumerate(rows):
        if not row:
            raise ArgumentError(f"a mesh wears at least one map, but mesh {i} has none in maps.")
        for source in row:
            _check_source(source, several, device)
    check_channels(source.shape[-1] for row in rows for source in row if isinstance(source, Tensor))
    return rows


def _check_source(source: Any, several: bool, device: torch.device) -> None:
    if isinstance(source, Texture):
        return
    if not isinstance(source, Tensor):
        raise ArgumentError(
            f"maps are texture nodes or tensors, not {type(source).__name__}: put a generator into a GeneratedTexture."
        )
    if source.ndim != 3 or source.numel() == 0 or not source.is_floating_point():
        each = "a sequence of them for each mesh, since there are maps_ids" if several else "one for each mesh"
        raise ArgumentError(
            f"maps are tensors (H, W, C) of floats, {each}, but here one is {tuple(source.shape)} of {source.dtype}."
        )
    _check_device("one of the maps", source, device)


def check_channels(channels: Any) -> None:
    found = sorted(set(channels))
    if len(found) > 1:
        raise ArgumentError(f"maps have equally many channels, but here are some with {found[0]} and with {found[1]}.")


def padded(rows: list[Tensor], shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Tensors (n, *shape) of every mesh as one, zeros where one has fewer."""
    if not rows:
        return torch.zeros(0, 0, *shape, device=device)
    return pad_sequence(rows, batch_first=True)
