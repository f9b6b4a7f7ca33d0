"""Lenses: how they bend what a pinhole would draw, and photographs straightened.

All maps are of the image plane at distance 1: x to the right, y down, as in OpenCV, COLMAP and Metashape.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from ...errors import ArgumentError

Points = Float[np.ndarray, "*n"]

NEGLIGIBLE = 0.1  # pixels that a lens may move any pixel and still count as undistorted
WIDEST = math.tan(math.radians(75))  # what a pinhole draws further out is smeared beyond use
DIRECTIONS, STEPS = 720, 2048  # rays along which the edge of a photograph is searched, and points on each
BAND = 1 << 20  # pixels straightened at a time


@dataclass(frozen=True)
class Brown:
    """Polynomials around the axis, and what a lens that is off centre or tilted adds (Brown 1966; OpenCV).

    r² = x² + y², x' = x (1 + k₁r² + k₂r⁴ + …) / (1 + d₁r² + …) + (2p₁xy + p₂(r² + 2x²)) (1 + q₁r² + …) + s₁r² + s₂r⁴,
    y' alike with p₁ and p₂ exchanged, s₃ and s₄.
    """

    radial: tuple[float, ...] = ()
    tangential: tuple[float, float] = (0.0, 0.0)
    denominator: tuple[float, ...] = ()
    prism: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    gain: tuple[float, ...] = ()

    def __call__(self, x: Points, y: Points) -> tuple[Points, Points]:
        r2 = x * x + y * y
        scale = _one_plus(self.radial, r2) / _one_plus(self.denominator, r2)
        (p1, p2), gain = self.tangential, _one_plus(self.gain, r2)
        s1, s2, s3, s4 = self.prism
        dx = (2 * p1 * x * y + p2 * (r2 + 2 * x * x)) * gain + r2 * (s1 + s2 * r2)
        dy = (2 * p2 * x * y + p1 * (r2 + 2 * y * y)) * gain + r2 * (s3 + s4 * r2)
        return x * scale + dx, y * scale + dy


@dataclass(frozen=True)
class Equidistant:
    """A fisheye: the distance from the centre is the angle from the axis."""

    def __call__(self, x: Points, y: Points) -> tuple[Points, Points]:
        return _turned(x, y, np.arctan)


@dataclass(frozen=True)
class FieldOfView:
    """One angle (Devernay and Faugeras 2001): r' = atan(2 r tan(ω/2)) / ω."""

    omega: float

    def __call__(self, x: Points, y: Points) -> tuple[Points, Points]:
        if abs(self.omega) < 1e-6:
            return x, y
        return _turned(x, y, lambda r: np.arctan(2 * r * math.tan(self.omega / 2)) / self.omega)


@dataclass(frozen=True)
class Division:
    """One number (Fitzgibbon 2001): r = r' / (1 + k r'²), which is solved for r'."""

    k: float

    def __call__(self, x: Points, y: Points) -> tuple[Points, Points]:
        with np.errstate(invalid="ignore"):  # no such point: NaN, which lies outside
            scale = 2 / (1 + np.sqrt(1 - 4 * self.k * (x * x + y * y)))
        return x * scale, y * scale


@dataclass(frozen=True)
class Unified:
    """Enhanced unified model (Khomutenko et al. 2016): (x, y) / (α √(β r² + 1) + 1 − α)."""

    alpha: float
    beta: float

    def __call__(self, x: Points, y: Points) -> tuple[Points, Points]:
        with np.errstate(invalid="ignore", divide="ignore"):
            scale = 1 / (self.alpha * np.sqrt(self.beta * (x * x + y * y) + 1) + 1 - self.alpha)
        return x * scale, y * scale


@dataclass(frozen=True)
class Affine:
    """Pixels that are no squares: x' = x + b₁x + b₂y."""

    b1: float
    b2: float

    def __call__(self, x: Points, y: Points) -> tuple[Points, Points]:
        return x + self.b1 * x + self.b2 * y, y


