"""A plot with two logarithmic axes as SVG: one line for each system, named in a legend."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

Line = Sequence[tuple[float, float]]
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 450, 84, 230, 74, 62
COLOURS = ("#0b6e99", "#d9622b", "#3f8f4f", "#8a4fa3", "#777777")
STYLE = "font-family: system-ui, sans-serif; font-size: 14px"


def log_log(title: str, note: str, x_name: str, x_ticks: Mapping[float, str], lines: Mapping[str, Line]) -> str:
    """Times in seconds over x > 0, both logarithmic; `x_ticks` are the places on the x axis with their labels."""
    times = [seconds for line in lines.values() for _, seconds in line]
    low, high = math.floor(math.log10(min(times))), math.ceil(math.log10(max(times)))
    high = max(high, low + 1)
    first, last = math.log10(min(x_ticks)), math.log10(max(x_ticks))
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def at(x: float, seconds: float) -> tuple[float, float]:
        across = (math.log10(x) - first) / max(last - first, 1e-9)
        up = (math.log10(seconds) - low) / (high - low)
        return LEFT + across * (right - LEFT), bottom - up * (bottom - TOP)

    parts = [_text(LEFT, 28, title, size=17, weight=600), _text(LEFT, 52, note, size=13)]
    for power in range(low, high + 1):
        for digit in range(1, 10):
            if power == high and digit > 1:
                break
            _, y = at(1, digit * 10.0**power)
            shade = "#c4c4c4" if digit == 1 else "#eeeeee"
            parts.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="{shade}"/>')
        parts.append(_text(LEFT - 10, at(1, 10.0**power)[1] + 5, _seconds(power), anchor="end"))
    for x, label in x_ticks.items():
        across, _ = at(x, 1)
        parts.append(f'<line x1="{across:.1f}" x2="{across:.1f}" y1="{TOP}" y2="{bottom}" stroke="#e2e2e2"/>')
        parts.append(_text(across, bottom + 22, label, anchor="middle"))
    parts.append(_text((LEFT + right) / 2, HEIGHT - 14, x_name, anchor="middle"))
    # the legend stands beside the lines' ends, slowest on top
    order = sorted(lines, key=lambda name: -lines[name][-1][1] / lines[name][-1][0])
    for number, name in enumerate(lines):
        colour, rank = COLOURS[number % len(COLOURS)], order.index(name)
        points = [at(x, seconds) for x, seconds in lines[name]]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points]
        y = TOP + 16 + 26 * rank
        parts.append(
            f'<line x1="{right + 18}" x2="{right + 44}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2.5"/>'
        )
        parts.append(_text(right + 52, y + 5, name))
    body = "\n".join(parts)
    head = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" style="{STYLE}"'
    return f'<svg {head}>\n<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'


def _seconds(power: int) -> str:
    """A power of ten of seconds, in words."""
    unit, shift = ("s", 0) if power >= 0 else ("ms", 3) if power >= -3 else ("µs", 6)
    return f"{10 ** (power + shift)} {unit}"


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 14, weight: int = 400) -> str:
    look = f'text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="#222"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{html.escape(text)}</text>'
