"""Records what PyTorch3D's TexturesUV gives, for tests/renderers/pytorch3d/test_textures.py to hold ours to.

Run with PyTorch3D 0.7.9: python tests/golden/plugins/record_textures.py. Three random charts, with 5, 3 and 4 faces,
7, 9 and 6 coordinates from -0.3 to 1.3 and maps of 6 × 7 texels, go through each of CASES: how they are made (options),
then an operation with its argument. Of what comes out, textures_uv.npz keeps under the case's name

- counts, faces, verts: how many faces each mesh has, faces_uvs_padded and verts_uvs_padded,
- at_corners: faces_verts_textures_packed,
- face, bary: random fragments (N, 3, 3, 2), a third of them empty,
- texels: sample_textures there, zeros where empty,
- to_maps: the gradient of (texels · probe).sum() to the maps.

Where TexturesUV does not do what it says, cases keep out of the way: with maps_ids the meshes have equally many faces
and align_corners, and what is joined to a scene lies in [0, 1].
"""

import json
from pathlib import Path

import torch
from torch import Tensor

CASES = {
    "plain": [{}, None, None],
    "padded": [{"padded": True}, None, None],
    "nearest": [{"sampling_mode": "nearest"}, None, None],
    "zeros": [{"padding_mode": "zeros"}, None, None],
    "reflection": [{"padding_mode": "reflection"}, None, None],
    "edges": [{"align_corners": False}, None, None],
    "edges_zeros": [{"align_corners": False, "padding_mode": "zeros"}, None, None],
    "extend": [{}, "extend", 2],
    "extend_padded": [{"padded": True}, "extend", 3],
    "join_batch": [{}, "join_batch", None],
    "index_int": [{}, "int", -2],
    "index_slice": [{}, "slice", [1, 3]],
    "index_list": [{}, "list", [2, 0, 2]],
    "index_mask": [{}, "mask", [True, False, True]],
    "index_long": [{}, "long", [1, 1]],
    "submeshes": [{}, "submeshes", [[[0, 4], [3]], [], [[3, 2, 1]]]],
    "join_scene": [{"inside": True}, "join_scene", None],
    "join_scene_edges": [{"inside": True, "align_corners": False}, "join_scene", None],
    "clone": [{}, "clone", None],
    "several": [{"several": True}, None, None],
    "several_index": [{"several": True}, "list", [2, 0]],
    "several_extend": [{"several": True}, "extend", 2],
    "several_clone": [{"several": True, "padding_mode": "reflection"}, "clone", None],
}


def charts() -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(3)
    made = {}
    for i, (faces, verts) in enumerate([(5, 7), (3, 9), (4, 6)]):
        made[f"faces_{i}"] = torch.randint(verts, (faces, 3), generator=rng)
        made[f"verts_{i}"] = 1.6 * torch.rand(verts, 2, generator=rng) - 0.3
        made[f"ids_{i}"] = torch.randint(4, (3,), generator=rng)
    made["maps"] = torch.rand(3, 6, 7, 3, generator=rng)
    made["several_maps"] = torch.rand(3, 4, 6, 7, 3, generator=rng)
    return made


def textures(given: dict[str, Tensor], maps: Tensor, options: dict):
    from pytorch3d.renderer import TexturesUV

    options = dict(options)
    padded, several, inside = (options.pop(name, False) for name in ("padded", "several", "inside"))
    faces, verts, ids = ([given[f"{name}_{i}"] for i in range(3)] for name in ("faces", "verts", "ids"))
    if several:
        faces, options["maps_ids"] = [own[:3] for own in faces], ids
    if inside:
        verts = [own.clamp(0, 1) for own in verts]
    counts = [len(own) for own in faces]
    if padded:
        faces, verts = (torch.nn.utils.rnn.pad_sequence(rows, batch_first=True) for rows in (faces, verts))
    made = TexturesUV(maps, faces, verts, **options)
    made._num_faces_per_mesh = counts  # as Meshes does
    return made


def changed(made, operation: str | None, argument):
    if operation is None:
        return made
    if operation == "extend":
        return made.extend(argument)
    if operation == "join_batch":
        return made.join_batch([made[1:2], made[0:1]])
    if operation == "submeshes":
        return made.submeshes([], [[torch.tensor(part) for part in parts] for parts in argument])
    if operation in ("join_scene", "clone"):
        return getattr(made, operation)()
    return made[
        slice(*argument)
        if operation == "slice"
        else torch.tensor(argument)
        if operation in ("mask", "long")
        else argument
    ]


def main() -> None:
    import numpy as np
    from pytorch3d.renderer.mesh.rasterizer import Fragments

    rng = torch.Generator().manual_seed(7)
    given = charts()
    kept = dict(given)
    for name, (options, operation, argument) in CASES.items():
        maps = given["several_maps" if options.get("several") else "maps"].clone().requires_grad_()
        made = changed(textures(given, maps, options), operation, argument)
        counts = [len(own) for own in made.faces_uvs_list()]
        made._num_faces_per_mesh = counts
        shape, starts = (len(counts), 3, 3, 2), torch.tensor([0, *counts[:-1]]).cumsum(0)
        face = (torch.rand(shape, generator=rng) * torch.tensor(counts).view(-1, 1, 1, 1)).long() + starts.view(
            -1, 1, 1, 1
        )
        face[torch.rand(shape, generator=rng) < 1 / 3] = -1
        bary = torch.rand(*shape, 3, generator=rng)
        bary = bary / bary.sum(-1, keepdim=True)
        texels = made.sample_textures(Fragments(face, bary[..., 0], bary, bary[..., 0])) * (face >= 0)[..., None]
        probe = torch.rand(texels.shape, generator=rng)
        (to_maps,) = torch.autograd.grad((texels * probe).sum(), maps)
        found = {"face": face, "bary": bary, "probe": probe, "texels": texels, "to_maps": to_maps}
        found |= {"faces": made.faces_uvs_padded(), "verts": made.verts_uvs_padded()}
        found |= {"at_corners": made.faces_verts_textures_packed(), "counts": torch.tensor(counts)}
        kept |= {f"{name}/{key}": value.detach() for key, value in found.items()}
    arrays = {key: value.numpy() for key, value in kept.items()}
    np.savez_compressed(Path(__file__).with_name("textures_uv.npz"), cases=json.dumps(CASES), **arrays)


if __name__ == "__main__":
    main()
