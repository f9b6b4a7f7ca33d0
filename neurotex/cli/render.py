"""`neurotex render`."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import say
from .options import LARGEST, Label, Overwrite, Seed

if TYPE_CHECKING:
    import torch

    from ..scene import Material

ASIDE = 30.0  # degrees: two sides of an object show more of its shape than one
SIZE = 512


# 11 parameters: Typer makes an option of each
def render(
    mesh: Annotated[Path, typer.Argument(metavar="MESH", help="OBJ, PLY, STL, GLB or glTF.")],
    out: Annotated[Path, typer.Option(help="A .png picture or a .gif turntable.")] = Path("render.png"),
    views: Annotated[
        Path | None, typer.Option(help="Use the cameras of these photographs; --out is then a folder of PNGs.")
    ] = None,
    texture: Annotated[
        str | None, typer.Option(help="A generator whose texture to wear instead of the file's materials.")
    ] = None,
    seed: Seed = 0,
    label: Label = None,
    size: Annotated[
        int | None,
        typer.Option(min=1, max=LARGEST, help="Height and width in pixels [default: 512]; the longer side of --views."),
    ] = None,
    azimuth: Annotated[
        float | None,
        typer.Option(help="Where the camera stands: degrees from +Z towards +X. The default shows the front."),
    ] = None,
    elevation: Annotated[float, typer.Option(min=-90, max=90, help="Degrees that it looks down.")] = 20.0,
    distance: Annotated[
        float | None, typer.Option(help="From the object's centre, in its units. The default shows all of it.")
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Render MESH with its own materials or a generator's texture."""
    import torch

    from ..core import storage
    from ..core.memory import memory_for
    from ..errors import ArgumentError
    from ..renderers import around, on_background, save_gif, turntable
    from ..renderers import render as render_scene
    from ..scene import AmbientLight, Scene, Views

    if views is not None:
        if azimuth is not None or distance is not None:
            raise ArgumentError("--views says where cameras stand: leave --azimuth and --distance out.")
        with memory_for("rendering these views", "turn down --size"), torch.no_grad():
            found = Views.load(views)
            height, width = found.size
            scale = 1 if size is None else size / max(height, width)
            height, width = max(round(height * scale), 1), max(round(width * scale), 1)
            folder = out.with_suffix("") if out.suffix.lower() in (".png", ".gif") else out
            scene = Scene.load(mesh, _worn(texture, seed, label))
            scene = scene.replace(cameras=found.cameras, lights=found.lights or AmbientLight(1.0))
            storage.claim(folder, [glob.escape(f"{name}.png") for name in found.names], overwrite)
            with storage.new_folder(folder):
                for name, image in zip(found.names, render_scene(scene, (height, width)), strict=True):
                    storage.make_folder((folder / name).parent)
                    _save_png(image, folder / f"{name}.png")
        say(f"wrote {len(found.names)} pictures to {folder}")
        return
    kind = out.suffix.lower()
    if kind not in (".png", ".gif"):
        raise ArgumentError(f"{out} must end in .png (a picture) or .gif (a turntable).")
    storage.claim_file(out, overwrite)
    side = SIZE if size is None else size
    with memory_for(f"a picture of {side} x {side} pixels", "turn down --size"), torch.no_grad():
        scene = Scene.load(mesh, _worn(texture, seed, label))
        if azimuth is None:
            azimuth = ASIDE if scene.front == "+Z" else 180 + ASIDE
        place = {"elevation": elevation, "azimuth": azimuth, "distance": distance}
        with storage.new_folder(out.parent):
            if kind == ".gif":
                save_gif([on_background(image) for image in turntable(scene, side, **place)], out)
            else:
                cameras, flash = around(scene, 1, **place)
                scene.cameras.append(cameras[0])
                scene.lights.append(flash)
                _save_png(render_scene(scene, side)[0], out)
    say(f"wrote {out}")


def _worn(texture: str | None, seed: int, label: int | None) -> Material | None:
    """The material of a generator."""
    if texture is None:
        return None
    from .. import generators
    from ..scene import GeneratedTexture, Latent, Material

    loaded = generators.load(texture)
    generator = generators.LatentSpace(loaded, "z", generators.one_hot(loaded, label))
    return Material(**GeneratedTexture(generator, Latent(generator).sample(seed)).maps())


def _save_png(image: torch.Tensor, path: Path) -> None:
    """Whole or not at all."""
    from ..core import storage
    from ..scene import to_photograph

    with storage.replacing(path) as file:
        to_photograph(image).save(file)
