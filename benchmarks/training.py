"""`python -m benchmarks.training`: images per second of a training step, beside NVIDIA's own code where it is.

`--beside PATH` is a checkout of stylegan2-ada-pytorch (and needs what that needs: requests). Both train the same
architecture on the same images with Adam, NVIDIA's by its own loss, in turns in one process: a plain step, and one with
both lazy penalties due (R1 every 16th step, path length every 4th). A second table has what `generators.passes` and
bfloat16 gain where textures tile.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from neurotex.errors import FileError
from neurotex.gan import R1, PathLength, StyleGAN2Discriminator, Trainer, launch
from neurotex.generators import StyleGAN2, passes

from .timing import interleaved

MAPPING = {"num_layers": 8}
GAMMA, PATH_WEIGHT = 1.0, 2.0


class Noise:
    """Images that cost nothing to draw: what is timed is the networks."""

    channels = 3

    def __init__(self, size: int):
        self.size = size

    def __call__(self, seeds: Tensor) -> Tensor:
        return torch.rand(len(seeds), 3, self.size, self.size) * 2 - 1


def ours(size: int, batch: int, base: int, widest: int, latent: int) -> dict[str, Callable[[], object]]:
    """Steps of our trainer: plain, and with penalties."""
    widths = {"channel_base": base, "channel_max": widest}
    steps = {}
    for name, penalties in (("plain", []), ("penalties", [R1(GAMMA, every=1), PathLength(PATH_WEIGHT, every=1)])):
        generator = StyleGAN2(size, 3, latent, w_dim=latent, mapping_kwargs=MAPPING, noise="random", **widths)
        discriminator = StyleGAN2Discriminator(size, 3, **widths)
        steps[name] = Trainer(generator, discriminator, Noise(size), penalties=penalties, batch=batch).step
    return steps


def in_passes(size: int, batch: int, base: int, widest: int, latent: int) -> dict[str, Callable[[], object]]:
    """Plain steps of networks that tile: in tensor language, with few passes over memory, and both in bfloat16."""
    widths = {"channel_base": base, "channel_max": widest, "tileable": True}
    fused, steps = passes._learned, {}

    def run(step: Callable[[], object], learned: Callable) -> None:
        passes._learned = learned
        try:
            step()
        finally:
            passes._learned = fused

    for precision, name in (("32", "float32"), ("bf16", "bfloat16")):
        generator = StyleGAN2(size, 3, latent, w_dim=latent, mapping_kwargs=MAPPING, noise="random", **widths)
        discriminator = StyleGAN2Discriminator(size, 3, **widths)
        step = Trainer(generator, discriminator, Noise(size), batch=batch, fabric=launch(precision=precision)).step
        steps[f"{name}, tensor language"] = partial(run, step, lambda x: False)
        steps[f"{name}, few passes"] = partial(run, step, fused)
    return steps


def nvidias(checkout: Path, size: int, batch: int, base: int, widest: int, latent: int) -> dict:
    """The same by NVIDIA's networks and loss, as its training loop calls them."""
    if not (checkout / "training" / "networks.py").is_file():
        raise FileError(f"{checkout} is no checkout of stylegan2-ada-pytorch: it has no training/networks.py.")
    sys.path.insert(0, str(checkout))
    from training import loss, networks

    widths = {"channel_base": base, "channel_max": widest}
    generator = networks.Generator(latent, 0, latent, size, 3, mapping_kwargs=MAPPING, synthesis_kwargs=widths)
    discriminator = networks.Discriminator(0, size, 3, **widths)
    pair = {"G": generator, "D": discriminator}
    optimizers = {name: torch.optim.Adam(net.parameters(), 0.0025, betas=(0.0, 0.99)) for name, net in pair.items()}
    # no mixing of styles, which ours does not do either: it would only cost time
    criterion = loss.StyleGAN2Loss(
        torch.device("cpu"), generator.mapping, generator.synthesis, discriminator, style_mixing_prob=0, r1_gamma=GAMMA
    )
    data, none = Noise(size), torch.zeros(batch, 0)

    def step(*phases: str) -> None:
        real = data(torch.zeros(batch))
        for phase in phases:
            for name, network in pair.items():
                network.requires_grad_(name == phase[0])
            optimizers[phase[0]].zero_grad(set_to_none=True)
            criterion.accumulate_gradients(phase, real, none, torch.randn(batch, latent), none, sync=False, gain=1)
            optimizers[phase[0]].step()

    return {"plain": lambda: step("Gmain", "Dmain"), "penalties": lambda: step("Gmain", "Greg", "Dmain", "Dreg")}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", type=Path, help="a checkout of NVIDIA's stylegan2-ada-pytorch")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--channel-base", type=int, default=4096)
    parser.add_argument("--channel-max", type=int, default=128)
    parser.add_argument("--latent-dim", type=int, default=128)
    parser.add_argument("--turns", type=int, default=3)
    chosen = parser.parse_args()
    shape = (chosen.size, chosen.batch, chosen.channel_base, chosen.channel_max, chosen.latent_dim)
    mine = ours(*shape)
    theirs = {} if chosen.beside is None else nvidias(chosen.beside, *shape)
    table = Table("step", "neurotex", "stylegan2-ada-pytorch", "ratio", title=f"images/s, {chosen.size}², CPU")
    for name, call in mine.items():
        beside = [theirs[name]] if theirs else []
        seconds = interleaved(call, *beside, turns=chosen.turns)
        rates = [chosen.batch / value for value in seconds]
        row = [f"{rate:.2f}" for rate in rates] + [f"{rates[0] / rates[1]:.2f}"] if beside else [f"{rates[0]:.2f}"]
        table.add_row(name, *row)
    Console().print(table)
    steps = in_passes(*shape)
    seconds = interleaved(*steps.values(), turns=chosen.turns)
    table = Table("plain step, tileable", "images/s", "ratio")
    for name, value in zip(steps, seconds, strict=True):
        table.add_row(name, f"{chosen.batch / value:.2f}", f"{seconds[0] / value:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
