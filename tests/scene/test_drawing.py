"""print(scene)."""

import torch

import neurotex as nt


def _scene(plate: nt.Mesh, torus: nt.Mesh, generator: torch.nn.Module) -> nt.Scene:
    skin = nt.GeneratedTexture(generator, nt.Latent(generator, "skin"))
    plate.material = nt.Material(skin.through(nt.discrete.Levels(4, "clipped")), "paint", roughness=0.5)
    torus.material = nt.Material(skin, "bare")
    pair = nt.Node(children=[nt.Node(plate, name="left"), nt.Node(plate, name="right")], name="pair")
    return nt.Scene([pair, nt.Node(torus, name="ring")], nt.orbit(1, 3.0), nt.Flash(5.0))


DRAWING = """\
Scene: 4 nodes, 2 meshes, 1 camera, 1 light → images (1, 4, H, W)
├─ Node 'pair'
│  ├─ Node 'left'
│  │  └─ [1] Mesh 'plate', 4 vertices, 2 faces
│  │     └─ Material 'paint'
│  │        ├─ base_color: SteppedTexture (1, 3, 8, 8), Levels(4, ClippedStraightThrough())
│  │        │  └─ [2] GeneratedTexture (1, 3, 8, 8), TinyGenerator with 1,374 weights
│  │        │     └─ Latent 'skin' (1, 4), unbound
│  │        ├─ roughness: ConstantTexture (0.5,)
│  │        └─ metallic: ConstantTexture (0.0,)
│  └─ Node 'right'
│     └─ [1] Mesh, see above
├─ Node 'ring'
│  └─ Mesh 'torus', 325 vertices, 576 faces
│     └─ Material 'bare', diffuse
│        └─ base_color: [2] GeneratedTexture, see above
├─ PerspectiveCamera fov=45
└─ Flash intensity=[5.0, 5.0, 5.0]"""


def test_the_whole_graph_is_drawn_and_shared_parts_once(plate, torus, tiny_generator):
    assert str(_scene(plate, torus, tiny_generator)) == DRAWING


def test_the_representation_stays_that_of_a_module(plate, torus, tiny_generator):
    scene = _scene(plate, torus, tiny_generator)
    assert repr(scene) == torch.nn.Module.__repr__(scene)
    assert "(hidden): Linear(in_features=4, out_features=6, bias=True)" in repr(scene)


def test_latents_say_whether_they_are_bound(plate, tiny_generator):
    latent = nt.Latent(tiny_generator, "skin", batch="people")
    plate.material = nt.Material(nt.GeneratedTexture(tiny_generator, latent))
    scene = nt.Scene(plate)
    assert "images (people, 0, 4, H, W)" in str(scene)
    assert "Latent 'skin' (people, 4), unbound" in str(scene)
    latent.bind(torch.zeros(5, 4))
    assert "Latent 'skin' (people, 4), bound, people = 5" in str(scene)
    latent.batch = None


def test_a_scene_that_does_not_fit_is_drawn_all_the_same(plate):
    generator = torch.nn.Linear(4, 3)
    skin = nt.GeneratedTexture(generator, nt.Latent((5,), "skin"))
    where = nt.LogitTexture(torch.zeros(2, 4, 4)).through(nt.discrete.Select())
    plate.material = nt.Material(nt.MixedTexture([skin, nt.PyramidTexture(8)], where))
    drawing = str(nt.Scene(plate))
    assert "MixedTexture (?)" in drawing
    assert "GeneratedTexture (?), Linear(in_features=4, out_features=3, bias=True) with 15 weights" in drawing
    assert "PyramidTexture (1, 3, 8, 8)" in drawing
