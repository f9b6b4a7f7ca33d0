"""Fragments of every golden scene against what PyTorch3D computed, and the projection that comes before by itself.

From the same corners all that PyTorch3D computes follows to the bit. Corners that it projected elsewhere, by a product
of matrices, differ from ours by roundings; what these may do to a fragment is up to the face (`_explained`).
"""

import pytest
import torch
from torch import Tensor

from neurotex.compat.pytorch3d import fragments_reference
from neurotex.compat.pytorch3d.clipping import clip_faces
from neurotex.compat.pytorch3d.fragments import Fragments, rasterize
from neurotex.compat.pytorch3d.places import edge_distance, look, pixel_centres
from tests.conformance import golden
from tests.conformance.golden import Golden

EPS = torch.finfo(torch.float32).eps
ROUNDINGS = 16  # of a corner's coordinates, by a projection in float32 and by the arithmetic on them, at most
TIE = 1e-5  # how near to an edge (NDC) or to each other in depth (relative) two answers are equally right


def _ours(scene: Golden) -> Fragments:
    return rasterize(scene.corners(scene.data["verts"]), scene.size, **scene.raster_settings)


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


def _explained(scene: Golden, at: Tensor) -> dict[str, Tensor]:
    """How far roundings of corners may move what entries `at` (n, 3: y, x, layer) hold, to first order, by name."""
    y, x, layer = at.unbind(1)
    corners = scene.corners(scene.data["verts"].double())[scene.data["pix_to_face"][y, x, layer]]
    x_of, y_of = pixel_centres(scene.size, corners)
    settings = scene.raster_settings
    modes = (settings["perspective_correct"], settings["clip_barycentric_coords"])

    def seen(corner: Tensor, px: Tensor, py: Tensor) -> Tensor:
        one = look(corner[None], px[None], py[None], *modes)
        return torch.cat([one.depth, one.bary[0], one.distance])

    slopes = torch.func.vmap(torch.func.jacrev(seen))(corners, x_of[x], y_of[y]).abs()
    # pixels are at ±1: that is the scale of sums of x and y, which a small coordinate does not lessen
    scale = corners.abs().clamp_min(1.0)
    zbuf, bary, dists = (ROUNDINGS * EPS * (slopes * scale[:, None]).sum((2, 3))).split([1, 3, 1], 1)
    return {"zbuf": zbuf[:, 0], "bary_coords": bary, "dists": dists[:, 0]}


def test_fragments_are_those_of_pytorch3d(golden_scene: Golden):
    data, ours = golden_scene.data, _ours(golden_scene)
    pix, expected = ours.pix_to_face[0], data["pix_to_face"]
    covered = (pix >= 0) | (expected >= 0)
    equal = covered & (pix == expected)
    differ = (covered & ~equal).nonzero()
    tie = _ties(golden_scene, ours, differ)
    share = float(equal.sum() / covered.sum()) if bool(covered.any()) else 1.0  # an image of nothing is equal
    report = (
        f"{len(differ)} of {int(covered.sum())} entries differ, {int(tie.sum())} of them ties; the others at (y, x, "
        f"layer) {differ[~tie].tolist()[:20]}"
    )
    assert bool(tie.all()), report
    assert share >= 0.999, report
    torch.testing.assert_close(ours.zbuf[0][equal], data["zbuf"][equal], rtol=1e-4, atol=0)
    names = [name for name in ("zbuf", "bary_coords", "dists") if name in data]
    moved = torch.zeros_like(equal)
    for name in names:
        moved |= equal & (getattr(ours, name)[0] != data[name]).reshape(*equal.shape, -1).any(-1)
        assert bool((getattr(ours, name)[0][pix < 0] == -1).all())
    if golden_scene.raster_settings["near"] is not None:  # pieces of cut faces are other faces than those of `look`
        cut = golden_scene.corners(data["verts"])[..., 2].amin(1) < golden_scene.raster_settings["near"]
        moved &= ~cut[pix.clamp_min(0)]
    at = moved.nonzero()
    for name, bound in _explained(golden_scene, at).items() if len(at) else ():
        if name in names:
            apart = (getattr(ours, name)[0][moved].double() - data[name][moved].double()).abs()
            assert bool((apart <= bound).all()), f"{name} is off by {float((apart / bound).max())} times its rounding"


def test_fragments_are_those_of_pytorch3d_to_the_bit_where_its_corners_are_known(golden_scene: Golden):
    if golden_scene.name not in golden.IN_ORDER:
        pytest.skip(f"how the corners of {golden_scene.name} were rounded is not known")
    ours = _ours(golden_scene)
    for name in ("pix_to_face", "zbuf", "bary_coords", "dists"):
        assert torch.equal(getattr(ours, name)[0], golden_scene.data[name]), name


def test_projections_are_off_by_their_own_rounding_at_most(golden_scene: Golden):
    """Each product is rounded once, each of the sums over four of them three times, and the division once."""
    camera, exact = golden_scene.camera(), golden_scene.data["verts"].double()
    one = torch.ones_like(exact[:, :1])
    to_view, projection = camera._world_to_view[0].double(), camera.projection.double().T
    view = torch.cat([exact, one], 1) @ to_view
    view_off = 5 * EPS * (torch.cat([exact, one], 1).abs() @ to_view.abs())[:, :3]
    clip = torch.cat([view[:, :3], one], 1) @ projection
    clip_off = 5 * EPS * (torch.cat([view[:, :3], one], 1).abs() @ projection.abs()) + view_off @ projection[:3].abs()
    ndc, w = clip[:, :2] / clip[:, 3:], clip[:, 3:].abs()
    ndc_off = (clip_off[:, :2] + ndc.abs() * clip_off[:, 3:]) / (w - clip_off[:, 3:]) + EPS * ndc.abs()
    ours = camera.ndc(golden_scene.data["verts"])[0].double()
    assert bool(((ours[:, :2] - ndc * ndc.new_tensor([-1, 1])).abs() <= ndc_off).all())
    assert bool(((ours[:, 2] - view[:, 2]).abs() <= view_off[:, 2]).all())


def test_the_reference_and_the_kernel_agree_to_the_bit(golden_scene: Golden):
    settings = golden_scene.raster_settings
    layers, blur, near = (settings.pop(key) for key in ("faces_per_pixel", "blur_radius", "near"))
    corners = golden_scene.corners(golden_scene.data["verts"])
    if near is not None:
        pieces = clip_faces(corners, [0], near, settings["perspective_correct"])
        corners = corners if pieces is None else pieces.corners
    neighbours = corners.new_empty(0, dtype=torch.int64)
    arguments = (corners, [0], neighbours, *golden_scene.size, layers, blur, *settings.values())
    reference = fragments_reference.rasterize_faces_reference(*arguments)
    kernel = torch.ops.neurotex.rasterize_faces(*arguments)
    for one, other in zip(reference, kernel, strict=True):
        assert torch.equal(one, other)
