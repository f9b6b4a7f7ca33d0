"""Train a `TileGenerator` on procedural textures, from nothing, on a small machine.

    python -m neurotex.gan.train --out runs/materials --steps 2200

A GAN that also reconstructs (VAE-GAN, Larsen et al. 2016). Half of every batch of fakes is made from the prior, half
from latents that an encoder reads off real textures. All of them must fool the discriminator (non-saturating logistic
loss, Goodfellow et al. 2014; lazy R1, Mescheder et al. 2018 and Karras et al. 2020); the second half must also have the
patch statistics of the texture it was read from. That term gives a useful gradient from the first step and leaves no
mode of the data out, which a GAN alone would need far longer for. The encoder is thrown away; what ships is the moving
average of the generator.
"""

from __future__ import annotations

import copy
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import typer
from jaxtyping import Float
from PIL import Image
from rich.progress import Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from ..errors import FileError
from ..generators.files import save
from ..generators.tile import TileGenerator
from .discriminator import Discriminator, Encoder, sliced_distance
from .procedural import procedural


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the outcome of a run; the same values give the same weights on the same machine."""

    steps: int = 2200
    size: int = 128
    batch: int = 16
    seed: int = 0
    latent_dim: int = 32
    style_dim: int = 128
    widths: tuple[int, ...] = (96, 48, 24)
    critic_widths: tuple[int, ...] = (24, 48, 96, 128)
    bank: int = 4096  # textures drawn once; shifts, turns and swaps of the colour channels multiply them
    make_rate: float = 2.5e-3  # learning rates of generator and encoder, and of the discriminator
    judge_rate: float = 5e-3
    r1: float = 0.1
    r1_every: int = 16
    statistics: float = 10.0  # weight of the patch statistics
    blur: float = 0.3  # standard deviation of the noise on latents that the encoder read
    smoothness: float = 0.2  # weight of the roughness, charged every so many steps
    smooth_every: int = 4
    average: float = 0.998  # of the generator's moving average, per step


class Trainer:
    """The networks, their optimisers and the data of one run. Step i draws its randomness from (seed, i) alone, so a
    run resumed from a checkpoint goes on exactly as if it had never stopped."""

    def __init__(self, config: TrainConfig) -> None:
        self.config, self.step_count, self.seconds = config, 0, 0.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.generator = TileGenerator(config.size, config.latent_dim, config.style_dim, config.widths)
            self.discriminator = Discriminator(config.critic_widths)
            self.encoder = Encoder(config.latent_dim, config.critic_widths)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        makers = [*self.generator.parameters(), *self.encoder.parameters()]
        self.make = torch.optim.Adam(makers, config.make_rate, betas=(0.0, 0.99))
        # Lazy regularisation takes r1_every + 1 steps where there were r1_every (Karras et al. 2020, appendix B).
        c = config.r1_every / (config.r1_every + 1)
        self.judge = torch.optim.Adam(self.discriminator.parameters(), config.judge_rate * c, betas=(0.0, 0.99**c))
        self.bank = (procedural(config.bank, config.size, config.seed) * 255).round().byte()

    def step(self) -> dict[str, float]:
        """One update of each side; returns what there is to watch."""
        start, config, half = time.perf_counter(), self.config, self.config.batch // 2
        rng = torch.Generator().manual_seed((config.seed << 32) + self.step_count)
        for optimiser in (self.make, self.judge):
            optimiser.param_groups[0]["lr"] = optimiser.defaults["lr"] * self._decay()

        real = self.real_batch(rng)
        noise, prior = self.generator.sample_latents(config.batch, rng).split([half, config.batch - half])
        read = (1 - config.blur**2) ** 0.5 * self.encoder(real[:half]) + config.blur * noise
        fake = self.generator(torch.cat([read, prior]))

        judge_loss = self.update_discriminator(real, fake.detach())
        statistics = sliced_distance(real[:half], fake[:half], rng)
        extra = config.statistics * statistics
        if self.step_count % config.smooth_every == 0:
            extra = extra + config.smooth_every * config.smoothness * self.roughness(half, rng)
        make_loss = self.update_generator(fake, extra)

        self._update_average()
        self.step_count += 1
        self.seconds += time.perf_counter() - start
        spread = fake[half:].mean((2, 3)).std(0).mean() / real.mean((2, 3)).std(0).mean()
        return {
            "judge": judge_loss,
            "make": make_loss,
            "statistics": statistics.item(),
            "spread": spread.item(),  # of mean colours from the prior against real ones; towards 0 as modes collapse
        }

    def update_discriminator(self, real: Tensor, fake: Tensor) -> float:
        """Real up, fake down. `fake` comes detached: nothing flows back to the generator."""
        self.discriminator.requires_grad_(True)
        regularise = self.step_count % self.config.r1_every == 0
        real = real.clone().requires_grad_(regularise)
        verdict = self.discriminator(real)
        loss = F.softplus(-verdict).mean() + F.softplus(self.discriminator(fake)).mean()
        penalty = 0.0
        if regularise:
            (slope,) = torch.autograd.grad(verdict.mean((1, 2)).sum(), real, create_graph=True)
            penalty = self.config.r1 / 2 * self.config.r1_every * slope.square().sum((1, 2, 3)).mean()
        self.judge.zero_grad()
        (loss + penalty).backward()
        self.judge.step()
        return loss.item()

    def update_generator(self, fake: Tensor, extra: Tensor) -> float:
        """Fake up, and `extra` down, for generator and encoder. The discriminator is frozen meanwhile."""
        self.discriminator.requires_grad_(False)
        loss = F.softplus(-self.discriminator(fake)).mean()
        self.make.zero_grad()
        (loss + extra).backward()
        self.make.step()
        return loss.item()

    def roughness(self, n: int, rng: torch.Generator, step: float = 0.3) -> Float[Tensor, ""]:
        """Squared change per pixel over a small step in latent space, divided by that step squared.

        What path-length regularisation does for StyleGAN2, by a finite difference. The step is finite on purpose:
        it charges for how far the edges of a pattern move, and lets them be as sharp as they like.
        """
        z = self.generator.sample_latents(n, rng)
        moved = z + step * self.generator.sample_latents(n, rng)
        here, there = self.generator(torch.cat([z, moved])).chunk(2)
        return (there - here).square().mean() / step**2

    def real_batch(self, rng: torch.Generator) -> Float[Tensor, "batch 3 size size"]:
        """Textures of the bank, each shifted, perhaps mirrored and turned, its colour channels swapped; in [-1, 1]."""

        def vary(texture: Tensor) -> Tensor:
            dx, dy = torch.randint(self.config.size, (2,), generator=rng).tolist()
            flip, turn = torch.randint(2, (2,), generator=rng).tolist()
            texture = texture[torch.randperm(3, generator=rng)].roll((dy, dx), (1, 2))
            texture = texture.flip(2) if flip else texture
            return texture.mT if turn else texture

        chosen = torch.randint(len(self.bank), (self.config.batch,), generator=rng)
        return torch.stack([vary(texture) for texture in self.bank[chosen]]) / 127.5 - 1

    def _decay(self) -> float:
        """Learning rates hold for three quarters of the run, then fall linearly to a twentieth."""
        left = 1 - self.step_count / self.config.steps
        return max(min(1.0, 4 * left), 0.05)

    @torch.no_grad()
    def _update_average(self) -> None:
        keep = min(self.config.average, (1 + self.step_count) / (10 + self.step_count))
        for slow, fast in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            slow.lerp_(fast, 1 - keep)

    _PARTS = ("generator", "discriminator", "encoder", "average", "make", "judge")

    def save(self, path: Path) -> None:
        state = {name: getattr(self, name).state_dict() for name in self._PARTS}
        config = json.dumps(asdict(self.config))
        temporary = path.with_name(path.name + ".tmp")
        torch.save(state | {"config": config, "step_count": self.step_count, "seconds": self.seconds}, temporary)
        os.replace(temporary, path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of a run with the same configuration."""
        if not path.is_file():
            raise FileError(f"{path}: no checkpoint to resume from; start without --resume.")
        state = torch.load(path, weights_only=True)
        if state["config"] != json.dumps(asdict(self.config)):
            raise FileError(f"{path}: belongs to a run with other settings; resume with {state['config']}.")
        for name in self._PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.step_count, self.seconds = state["step_count"], state["seconds"]


