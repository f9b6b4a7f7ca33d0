"""No public call ends the process: shapes and indices are looked at before a kernel reads by them."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float, Int
from torch import Tensor

import neurotex as nt
from neurotex.core import checked
from neurotex.errors import ArgumentError, SceneError
from neurotex.scene.kept import Kept
from neurotex.scene.mesh import vertex_normals

HOSTILE_CALLS = Path(__file__).with_name("hostile_calls.py")


def test_wrong_arguments_are_refused_or_make_no_difference():
    """In a process of its own: what a kernel reads beyond an array may end it, and annotations are checked in this."""
    run = [sys.executable, "-X", "faulthandler", HOSTILE_CALLS, "12"]
    found = subprocess.run(run, capture_output=True, text=True, timeout=300, cwd=HOSTILE_CALLS.parents[1])
    assert found.returncode == 0, f"ended with {found.returncode}:\n{found.stdout[-3000:]}{found.stderr[-3000:]}"


@checked.door(mixed=["other"])
def _sum(
    a: Float[Tensor, "n 3"], b: Int[Tensor, "*more n"], other: Float[Tensor, "_ n"] | None = None, scale: float = 1.0
) -> float:
    """What it says."""
    return float(a.sum() + b.sum()) * scale


def test_a_door_lets_in_what_is_annotated():
    assert _sum(torch.ones(2, 3), torch.ones(5, 4, 2, dtype=torch.int32), torch.ones(1, 2).double(), scale=2) == 92
    assert _sum(a=torch.ones(0, 3), b=torch.ones(0, dtype=torch.int64)) == 0
    assert (_sum.__name__, _sum.__doc__) == ("_sum", "What it says.")


@pytest.mark.parametrize(
    ("a", "b", "other", "message"),
    [
        (torch.ones(2, 4), torch.ones(2).int(), None, r"_sum: a is of shape \(2, 4\), but must be \(n, 3\)"),
        (torch.ones(2, 3), torch.ones(3).int(), None, r"b of shape \(3,\) has 3 n, but a has 2"),
        (torch.ones(2, 3), torch.tensor(1), None, r"b is of shape \(\), but must be \(…, n\)"),
        (torch.ones(2, 3), torch.ones(2), None, "b is torch.float32, but must be of kind Int"),
        (torch.ones(2, 3).half(), torch.ones(2).int(), None, "a is torch.float16, but must be float32 or float64"),
        ([[1.0, 2, 3]], torch.ones(1).int(), None, "a is a list, but must be a tensor"),
        (torch.ones(2, 3), torch.ones(2).int().to("meta"), None, "on meta: give plain tensors on one device"),
        (torch.ones(2, 3), torch.ones(2).int(), torch.ones(3, 4), "has 4 n, but a has 2"),
    ],
)
def test_a_door_says_what_is_wrong(a, b, other, message):
    with pytest.raises(ArgumentError, match=message):
        _sum(a, b, other)


@given(st.lists(st.integers(-3, 9), max_size=8), st.integers(0, 8))
def test_indices_are_below_their_count(values, count):
    index = torch.tensor(values, dtype=torch.int32)
    if all(0 <= value < count for value in values):
        checked.indices("index", index, count, "face")
    else:
        with pytest.raises(ArgumentError, match=f"index names face -?[0-9]+, but there are {count} faces"):
            checked.indices("index", index, count, "face")


@given(st.lists(st.integers(0, 6), max_size=6), st.integers(0, 6))
def test_runs_go_from_nothing_to_all(values, count):
    first = torch.tensor(values, dtype=torch.int64)
    if values and values == sorted(values) and values[0] == 0 and values[-1] == count:
        checked.runs("first", first, count, "sample")
    else:
        with pytest.raises(ArgumentError, match="first"):
            checked.runs("first", first, count, "sample")


def test_values_are_looked_at_beneath_transforms_of_functions():
    planes, index = torch.rand(3, 8), torch.tensor([[0, 2], [3, 8]])
    with pytest.raises(ArgumentError, match="names texel 8"):
        torch.func.vmap(nt.raster.take_texels, in_dims=(None, 0))(planes, index)
    assert torch.func.vmap(nt.raster.take_texels, in_dims=(None, 0))(planes, index.clamp_max(7)).shape == (2, 2, 4)


def test_floats_of_two_types_are_refused():
    with pytest.raises(ArgumentError, match="of one type, but here colour float32, alpha float64"):
        nt.raster.place_pixels(torch.rand(2, 4), torch.rand(2).double(), torch.tensor([0, 1]), 4)


RENDERERS = {
    "render": lambda scene: nt.render(scene, 8, grid=1),
    "bake": lambda scene: nt.bake(scene, 8, grid=1)(),
    "passes": lambda scene: nt.render_passes(scene, 8),
    "phong": lambda scene: nt.render_phong(scene, 8),
}


@pytest.mark.parametrize("draw", RENDERERS.values(), ids=RENDERERS)
@pytest.mark.parametrize("index", [-1, 4, 1 << 30])
@pytest.mark.parametrize("way", ["in place", "state_dict", "data", "numpy"])
def test_faces_that_change_after_the_mesh_was_made_are_refused(plate, draw, index, way):
    scene = nt.Scene(plate, nt.orbit(1, 3.0), nt.Flash(1.0))
    draw(scene)  # what is kept of the mesh is made
    if way == "state_dict":
        state = scene.state_dict()
        name = next(name for name in state if name.endswith("faces"))
        changed = state[name].clone()
        changed[0, 0] = index
        scene.load_state_dict({**state, name: changed})
    else:
        {"in place": plate.faces, "data": plate.faces.data, "numpy": plate.faces.numpy()}[way][0, 0] = index
    with pytest.raises(SceneError, match=f"'plate' has a face with vertex index {index}, but only 4 vertices"):
        draw(scene)


@pytest.mark.parametrize("draw", RENDERERS.values(), ids=RENDERERS)
def test_arrays_that_no_longer_belong_together_are_refused(plate, draw):
    scene = nt.Scene(plate, nt.orbit(1, 3.0), nt.Flash(1.0))
    plate.uvs = plate.uvs[:3]
    with pytest.raises(SceneError, match="uvs for 3 of 4 vertices"):
        draw(scene)
    plate.uvs, plate.faces = None, plate.faces.float()
    plate.material = nt.Material()
    with pytest.raises(SceneError, match="faces of torch"):
        draw(scene)


def test_smooth_normals_follow_faces_and_vertices_that_change_in_place(torus):
    torus.normals = None
    torus.shading_normals()
    torus.faces.copy_(torus.faces.flip(1))  # turned over
    torch.testing.assert_close(torus.shading_normals(), vertex_normals(torus.vertices, torus.faces), rtol=0, atol=0)
    torus.vertices[:, 0] *= 2
    torch.testing.assert_close(torus.shading_normals(), vertex_normals(torus.vertices, torus.faces), rtol=0, atol=0)
    assert torus.shading_normals() is torus.shading_normals()  # once for all renders


@pytest.mark.parametrize("way", ["data", "numpy", "another's data"])
@pytest.mark.parametrize("what", ["faces", "vertices"])
def test_smooth_normals_follow_what_is_written_past_torch(torus, what, way):
    torus.normals = None
    torus.shading_normals()
    tensor = getattr(torus, what)
    changed = tensor.flip(1)
    if way == "another's data":
        tensor.data = changed
    else:
        {"data": tensor.data, "numpy": torch.from_numpy(tensor.numpy())}[way][:] = changed
    torch.testing.assert_close(torus.shading_normals(), vertex_normals(torus.vertices, torus.faces), rtol=0, atol=0)
    assert torus.shading_normals() is torus.shading_normals()


def test_a_copy_keeps_nothing_of_its_original(torus):
    torus.normals = None
    torus.faces.copy_(torus.faces.flip(1))
    torus.shading_normals()
    copied = copy.deepcopy(torus)
    copied.faces.copy_(copied.faces.flip(1))
    torch.testing.assert_close(copied.shading_normals(), vertex_normals(copied.vertices, copied.faces), rtol=0, atol=0)


def test_environments_follow_their_image():
    light = nt.EnvironmentLight(torch.rand(3, 4, 8))
    before = light.maps()[0]
    assert torch.equal(light.maps()[0], before)
    light.image.mul_(2)
    torch.testing.assert_close(light.maps()[0], 2 * before)


def test_nothing_is_kept_of_what_has_no_count_of_changes():
    kept, calls = Kept(), []
    with torch.inference_mode():
        tensor = torch.ones(2)
    for _ in range(2):
        kept(lambda: calls.append(1), tensor)
    assert len(calls) == 2


@pytest.mark.parametrize("name", ["roughness", "metallic", "base_color"])
def test_maps_that_are_no_numbers_end_no_render(plate, name):
    """A generator may give NaN; light from everywhere looks roughness up in a table."""
    maps = {"base_color": (0.5, 0.5, 0.5), "roughness": 0.5, "metallic": 0.5}
    texture = nt.ImageTexture(torch.full((3 if name == "base_color" else 1, 4, 4), 0.5))
    texture.image.fill_(torch.nan)
    plate.material = nt.Material(**{**maps, name: texture})
    scene = nt.Scene(plate, nt.orbit(1, 3.0), [nt.AmbientLight(1.0), nt.EnvironmentLight(torch.rand(3, 4, 8))])
    image = nt.render(scene, 8, grid=1)
    assert bool(image[:, :3].isnan().any())
    assert bool(image[:, 3].isfinite().all())


def test_operators_are_checked_when_they_are_made_and_by_shape_when_they_are_used():
    operator = nt.raster.SparseOperator(torch.tensor([0, 1, 2]), torch.tensor([0, 4]), torch.ones(2, 1), 5)
    assert operator(torch.ones(5, 4)).shape == (2, 4)
    for x in (torch.ones(4, 3), torch.ones(5, 5), torch.ones(5, 0), torch.ones(5, 3).double()):
        with pytest.raises(ArgumentError, match="A x of a"):
            operator(x)
    with pytest.raises(ArgumentError, match="names column 5, but there are 5 columns"):
        nt.raster.SparseOperator(torch.tensor([0, 1, 2]), torch.tensor([0, 5]), torch.ones(2, 1), 5)
    with pytest.raises(ArgumentError, match="pointers must ascend from 0 to the number of entries, which is 2"):
        nt.raster.SparseOperator(torch.tensor([0, 1, 3]), torch.tensor([0, 4]), torch.ones(2, 1), 5)
