"""What to train on what, and the trainer for it."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from ..core.checkpoint import load_state
from ..core.options import check
from ..errors import ArgumentError, FileError
from ..generators import FamilyGenerator, MaterialGenerator, StyleGAN2
from ..generators.family import BASE
from ..scene import Views
from . import seeds
from .augment import COLOURS, MOTIONS, AdaptiveAugment
from .discriminators import PatchDiscriminator, StyleGAN2Discriminator, TextureDiscriminator
from .families import FAMILIES
from .folder import ImageFolder
from .losses import Hinge, LeastSquares, NonSaturating, Wasserstein
from .options import Options
from .penalties import R1, GradientPenalty, PathLength, Smoothness
from .procedural import CHANNELS, ProceduralMaterials
from .processes import Processes
from .reconstruction import Encoder, Reconstruction
from .render_data import ViewSource, photographed
from .render_scenes import objects, scene_of_views
from .renders import Renders
from .schedules import HoldThenLinear
from .teaching import Taught
from .trainer import Trainer, adam_pair

LOSSES = {
    "nonsaturating": NonSaturating,
    "hinge": Hinge,
    "least_squares": LeastSquares,
    "wasserstein": Wasserstein,
}
GENERATORS = ("stylegan2", "material", "family")
DISCRIMINATORS = ("stylegan2", "patch", "texture", "none")
MATERIALS = "materials"  # in place of a folder: our procedural ones


def make_trainer(options: Options, fabric: Processes | None = None) -> Trainer:
    """The networks, data and penalties that options ask for. The same seed gives the same weights to begin with.

    `fabric` is what `launch` gives. ArgumentError for options that cannot be used.
    """
    check(options)
    if options.loss not in LOSSES:
        raise ArgumentError(f"there is no loss '{options.loss}': choose one of {', '.join(LOSSES)}.")
    for what, known in (("generator", GENERATORS), ("discriminator", DISCRIMINATORS)):
        if getattr(options, what) not in known:
            raise ArgumentError(f"there is no {what} '{getattr(options, what)}': choose one of {', '.join(known)}.")
    check_sizes(options)
    data, observe, channels = read_data(options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeds.mixed(options.seed, -2))
        generator = make_generator(options, channels)
        tileable = options.tileable and observe is None
        if options.discriminator == "none":
            discriminator = None
        elif options.discriminator == "patch":
            discriminator = PatchDiscriminator(data.channels, tileable=tileable)
        elif options.discriminator == "texture":
            discriminator = TextureDiscriminator(data.channels)
        else:
            base = options.discriminator_base or options.channel_base
            discriminator = StyleGAN2Discriminator(
                data.size, data.channels, channel_base=base, channel_max=options.channel_max, tileable=tileable
            )
        penalties = []
        if options.r1 and discriminator is not None:
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
        if options.teach:
            penalties.append(Taught(options.size, options.teach))
    if options.begin is not None:
        begin_from(Path(options.begin), generator, discriminator, penalties)
    kind = "rgba" if observe is not None else "material" if channels in (6, 7) else "rgb"
    augment = None
    if options.augment:
        tiles = options.tileable and observe is None
        moves = ("flip", "turn", "shift") if tiles else MOTIONS  # other motions would cut a seam into a texture
        augment = AdaptiveAugment(options.augment, tileable=tiles, channels=kind, operations=(*moves, *COLOURS))
    rates = (options.rate, options.discriminator_rate or options.rate)
    betas = (0.9 if discriminator is None else 0.0, 0.99)  # an adversary does not stay where momentum leads
    return Trainer(
        generator,
        discriminator,
        data,
        loss=LOSSES[options.loss](),
        penalties=penalties,
        augment=augment,
        observe=observe,
        optimizers=adam_pair(generator, discriminator, rates, betas, penalties),
        schedule=HoldThenLinear(math.ceil(options.images / options.batch)),
        batch=options.batch,
        accumulate=options.accumulate,
        half_life=options.half_life,
        seed=options.seed,
        fabric=fabric,
    )


def check_sizes(options: Options) -> None:
    """ArgumentError for sides that the networks cannot have, and too few channels for them."""
    halved = options.generator == "material"
    if options.generator == "family" and options.size < 32:
        raise ArgumentError(f"--size {options.size} is too small for a family generator: give a power of two from 32.")
    if (options.teach or options.discriminator == "none") and (options.generator != "family" or not options.teach):
        raise ArgumentError(
            "only a family generator is taught (--generator family --teach 1); others need an adversary."
        )
    least, what = (32, "a multiple of 16 from 32") if halved else (4, "a power of two from 4")
    if options.size < least or options.size % 16 * halved or (not halved and options.size & (options.size - 1)):
        raise ArgumentError(f"--size {options.size} is no side that a {options.generator} generator has: give {what}.")
    seen, name = (options.render_size, "--render-size") if options.through_renders else (options.size, "--size")
    if options.discriminator == "stylegan2":
        if seen < 8 or seen & (seen - 1):
            raise ArgumentError(
                f"{name} {seen} is no side that a stylegan2 discriminator sees: give a power of two from 8."
            )
        base = options.discriminator_base or options.channel_base
        if base < seen:
            given = "--discriminator-base" if options.discriminator_base else "--channel-base"
            raise ArgumentError(f"{given} {base} leaves no channels at {name} {seen}: give {seen} or more.")
    if not halved and options.channel_base < options.size:
        raise ArgumentError(
            f"--channel-base {options.channel_base} leaves no channels at --size {options.size}: give that or more."
        )


def make_generator(options: Options, channels: int) -> nn.Module:
    """The network that the options describe, with random weights."""
    if options.generator == "material":
        if not options.tileable:
            raise ArgumentError("a material generator makes nothing but tiles: leave out --no-tileable.")
        sizes = [options.size // 16, options.size // 8, options.size // 4, options.size // 2]
        widths = [min(options.channel_base // max(size, 1), options.channel_max) for size in sizes]
        return MaterialGenerator(options.size, channels, options.latent_dim, 2 * options.latent_dim, widths)
    if options.generator == "family":
        if options.data != (MATERIALS,) or options.maps != tuple(CHANNELS):
            maps = ",".join(CHANNELS)
            raise ArgumentError(f"a family generator makes our materials, whole: give {MATERIALS} --maps {maps}.")
        sizes = [BASE << k for k in range(options.size.bit_length() - BASE.bit_length())]
        widths = [min(options.channel_base // size, options.channel_max) for size in sizes]
        return FamilyGenerator(options.size, tuple(FAMILIES), options.latent_dim, widths=widths)
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
    folder, *others = options.data
    if others:
        raise ArgumentError("one folder of images at a time: put the others into it.")
    crops = "tile" if options.tileable else "random"
    maps = None if options.maps == ("base_color",) else options.maps
    return ImageFolder(folder, options.size, crops, maps=maps), None, channels


def read_pictures(options: Options) -> tuple[ViewSource, Renders]:
    """Photographs, or renders of textured scenes, and renders by the same or like cameras of generated textures."""
    if options.maps != ("base_color",):
        raise ArgumentError("only base_color is learned through renders, whose surfaces are diffuse: leave out --maps.")
    scenes = [not Path(path).is_dir() and Path(path).suffix.lower() != ".json" for path in options.data]
    if all(scenes):
        meshes = options.mesh or options.data
        pictures = [photographed(path, options.render_size, seed=options.seed) for path in options.data]
        observe = Renders.from_meshes(
            list(meshes), size=options.render_size, texture_size=options.size, seed=options.seed
        )
        return ViewSource(pictures, options.render_size), observe
    if any(scenes):
        raise ArgumentError("photographs and scenes cannot be mixed: give folders of views, or scene files.")
    if len(options.mesh) != 1:
        raise ArgumentError("photographs need one --mesh: the shape of what they show.")
    views = [Views.load(path) for path in options.data]
    nodes = objects(options.mesh[0])
    observe = Renders([scene_of_views(nodes, each) for each in views], options.render_size, options.size)
    return ViewSource(views, options.render_size), observe


def begin_from(folder: Path, generator: nn.Module, discriminator: nn.Module | None, penalties: list) -> None:
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
        if name in fresh and (".torgb." in name or ".claim." in name) and "affine" not in name:
            nn.init.zeros_(value)
    if discriminator is not None and "discriminator" in state:
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
