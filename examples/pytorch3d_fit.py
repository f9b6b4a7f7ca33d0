"""PyTorch3D's tutorial "fit a mesh with texture via rendering", with a GAN's texture and our rasteriser.

python examples/pytorch3d_fit.py [OUT.png [STEPS]]     # needs PyTorch3D
"""

import sys

import torch
from PIL import Image
from pytorch3d.io import load_obj
from pytorch3d.renderer import FoVPerspectiveCameras, HardPhongShader, RasterizationSettings, look_at_view_transform
from pytorch3d.structures import Meshes

import neurotex as nt
from neurotex.compat.pytorch3d import FastMeshRasterizer, FastMeshRenderer, GeneratedTexturesUV

VIEWS = 20


def main(out: str = "pytorch3d_fit.png", steps: str = "100") -> None:
    torch.manual_seed(0)
    verts, faces, aux = load_obj(nt.assets.folder() / "demo" / "mesh.obj", load_textures=False)
    generator = nt.generators.load("materials").requires_grad_(False)
    latent = nt.Latent(generator, name="skin").sample(seed=10)  # painted with this, which is then hidden
    paint = nt.GeneratedTexture(generator, latent).maps()["base_color"]
    skin = GeneratedTexturesUV(paint, [faces.textures_idx], [aux.verts_uvs])
    mesh = Meshes([verts], [faces.verts_idx], skin)  # built once: each render shows what the latent is by then

    R, T = look_at_view_transform(dist=2.7, elev=torch.linspace(0, 360, VIEWS), azim=torch.linspace(-180, 180, VIEWS))
    renderer = FastMeshRenderer(FastMeshRasterizer(None, RasterizationSettings(image_size=128)), HardPhongShader("cpu"))

    def draw(views: torch.Tensor) -> torch.Tensor:
        return renderer(mesh.extend(len(views)), cameras=FoVPerspectiveCameras(R=R[views], T=T[views]))[..., :3]

    def picture() -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([skin.maps_list()[0], draw(torch.tensor([3]))[0].clamp(0, 1)])

    with torch.no_grad():
        target, painted = draw(torch.arange(VIEWS)), picture()
        draws = latent.draw(16, torch.Generator().manual_seed(0))  # start from the best of some
        losses = [(draw(torch.tensor([3, 13])) - target[[3, 13]]).square().mean() for z in draws if latent.bind(z)]
    latent.bind(draws[int(torch.stack(losses).argmin())])
    start = picture()

    optimizer = torch.optim.Adam(latent.parameters(), lr=0.05)
    for step in range(int(steps)):
        some = torch.randperm(VIEWS)[:2]  # two views a step, as there
        loss = (draw(some) - target[some]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 20 == 0 or step == int(steps) - 1:
            print(f"step {step}: loss {loss:.6f}")
    Image.fromarray((torch.cat([painted, start, picture()], 1) * 255).byte().numpy()).save(out)
    print("wrote", out, "with texture and mesh as painted, at the start, and as found")


if __name__ == "__main__":
    main(*sys.argv[1:])
