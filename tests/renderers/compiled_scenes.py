"""Baked scenes through torch.compile, whole: prints the name of each kind whose images and gradients are the same.

Run by test_transforms.py in a process of its own: torch's compiler cannot look at the checks of annotations.
"""

import torch

import neurotex as nt

CORNERS = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])

for name, maps in (("diffuse", {}), ("glossy", {"roughness": 0.4, "metallic": 0.3})):
    torch.manual_seed(0)
    made = nt.generators.MaterialGenerator(16, latent_dim=4, style_dim=8, widths=(6, 4), substances=4).eval()
    skin = nt.GeneratedTexture(made.requires_grad_(False), nt.Latent(made, "skin"))
    plate = nt.Mesh(CORNERS, FACES, (CORNERS[:, :2] + 1) / 2, material=nt.Material(skin, **maps))
    behind = nt.Mesh(2 * CORNERS - 0.5, FACES, material=nt.Material((0.7, 0.4, 0.2)))
    scene = nt.Scene([plate, behind], nt.orbit(2, 3.5, elevation=30.0), [nt.Flash(7.0), nt.AmbientLight(0.2)]).double()
    baked = nt.bake(scene, (9, 8), grid=2)
    compiled = torch.compile(baked, fullgraph=True, backend="aot_eager")
    z = torch.randn(1, 4, dtype=torch.float64, requires_grad=True)
    images = [draw({"skin": z}) for draw in (compiled, baked)]
    slopes = [torch.autograd.grad(image.square().sum(), z)[0] for image in images]
    assert bool(slopes[0].any())
    torch.testing.assert_close(*images, atol=1e-12, rtol=0)
    torch.testing.assert_close(*slopes, atol=1e-12, rtol=0)
    print(name)
