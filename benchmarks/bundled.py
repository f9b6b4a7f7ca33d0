"""`python -m benchmarks.bundled`: how good a generator of materials is, beside another one if there is.

Scores of its base colours against materials that training did not see (features need no download, so the numbers
compare only among themselves); how closely w+ finds eight such materials again, as StyleGAN2's projection does; and,
with `--hidden MESH VIEWS`, how closely `neurotex fit --optimize latents` finds textures of its own again, each from
four pictures of a mesh that wears it, measured on the other views.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import json
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn

import neurotex as nt
from neurotex import generators
from neurotex.fit import Options, fit_views
from neurotex.gan import ProceduralMaterials, materials
from neurotex.gan.metrics import evaluate

UNSEEN = 1_000_003  # a seed that no training uses
SCORES = ("kid", "fid", "precision", "recall")


def scores(generator: nn.Module, size: int, samples: int) -> dict[str, float]:
    """Of the generator's base colours against `samples` unseen ones."""
    source = ProceduralMaterials(size, UNSEEN, bank=samples, maps=("base_color",))
    latents = generator.sample_latents(samples, torch.Generator().manual_seed(0))

    def real() -> Iterator[Tensor]:
        for numbers in torch.arange(samples).split(64):
            yield source(numbers)

    @torch.no_grad()
    def fake() -> Iterator[Tensor]:
        for part in latents.split(32):
            yield generator(part)[:, :3].clamp(-1, 1)

    return evaluate(real(), fake(), scores=SCORES)


def project(generator: nn.Module, target: Tensor, steps: int, draws: int = 512, starts: int = 4) -> float:
    """PSNR in dB of base colours (1, 3, h, w) in [-1, 1] and the nearest texture found in w+, by Adam from the best
    of many draws (Karras et al. 2020, appendix D, without its noise)."""
    space = generators.LatentSpace(generator, "w" if generators.protocol.layers(generator.synthesis) is None else "w+")
    space.requires_grad_(False)
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        tried = space.sample_latents(draws, rng)
        losses = torch.cat([(space(part)[:, :3] - target).square().mean((1, 2, 3)) for part in tried.split(32)])
    latent = tried[losses.argsort()[:starts]].clone().requires_grad_()
    optimizer = torch.optim.Adam([latent], lr=0.05, betas=(0.9, 0.99))
    best = math.inf
    for step in range(steps):
        left = 1 - step / steps
        optimizer.param_groups[0]["lr"] = 0.05 * min(1.0, left / 0.25)
        losses = (space(latent)[:, :3] - target).square().mean((1, 2, 3))
        best = min(best, float(losses.detach().min()))
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
    return -10 * math.log10(best / 4)  # in [-1, 1] the peak is 2


def hidden(name: str, mesh: str, folder: str, seed: int) -> float:
    """PSNR in dB of views that were not fitted, of a mesh whose texture was a secret latent of this generator."""
    generator = generators.load(name)
    latent = nt.Latent(generator, "secret").sample(9000 + seed)
    secret = nt.GeneratedTexture(generator, latent).maps()["base_color"]
    described = json.loads((Path(folder) / "transforms.json").read_text())
    views = nt.Views.load(folder)
    with torch.no_grad():
        images = nt.render(nt.Scene.load(mesh, nt.Material(secret), views.cameras, views.lights), views.size)
    with tempfile.TemporaryDirectory() as scratch:
        fitted = range(0, len(views.cameras), max(len(views.cameras) // 4, 1))[:4]
        for part, chosen in (("seen", fitted), ("unseen", sorted(set(range(len(views.cameras))) - set(fitted)))):
            (Path(scratch) / part).mkdir()
            frames = [{**described["frames"][k], "file_path": f"{k}.png"} for k in chosen]
            (Path(scratch) / part / "transforms.json").write_text(json.dumps({**described, "frames": frames}))
            for k in chosen:
                nt.scene.to_photograph(images[k]).save(Path(scratch) / part / f"{k}.png")
        options = Options(
            mesh, f"{scratch}/seen", texture=name, optimize="latents", seed=seed, holdout=f"{scratch}/unseen"
        )
        return fit_views(options, Path(scratch) / "out")["holdout_psnr_db"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("generator", nargs="*", default=["materials"], help="bundled names, or checkpoints")
    parser.add_argument("--samples", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=400, help="of each projection")
    parser.add_argument("--targets", type=int, default=8, help="materials to find again")
    parser.add_argument("--hidden", nargs=2, metavar=("MESH", "VIEWS"), help="find its own textures again on a mesh")
    chosen = parser.parse_args()
    own = ["hidden, dB of each"] if chosen.hidden else []
    table = Table("generator", *SCORES, "w+, dB of each", "mean", *own)
    for name in chosen.generator:
        generator = generators.load(name)
        size = generator(generator.sample_latents(1)).shape[-1]
        found = scores(generator, size, chosen.samples)
        targets = materials(max(chosen.targets, 1), size, UNSEEN)[: chosen.targets, :3]
        levels = [project(generator, target[None], chosen.steps) for target in track(targets, name, transient=True)]
        row = [f"{found[score]:.3g}" for score in SCORES]
        mean = f"{sum(levels) / len(levels):.1f}" if levels else ""
        again = [hidden(name, *chosen.hidden, seed) for seed in range(3)] if chosen.hidden else []
        secrets = [" ".join(f"{level:.1f}" for level in again)] if chosen.hidden else []
        table.add_row(name, *row, " ".join(f"{level:.1f}" for level in levels), mean, *secrets)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
