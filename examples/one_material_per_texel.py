"""Photographs → which of three materials is at which texel: one choice for colour, roughness and metal at once.

python examples/one_material_per_texel.py [OUT.png [STEPS]]
"""

import sys

import torch

import neurotex as nt

KINDS = [
    nt.Material((1.0, 0.86, 0.57), "gold", roughness=0.4, metallic=1.0),
    nt.Material((0.15, 0.15, 0.15), "rubber", roughness=0.9),
    nt.Material((0.75, 0.15, 0.1), "paint", roughness=0.25),
]


def plate(where: nt.Texture) -> nt.BakedScene:
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    mesh = nt.Mesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]]), (corners[:, :2] + 1) / 2)
    mesh.material = nt.mixed_material(KINDS, where)
    cameras = [nt.PerspectiveCamera(nt.look_at(torch.tensor([x, 0.3, 2.4])), 50.0) for x in (-0.8, 0.8)]
    return nt.bake(nt.Scene(mesh, cameras, nt.Flash(12.0)), size=64, grid=2)


def main(out: str = "one_material_per_texel.png", steps: str = "150") -> None:
    ticks = torch.linspace(-1, 1, 16)
    truth = (4 * ticks.hypot(ticks[:, None])).long() % 3  # rings
    photographs = plate(nt.ImageTexture(torch.nn.functional.one_hot(truth).movedim(-1, 0).float()))()

    choice = nt.discrete.Select(nt.discrete.Gumbel(temperature=1.0, hard=False))
    logits = nt.LogitTexture(torch.zeros(3, 16, 16))
    baked = plate(logits.through(choice))
    optimizer = torch.optim.Adam(logits.parameters(), lr=0.2)
    for step in range(int(steps)):
        choice.estimator.temperature = 0.1 ** (step / int(steps))  # draws come closer to the exact choice
        optimizer.zero_grad()
        nt.losses.photometric(baked(), photographs).backward()
        optimizer.step()
    print(f"{int((logits()[0].argmax(0) == truth).sum())} of {truth.numel()} texels found")
    nt.on_background(torch.cat([photographs[0], baked.eval()()[0]], dim=2).detach()).save(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
