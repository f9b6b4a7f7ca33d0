"""The loop of adversarial training. What it does with textures, images and losses are parts that are given."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ..core import checked
from ..core.interrupts import Stop, stoppable
from ..core.precision import forget_casts
from ..core.progress import Bar
from ..errors import ArgumentError, TrainingError
from ..generators.protocol import drawn
from . import seeds
from .average import Average
from .losses import NonSaturating
from .parts import Loss, Penalty, Source
from .processes import Alone, Processes
from .schedules import Constant


class Trainer:
    """Trains a generator against a discriminator.

    - `generator`: latents → textures (N, C, H, W) in [-1, 1]; has `sample_latents(n, rng)`.
    - `discriminator`: images → logits (N, …), high for real. None: the generator learns from penalties alone.
    - `data`: a `Source`. `observe(textures, seeds)` makes of textures what the discriminator sees, such as `Renders`;
      `augment(images, seeds)` changes real and fake images alike, such as `AdaptiveAugment`.
    - `loss`, `penalties`, `schedule` (step → factor of both learning rates): see the modules of those names.
    - `optimizers`: for generator and discriminator; `adam_pair` makes the default.
    - `batch` images per step over all processes, in `accumulate` parts one after another.
    - `half_life` of the averaged generator, `average`, in images: it is what a run is for.
    - `fabric`: a launched Lightning Fabric, for many processes and mixed precision.

    Each step updates the discriminator, then the generator, on the same fakes; penalties have updates of their own
    (lazy regularisation, Karras et al. 2020, arXiv:1912.04958). Step i draws all its randomness from (seed, i), and
    torch's own generator is seeded with that, so that a run resumed from `state_dict` is the same run, and so that
    processes, each of which takes every `world_size`-th item, train as one would. ArgumentError for a batch that cannot
    be shared evenly, and for penalties of neither network.
    """

    # 14 parameters: each is a part that can be exchanged, and all but three have defaults
    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module | None,
        data: Source,
        *,
        loss: Loss | None = None,
        penalties: Sequence[Penalty] = (),
        augment: Callable[[Tensor, Tensor], Tensor] | None = None,
        observe: Callable[[Tensor, Tensor], Tensor] | None = None,
        optimizers: tuple[Optimizer, ...] | None = None,
        schedule: Callable[[int], float] | None = None,
        batch: int = 16,
        accumulate: int = 1,
        half_life: float = 10_000,
        seed: int = 0,
        fabric: Processes | None = None,
    ):
        self.fabric = fabric or Alone(next(generator.parameters()).device)
        share = self.fabric.world_size * accumulate
        if batch < 1 or accumulate < 1 or batch % share:
            raise ArgumentError(
                f"a batch of {batch} cannot be shared by {self.fabric.world_size} processes with {accumulate} parts "
                f"each: make it a multiple of {share}."
            )
        for penalty in penalties:
            if penalty.of not in ("generator", "discriminator") or penalty.every < 1:
                raise ArgumentError(f"{penalty} is of the generator or the discriminator, every 1 step or more.")
        self.generator, self.discriminator, self.data = generator, discriminator, data
        self.loss = NonSaturating() if loss is None else loss
        self.penalties, self.augment, self.observe = list(penalties), augment, observe
        self.schedule = Constant() if schedule is None else schedule
        self.batch, self.accumulate, self.seed = batch, accumulate, seed
        for part in (*self._modules().values(), observe):
            if isinstance(part, nn.Module):
                part.to(self.fabric.device)
        self._match(p for part in self._modules().values() for p in (*part.parameters(), *part.buffers()))
        self.average = Average(generator, half_life)
        self._learned = [] if discriminator is None else [p for p in discriminator.parameters() if p.requires_grad]
        optimizers = optimizers or adam_pair(generator, discriminator, penalties=penalties)
        self.optimizers = optimizers
        self._rates = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
        self._step: Sequence[Optimizer] = optimizers
        if (
            scaled := getattr(self.fabric, "setup_optimizers", None)
        ) is not None:  # unscales gradients of half precision
            made = scaled(*optimizers)  # of one, no tuple
            self._step = made if isinstance(made, tuple) else (made,)
        self.steps_done, self.seconds = 0, 0.0

    # ------------------------------------------------------------------ the loop

    def train(
        self,
        steps: int,
        watch: Callable[[Trainer, dict[str, float]], None] | None = None,
        progress: bool | None = None,
    ) -> dict[str, float]:
        """Go on until `steps` are done in all; `watch(trainer, measured)` is called after each. Where it is given,
        `progress` (see `neurotex.core.progress`) is shown only if asked for; of many processes the first one shows it.

        Returns the means of what the steps measured, and `images_per_second`. TrainingError when a loss is no number.
        Ctrl-C and SIGTERM, whichever process they reach, end the step first, then raise `Interrupted` in all.
        """
        sums: dict[str, list[float]] = {}
        began, first = self.seconds, self.steps_done
        shown = progress if watch is None else bool(progress)
        with stoppable() as stop, Bar("train", steps, shown if self.fabric.is_global_zero else False) as bar:
            while self.steps_done < steps:
                measured = self.step()
                bar(self.steps_done, "  ".join(f"{k[5:]} {v:.2f}" for k, v in measured.items() if "loss/" in k))
                for name, value in measured.items():
                    sums.setdefault(name, []).append(value)
                if watch is not None:
                    watch(self, measured)
                self._agree(stop).check()
        means = {name: sum(values) / len(values) for name, values in sums.items()}
        images = (self.steps_done - first) * self.batch
        return means | {"images_per_second": images / max(self.seconds - began, 1e-9)}

    def _agree(self, stop: Stop) -> Stop:
        """All processes stop if one is asked to."""
        if self.fabric.world_size > 1:
            asked = torch.tensor(float(stop.signal or 0), device=self.fabric.device)
            stop.signal = int(self.fabric.all_reduce(asked, reduce_op="max")) or None
        return stop

    def step(self) -> dict[str, float]:
        """One update of each network; what there is to watch. TrainingError where a loss is no number.

        ArgumentError where torch records no gradients.
        """
        checked.gradients("training")
        began = time.perf_counter()
        measured: dict[str, Tensor] = {}
        with torch.random.fork_rng(devices=[self.fabric.device] if self.fabric.device.type == "cuda" else []):
            torch.manual_seed(seeds.mixed(self.seed, self.steps_done, 1 + self.fabric.global_rank))
            self._set_rates()
            self.generator.train()
            parts = list(self._draw())
            if self.discriminator is not None:
                self.discriminator.train()
                fakes = self._teach_discriminator(parts, measured)
                self._teach_generator(parts, fakes, measured)
            self._charge("generator", self.generator, [(latents,) for _, latents, _ in parts], measured)
        watched = {name: float(self.fabric.all_reduce(value.float())) for name, value in measured.items()}
        wrong = [name for name, value in watched.items() if not math.isfinite(value)]
        if wrong:
            raise TrainingError(
                f"{wrong[0]} is no number any more at step {self.steps_done}: go on from the last checkpoint with a "
                "smaller learning rate or a larger penalty."
            )
        self.steps_done += 1
        self.average.update(self.generator, self.batch, self.steps_done * self.batch)
        self.seconds += time.perf_counter() - began
        return watched

    @torch.no_grad()
    def sample(self, latents: Tensor, chunk: int = 16) -> Float[Tensor, "n channels h w"]:
        """Textures of the averaged generator, in [-1, 1], on the CPU.

        `latents` (n, …) are worked off `chunk` at a time.
        """
        device = self.fabric.device
        return torch.cat([self.average.module(part.to(device)).float().cpu() for part in latents.split(chunk)])

    def evaluate(
        self,
        samples: int = 2048,
        scores: Sequence[str] = ("fid", "kid", "precision", "recall"),
        features: nn.Module | None = None,
        data: Source | None = None,
        channels: int | None = None,
        chunk: int = 32,
        progress: bool | None = None,
    ) -> dict[str, float]:
        """How far the averaged generator's textures are from `samples` items of `data`, by `gan.metrics.evaluate`.

        `data` defaults to what the discriminator learns from, and is then compared with what it sees: renders, where
        there is `observe`. Given a source of textures, textures are compared. The same samples are drawn each time. Of
        many processes, all have to call it, and the first one shows its `progress` (see `neurotex.core.progress`).

        `scores` are the names of those that are wanted, `features` the network that sees, by default `TextureFeatures`,
        and of its channels the first `channels` count. Images are made `chunk` at a time.
        """
        from .metrics import evaluate

        observe = self.observe if data is None else None
        data = self.data if data is None else data
        rng = seeds.generator(self.seed, -1)
        latents = drawn(self.average.module, samples, rng)
        numbers = torch.randint(2**62, (2, samples), generator=rng)
        # each process has its share, equally many; the scores put them together
        mine = slice(self.fabric.global_rank, samples - samples % self.fabric.world_size, self.fabric.world_size)
        latents, numbers = latents[mine], numbers[:, mine]

        def real() -> Iterator[Tensor]:
            for part in numbers[0].split(chunk):
                yield data(part)

        @torch.no_grad()
        def fake() -> Iterator[Tensor]:
            for part, number in zip(latents.split(chunk), numbers[1].split(chunk), strict=True):
                textures = self.average.module(part.to(self.fabric.device))
                yield (textures if observe is None else observe(textures, number)).float().cpu()

        shown = progress if self.fabric.is_global_zero else False
        return evaluate(real(), fake(), features=features, scores=scores, channels=channels, progress=shown)

    # ------------------------------------------------------------------ state

    def state_dict(self) -> dict:
        """Everything that the rest of the run depends on. Of randomness, nothing but the number of steps."""
        return {
            "steps_done": self.steps_done,
            "seconds": self.seconds,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "average": self.average.state_dict(),
            **{name: part.state_dict() for name, part in self._modules().items()},
        }

    def load_state_dict(self, state: dict) -> None:
        """Go on where `state` was taken, by a trainer of the same parts."""
        for name, part in self._modules().items():
            part.load_state_dict(state[name])
        self.average.load_state_dict(state["average"])
        for optimizer, found in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(found)
        self.steps_done, self.seconds = state["steps_done"], state["seconds"]

    def _modules(self) -> dict[str, nn.Module]:
        """The parts that have a state, by name."""
        parts = {"generator": self.generator, "discriminator": self.discriminator, "augment": self.augment}
        parts |= {f"penalty {k}": penalty for k, penalty in enumerate(self.penalties)}
        return {name: part for name, part in parts.items() if isinstance(part, nn.Module)}

    # ------------------------------------------------------------------ one step's parts

    def _draw(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Of this step's batch, this process's share, in parts: seeds (3, n) for data and both augmentations, latents,
        seeds (n,) of what is observed.

        Shares and parts take every k-th item: a discriminator that groups a batch in the same way, as StyleGAN2's does
        for its minibatch standard deviation, then sees the same groups however many share.
        """
        rng = seeds.generator(self.seed, self.steps_done)
        latents = drawn(self.generator, self.batch, rng)
        numbers = torch.randint(2**62, (4, self.batch), generator=rng)
        share = self.fabric.world_size * self.accumulate
        for k in range(self.accumulate):
            mine = slice(self.fabric.global_rank + k * self.fabric.world_size, None, share)
            yield numbers[:3, mine], latents[mine].to(self.fabric.device), numbers[3, mine]

    def _teach_discriminator(self, parts: list, measured: dict[str, Tensor]) -> list[Tensor | None]:
        """Real up, fake down. Returns the fakes with their graph for the generator's update, if memory is not short."""
        discriminator = self.discriminator
        assert discriminator is not None
        self._only(discriminator)
        kept, verdicts, seen = [], [], []
        for numbers, latents, views in parts:
            with torch.set_grad_enabled(self.accumulate == 1), self.fabric.autocast():
                shown = self._shown(latents, views, numbers[2])
            real = self._augmented(self.data(numbers[0]).to(self.fabric.device), numbers[1])
            fake = shown.detach()
            with self.fabric.autocast():
                on_real, on_fake = discriminator(real), discriminator(fake)
                loss = self.loss.discriminator(on_real, on_fake)
            self.fabric.backward(loss / self.accumulate)
            _add(measured, "loss/discriminator", loss / self.accumulate)
            verdicts.append(on_real.detach())
            seen.append((real, fake))
            kept.append(shown if self.accumulate == 1 else None)
        self._advance(1)
        self._charge("discriminator", discriminator, seen, measured)
        verdict = torch.cat([v.flatten(1).mean(1).float() for v in verdicts])
        _add(measured, "verdict/real", verdict.sign().mean())
        if (observe := getattr(self.augment, "observe", None)) is not None:
            observe(self.fabric.all_gather(verdict).flatten())
        if (strength := getattr(self.augment, "strength", None)) is not None:
            _add(measured, "augment/strength", strength.clone())
        return kept

    def _teach_generator(self, parts: list, fakes: list[Tensor | None], measured: dict[str, Tensor]) -> None:
        """Fake up. The discriminator is frozen meanwhile."""
        discriminator = self.discriminator
        assert discriminator is not None
        self._only(self.generator)
        for (numbers, latents, views), fake in zip(parts, fakes, strict=True):
            with self.fabric.autocast():
                shown = self._shown(latents, views, numbers[2]) if fake is None else fake
                loss = self.loss.generator(discriminator(shown))
            self.fabric.backward(loss / self.accumulate)
            _add(measured, "loss/generator", loss / self.accumulate)
        fakes.clear()
        self._advance(0)
        self._only(discriminator)

    def _shown(self, latents: Tensor, views: Tensor, numbers: Tensor) -> Tensor:
        """What the discriminator sees of the generator."""
        textures = self.generator(latents)
        images = textures if self.observe is None else self.observe(textures, views)
        return self._augmented(images, numbers)

    def _augmented(self, images: Tensor, numbers: Tensor) -> Tensor:
        return images if self.augment is None else self.augment(images, numbers)

    def _charge(self, of: str, network: nn.Module, parts: list[tuple], measured: dict[str, Tensor]) -> None:
        """The penalties of one network that are due, in one update; in full precision, for their second derivatives,
        but for those that say that they are `mixed`."""
        due = [p for p in self.penalties if p.of == of and self.steps_done % p.every == 0]
        if not due:
            return
        for penalty in due:
            for arguments in parts:
                with self.fabric.autocast() if getattr(penalty, "mixed", False) else nullcontext():
                    value = penalty(network, *arguments)
                self.fabric.backward(value * (penalty.weight * penalty.every / self.accumulate))
                _add(measured, f"penalty/{type(penalty).__name__}", value / self.accumulate)
        self._advance(1 if of == "discriminator" else 0)
        for penalty in due:
            for value in penalty.buffers() if isinstance(penalty, nn.Module) else ():
                if value.is_floating_point():
                    value.copy_(self.fabric.all_reduce(value))

    def _advance(self, which: int) -> None:
        """One update of the generator (0) or the discriminator (1) by the gradients of all processes.

        They are averaged here and not by DistributedDataParallel, which does not see what penalties differentiate.
        """
        optimizer = self._step[which]
        if self.fabric.world_size > 1:
            slopes = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            flat = self.fabric.all_reduce(torch.cat([slope.flatten() for slope in slopes]))
            for slope, mean in zip(slopes, flat.split([slope.numel() for slope in slopes]), strict=True):
                slope.copy_(mean.view_as(slope))
        optimizer.step()
        forget_casts()
        optimizer.zero_grad(set_to_none=True)

    def _only(self, network: nn.Module) -> None:
        """Gradients for the discriminator, or through it."""
        for parameter in self._learned:
            parameter.requires_grad_(network is self.discriminator)

    def _set_rates(self) -> None:
        factor = self.schedule(self.steps_done)
        for optimizer, rates in zip(self.optimizers, self._rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor

    @torch.no_grad()
    def _match(self, values: Iterable[Tensor]) -> None:
        """The same start in all processes: the first one's."""
        if self.fabric.world_size > 1:
            for value in values:
                value.copy_(self.fabric.broadcast(value.clone()))


def adam_pair(
    generator: nn.Module,
    discriminator: nn.Module | None,
    rates: tuple[float, float] = (0.0025, 0.0025),
    betas: tuple[float, float] = (0.0, 0.99),
    penalties: Sequence[Penalty] = (),
) -> tuple[Adam, ...]:
    """Adam for the generator (and what its penalties learn) and for the discriminator, if there is one.

    A network with penalties every k steps is updated k + 1 times where it would be k times: with c = k / (k + 1), its
    rate becomes c · rate and its betas βᶜ, which keeps the speed of learning (Karras et al. 2020, appendix B). `rates`
    and `betas` are those of both.
    """
    pair = []
    for of, network, rate in (("generator", generator, rates[0]), ("discriminator", discriminator, rates[1])):
        if network is None:
            continue
        mine = [penalty for penalty in penalties if penalty.of == of]
        every = min((penalty.every for penalty in mine), default=None)
        c = 1.0 if every is None else every / (every + 1)
        learned = [p for p in network.parameters() if p.requires_grad]
        learned += [p for penalty in mine if isinstance(penalty, nn.Module) for p in penalty.parameters()]
        pair.append(Adam(learned, lr=rate * c, betas=(betas[0] ** c, betas[1] ** c)))
    return tuple(pair)


def _add(measured: dict[str, Tensor], name: str, value: Tensor) -> None:
    """Sum up parts of a batch."""
    value = value.detach()
    measured[name] = measured[name] + value if name in measured else value
