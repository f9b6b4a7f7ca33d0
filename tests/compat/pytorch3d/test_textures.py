"""Texture nodes as PyTorch3D's textures: against what TexturesUV gives, and what nodes add to it."""

# Over 400 lines: all methods of one class, on the same maps

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.nn.functional import interpolate

import neurotex as nt
from neurotex.compat.pytorch3d.lookup import sample_texture
from neurotex.compat.pytorch3d.textures import GeneratedTexturesUV
from neurotex.errors import ArgumentError, SceneError

GOLDEN = Path(__file__).parents[2] / "golden" / "plugins" / "textures_uv.npz"
with np.load(GOLDEN) as _file:
    CASES = json.loads(str(_file["cases"]))
    GIVEN = {key: torch.from_numpy(_file[key]) for key in _file.files if key != "cases"}


def _fragments(face: Tensor, bary: Tensor) -> SimpleNamespace:
    return SimpleNamespace(pix_to_face=face, bary_coords=bary)


def _changed(made: GeneratedTexturesUV, operation: str | None, argument: object = None) -> GeneratedTexturesUV:
    """What record_textures.py does to TexturesUV."""
    if operation is None:
        return made
    if operation == "join_batch":
        return made.join_batch([made[1:2], made[0:1]])
    if operation == "submeshes":
        return made.submeshes([], [[torch.tensor(part) for part in parts] for parts in argument])
    if operation in ("int", "list"):
        return made[argument]
    if operation in ("mask", "long"):
        return made[torch.tensor(argument)]
    if operation == "slice":
        return made[slice(*argument)]
    return getattr(made, operation)(*([] if argument is None else [argument]))


def _textures(maps: object, options: dict) -> GeneratedTexturesUV:
    options = dict(options)
    padded, several, inside = (options.pop(name, False) for name in ("padded", "several", "inside"))
    faces, verts, ids = ([GIVEN[f"{name}_{i}"] for i in range(3)] for name in ("faces", "verts", "ids"))
    if several:
        faces, options["maps_ids"] = [own[:3] for own in faces], ids
    if inside:
        verts = [own.clamp(0, 1) for own in verts]
    counts = [len(own) for own in faces]
    if padded:
        faces, verts = (torch.nn.utils.rnn.pad_sequence(rows, batch_first=True) for rows in (faces, verts))
    made = GeneratedTexturesUV(maps, faces, verts, **options)
    made._num_faces_per_mesh = counts  # as Meshes does
    return made


def _node(image: Tensor) -> nt.ImageTexture:
    """A node that makes this map (H, W, C)."""
    return nt.ImageTexture(image.movedim(-1, 0), trainable=True)


def _as_tensor(several: bool) -> tuple[object, list[Tensor]]:
    maps = GIVEN["several_maps" if several else "maps"].clone().requires_grad_()
    return maps, [maps]


def _as_list(several: bool) -> tuple[object, list[Tensor]]:
    maps = [image.clone().requires_grad_() for image in GIVEN["several_maps" if several else "maps"]]
    return maps, maps


def _as_nodes(several: bool) -> tuple[object, list[Tensor]]:
    if not several:
        nodes = [_node(image) for image in GIVEN["maps"]]
        return nodes, [node.image for node in nodes]
    nodes = [[_node(image) for image in images] for images in GIVEN["several_maps"]]
    return nodes, [node.image for row in nodes for node in row]


@pytest.mark.parametrize("given_as", [_as_tensor, _as_list, _as_nodes])
@pytest.mark.parametrize("case", CASES)
def test_texels_gradients_and_padded_views_are_those_of_textures_uv(case, given_as):
    options, operation, argument = CASES[case]
    expected = {key.split("/")[1]: value for key, value in GIVEN.items() if key.startswith(f"{case}/")}
    maps, leaves = given_as(options.get("several", False))
    made = _changed(_textures(maps, options), operation, argument)
    assert made._num_faces_per_mesh == expected["counts"].tolist()
    torch.testing.assert_close(made.faces_uvs_padded(), expected["faces"])
    if not operation or "join_scene" not in operation:  # they pack an atlas, and move what lies in it
        verts = expected["verts"][:, : made.verts_uvs_padded().shape[1]]  # they pad to the meshes' that were left out
        torch.testing.assert_close(made.verts_uvs_padded(), verts)
    close = {"atol": 2e-5, "rtol": 0}
    torch.testing.assert_close(made.faces_verts_textures_packed(), expected["at_corners"], **close)
    texels = made.sample_textures(_fragments(expected["face"], expected["bary"]), faces_packed=None)
    torch.testing.assert_close(texels, expected["texels"], **close)
    grads = torch.autograd.grad((texels * expected["probe"]).sum(), leaves, allow_unused=True, materialize_grads=True)
    if given_as is _as_nodes:
        grads = [grad[0].movedim(0, -1) for grad in grads]
    to_maps = torch.cat([grad.flatten() for grad in grads])
    torch.testing.assert_close(to_maps, expected["to_maps"].flatten(), atol=1e-4, rtol=0)


