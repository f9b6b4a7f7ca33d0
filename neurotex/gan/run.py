"""`neurotex train` as a function: textures, or nothing but pictures of objects wearing them → a generator."""

from __future__ import annotations

import json
import math
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from .. import storage
from ..errors import ArgumentError, FileError, MissingError, TrainingError
from ..generators import MaterialGenerator, StyleGAN2
from ..generators.files import save
from ..scene import Views
from . import seeds
from .augment import COLOURS, MOTIONS, AdaptiveAugment
from .checkpoint import load_state, save_state
from .discriminators import PatchDiscriminator, StyleGAN2Discriminator, TextureDiscriminator
from .folder import ImageFolder
from .losses import Hinge, LeastSquares, NonSaturating, Wasserstein
from .materials import CHANNELS, ProceduralMaterials
from .metrics.features import SMALLEST
from .penalties import R1, GradientPenalty, PathLength, Smoothness
from .pictures import picture, sheet
from .processes import Alone, Processes
from .reconstruction import Encoder, Reconstruction
from .render_data import ViewSource, photographed
from .render_scenes import objects, scene_of_views
from .renders import Renders
from .schedules import HoldThenLinear
from .trainer import Trainer, adam_pair

LOSSES = {
    "nonsaturating": NonSaturating,
    "hinge": Hinge,
    "least_squares": LeastSquares,
    "wasserstein": Wasserstein,
}
GENERATORS = ("stylegan2", "material")
DISCRIMINATORS = ("stylegan2", "patch", "texture")
MATERIALS = "materials"  # in place of a folder: our procedural ones
MINUTES = 5.0  # between two checkpoints
SAMPLES = 48

# progress(images done, images in all, what the last step measured, images per second)
Progress = Callable[[int, int, dict[str, float], float], None]


@dataclass(frozen=True)
class Options:
    """What to train on what.

    `data`: folders of images; or "materials", our procedural ones, without end. With `through_renders`, folders of
    photographs (`transforms.json`) of objects, whose shape `mesh` is, or scenes with textures: then the discriminator
    sees renders of `mesh`, and textures never. `maps` of a material are learned together; a folder then has a file for
    each, as NAME_base_color.png. `images` is how many the networks see in all.

    Networks: `generator` is "stylegan2", or "material" (`generators.MaterialGenerator`, for machines without a GPU). It
    has `channel_base` / r channels at resolution r, at most `channel_max`; latents of `latent_dim`; textures have no
    seam if `tileable`. The discriminator has `discriminator_base` in place of the first, 0 for the same. `begin` is an
    earlier run's folder, perhaps of half the size: what fits is taken over from it.

    `rate` is that of learning; the discriminator's is `discriminator_rate`, 0 for the same. Weights of penalties, 0 for
    none: `r1`, `path_length`, `smoothness`, `reconstruction` (see `gan.penalties`).
    """

    data: tuple[str, ...]
    through_renders: bool = False
    mesh: tuple[str, ...] = ()
    maps: tuple[str, ...] = ("base_color",)
    size: int = 128
    render_size: int = 64
    images: int = 200_000
    batch: int = 16
    accumulate: int = 1
    seed: int = 0
    begin: str | None = None
    channel_base: int = 4096
    channel_max: int = 256
    latent_dim: int = 128
    tileable: bool = True
    generator: str = "stylegan2"
    discriminator: str = "stylegan2"
    discriminator_base: int = 0
    loss: str = "nonsaturating"
    r1: float = 1.0
    path_length: float = 0.0
    smoothness: float = 0.0
    reconstruction: float = 0.0
    augment: float = 0.0
    rate: float = 0.0025
    discriminator_rate: float = 0.0
    half_life: float = 10_000


class Interrupted(Exception):
    """The run was stopped by Ctrl-C; what it had done is in its checkpoint."""