Bend = Brown | Equidistant | FieldOfView | Division | Unified | Affine


@dataclass(frozen=True)
class Lens:
    """A pinhole's picture, bent by one after the other; without any, a pinhole."""

    bends: tuple[Bend, ...] = ()

    def __call__(self, x: Points, y: Points) -> tuple[Points, Points]:
        """Where points of the image plane are drawn."""
        for bend in self.bends:
            x, y = bend(x, y)
        return x, y

    def __str__(self) -> str:
        return ", ".join(map(repr, self.bends)) or "a pinhole"


PINHOLE = Lens()


@dataclass(frozen=True)
class Pinhole:
    """Focal lengths and principal point, pixels of a picture of `size` (height, width)."""

    focal: tuple[float, float]
    center: tuple[float, float]
    size: tuple[int, int]

    def pixels(self, x: Points, y: Points) -> tuple[Points, Points]:
        return x * self.focal[0] + self.center[0], y * self.focal[1] + self.center[1]

    def plane(self, px: Points, py: Points) -> tuple[Points, Points]:
        return (px - self.center[0]) / self.focal[0], (py - self.center[1]) / self.focal[1]


@dataclass(frozen=True)
class Straightening:
    """From a photograph through a lens to what a pinhole would have taken, of which every pixel was seen."""

    lens: Lens
    source: Pinhole
    target: Pinhole

    def __call__(self, picture: Float[Tensor, "c h w"]) -> Float[Tensor, "c new_h new_w"]:
        """Resampled by cubic convolution; values stay at or above 0, and alpha (channel 3) at or below 1."""
        height, width = self.target.size
        out = picture.new_empty(len(picture), height, width)
        across = np.arange(width) + 0.5
        rows = max(1, BAND // width)
        for top in range(0, height, rows):
            down = np.arange(top, min(top + rows, height)) + 0.5
            px, py = self.source.pixels(*self.lens(*self.target.plane(*np.meshgrid(across, down))))
            grid = np.stack([2 * px / self.source.size[1] - 1, 2 * py / self.source.size[0] - 1], -1)
            grid = torch.from_numpy(grid).to(picture)
            band = grid_sample(picture[None], grid[None], "bicubic", "border", align_corners=False)[0]
            out[:, top : top + len(down)] = band.clamp_min_(0)
        out[3:].clamp_max_(1)
        return out


def straighten(lens: Lens, camera: Pinhole) -> Straightening | None:
    """How to undo a lens; None where it moves no pixel by more than `NEGLIGIBLE`.

    The pinhole has the focal lengths that the photograph has at its centre, so no detail is lost there, and shows the
    upright rectangle whose every pixel was seen. ArgumentError for a lens that folds the picture over.
    """
    if not lens.bends or _moves(lens, camera) <= NEGLIGIBLE:
        return None
    near, zero = np.array([-1e-4, 1e-4]), np.zeros(2)
    growth = [float(np.diff(drawn)[0]) / 2e-4 for drawn in (lens(near, zero)[0], lens(zero, near)[1])]
    focal = (camera.focal[0] * growth[0], camera.focal[1] * growth[1])
    left, top, right, bottom = _seen(lens, camera)
    width, height = math.floor((right - left) * focal[0]), math.floor((bottom - top) * focal[1])
    if not all(0 < length < math.inf for length in focal) or 4 * width * height < camera.size[0] * camera.size[1]:
        raise ArgumentError(f"its lens ({lens}) folds the picture over: check its coefficients.")
    return Straightening(lens, camera, Pinhole(focal, (-left * focal[0], -top * focal[1]), (height, width)))


def _moves(lens: Lens, camera: Pinhole) -> float:
    """The largest distance, in pixels, by which any pixel is elsewhere than a pinhole would have it."""
    height, width = camera.size
    px, py = np.meshgrid(np.linspace(0, width, 65), np.linspace(0, height, 65))
    with np.errstate(over="ignore", invalid="ignore"):
        x, y = camera.pixels(*lens(*camera.plane(px, py)))
        moved = np.hypot(x - px, y - py)
    return float(moved.max()) if bool(np.isfinite(moved).all()) else math.inf


def _seen(lens: Lens, camera: Pinhole) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of a rectangle of the plane that the photograph shows without holes."""
    turn = np.linspace(0, 2 * math.pi, DIRECTIONS, endpoint=False)
    across, down = np.cos(turn), np.sin(turn)
    height, width = camera.size
    corners = camera.plane(np.array([0.0, width] * 2), np.array([0.0, 0, height, height]))
    r = np.linspace(0, min(max(4 * np.hypot(*corners).max(), 1.0), WIDEST), STEPS)
    with np.errstate(over="ignore", invalid="ignore"):
        u, v = lens(across[:, None] * r, down[:, None] * r)
    # beyond the radius where a polynomial turns back, it draws the scene a second time
    forward = np.diff(u * across[:, None] + v * down[:, None], axis=1, append=np.inf) > 0
    seen = np.logical_and.accumulate(forward & ~_outside(camera, u, v), axis=1).sum(1) - 1
    near, far = r[np.maximum(seen, 0)], r[np.minimum(seen + 1, STEPS - 1)]
    for _ in range(20):
        middle = (near + far) / 2
        inside = ~_outside(camera, *lens(across * middle, down * middle))
        near, far = np.where(inside, middle, near), np.where(inside, far, middle)
    rim_x, rim_y = across * near, down * near
    px, py = camera.pixels(*lens(across * far, down * far))  # just outside: over which edge?
    box = np.array(
        [
            rim_x.max(where=px < 0, initial=rim_x.min()),
            rim_y.max(where=py < 0, initial=rim_y.min()),
            rim_x.min(where=px > width, initial=rim_x.max()),
            rim_y.min(where=py > height, initial=rim_y.max()),
        ]
    )
    share = np.linspace(0, 1, 129)
    for _ in range(1000):  # its corners may lie beyond the rim
        x, y = box[0] + share * (box[2] - box[0]), box[1] + share * (box[3] - box[1])
        x, y = (
            np.concatenate([x, x, 0 * x + box[0], 0 * x + box[2]]),
            np.concatenate([0 * y + box[1], 0 * y + box[3], y, y]),
        )
        first = np.floor(np.mod(np.arctan2(y, x) / (2 * math.pi), 1) * DIRECTIONS).astype(int) % DIRECTIONS
        limit = np.maximum(near[first], near[(first + 1) % DIRECTIONS]) * (1 + 1e-3)  # a rim has corners, too
        if not bool((_outside(camera, *lens(x, y), slack=1e-3) | (np.hypot(x, y) > limit)).any()):
            break
        box = box * 0.998
    left, top, right, bottom = map(float, box)
    return left, top, right, bottom


def _outside(camera: Pinhole, x: Points, y: Points, slack: float = 0.0) -> np.ndarray:
    """Whether points of the plane lie outside a picture, by more than `slack` pixels; NaN does."""
    with np.errstate(over="ignore", invalid="ignore"):
        px, py = camera.pixels(x, y)
        return ~((px >= -slack) & (py >= -slack) & (px <= camera.size[1] + slack) & (py <= camera.size[0] + slack))


def _one_plus(coefficients: tuple[float, ...], r2: Points) -> Points:
    """1 + c₁r² + c₂r⁴ + …"""
    out = np.zeros_like(r2)
    for coefficient in reversed(coefficients):
        out = (out + coefficient) * r2
    return 1 + out


def _turned(x: Points, y: Points, distance) -> tuple[Points, Points]:
    r = np.hypot(x, y)
    scale = np.divide(distance(r), r, out=np.full_like(r, distance(np.array(1e-9)) / 1e-9), where=r > 0)
    return x * scale, y * scale