def test_lists_are_the_padded_ones_cut_to_each_mesh():
    made = _textures(GIVEN["maps"], {"padded": True})
    for name in ("faces", "verts"):
        padded, rows = getattr(made, f"{name}_uvs_padded")(), getattr(made, f"{name}_uvs_list")()
        for i, row in enumerate(rows):
            torch.testing.assert_close(padded[i, : len(row)], row)
    assert [len(row) for row in made.faces_uvs_list()] == [5, 3, 4]
    assert made.maps_ids_list() is None
    assert made.maps_ids_padded() is None
    several = _textures(GIVEN["several_maps"], {"several": True})
    torch.testing.assert_close(several.maps_ids_padded(), torch.stack(several.maps_ids_list()))
    torch.testing.assert_close(several.maps_padded(), torch.stack(several.maps_list()))


# ---------------------------------------------------------------------------------------------- what nodes add


def test_padded_faces_and_ids_are_cut_once_meshes_have_said_how_many_there_are():
    faces, ids = [torch.tensor([[0, 1, 2], [2, 1, 0]]), torch.tensor([[1, 2, 0]])], [[1, 0], [2]]
    maps, verts = torch.rand(2, 3, 4, 5, 3), torch.rand(2, 3, 2)
    given = GeneratedTexturesUV(maps, faces, verts, maps_ids=[torch.tensor(own) for own in ids])
    padding = torch.full((1, 3), -1)
    padded = GeneratedTexturesUV(
        maps, torch.stack([faces[0], torch.cat([faces[1], padding])]), verts, maps_ids=torch.tensor([ids[0], [2, -1]])
    )
    assert len(padded.faces_verts_textures_packed()) == 4
    padded._num_faces_per_mesh = [2, 1]
    for made in (padded, padded.clone(), padded.extend(2)[::2], padded.join_scene()):
        torch.testing.assert_close(made.faces_verts_textures_packed(), given.faces_verts_textures_packed())
    assert [own.tolist() for own in padded.maps_ids_list()] == ids


class Fit:
    """A generator with a latent, worn by two charts; and fragments that see both."""

    def __init__(self, generator: torch.nn.Module):
        self.generator = generator
        self.latent = nt.Latent(generator, name="z").sample(seed=1)
        self.node = nt.GeneratedTexture(generator, self.latent)
        self.faces = [torch.tensor([[0, 1, 2], [0, 2, 3]]), torch.tensor([[2, 1, 0]])]
        self.verts = [torch.rand(4, 2), torch.rand(3, 2)]
        self.textures = GeneratedTexturesUV(self.node, self.faces, self.verts)

    def texels(self, textures: GeneratedTexturesUV) -> Tensor:
        """The texels at the middle of every face."""
        count = sum(len(own) for own in textures.faces_uvs_list())
        face = torch.arange(count).view(1, 1, -1, 1)
        return textures.sample_textures(_fragments(face, torch.full((*face.shape, 3), 1 / 3)))

    def leaves(self) -> list[Tensor]:
        return [self.latent.value, *self.generator.parameters()]


@pytest.fixture
def fit(tiny_generator) -> Fit:
    return Fit(tiny_generator)


