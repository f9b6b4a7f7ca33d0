"""The command line: `neurotex demo`, `fit`, `train`, `render`, `info`, `convert`."""

from __future__ import annotations

import os

# Before torch is loaded: its idle threads then never spin, also where no kernel runs (see threads.py).
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import json
import math
import sys
import warnings
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from . import __version__, assets, generators, storage
from .errors import ArgumentError, NeurotexError
from .fit import Interrupted, Options, fit_views
from .fit.plan import TEMPERATURE
from .renderers import around, on_background, save_gif, turntable
from .renderers import render as render_scene
from .scene import AmbientLight, GeneratedTexture, Latent, Material, Scene, Views, to_photograph

app = typer.Typer(
    help="A generative texture network as a differentiable node of a scene graph.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(stderr=True)

TENSORS_SHOWN = 12
FACTS = {
    "class": "class",
    "architecture": "architecture",
    "resolution": "resolution",
    "channels": "channels",
    "z_dim": "z",
    "w_dim": "w",
    "c_dim": "classes (c)",
    "num_ws": "layers of w+",
    "parameters": "parameters",
}


def main() -> None:
    """Entry point: what a user can mend is one sentence and exit code 2, never a traceback."""
    warnings.showwarning = lambda message, *_, **__: console.print(
        f"[yellow]warning:[/] {escape(str(message))}", highlight=False, soft_wrap=True
    )
    try:
        app()
    except NeurotexError as error:
        console.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)


def _version(shown: bool) -> bool:
    if shown:
        print(__version__)
        raise typer.Exit
    return shown


@app.callback()
def _options(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False) -> None:
    pass


@app.command()
def demo(out: Annotated[Path, typer.Option(help="Where to write the results.")] = Path("demo")) -> None:
    """Fit the bundled photographs of a teapot: first its pixels, then through the bundled generator."""
    data = assets.folder() / "demo"
    common = {"mesh": str(data / "mesh.obj"), "views": str(data / "views"), "holdout": str(data / "holdout")}
    runs = {
        "pixels": Options(**common),
        "palette": Options(**common, through=("palette:12",)),
        "generator": Options(**common, texture="materials", optimize="both"),
    }
    for name, options in runs.items():
        console.print(f"[bold]{name}[/]: 12 flash photographs of a teapot → its texture")
        _report(_run(options, out / name, resume=False), out / name)


