"""Fragments of every golden scene against what PyTorch3D computed, to the rounding of float32."""

import torch
from torch import Tensor

from neurotex.raster import fragments
from neurotex.raster.clipping import clip_faces
from neurotex.raster.fragments import Fragments, edge_distance, pixel_centres, rasterize
from tests.conformance.golden import Golden

TIE = 1e-5  # how near to an edge (NDC) or to each other in depth (relative) two answers are equally right


def _ties(scene: Golden, ours: Fragments, differ: Tensor) -> Tensor:
    """Which of the entries that `differ` (n, 3: y, x, layer) are ties: of depth, or with a pixel on a border."""
    y, x, layer = differ.unbind(1)
    corners = scene.corners(scene.data["verts"].double())
    x_of, y_of = pixel_centres(scene.size, corners)
    depth, expected = ours.zbuf[0, y, x, layer].double(), scene.data["zbuf"][y, x, layer].double()
    tie = (depth - expected).abs() <= TIE * expected.abs()
    reach = scene.raster_settings["blur_radius"] ** 0.5
    for ids in (ours.pix_to_face[0], scene.data["pix_to_face"]):
        face = ids[y, x, layer]
        # the border of what a face covers is its edges, or as far from them as the blur goes
        away = edge_distance(corners[face.clamp_min(0)], x_of[x], y_of[y]).sqrt()
        tie |= (face >= 0) & ((away <= TIE) | ((away - reach).abs() <= TIE))
    return tie


def test_fragments_are_those_of_pytorch3d(golden_scene: Golden):
    data = golden_scene.data
    ours = rasterize(golden_scene.corners(data["verts"]), golden_scene.size, **golden_scene.raster_settings)
    pix, expected = ours.pix_to_face[0], data["pix_to_face"]
    covered = (pix >= 0) | (expected >= 0)
    equal = covered & (pix == expected)
    differ = (covered & ~equal).nonzero()
    tie = _ties(golden_scene, ours, differ)
    share = float(equal.sum() / covered.sum()) if bool(covered.any()) else 1.0  # an image of nothing is equal
    report = (
        f"{len(differ)} of {int(covered.sum())} entries differ, {int(tie.sum())} of them ties; the others at (y, x, "
    )
    report += f"layer) {differ[~tie].tolist()[:20]}"
    assert bool(tie.all()), report
    assert share >= 0.999, report
    torch.testing.assert_close(ours.zbuf[0][equal], data["zbuf"][equal], rtol=1e-4, atol=0)
    for name in ("bary_coords", "dists"):
        if name in data:
            torch.testing.assert_close(getattr(ours, name)[0][equal], data[name][equal], rtol=0, atol=1e-4)
            assert bool((getattr(ours, name)[0][pix < 0] == -1).all())


def test_the_reference_and_the_kernel_agree_to_the_bit(golden_scene: Golden):
    settings = golden_scene.raster_settings
    layers, blur, near = (settings.pop(key) for key in ("faces_per_pixel", "blur_radius", "near"))
    corners = golden_scene.corners(golden_scene.data["verts"])
    if near is not None:
        pieces = clip_faces(corners, [0], near, settings["perspective_correct"])
        corners = corners if pieces is None else pieces.corners
    neighbours = corners.new_empty(0, dtype=torch.int64)
    arguments = (corners, [0], neighbours, *golden_scene.size, layers, blur, *settings.values())
    reference = fragments.rasterize_faces_reference(*arguments)
    kernel = torch.ops.neurotex.rasterize_faces(*arguments)
    for one, other in zip(reference, kernel, strict=True):
        assert torch.equal(one, other)