OPERATIONS = {
    "as made": lambda t: t,
    "extend": lambda t: t.extend(3),
    "join_batch": lambda t: t.join_batch([t, t[0]]),
    "join_scene": lambda t: t.extend(2).join_scene(),
    "index": lambda t: t[[1, 0]],
    "submeshes": lambda t: t.submeshes([], [[torch.tensor([1])], [torch.tensor([0])]]),
    "clone": lambda t: t.clone(),
    "to": lambda t: t.to("cpu"),
    "extend of clone of cut": lambda t: t[1:].clone().extend(2),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_copy_runs_the_generator_once_per_forward_and_follows_it(fit, operation):
    textures = operation(fit.textures)
    assert fit.generator.calls == 0
    before = fit.texels(textures)
    assert fit.generator.calls == 1
    textures.faces_verts_textures_packed()
    assert fit.generator.calls == 2
    grads = torch.autograd.grad(before.square().sum(), fit.leaves())
    assert all(bool(grad.any()) for grad in grads)
    with torch.no_grad():
        fit.latent.value += 1
        fit.generator.out.weight *= 2
    after = fit.texels(textures)
    assert not torch.allclose(before, after, atol=1e-3)
    torch.testing.assert_close(after, fit.texels(operation(GeneratedTexturesUV(fit.node, fit.faces, fit.verts))))


def test_nodes_of_one_generator_and_latent_share_their_evaluation(fit):
    stepped = fit.node.through(nt.discrete.Levels(4))
    textures = GeneratedTexturesUV([fit.node, stepped], fit.faces, fit.verts)
    fit.texels(textures)
    assert fit.generator.calls == 1
    fit.texels(textures.join_scene())
    assert fit.generator.calls == 2


def test_gradients_of_copies_sum_up(fit):
    once = torch.autograd.grad(fit.texels(fit.textures).sum(), fit.leaves())
    thrice = torch.autograd.grad(fit.texels(fit.textures.extend(3)).sum(), fit.leaves())
    for one, three in zip(once, thrice, strict=True):
        torch.testing.assert_close(three, 3 * one, atol=1e-4, rtol=1e-4)


def test_gradients_are_those_of_finite_differences():
    face = torch.tensor([0, 1, -1, 2]).view(1, 2, 2, 1)
    faces = [torch.tensor([[0, 1, 2], [0, 2, 3]]), torch.tensor([[2, 1, 0]])]

    def call(first: Tensor, second: Tensor, verts: Tensor, bary: Tensor) -> Tensor:
        textures = GeneratedTexturesUV([first, second], faces, [verts, verts], padding_mode="repeat")
        return textures.sample_textures(_fragments(face, bary))

    # coordinates between two texel centres, away from kinks
    verts = (torch.tensor([[1.2, 2.3], [1.4, 2.6], [1.7, 2.4], [1.6, 2.7]]) / torch.tensor([4, 3])).double()
    maps = torch.rand(4, 5, 2).double(), torch.rand(4, 5, 2).double()
    bary = torch.rand(1, 2, 2, 1, 3).double()
    inputs = [t.requires_grad_() for t in (*maps, verts, bary / bary.sum(-1, keepdim=True))]
    assert gradcheck(call, tuple(inputs))


def test_a_detached_copy_follows_the_generator_without_gradient(fit):
    verts = [own.requires_grad_() for own in fit.verts]
    detached = GeneratedTexturesUV(fit.node, fit.faces, verts).detach()
    assert not fit.texels(detached).requires_grad
    with torch.no_grad():
        fit.generator.out.weight *= 2
    torch.testing.assert_close(fit.texels(detached), fit.texels(fit.textures))
    # beside one that is not, in one evaluation
    calls = fit.generator.calls
    both = fit.texels(detached.join_batch([fit.textures]))
    assert fit.generator.calls == calls + 1
    (grad,) = torch.autograd.grad(both.sum(), fit.latent.value)
    torch.testing.assert_close(grad, torch.autograd.grad(fit.texels(fit.textures).sum(), fit.latent.value)[0])


def test_a_clone_has_tensors_of_its_own_and_the_same_nodes(fit):
    image = torch.rand(8, 8, 3)
    textures = GeneratedTexturesUV([fit.node, image], fit.faces, fit.verts)
    clone, before = textures.clone(), fit.texels(textures)
    for own in (*fit.faces, *fit.verts, image, textures.valid):
        own.zero_()
    torch.testing.assert_close(fit.texels(clone), before)
    assert bool(clone.valid.all())
    assert not torch.allclose(fit.texels(textures), before)


def test_binding_gives_values_by_name_and_evaluates_once(fit):
    free = nt.GeneratedTexture(fit.generator, nt.Latent(fit.generator, name="free"))
    textures = GeneratedTexturesUV([free, fit.node], fit.faces, fit.verts).extend(2)
    with pytest.raises(SceneError, match="'free' is unbound"):
        fit.texels(textures)
    with pytest.raises(SceneError, match="no latent 'fre'"):
        textures.bind({"free": torch.rand(1, 4), "fre": torch.rand(1, 4)})
    value = fit.latent.value.detach().clone().requires_grad_()
    fit.generator.calls = 0
    bound = textures.bind({"free": value})
    assert fit.generator.calls == 2  # two latents
    texels = fit.texels(bound), fit.texels(bound[0:1])
    assert fit.generator.calls == 2
    torch.testing.assert_close(texels[0], fit.texels(fit.textures.extend(2)))
    assert all(bool(g.any()) for g in torch.autograd.grad(sum(t.sum() for t in texels), [value, *fit.leaves()[1:]]))


def test_textures_move_and_nodes_stay(fit):
    """On torch's device without memory, which stands in for a GPU."""
    image = torch.rand(4, 4, 3)
    textures = GeneratedTexturesUV(
        [[fit.node, image]] * 2, fit.faces, fit.verts, maps_ids=[t[:, 0] % 2 for t in fit.faces]
    )
    stays = textures.clone()
    moved = textures.to("meta")
    assert moved is textures
    arrays = (moved.faces_uvs_padded(), moved.verts_uvs_padded(), moved.maps_ids_padded(), moved.maps_padded())
    assert {t.device.type for t in (*arrays, moved.valid)} == {"meta"} == {moved.device.type}
    assert fit.latent.value.device.type == "cpu" == stays.maps_padded().device.type
    assert moved.maps_padded().requires_grad


# ------------------------------------------------------------------------------------------- maps that differ


def test_each_map_is_read_in_its_own_size_and_several_per_mesh(fit):
    small, large = torch.rand(3, 5, 3), torch.rand(16, 4, 3)
    ids = [torch.tensor([1, 0]), torch.tensor([0])]
    textures = GeneratedTexturesUV([[small, large], [fit.node]], fit.faces, fit.verts, maps_ids=ids)
    node = fit.node()[0].movedim(0, -1)
    shown = [(large, 0, 0), (small, 0, 1), (node, 1, 0)]
    uv = [fit.verts[mesh][fit.faces[mesh][face]].mean(0) for _, mesh, face in shown]
    expected = torch.stack([sample_texture(m.movedim(-1, 0), p) for (m, *_), p in zip(shown, uv, strict=True)])
    for same in (textures, textures.clone(), textures.join_scene(), textures[[1, 0]][[1, 0]], textures.bind()):
        torch.testing.assert_close(fit.texels(same).view(-1, 3), expected)
    cut = textures.submeshes([], [[torch.tensor([1])], [torch.tensor([0])]])
    torch.testing.assert_close(fit.texels(cut).view(-1, 3), expected[1:])
    joined = fit.textures.join_batch([textures])
    torch.testing.assert_close(fit.texels(joined).view(-1, 3)[3:], expected)


@pytest.mark.parametrize("align_corners", [True, False])
def test_padded_maps_are_stretched_to_the_largest(fit, align_corners):
    small, large = torch.rand(3, 8, 3), torch.rand(6, 4, 3)
    textures = GeneratedTexturesUV([small, large], fit.faces, fit.verts, align_corners=align_corners)
    stretched = [
        interpolate(m.movedim(-1, 0)[None], (6, 8), mode="bilinear", align_corners=align_corners)[0].movedim(0, -1)
        for m in (small, large)
    ]
    torch.testing.assert_close(textures.maps_padded(), torch.stack(stretched))
    assert [tuple(m.shape) for m in textures.maps_list()] == [(3, 8, 3), (6, 4, 3)]
    ids = [torch.tensor([1, 0]), torch.tensor([0])]
    several = GeneratedTexturesUV(
        [[small, large], [large]], fit.faces, fit.verts, maps_ids=ids, align_corners=align_corners
    )
    torch.testing.assert_close(several.maps_padded()[0], torch.stack(stretched))
    torch.testing.assert_close(several.maps_padded()[1], torch.stack([stretched[1], torch.zeros(6, 8, 3)]))
    assert [tuple(m.shape) for m in several.maps_list()] == [(2, 6, 8, 3), (1, 6, 4, 3)]


def test_a_joined_scene_keeps_sizes_padding_and_each_map_once(fit):
    image = torch.rand(5, 9, 3)
    verts = [3 * own - 1 for own in fit.verts]
    batch = GeneratedTexturesUV([fit.node, image], fit.faces, verts, padding_mode="repeat").extend(2)
    scene = batch.join_scene()
    torch.testing.assert_close(fit.texels(scene), fit.texels(batch))
    assert scene.maps_padded().shape == (1, 2, 8, 9, 3)
    same = fit.textures.extend(2).join_scene()
    assert same.maps_padded().shape == (1, 8, 8, 3)
    assert same.check_shapes(1, 0, 6)


def test_faces_without_coordinates_keep_their_place_in_a_scene():
    """load_obj writes −1 for them: the last coordinates of their own mesh, not of the mesh before."""
    faces, verts = [torch.tensor([[0, 1, 2]]), torch.tensor([[-1, -1, -1], [0, 1, 2]])], torch.rand(2, 3, 2)
    textures = GeneratedTexturesUV(torch.rand(2, 4, 4, 3), faces, verts)
    packed = textures.faces_verts_textures_packed()
    torch.testing.assert_close(textures.join_scene().faces_verts_textures_packed(), packed)


def test_textures_of_nothing(fit):
    none = fit.textures[torch.tensor([False, False])]
    assert none.isempty()
    assert none.faces_uvs_padded().shape == (0, 0, 3)
    assert none.verts_uvs_padded().shape == (0, 0, 2)
    assert none.maps_padded().shape == (0, 0, 0, 3)
    assert none.maps_list() == [] == fit.textures[[]].faces_uvs_list()
    assert none.check_shapes(0, 0, 0)
    assert none.faces_verts_textures_packed().shape == (0, 3, 3)
    assert none.sample_textures(_fragments(torch.empty(0, 4, 4, 1).long(), torch.empty(0, 4, 4, 1, 3))).numel() == 0
    unseen = torch.full((2, 4, 4, 1), -1)
    texels = fit.textures.sample_textures(_fragments(unseen, torch.zeros(2, 4, 4, 1, 3)))
    assert texels.shape == (2, 4, 4, 1, 3)
    assert not bool(texels.any())
    texels.sum().backward()
    assert not bool(fit.latent.value.grad.any())
    with pytest.raises(ArgumentError, match="no mesh"):
        none.join_scene()


def test_centres_are_where_coordinates_lie_in_the_map():
    uv = torch.tensor([[0.25, 0.125], [0.5, 0.625], [0, 1], [1, 0]])
    faces = torch.zeros(1, 3).long()
    centres = GeneratedTexturesUV([torch.rand(257, 129, 3)], [faces], [uv]).centers_for_image(0)
    torch.testing.assert_close(centres, torch.tensor([[32, 224], [64, 96], [0, 0], [128, 256]]).float())
    edges = GeneratedTexturesUV([torch.rand(8, 4, 3)], [faces], [uv], align_corners=False).centers_for_image(0)
    torch.testing.assert_close(edges, torch.tensor([[0.5, 6.5], [1.5, 2.5], [0, 0], [3, 7]]))


def test_check_shapes_is_about_meshes_and_faces_and_calls_no_generator(fit):
    assert fit.textures.check_shapes(2, 99, 2)
    assert not fit.textures.check_shapes(2, 4, 1)
    assert not fit.textures.check_shapes(1, 4, 2)
    assert not fit.textures.isempty()
    fit.textures.valid = torch.zeros(2, dtype=torch.bool)
    assert fit.textures.isempty()
    assert fit.generator.calls == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"maps": torch.nn.Identity}, "GeneratedTexture"),
        ({"maps": [torch.rand(4, 4, 3)]}, "1 meshes and faces_uvs for 2"),
        ({"maps": torch.rand(2, 3, 4, 4, 3)}, "maps are tensors"),
        ({"maps": torch.zeros(2, 4, 4, 3).long()}, "of floats"),
        ({"maps": torch.rand(2, 0, 4, 3)}, "maps are tensors"),
        ({"maps": [torch.rand(4, 4, 3), torch.rand(4, 4, 1)]}, "with 1 and with 3"),
        ({"maps": torch.empty(2, 4, 4, 3, device="meta")}, "maps is on meta and faces_uvs on cpu"),
        ({"faces_uvs": torch.zeros(2, 3).long()}, "faces_uvs is a tensor"),
        ({"faces_uvs": [torch.zeros(2, 4).long()] * 2}, "faces_uvs is a tensor"),
        ({"verts_uvs": [torch.rand(3, 3)] * 2}, "verts_uvs is a tensor"),
        ({"verts_uvs": [torch.rand(3, 2)]}, "verts_uvs is given for 1 meshes"),
        ({"verts_uvs": torch.empty(2, 3, 2, device="meta")}, "verts_uvs is on meta"),
        ({"maps_ids": torch.zeros(2, 1).long()}, "a sequence of them for each mesh"),
        ({"maps": torch.rand(2, 3, 4, 4, 3), "maps_ids": [torch.tensor([0, 3]), torch.tensor([0])]}, "mesh 0 are"),
        ({"maps": torch.rand(2, 3, 4, 4, 3), "maps_ids": [torch.tensor([0, -1]), torch.tensor([0])]}, "from 0 to 2"),
        ({"maps": torch.rand(2, 3, 4, 4, 3), "maps_ids": [torch.tensor([0]), torch.tensor([0])]}, "mesh 0 has 2"),
        ({"maps": torch.rand(2, 3, 4, 4, 3), "maps_ids": torch.zeros(2, 2)}, "whole number"),
        ({"maps": [[torch.rand(4, 4, 3)], []], "maps_ids": torch.zeros(2, 2).long()}, "mesh 1 has none"),
        ({"padding_mode": "wrap"}, "padding_mode 'wrap'"),
        ({"sampling_mode": "bicubic"}, "sampling_mode 'bicubic'"),
    ],
)
def test_what_does_not_fit_is_refused(fit, change, said):
    if change.get("maps") is torch.nn.Identity:
        change = {"maps": [fit.generator, fit.node]}
    with pytest.raises(ArgumentError, match=said):
        GeneratedTexturesUV(
            **{"maps": torch.rand(2, 4, 4, 3), "faces_uvs": fit.faces, "verts_uvs": fit.verts, **change}
        )