@torch.no_grad()
def sample_sheet(generator: TileGenerator, path: Path, columns: int = 8, seed: int = 0) -> None:
    """A PNG of columns × columns samples."""
    latents = generator.sample_latents(columns**2, torch.Generator().manual_seed(seed))
    sheet = torch.cat([torch.cat(list(generator(row)), 2) for row in latents.split(columns)], 1)
    pixels = ((sheet + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(np.ascontiguousarray(pixels)).save(path)


def train(config: TrainConfig, out: Path, resume: bool = False, every: int = 250) -> TileGenerator:
    """Run to the end. Every so many steps `out` gets a checkpoint, `generator.safetensors` and a sheet of samples."""
    out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(config)
    if resume:
        trainer.load(out / "checkpoint.pt")
    columns = ("[progress.description]{task.description}", "{task.completed}/{task.total}", "{task.fields[watch]}")
    with Progress(*map(TextColumn, columns), TimeRemainingColumn()) as progress, (out / "log.jsonl").open("a") as log:
        task = progress.add_task("training", total=config.steps, completed=trainer.step_count, watch="")
        while trainer.step_count < config.steps:
            watched = trainer.step()
            progress.update(task, advance=1, watch="  ".join(f"{k} {v:.3f}" for k, v in watched.items()))
            log.write(json.dumps({"step": trainer.step_count, **watched}) + "\n")
            if trainer.step_count % every == 0 or trainer.step_count == config.steps:
                log.flush()
                trainer.save(out / "checkpoint.pt")
                save(trainer.average, out / "generator.safetensors")
                sample_sheet(trainer.average, out / f"samples-{trainer.step_count:06d}.png")
    return trainer.average


def main(
    out: Annotated[Path, typer.Option(help="folder for checkpoints, weights and samples")],
    steps: Annotated[int, typer.Option(help="updates of each network")] = TrainConfig.steps,
    size: Annotated[int, typer.Option(help="texture size in pixels")] = TrainConfig.size,
    batch: Annotated[int, typer.Option(help="textures per update")] = TrainConfig.batch,
    seed: Annotated[int, typer.Option(help="of weights, data and updates")] = TrainConfig.seed,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves the choice to torch")] = 0,
    resume: Annotated[bool, typer.Option(help="go on from the checkpoint in OUT")] = False,
) -> None:
    """Train a generator of tileable textures on procedural ones."""
    if threads:
        torch.set_num_threads(threads)
    train(TrainConfig(steps=steps, size=size, batch=batch, seed=seed), out, resume)


if __name__ == "__main__":
    typer.run(main)