def train_generator(
    options: Options,
    out: str | Path,
    *,
    resume: bool = False,
    fabric: Processes | None = None,
    progress: Progress | None = None,
    minutes: float = MINUTES,
    scores: bool = True,
) -> dict:
    """Train, write everything to the folder `out`, and return the metrics (also in `out/metrics.json`).

    Every so many `minutes` `out` gets a checkpoint, `generator.safetensors` and a sheet of samples. Ctrl-C leaves these
    and raises Interrupted; `resume=True` continues, exactly.
    """
    fabric = fabric or Alone()
    out = Path(out)
    file = out / "checkpoint.safetensors"
    about = json.loads(json.dumps(asdict(options)))
    state = None
    if resume:
        state, found = load_state(file)
        changed = [name for name, value in about.items() if found.get(name) != value and name != "images"]
        if changed:
            raise ArgumentError(
                f"{file} is of a run with another {', '.join(changed)}: repeat its options to resume it."
            )
    trainer = make_trainer(options, fabric)
    if state is not None:
        trainer.load_state_dict(state)
    if fabric.is_global_zero:
        storage.make_folder(out / "samples")
    total = math.ceil(options.images / options.batch)
    with _Log(out, trainer.steps_done, fabric.is_global_zero) as log, _interruptible() as stop:
        saved = time.monotonic()

        def watch(trainer: Trainer, measured: dict[str, float]) -> None:
            nonlocal saved
            done = trainer.steps_done
            log(done, measured)
            if progress is not None and fabric.is_global_zero:
                progress(done * options.batch, total * options.batch, measured, done * options.batch / trainer.seconds)
            # all processes stop if one is asked to, and keep what they have when the first one's clock says so
            late = fabric.is_global_zero and time.monotonic() - saved > 60 * minutes
            flags = torch.tensor([float(stop[0]), float(late)], device=fabric.device)
            asked, late = (fabric.all_reduce(flags) > 0).tolist()
            if asked or late or done == total:
                if fabric.is_global_zero:
                    _keep(trainer, out, about, log)
                saved = time.monotonic()
            if asked and done < total:
                raise Interrupted

        measured = trainer.train(total, watch)
    metrics = {"images": trainer.steps_done * options.batch, "seconds": trainer.seconds, **measured}
    if fabric.is_global_zero:
        storage.write_json(out / "metrics.json", metrics)
    if scores:
        metrics |= _scores(trainer)
        if fabric.is_global_zero:
            storage.write_json(out / "metrics.json", metrics)
    return metrics


def _scores(trainer: Trainer) -> dict[str, float]:
    """What the averaged generator is judged to be; nothing, and a warning, where that cannot be said."""
    if trainer.data.size < SMALLEST:
        warnings.warn(f"scores are of images of {SMALLEST} pixels or more: there are none of these.", stacklevel=2)
        return {}
    try:
        return trainer.evaluate()
    except MissingError as error:
        warnings.warn(f"there are no scores: {error}", stacklevel=2)
        return {}