def test_what_cannot_be_joined_or_cut_is_refused(fit):
    other = GeneratedTexturesUV(fit.node, fit.faces, fit.verts, align_corners=False)
    with pytest.raises(ArgumentError, match="align_corners True and False"):
        fit.textures.join_batch([other])
    with pytest.raises(ArgumentError, match="not Linear"):
        fit.textures.join_batch([torch.nn.Linear(1, 1)])
    with pytest.raises(ArgumentError, match="2 meshes are cut"):
        fit.textures.submeshes([], [[]])
    with pytest.raises(ArgumentError, match="at least 1"):
        fit.textures.extend(0)
    with pytest.raises(IndexError):
        fit.textures[2]
    mixed = GeneratedTexturesUV([fit.node, torch.rand(4, 4, 1)], fit.faces, fit.verts)
    with pytest.raises(ArgumentError, match="with 1 and with 3"):
        fit.texels(mixed)


# --------------------------------------------------------------------------------------------- with PyTorch3D


@pytest.fixture
def pytorch3d():
    reason = "PyTorch3D is not installed: what it gave is in tests/golden/plugins"
    pytest.importorskip("pytorch3d", reason=reason, exc_type=ImportError)
    return pytest.importorskip("pytorch3d.renderer", reason=reason, exc_type=ImportError)


