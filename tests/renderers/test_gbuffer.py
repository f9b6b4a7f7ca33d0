"""What render, bake and passes share: a place for shadows, and memory that is counted over all views."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

import neurotex as nt
from neurotex.renderers.gbuffer import GBuffer, View

SIZE, DOUBLE = (12, 10), torch.float64


@pytest.fixture
def stage(plate, torus) -> nt.Scene:
    """A plate before a torus, under two lights that have a place, and even light."""
    plate.material = nt.Material(nt.ImageTexture(torch.rand(3, 6, 5), trainable=True))
    torus.material = nt.Material(nt.ImageTexture(torch.rand(3, 4, 7), trainable=True))
    lights = [nt.PointLight((1.0, 2.0, 0.5), (3.0, 1.0, 0.2)), nt.Flash(2.0), nt.AmbientLight(0.3)]
    nodes = [plate, nt.Node(torus, nt.look_at(torch.tensor([0.3, 0.2, -0.8])))]
    return nt.Scene(nodes, nt.orbit(3, 3.5, elevation=30.0), lights).double()


def _glossy(scene: nt.Scene, which: str) -> None:
    meshes = scene.meshes()
    for mesh in {"diffuse": [], "mixed": meshes[:1], "glossy": meshes, "bumpy": meshes}[which]:
        bumps = nt.ImageTexture(0.3 + 0.4 * torch.rand(3, 4, 4)).double() if which == "bumpy" else None
        roughness = nt.ImageTexture(torch.rand(1, 3, 3)).double()
        mesh.material = nt.Material(mesh.material.base_color, roughness=roughness, metallic=0.3, normal=bumps).double()


@pytest.mark.parametrize("kind", ["diffuse", "mixed", "glossy", "bumpy"])
def test_a_share_of_each_light_takes_its_part_away(stage, kind, monkeypatch):
    """All shadowed from the first light is a scene without it, half is the mean of both; rendered and baked alike."""
    _glossy(stage, kind)
    stage.lights[0].cast_shadows = False
    lit = nt.render(stage, SIZE, grid=2)
    alone = nt.render(stage, SIZE, grid=2, lights=stage.lights[1:])
    assert not torch.equal(lit, alone)

    for share in (0.0, 0.5):

        def shadowed(found: GBuffer, occluders: object, light: object, share: float = share) -> GBuffer:
            position = found.surface.position
            return replace(found, visibility=position.new_tensor([share, 1.0]).expand(len(position), 2))

        monkeypatch.setattr(GBuffer, "shadowed", shadowed)
        expected = torch.lerp(alone, lit, share)
        torch.testing.assert_close(nt.render(stage, SIZE, grid=2), expected, atol=1e-12, rtol=1e-12)
        baked = nt.bake(stage, SIZE, grid=2)
        torch.testing.assert_close(baked(), expected, atol=1e-12, rtol=1e-12)
    leaves = list(stage.parameters())
    probe = torch.rand_like(expected)
    ours, other = (torch.autograd.grad((image * probe).sum(), leaves) for image in (baked(), expected))
    for a, b in zip(ours, other, strict=True):
        torch.testing.assert_close(a, b, atol=1e-11, rtol=1e-9)


class Kept:
    """How many bytes autograd is handed to keep, each memory once."""

    def __init__(self) -> None:
        self.storages: dict[int, int] = {}

    def __call__(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        self.storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    @property
    def bytes(self) -> int:
        return sum(self.storages.values())


@pytest.mark.parametrize("kind", ["diffuse", "bumpy"])
def test_the_budget_is_of_all_views(stage, kind, monkeypatch):
    """Many views keep no more than few; without a limit they would. Images and gradients are the same."""
    _glossy(stage, kind)
    drawn = []
    once = View.visible
    monkeypatch.setattr(View, "visible", lambda *args: drawn.append(args) or once(*args))
    leaves, results, kept = list(stage.parameters()), {}, {}
    size, budget, views = 32, 1 << 19, 10
    cameras = nt.orbit(views, 3.5, elevation=30.0)
    for allowed in (1 << 30, budget):
        drawn.clear()
        held = Kept()
        with torch.autograd.graph.saved_tensors_hooks(held, lambda tensor: tensor):
            image = nt.render(stage, size, grid=2, cameras=cameras, budget=allowed)
        before = len(drawn)
        grads = torch.autograd.grad(image.square().sum(), leaves)
        results[allowed], kept[allowed] = (image.detach(), *grads), held.bytes
        if allowed == 1 << 30:
            assert len(drawn) == before == views
        else:
            assert before < len(drawn) < 2 * before  # some find room, the others are drawn again
    assert kept[budget] < 2.5 * budget < kept[1 << 30]
    for a, b in zip(*results.values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-11, rtol=1e-11)


def test_passes_of_many_rows_are_those_of_one_strip(stage, monkeypatch):
    from neurotex.renderers import passes

    whole = vars(nt.render_passes(stage, SIZE, shadows=True))
    monkeypatch.setattr(passes, "BUDGET", 1)
    for name, image in vars(nt.render_passes(stage, SIZE, shadows=True)).items():
        assert torch.equal(image, whole[name]), name
