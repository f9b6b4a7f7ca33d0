"""`report.html`: a fit on one page, with thumbnails of target, render and difference, and the loss.

The pictures themselves lie beside it, in `report/`; without them the page is still whole.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from PIL import Image
from torch import Tensor

from ..core import storage
from ..scene import to_image
from ..shading import linear_to_srgb
from . import losses
from .plan import Plan

FILES = ("report.html", "report/[0-9]*.jpg")  # what is written
THUMBNAIL = 480  # pixels of a strip's longer side
LARGEST = 2048  # pixels of a picture's longer side: photographs themselves are at hand


@dataclass(frozen=True)
class Picture:
    """A file, named relatively to the page, a thumbnail of it as a data URI, and words for it."""

    file: str
    thumbnail: str
    caption: str


# 6 parameters: the files, and what there is to tell
def write_report(
    out: Path, plan: Plan, images: Tensor, textures: Mapping[str, Tensor], history: list[float], metrics: dict
) -> None:
    """Write the page and its pictures to `out`, in which there is a folder `report`.

    `images` are the renders, (views, 4, h, w), linear; `textures` the exported ones by the names of their files,
    (1, C, h, w); `history` the losses, and `metrics` what else is to be read.
    """
    with storage.replacing(out / "report.html") as file:
        text = _template().render(
            title=_title(plan),
            metrics=metrics,
            curve=_curve(history),
            views=_views(out, plan, images),
            textures=[Picture(quote(name), _data(to_image(texture[0])), name) for name, texture in textures.items()],
        )
        file.write_text(text, encoding="utf-8")


def _template() -> Any:
    import jinja2  # a quarter of a second, where a page is written and nowhere else

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["figure"] = _figure
    return environment.get_template("report.html.jinja")


def _title(plan: Plan) -> str:
    options = plan.options
    what = f"{Path(options.mesh).name}, {len(plan.views.cameras)} views, texture {options.texture}"
    if options.texture != "pixels":
        what += f", optimised {options.optimize}"
    if options.through:
        what += f", through {', '.join(options.through)} ({options.estimator})"
    return what


def _views(out: Path, plan: Plan, images: Tensor) -> list[Picture]:
    """Write a strip for each view."""
    targets = plan.views.images.to(images)
    levels = losses.psnr(images, targets, losses.evaluated(images, targets)).tolist()
    found = []
    for number, (name, target, image, db) in enumerate(zip(plan.views.names, targets, images, levels, strict=True)):
        a, b = (_small(linear_to_srgb(x[:3].clamp(0, 1))) for x in (target, image))
        strip = to_image(torch.cat([a, b, ((a - b).abs() * 8).clamp(0, 1)], dim=2))
        picture = f"report/{number:03d}.jpg"
        with storage.replacing(out / picture) as file:
            strip.save(file, "JPEG", quality=92)
        caption = f"{name}: {'nothing to see' if math.isnan(db) else f'{db:.1f} dB'}"
        found.append(Picture(picture, _data(strip), caption))
    return found


def _small(picture: Tensor) -> Tensor:
    """A picture (3, h, w) of at most LARGEST pixels a side."""
    scale = LARGEST / max(picture.shape[1:])
    if scale >= 1:
        return picture
    size = [max(round(side * scale), 1) for side in picture.shape[1:]]
    return torch.nn.functional.interpolate(picture[None], size, mode="area")[0]


def _data(picture: Image.Image) -> str:
    """A thumbnail, as a page carries it."""
    small = picture.convert("RGB")
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _figure(value: object) -> str:
    return "–" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def _curve(history: list[float]) -> dict[str, Any]:
    """The loss over steps on a logarithmic scale: where its points and the powers of ten lie in a picture."""
    logs = [math.log10(max(value, 1e-12)) for value in history]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    high = max(high, low + 1)

    def height(value: float) -> float:
        return round(15 + 200 * (high - value) / (high - low), 1)

    x = [60 + 720 * k / max(len(logs) - 1, 1) for k in range(len(logs))]
    return {
        "points": " ".join(f"{a:.1f},{height(b)}" for a, b in zip(x, logs, strict=True)),
        "lines": [{"y": height(power), "power": power} for power in range(low, high + 1)],
        "steps": len(history),
    }