@pytest.fixture
def drawn(pytorch3d, torus):
    """Meshes of the torus and a smaller one with textures of a class, and how shaders draw them from two sides."""
    from pytorch3d.structures import Meshes

    # in [0, 1]: TexturesUV cannot join others to a scene
    verts, faces, uvs = torus.vertices, torus.faces.long(), torus.uvs / torch.tensor([3, 1])
    half = faces[: len(faces) // 2]
    r, t = pytorch3d.look_at_view_transform(2.5, torch.tensor([40.0, 10.0]), torch.tensor([0.0, 70.0]))
    cameras = pytorch3d.FoVPerspectiveCameras(R=r, T=t)
    settings = pytorch3d.RasterizationSettings(image_size=24, blur_radius=1e-4, faces_per_pixel=3)

    def meshes(kind: type, maps: object) -> Meshes:
        return Meshes([verts, 0.8 * verts], [faces, half], kind(maps, [faces, half], [uvs, uvs]))

    def draw(shader: str, what: Meshes) -> Tensor:
        seen = cameras if len(what) == 2 else pytorch3d.FoVPerspectiveCameras(R=r[:1], T=t[:1])
        made = getattr(pytorch3d, shader)(cameras=seen, lights=pytorch3d.PointLights(location=((0.0, 2.0, 3.0),)))
        return pytorch3d.MeshRenderer(pytorch3d.MeshRasterizer(seen, settings), made)(what)

    return SimpleNamespace(meshes=meshes, draw=draw)


@pytest.mark.parametrize("shader", ["HardPhongShader", "HardFlatShader", "SoftPhongShader"])
def test_pytorch3d_draws_the_same_pictures_as_with_its_own(pytorch3d, drawn, fit, shader):
    images = fit.node()[0].movedim(0, -1).detach().expand(2, -1, -1, -1)
    ours, theirs = drawn.meshes(GeneratedTexturesUV, fit.node), drawn.meshes(pytorch3d.TexturesUV, images)
    assert isinstance(ours.textures, pytorch3d.TexturesUV)
    drawing = drawn.draw(shader, ours)
    torch.testing.assert_close(drawing, drawn.draw(shader, theirs), atol=1e-5, rtol=0)
    assert all(bool(g.any()) for g in torch.autograd.grad(drawing.sum(), fit.leaves()))


def test_meshes_of_pytorch3d_copy_join_and_cut_them(pytorch3d, drawn, fit):
    from pytorch3d.structures import join_meshes_as_batch, join_meshes_as_scene

    images = fit.node()[0].movedim(0, -1).detach().expand(2, -1, -1, -1)
    ours, theirs = drawn.meshes(GeneratedTexturesUV, fit.node), drawn.meshes(pytorch3d.TexturesUV, images)
    parts = [[torch.arange(100)], [torch.arange(7, 99)]]
    for operation in (
        lambda meshes: meshes.clone(),
        lambda meshes: meshes.to("cpu", copy=True),
        lambda meshes: meshes[1].extend(2),
        lambda meshes: meshes[torch.tensor([True, False])].extend(2),
        lambda meshes: meshes.submeshes(parts),
        lambda meshes: join_meshes_as_batch([meshes[1], meshes[0]]),
        lambda meshes: join_meshes_as_scene([meshes[1], meshes[0]]),
        lambda meshes: join_meshes_as_scene(meshes),
        lambda meshes: meshes.detach(),
    ):
        calls = fit.generator.calls
        changed = operation(ours)
        assert fit.generator.calls == calls
        drawing = drawn.draw("HardPhongShader", changed)
        assert fit.generator.calls == calls + 1
        torch.testing.assert_close(drawing, drawn.draw("HardPhongShader", operation(theirs)), atol=2e-5, rtol=0)


def test_textures_uv_joins_ours(pytorch3d, fit):
    image = torch.rand(4, 4, 3)
    theirs = pytorch3d.TexturesUV([image], fit.faces[:1], fit.verts[:1])
    joined = fit.textures.join_batch([theirs])
    ours = GeneratedTexturesUV([image], fit.faces[:1], fit.verts[:1])
    torch.testing.assert_close(fit.texels(joined), fit.texels(fit.textures.join_batch([ours])))
    ids = torch.tensor([[1, 0, 0], [0, 0, 0]])
    padded = torch.nn.utils.rnn.pad_sequence([fit.faces[0], fit.faces[0][:1]], batch_first=True)
    several = pytorch3d.TexturesUV(torch.rand(2, 2, 4, 4, 3), padded, torch.rand(2, 4, 2), maps_ids=ids[:, :2])
    several._num_faces_per_mesh = [2, 1]
    assert [len(row) for row in fit.textures.join_batch([several]).maps_ids_list()] == [2, 1, 2, 1]
    with pytest.raises(ArgumentError, match="padding_mode border and zeros"):
        fit.textures.join_batch([pytorch3d.TexturesUV([image], fit.faces[:1], fit.verts[:1], padding_mode="zeros")])
