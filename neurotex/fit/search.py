"""Where to start in latent space: many draws, of which the best are followed for a while."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..core import checked
from ..core.progress import Bar
from ..scene import Latent
from .adam import Adam
from .optimise import Fit

RATE, BETAS = 0.05, (0.9, 0.99)


def search_latent(
    fit: Fit,
    latent: Latent,
    seed: int = 0,
    *,
    draws: int = 256,
    rounds: tuple[tuple[int, int], ...] = ((12, 20), (4, 60)),
    on_render: Callable[[int, int], None] | None = None,
    progress: bool | None = None,
) -> Tensor:
    """A start for `latent`, (1, *shape), from which `fit` is likely to reach the best optimum. It is left bound to it.

    A generator's loss over its latents has many valleys. So: the losses of `draws` samples; then in each round the best
    `n` are optimised for `steps` steps by Adam (successive halving, Jamieson and Talwalkar 2016). Deterministic in
    `seed`. Nothing but the latent is changed. `on_render(done, total)` is called before each render; where it is given,
    `progress` (see `neurotex.core.progress`) is shown only if asked for. `rounds` are pairs (n, steps). ArgumentError
    where torch records no gradients.
    """
    checked.gradients("a search for a latent")
    total = draws + sum(n * steps for n, steps in rounds)
    with fit.memory(), Bar("search", total, progress if on_render is None else bool(progress)) as bar:

        def watch(done: int) -> None:
            bar(done)
            if on_render is not None:
                on_render(done, total)

        return _search(fit, latent, seed, draws, rounds, watch)


def _search(
    fit: Fit, latent: Latent, seed: int, draws: int, rounds: tuple[tuple[int, int], ...], watch: Callable[[int], None]
) -> Tensor:
    done = 0

    def loss() -> Tensor:
        nonlocal done
        done += 1
        watch(done)
        return fit.loss()

    def loss_of(value: Tensor) -> float:
        latent.bind(value)
        return float(loss())

    latent.sample(seed)
    rng = torch.Generator().manual_seed(seed)
    starts = latent.draw(draws, rng).to(latent.value)
    with torch.no_grad():
        scored = [(loss_of(z), z) for z in starts]
    for keep, steps in rounds:
        scored.sort(key=lambda pair: pair[0])
        followed = []
        for _, start in scored[:keep]:
            latent.bind(start)
            optimizer = Adam([latent.value], lr=RATE, betas=BETAS)
            best = (torch.inf, start)
            for _ in range(steps):
                now = loss()
                if float(now.detach()) < best[0]:
                    best = (float(now.detach()), latent.value.detach().clone())
                (latent.value.grad,) = torch.autograd.grad(now, latent.value)
                optimizer.step()
            followed.append(best)
        scored = followed
    best = min(scored, key=lambda pair: pair[0])[1]
    latent.bind(best)
    return best
