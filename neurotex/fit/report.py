"""`report.html`: a fit in one file, with pictures of target, render and difference, and the loss."""

from __future__ import annotations

import base64
import html
import io
import math
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..scene import to_image
from ..shading import linear_to_srgb
from . import losses
from .plan import Plan


def _encoded(image: Image.Image, kind: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **({"quality": 92} if kind == "JPEG" else {}))
    return stream.getvalue()


def _data(content: bytes, kind: str) -> str:
    return f"data:image/{kind.lower()};base64,{base64.b64encode(content).decode()}"


def page(plan: Plan, images: Tensor, textures: list[Tensor], history: list[float], metrics: dict) -> str:
    """The page for renders (views, 4, h, w), linear, and textures (1, C, h, w) that are exported."""
    rows, targets = [], plan.views.images.to(images)
    levels = losses.psnr(images, targets, losses.judged(images, targets)).tolist()
    for name, target, image, db in zip(plan.views.names, targets, images, levels, strict=True):
        a, b = (linear_to_srgb(x[:3].clamp(0, 1)) for x in (target, image))
        strip = torch.cat([a, b, ((a - b).abs() * 8).clamp(0, 1)], dim=2)
        shown = "nothing to see" if math.isnan(db) else f"{db:.1f} dB"
        source = _data(_encoded(to_image(strip), "JPEG"), "JPEG")
        rows.append(f'<figure><img src="{source}"><figcaption>{html.escape(name)}: {shown}</figcaption></figure>')
    figures = "".join(f"<dt>{k.replace('_', ' ')}</dt><dd>{_figure(v)}</dd>" for k, v in metrics.items())
    pictures = [f'<img src="{_data(_encoded(to_image(texture[0]), "PNG"), "PNG")}">' for texture in textures]
    options = plan.options
    what = f"{Path(options.mesh).name}, {len(images)} views, texture {options.texture}"
    if options.texture != "pixels":
        what += f", optimised {options.optimize}"
    if options.through:
        what += f", through {', '.join(options.through)} ({options.estimator})"
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>neurotex fit</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 820px; margin: 2rem auto; padding: 0 1rem; color: #222 }}
img {{ max-width: 100%; display: block; background: #000 }} figure {{ margin: 0 0 1rem }}
figcaption {{ color: #666; font-size: 14px }} svg {{ width: 100%; height: auto }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: 0 1.5rem }} dd {{ margin: 0 }}
</style>
<h1>neurotex fit</h1><p>{html.escape(what)}</p><dl>{figures}</dl>
<h2>Loss</h2>{_curve(history)}
<h2>Target, render, difference × 8</h2>{"".join(rows)}
<h2>Texture</h2>{"".join(pictures)}
</html>
"""


def _figure(value: object) -> str:
    return "–" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def _curve(history: list[float]) -> str:
    """The loss over steps as an SVG, logarithmic."""
    logs = [math.log10(max(value, 1e-12)) for value in history]
    low, high = math.floor(min(logs)), math.ceil(max(logs))
    high = max(high, low + 1)
    x = [60 + 720 * k / max(len(logs) - 1, 1) for k in range(len(logs))]
    y = [15 + 200 * (high - value) / (high - low) for value in logs]
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    lines = ""
    for power in range(low, high + 1):
        level = 15 + 200 * (high - power) / (high - low)
        lines += f'<line x1="60" x2="780" y1="{level:.1f}" y2="{level:.1f}" stroke="#ddd"/>'
        lines += f'<text x="52" y="{level + 5:.1f}" text-anchor="end" font-size="14" fill="#666">1e{power}</text>'
    end = f'<text x="780" y="238" text-anchor="end" font-size="14" fill="#666">{len(history)} steps</text>'
    line = f'<polyline points="{points}" fill="none" stroke="#c33" stroke-width="2"/>'
    return f'<svg viewBox="0 0 800 245">{lines}{line}{end}</svg>'