def make_trainer(options: Options, fabric: Processes | None = None) -> Trainer:
    """The networks, data and penalties that options ask for. The same seed gives the same weights to begin with."""
    data, observe, channels = read_data(options)
    if options.loss not in LOSSES:
        raise ArgumentError(f"there is no loss '{options.loss}': choose one of {', '.join(LOSSES)}.")
    for what, known in (("generator", GENERATORS), ("discriminator", DISCRIMINATORS)):
        if getattr(options, what) not in known:
            raise ArgumentError(f"there is no {what} '{getattr(options, what)}': choose one of {', '.join(known)}.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.mixed(options.seed, -2))
        generator = make_generator(options, channels)
        tileable = options.tileable and observe is None
        if options.discriminator == "patch":
            discriminator = PatchDiscriminator(data.channels, tileable=tileable)
        elif options.discriminator == "texture":
            discriminator = TextureDiscriminator(data.channels)
        else:
            base = options.discriminator_base or options.channel_base
            discriminator = StyleGAN2Discriminator(
                data.size, data.channels, channel_base=base, channel_max=options.channel_max, tileable=tileable
            )
        penalties = []
        if options.r1:
            wasserstein = options.loss == "wasserstein"
            penalties.append(GradientPenalty(options.r1) if wasserstein else R1(options.r1, every=16))
        if options.path_length:
            penalties.append(PathLength(options.path_length))
        if options.smoothness:
            penalties.append(Smoothness(options.smoothness))
        if options.reconstruction:
            if observe is not None:
                raise ArgumentError("textures cannot be reconstructed where only renders are seen: leave it at 0.")
            encoder = Encoder(channels, options.latent_dim)
            penalties.append(Reconstruction(encoder, data, options.batch // 2, options.reconstruction, every=2))
    if options.begin is not None:
        begin_from(Path(options.begin), generator, discriminator, penalties)
    kind = "rgba" if observe is not None else "material" if channels == 6 else "rgb"
    augment = None
    if options.augment:
        tiles = options.tileable and observe is None
        moves = ("flip", "turn", "shift") if tiles else MOTIONS  # other motions would cut a seam into a texture
        augment = AdaptiveAugment(options.augment, tileable=tiles, channels=kind, operations=(*moves, *COLOURS))
    rates = (options.rate, options.discriminator_rate or options.rate)
    return Trainer(
        generator,
        discriminator,
        data,
        loss=LOSSES[options.loss](),
        penalties=penalties,
        augment=augment,
        observe=observe,
        optimizers=adam_pair(generator, discriminator, rates, penalties=penalties),
        schedule=HoldThenLinear(math.ceil(options.images / options.batch)),
        batch=options.batch,
        accumulate=options.accumulate,
        half_life=options.half_life,
        seed=options.seed,
        fabric=fabric,
    )


def make_generator(options: Options, channels: int) -> nn.Module:
    """The network that the options describe, with random weights."""
    if options.generator == "material":
        if not options.tileable:
            raise ArgumentError("a material generator makes nothing but tiles: leave out --no-tileable.")
        sizes = [options.size // 8, options.size // 4, options.size // 2]
        widths = [min(options.channel_base // max(size, 1), options.channel_max) for size in sizes]
        return MaterialGenerator(options.size, channels, options.latent_dim, 2 * options.latent_dim, widths)
    return StyleGAN2(
        options.size,
        channels,
        options.latent_dim,
        w_dim=options.latent_dim,
        mapping_kwargs={"num_layers": 4},
        tileable=options.tileable,
        use_noise=False,
        channel_base=options.channel_base,
        channel_max=options.channel_max,
    )


def read_data(options: Options):
    """What is learned from: a source, how its renders are made or None, and the channels of a texture."""
    channels = sum(CHANNELS.get(name, 0) for name in options.maps)
    unknown = [name for name in options.maps if name not in CHANNELS]
    if unknown or not channels:
        raise ArgumentError(f"maps are some of {', '.join(CHANNELS)}, not {', '.join(unknown) or 'none'}.")
    if not options.data:
        raise ArgumentError(f"there is nothing to train on: give a folder of images, or {MATERIALS}.")
    if options.through_renders:
        data, observe = read_pictures(options)
        return data, observe, channels
    if options.data == (MATERIALS,):
        return ProceduralMaterials(options.size, options.seed, maps=options.maps), None, channels
    if len(options.data) > 1:
        raise ArgumentError("one folder of images at a time: put the others into it.")
    crops = "tile" if options.tileable else "random"
    maps = None if options.maps == ("base_color",) else options.maps
    return ImageFolder(options.data[0], options.size, crops, maps=maps), None, channels


def read_pictures(options: Options) -> tuple[ViewSource, Renders]:
    """Photographs, or renders of textured scenes, and renders by the same or like cameras of generated textures."""
    if options.maps != ("base_color",):
        raise ArgumentError("only base_color is learned through renders, whose surfaces are diffuse: leave out --maps.")
    scenes = [not Path(path).is_dir() and Path(path).suffix.lower() != ".json" for path in options.data]
    sizes = {"size": options.render_size, "texture_size": options.size}
    if all(scenes):
        meshes = options.mesh or options.data
        pictures = [photographed(path, options.render_size, seed=options.seed) for path in options.data]
        return ViewSource(pictures, options.render_size), Renders.from_meshes(list(meshes), seed=options.seed, **sizes)
    if any(scenes):
        raise ArgumentError("photographs and scenes cannot be mixed: give folders of views, or scene files.")
    if len(options.mesh) != 1:
        raise ArgumentError("photographs need one --mesh: the shape of what they show.")
    views = [Views.load(path) for path in options.data]
    nodes = objects(options.mesh[0])
    return ViewSource(views, options.render_size), Renders([scene_of_views(nodes, each) for each in views], **sizes)


def begin_from(folder: Path, generator: nn.Module, discriminator: nn.Module, penalties: list) -> None:
    """Weights of an earlier run, where names and shapes agree.

    A run of half the size has all but the finest blocks: pictures then begin as its pictures enlarged (growing, Karras
    et al. 2018, arXiv:1710.10196), which saves most of the time that the coarse ones take to learn.
    """
    file = folder / "checkpoint.safetensors"
    if not file.is_file():
        raise FileError(f"{folder} is no folder of an earlier run: it has no {file.name}.")
    state, _ = load_state(file)
    averaged = {name.removeprefix("module."): value for name, value in state["average"].items()}
    fresh = _take_over(generator, averaged)
    if any(name.startswith("mapping.") for name in fresh) or "synthesis.b4.const" in fresh:
        raise FileError(f"{folder} holds a run of another architecture: repeat its channels and latent_dim.")
    for name, value in generator.named_parameters():
        if name in fresh and ".torgb." in name and "affine" not in name:
            nn.init.zeros_(value)
    _take_over(discriminator, state["discriminator"])
    for k, penalty in enumerate(penalties):
        if isinstance(penalty, nn.Module) and f"penalty {k}" in state:
            _take_over(penalty, state[f"penalty {k}"])


def _take_over(module: nn.Module, state: dict[str, Tensor]) -> set[str]:
    """Load what fits; the names of what did not."""
    own = module.state_dict()
    fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
    module.load_state_dict(fitting, strict=False)
    return set(own) - set(fitting)


# ---------------------------------------------------------------- what a run leaves


def sample_sheet(textures: Tensor, columns: int = 8) -> Image.Image:
    """Textures (N, 3 or 6, h, w) in [-1, 1], side by side; materials are lit."""
    shown = picture(textures) if textures.shape[1] == 6 else (textures[:, :3] + 1) / 2
    return sheet(shown.clamp(0, 1), columns)


def _keep(trainer: Trainer, out: Path, about: dict, log: _Log) -> None:
    """Checkpoint, generator, samples: in this order, each whole or not at all."""
    for name, value in trainer.generator.named_parameters():
        if not value.isfinite().all():
            raise TrainingError(f"{name} of the generator is no number any more: resume the last checkpoint in {out}.")
    save_state(out / "checkpoint.safetensors", trainer.state_dict(), about)
    save(trainer.average.centre(), out / "generator.safetensors")
    latents = trainer.average.module.sample_latents(SAMPLES, seeds.generator(0))
    sheet = sample_sheet(trainer.sample(latents))
    with storage.replacing(out / "samples" / f"{trainer.steps_done:07d}.png") as file:
        sheet.save(file)
    log.picture(trainer.steps_done, sheet)
    log.flush()


class _Log:
    """A line of JSON for each step, and TensorBoard's scalars and pictures where it is installed."""

    def __init__(self, out: Path, begun: int, writes: bool):
        self.file = out / "log.jsonl"
        self.begun, self.writes = begun, writes
        self.board = None
        self.lines: list[str] = []

    def __enter__(self) -> _Log:
        if self.writes:
            kept = self.file.read_text().splitlines() if self.begun and self.file.is_file() else []
            # what an earlier process did beyond its last checkpoint is done again
            kept = [line for line in kept if json.loads(line)["step"] <= self.begun]
            with storage.replacing(self.file) as temporary:
                temporary.write_text("".join(line + "\n" for line in kept))
            try:
                from torch.utils.tensorboard import SummaryWriter

                self.board = SummaryWriter(str(self.file.parent / "tensorboard"), purge_step=self.begun + 1)
            except ModuleNotFoundError:
                pass
        return self

    def __call__(self, step: int, measured: dict[str, float]) -> None:
        if self.writes:
            self.lines.append(json.dumps({"step": step, **measured}))
            if self.board is not None:
                for name, value in measured.items():
                    self.board.add_scalar(name, value, step)

    def flush(self) -> None:
        """Onto disk with what there is."""
        lines, self.lines = self.lines, []
        try:
            with self.file.open("a") as stream:
                stream.writelines(line + "\n" for line in lines)
        except OSError as error:
            raise FileError(f"{self.file} cannot be written ({error.strerror}): check free space.") from None

    def picture(self, step: int, sheet: Image.Image) -> None:
        if self.board is not None:
            self.board.add_image("samples", np.array(sheet), step, dataformats="HWC")

    def __exit__(self, *_: object) -> None:
        if self.writes:
            self.flush()
            if self.board is not None:
                self.board.close()


@contextmanager
def _interruptible() -> Iterator[list[bool]]:
    """Ctrl-C sets the flag, so that a step is finished and kept; a second one stops at once."""
    stop = [False]

    def handle(*_: object) -> None:
        if stop[0]:
            raise KeyboardInterrupt
        stop[0] = True

    try:
        before = signal.signal(signal.SIGINT, handle)
    except ValueError:  # only the main thread may
        yield stop
        return
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