@app.command()
def fit(
    mesh: Annotated[Path, typer.Argument(help="OBJ, PLY, GLB or glTF with UVs.")],
    views: Annotated[Path, typer.Argument(help="A folder with transforms.json, or that file.")],
    texture: Annotated[str, typer.Option(help="pixels, the name of a bundled generator, or a checkpoint.")] = "pixels",
    optimize: Annotated[str, typer.Option(help="For generators: latents, weights or both.")] = "latents",
    space: Annotated[str, typer.Option(help="Where their latents lie: w, w+, z, gaussian or noise.")] = "w",
    label: Annotated[int | None, typer.Option("--class", help="The class, for conditional generators.")] = None,
    through: Annotated[list[str], typer.Option(help="A discrete step, as in levels:8; may be repeated.")] = [],  # noqa: B006
    estimator: Annotated[str, typer.Option(help="How gradients cross steps.")] = "straight_through",
    temperature: Annotated[
        tuple[float, float], typer.Option(help="Where estimators that smooth begin and end, in units of the step.")
    ] = TEMPERATURE,
    imagined: Annotated[int, typer.Option(help="Views of the first fit that the one through steps sees, too.")] = 24,
    size: Annotated[int, typer.Option(min=1, help="Side of a pixels texture.")] = 512,
    steps: Annotated[int | None, typer.Option(min=1, help="Optimisation steps; default by kind of texture.")] = None,
    holdout: Annotated[Path | None, typer.Option(help="Views to judge by, not fitted.")] = None,
    out: Annotated[Path, typer.Option(help="Where to write the results.")] = Path("fit"),
    seed: Annotated[int, typer.Option(help="Where the search for latents starts.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    huber: Annotated[float | None, typer.Option(help="Difference from which the loss grows linearly.")] = None,
    ssim: Annotated[float, typer.Option(min=0, help="Weight of structural dissimilarity in the loss.")] = 0.0,
    prior: Annotated[float, typer.Option(min=0, help="Weight of the latents' prior in the loss.")] = 0.0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
) -> None:
    """Fit the texture of MESH to photographs."""
    options = Options(
        mesh=str(mesh),
        views=str(views),
        texture=texture,
        optimize=optimize,
        space=space,
        label=label,
        through=tuple(through),
        estimator=estimator,
        temperature=temperature,
        imagined=imagined,
        size=size,
        steps=steps,
        holdout=None if holdout is None else str(holdout),
        seed=seed,
        device=device,
        huber=huber,
        ssim=ssim,
        prior=prior,
    )
    metrics = _run(options, out, resume)
    if json_:
        print(json.dumps(metrics))
    else:
        _report(metrics, out)


@app.command()
def train(
    data: Annotated[list[str], typer.Argument(help="A folder of images, or: materials, our procedural ones.")],
    out: Annotated[Path, typer.Option(help="Where to write the results.")] = Path("train"),
    through_renders: Annotated[
        bool,
        typer.Option("--through-renders", help="DATA are folders of photographs, or scenes: textures are never seen."),
    ] = False,
    mesh: Annotated[list[str], typer.Option(help="What wears generated textures there: a file, or sphere.")] = [],  # noqa: B006
    maps: Annotated[str, typer.Option(help="Which maps: base_color,normal,roughness.")] = "base_color",
    size: Annotated[int, typer.Option(help="Side of a texture: a power of two.")] = 128,
    render_size: Annotated[int, typer.Option(help="Side of a render that the discriminator sees.")] = 64,
    images: Annotated[int, typer.Option(min=1, help="How many images the networks see in all.")] = 200_000,
    batch: Annotated[int, typer.Option(min=1, help="Images per step, over all processes.")] = 16,
    accumulate: Annotated[int, typer.Option(min=1, help="Parts of a batch, one after another.")] = 1,
    begin: Annotated[Path | None, typer.Option(help="An earlier run's folder, perhaps of half the size.")] = None,
    channel_base: Annotated[int, typer.Option(min=1, help="Channels at resolution r are this / r ...")] = 4096,
    channel_max: Annotated[int, typer.Option(min=1, help="... but no more than this.")] = 256,
    latent_dim: Annotated[int, typer.Option(min=1, help="Numbers in a latent, and in a style.")] = 128,
    tileable: Annotated[bool, typer.Option(help="Textures without a seam.")] = True,
    generator: Annotated[str, typer.Option(help="stylegan2, or material: small, tiles.")] = "stylegan2",
    discriminator: Annotated[str, typer.Option(help="stylegan2, patch, or texture: small.")] = "stylegan2",
    discriminator_base: Annotated[int, typer.Option(min=0, help="Its --channel-base; 0: the same.")] = 0,
    loss: Annotated[str, typer.Option(help="nonsaturating, hinge, least_squares or wasserstein.")] = "nonsaturating",
    r1: Annotated[float, typer.Option(min=0, help="Weight of the discriminator's gradient penalty.")] = 1.0,
    path_length: Annotated[float, typer.Option(min=0, help="Weight of path-length regularisation.")] = 0.0,
    smoothness: Annotated[float, typer.Option(min=0, help="The same by finite differences, cheaper.")] = 0.0,
    reconstruction: Annotated[float, typer.Option(min=0, help="Weight of an encoder's reconstructions.")] = 0.0,
    augment: Annotated[float, typer.Option(min=0, help="Adaptive augmentation's target, such as 0.6.")] = 0.0,
    rate: Annotated[float, typer.Option(min=0, help="Learning rate.")] = 0.0025,
    discriminator_rate: Annotated[float, typer.Option(min=0, help="The discriminator's; 0: the same.")] = 0.0,
    half_life: Annotated[float, typer.Option(min=1, help="Of the averaged generator, in images.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of weights, data and steps.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, ...")] = "cpu",
    processes: Annotated[int, typer.Option(min=1, help="How many share the work; torchrun may start them, too.")] = 1,
    precision: Annotated[str, typer.Option(help="32; bf16 or 16 for mixed precision.")] = "32",
    minutes: Annotated[float, typer.Option(min=0, help="From one checkpoint to the next.")] = 5.0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print the metrics as JSON.")] = False,
) -> None:
    """Train a generator of textures on images, or on nothing but pictures of objects."""
    from . import gan  # reads PyTorch's rarer parts: only where it is needed

    options = gan.Options(
        data=tuple(data),
        through_renders=through_renders,
        mesh=tuple(mesh),
        maps=tuple(maps.split(",")),
        size=size,
        render_size=render_size,
        images=images,
        batch=batch,
        accumulate=accumulate,
        seed=seed,
        begin=None if begin is None else str(begin),
        channel_base=channel_base,
        channel_max=channel_max,
        latent_dim=latent_dim,
        tileable=tileable,
        generator=generator,
        discriminator=discriminator,
        discriminator_base=discriminator_base,
        loss=loss,
        r1=r1,
        path_length=path_length,
        smoothness=smoothness,
        reconstruction=reconstruction,
        augment=augment,
        rate=rate,
        discriminator_rate=discriminator_rate,
        half_life=half_life,
    )
    fabric = gan.launch(device, processes, precision)
    show = _Images()
    try:
        metrics = gan.train_generator(options, out, resume=resume, fabric=fabric, progress=show, minutes=minutes)
    except gan.Interrupted:
        show.bars.stop()
        console.print(f"stopped; the same command with --resume continues {out}", markup=False, soft_wrap=True)
        raise typer.Exit(130) from None
    finally:
        show.bars.stop()
    if not fabric.is_global_zero:
        return
    if json_:
        print(json.dumps(metrics))
        return
    scores = [f"{name.upper()} {metrics[name]:.4g}" for name in ("fid", "kid") if name in metrics]
    print(", ".join([f"{metrics['images']:,} images in {metrics['seconds']:.0f} s", *scores]))
    print(f"generator: {out / 'generator.safetensors'}; samples: {out / 'samples'}")


@app.command()
def render(
    mesh: Annotated[Path, typer.Argument(help="OBJ, PLY, GLB or glTF.")],
    out: Annotated[Path, typer.Option(help="A .png picture or a .gif turntable.")] = Path("render.png"),
    views: Annotated[Path | None, typer.Option(help="Cameras to render instead: out becomes a folder of PNGs.")] = None,
    texture: Annotated[str | None, typer.Option(help="A generator to wear instead of the file's materials.")] = None,
    seed: Annotated[int, typer.Option(help="The generator's latent.")] = 0,
    label: Annotated[int | None, typer.Option("--class", help="The class, for conditional generators.")] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Height and width, pixels (512); with --views the longer side (theirs).")
    ] = None,
) -> None:
    """Render MESH with its own materials or a generator's texture."""
    material = None
    if texture is not None:
        loaded = generators.load(texture)
        generator = generators.LatentSpace(loaded, "z", generators.one_hot(loaded, label))
        material = Material(**GeneratedTexture(generator, Latent(generator).sample(seed)).maps())
    scene = Scene.load(mesh, material)
    with torch.no_grad():
        if views is not None:
            found = Views.load(views)
            scene = Scene(list(scene.nodes), found.cameras, found.lights or [AmbientLight(1.0)])
            folder = storage.make_folder(out.with_suffix(""))
            scale = 1 if size is None else size / max(found.size)
            height, width = (max(1, round(side * scale)) for side in found.size)
            for name, image in zip(found.names, render_scene(scene, (height, width)), strict=True):
                _save_png(image, storage.make_folder((folder / name).parent) / f"{Path(name).name}.png")
            console.print(f"wrote {len(found.names)} pictures to {folder}", markup=False, soft_wrap=True)
            return
        size = 512 if size is None else size
        if out.suffix.lower() not in (".png", ".gif"):
            raise ArgumentError(f"{out} must end in .png (a picture) or .gif (a turntable).")
        storage.make_folder(out.parent)
        if out.suffix.lower() == ".gif":
            save_gif([on_background(image) for image in turntable(scene, size)], out)
        else:
            cameras, flash = around(scene, 12)
            scene.cameras.append(cameras[1])
            scene.lights.append(flash)
            _save_png(render_scene(scene, size)[0], out)
    console.print(f"wrote {out}", markup=False, soft_wrap=True)


@app.command()
def info(
    path: Annotated[str, typer.Argument(help="A checkpoint, or the name of a bundled generator.")],
    json_: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Print which networks a checkpoint holds, without running anything in it."""
    found = generators.info(path)
    if json_:
        print(json.dumps(found))
        return
    out = Console(soft_wrap=True, highlight=False)
    out.print(f"{found['path']}: {found['format']}", markup=False)
    if found["networks"]:
        out.print(_networks(found["networks"]))
        return
    tensors = list(found["tensors"].items())
    numbers = sum(math.prod(shape) for _, shape in tensors)
    out.print(f"no generator that neurotex knows: {len(tensors)} tensors, {numbers:,} numbers")
    for name, shape in tensors[:TENSORS_SHOWN]:
        out.print(f"  {name}  {' x '.join(map(str, shape)) or 'one number'}", markup=False)
    if len(tensors) > TENSORS_SHOWN:
        out.print(f"  … and {len(tensors) - TENSORS_SHOWN} more; --json lists all")


def _networks(networks: dict[str, dict]) -> Table:
    """A column for each network, a row for each fact and for each argument of its constructor."""
    table = Table("", *(escape(name or "the file") for name in networks))
    for name, label in FACTS.items():
        values = [facts.get(name) for facts in networks.values()]
        if any(value is not None for value in values):
            table.add_row(label, *map(_shown, values))
    configs = [facts.get("config", {}) for facts in networks.values()]
    for name in dict.fromkeys(name for config in configs for name in config):
        table.add_row(f"  {_shown(name)}", *(_shown(config.get(name)) for config in configs))
    return table


def _shown(value: object) -> str:
    """A value out of a file, which may be anything."""
    text = "–" if value is None else f"{value:,}" if type(value) is int else str(value)
    return escape("".join(letter for letter in text if letter.isprintable()))


@app.command()
def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A checkpoint: see `neurotex info`.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="Where to write the generator.")],
    network: Annotated[str | None, typer.Option(help="Which network of the file; G_ema where there is one.")] = None,
) -> None:
    """Write a generator of any checkpoint in neurotex's own format: safetensors with its configuration."""
    if out.suffix.lower() != ".safetensors":
        raise ArgumentError(f"{out} must end in .safetensors.")
    generator = generators.load(source, network)
    storage.make_folder(out.parent)
    generators.save(generator, out)
    console.print(f"wrote {type(generator).__name__} to {out}", markup=False, soft_wrap=True)


def _save_png(image: torch.Tensor, path: Path) -> None:
    """Whole or not at all."""
    with storage.replacing(path) as file:
        to_photograph(image).save(file)


def _run(options: Options, out: Path, resume: bool) -> dict:
    show = _Bars()
    try:
        return fit_views(options, out, resume=resume, progress=show)
    except Interrupted:
        show.bars.stop()
        file = out / "checkpoint.safetensors"
        console.print(f"stopped; the same command with --resume continues {file}", markup=False, soft_wrap=True)
        raise typer.Exit(130) from None
    finally:
        show.bars.stop()


class _Bars:
    """A bar for each stage; where nobody watches (a log file), a line for every tenth of it."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self.bars = Progress(*columns, TextColumn("{task.fields[note]}"), console=console)
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int, loss: float | None) -> None:
        note = "" if loss is None else f"loss {loss:.2e}  PSNR {-10 * math.log10(max(loss, 1e-12)):.1f} dB"
        if not console.is_terminal:
            if done * 10 // total > (done - 1) * 10 // total:
                console.print(f"{stage} {done}/{total} {note}", highlight=False, soft_wrap=True)
            return
        if stage not in self.tasks:
            self.bars.start()
            self.tasks[stage] = self.bars.add_task(stage, total=total, note="")
        self.bars.update(self.tasks[stage], completed=done, note=note)


class _Images:
    """A bar of images; where nobody watches (a log file), a line for every hundredth of them."""

    def __init__(self) -> None:
        columns = (BarColumn(), TextColumn("{task.fields[note]}"), TextColumn("ETA"), TimeRemainingColumn())
        self.bars = Progress(*columns, console=console)
        self.task: TaskID | None = None
        self.shown = -1

    def __call__(self, done: int, total: int, measured: dict[str, float], rate: float) -> None:
        losses = "  ".join(f"{name[5:]} {value:.2f}" for name, value in measured.items() if name.startswith("loss/"))
        note = f"{done:,}/{total:,} images  {rate:.1f}/s  {losses}"
        if not console.is_terminal:
            if done * 100 // total > self.shown:
                self.shown = done * 100 // total
                console.print(f"{note}  ETA {(total - done) / rate / 60:.0f} min", highlight=False, soft_wrap=True)
            return
        if self.task is None:
            self.bars.start()
            self.task = self.bars.add_task("", total=total, note="")
        self.bars.update(self.task, completed=done, note=note)


def _report(metrics: dict, out: Path) -> None:
    held = metrics["holdout_psnr_db"]
    over = "" if metrics["judged_pixels"] == "all" else " over what the mesh covers"
    judged = "" if held is None else f", held out {held:.1f} dB"
    spent = f"{metrics['steps']} steps, {metrics['seconds']:.1f} s"
    print(f"PSNR{over}: train {metrics['train_psnr_db']:.1f} dB{judged}; {spent}")
    print(f"pictures: {out / 'report.html'}, {out / 'turntable.gif'}, {out / 'model.glb'}")


if __name__ == "__main__":
    main()
