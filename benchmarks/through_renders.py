"""`python -m benchmarks.through_renders`: a GAN learns textures through renders alone, and is measured by its textures.

Procedural materials are seen on a sphere and on Spot, by cameras all around. The discriminator is shown these pictures,
and pictures of generated textures on the same meshes; a texture, never. Scores compare the textures themselves with
materials that training did not draw (features need no download, so the numbers compare only among themselves). Ctrl-C
is safe: `--resume` continues, to the same result.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import math
import shutil
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table
from torch import Tensor

from neurotex import ArgumentError, gan, generators
from neurotex.core import storage
from neurotex.core.checkpoint import load_state, save_state
from neurotex.core.interrupts import Interrupted, stoppable

from .bundled import UNSEEN
from .work import Data

DOCS = Path(__file__).parents[1] / "docs"
SIZE, BATCH = 64, 16  # pixels of textures and of renders; renders a step
MINUTES = 5.0  # between two checkpoints
SCORES = ("kid", "precision", "recall")
COLUMNS, ENLARGED, MARGIN = 10, 2, 150  # of the picture; pixels for the names of its rows


@dataclass(frozen=True)
class Scale:
    """How much: renders to train on, textures to measure by, materials to draw from, views of each mesh."""

    images: int = 32_000
    samples: int = 2048
    bank: int = 4096
    views: int = 64


QUICK = Scale(images=2 * BATCH, samples=16, bank=16, views=2)


def make_trainer(scale: Scale, mesh: Path) -> gan.Trainer:
    """A generator with random weights and what teaches it, the same each time."""
    observe = gan.Renders.from_meshes(["sphere", mesh], scale.views, SIZE, SIZE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = generators.MaterialGenerator(SIZE, widths=(64, 64, 48, 24))
        discriminator = gan.TextureDiscriminator(observe.channels)
    penalties = [gan.R1(0.3), gan.Smoothness(0.03)]
    return gan.Trainer(
        generator,
        discriminator,
        gan.RenderedSource(observe, base_colours(0, scale.bank)),
        observe=observe,
        penalties=penalties,
        optimizers=gan.adam_pair(generator, discriminator, (0.0025, 0.005), penalties=penalties),
        schedule=gan.HoldThenLinear(math.ceil(scale.images / BATCH)),
        batch=BATCH,
        half_life=3_000,
    )


def base_colours(seed: int, bank: int) -> gan.ProceduralMaterials:
    """Textures."""
    return gan.ProceduralMaterials(SIZE, seed, bank, maps=("base_color",))


def train(trainer: gan.Trainer, images: int, file: Path, about: dict) -> None:
    """Go on to so many `images`; every few minutes and at the end a checkpoint and a line. Ctrl-C and SIGTERM
    raise Interrupted after one more."""
    total = math.ceil(images / BATCH)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars, stoppable() as pressed:
        task = bars.add_task("", total=total * BATCH)
        saved = time.monotonic()

        def watch(trainer: gan.Trainer, measured: dict[str, float]) -> None:
            nonlocal saved
            done = trainer.steps_done
            bars.update(task, completed=done * BATCH)
            if pressed or done == total or time.monotonic() - saved > 60 * MINUTES:
                save_state(file, trainer.state_dict(), about)
                saved = time.monotonic()
                losses = "  ".join(f"{name} {value:.2f}" for name, value in measured.items())
                line = f"{done * BATCH:,}/{total * BATCH:,} images  {losses}"
                bars.console.print(line, highlight=False, soft_wrap=True)

        trainer.train(total, watch)


@torch.no_grad()
def pictured(observe: gan.Renders, textures: dict[str, Tensor]) -> Image.Image:
    """Rows of textures in [-1, 1], then their renders, the same views in each row; names stand on the left."""
    rows = textures | {f"{name}, as seen": observe(row, torch.arange(COLUMNS))[:, :3] for name, row in textures.items()}
    cells = gan.sheet(torch.cat([*rows.values()]).add(1) / 2, COLUMNS)
    cells = cells.resize((cells.width * ENLARGED, cells.height * ENLARGED), Image.Resampling.NEAREST)
    picture = Image.new("RGB", (MARGIN + cells.width, cells.height), "white")
    picture.paste(cells, (MARGIN, 0))
    draw = ImageDraw.Draw(picture)
    for k, name in enumerate(rows):
        draw.text((MARGIN - 10, (k + 0.5) * SIZE * ENLARGED), name, "black", anchor="rm", font_size=16)
    return picture


def main(words: list[str] | None = None) -> None:
    """Train, measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, help=f"renders to train on, {Scale.images:,} by default")
    parser.add_argument("--out", type=Path, default=Path("bench/through_renders"), help="for checkpoint and picture")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument("--quick", action="store_true", help="tiny, to see that it runs")
    parser.add_argument("--write", action="store_true", help="the picture into docs/, too")
    chosen = parser.parse_args(words)
    scale = QUICK if chosen.quick else Scale()
    scale = replace(scale, images=chosen.images or scale.images)
    data, out = Data.find(None), storage.make_folder(chosen.out)
    trainer, unseen = make_trainer(scale, data.mesh), base_colours(UNSEEN, scale.samples)
    latents = trainer.generator.sample_latents(COLUMNS, torch.Generator().manual_seed(0))
    shown = {"materials": gan.materials(COLUMNS, SIZE, UNSEEN)[:, :3], "untrained": trainer.sample(latents)}
    scores = {"untrained": trainer.evaluate(scale.samples, SCORES, data=unseen)}
    file, about = out / "checkpoint.safetensors", {"mesh": data.name, "bank": scale.bank, "views": scale.views}
    if chosen.resume:
        state, found = load_state(file)
        if found != about:
            raise ArgumentError(f"{file} is of a run with {found}, not {about}: train anew, without --resume.")
        trainer.load_state_dict(state)
    try:
        train(trainer, scale.images, file, about)
    except Interrupted:
        sys.exit(f"stopped; the same command with --resume continues {file}")
    scores["trained"] = trainer.evaluate(scale.samples, SCORES, data=unseen)
    shown["trained"] = trainer.sample(latents)
    with storage.replacing(out / "through_renders.png") as temporary:
        pictured(trainer.observe, shown).save(temporary, optimize=True)
    if chosen.write:
        shutil.copy(out / "through_renders.png", DOCS)
    seen = f"{trainer.steps_done * BATCH:,} renders of a sphere and {data.name}, {trainer.seconds:,.0f} s"
    table = Table("textures", "KID", "precision", "recall", "KID / untrained's", title=seen)
    for name, found in scores.items():
        ratio = found["kid"] / scores["untrained"]["kid"]
        table.add_row(name, *(f"{found[score]:.3g}" for score in SCORES), f"{ratio:.3f}")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
