"""Anything that can only be called: a printer, an engine, a codec of your own."""

from __future__ import annotations

import itertools
import subprocess
import tempfile
import textwrap
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from .. import images
from ..core.op import Op, side_by_side
from ..errors import ArgumentError, FileError
from .estimators import Estimator
from .step import Step

MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}  # Pillow's names, by channels

_boxes: weakref.WeakValueDictionary[int, BlackBox] = weakref.WeakValueDictionary()  # an operator takes numbers only
_numbers = itertools.count()


class BlackBox(Step):
    """A function of your own as a step: numpy array (N, C, H, W) of floats in [0, 1] → array.

    What it is given is a copy, in the precision of the texture. It returns numbers of the same shape, or with
    `reshapes` other (C, H, W); where only shapes are asked for, as by torch.compile, it is then called for one grey
    texture. Nothing is known of its slope: "perturbation" estimates it, and calls the function 1 + 2 × pairs times for
    a forward and a backward pass; "straight_through" takes it for the identity. ArgumentError
    where `fn` cannot be called, and where it returns another shape or numbers that are not finite.
    """

    def __init__(
        self,
        fn: Callable[[np.ndarray], np.ndarray],
        estimator: str | Estimator = "perturbation",
        reshapes: bool = False,
    ):
        self.reshapes = reshapes  # what estimators check first
        super().__init__(estimator)
        if not callable(fn):
            raise ArgumentError(f"a black box is a function of numpy arrays, not {type(fn).__name__}.")
        self.fn = fn
        self._enrol()

    @classmethod
    def command(
        cls,
        argv: Sequence[str],
        suffix: str = ".png",
        estimator: str | Estimator = "perturbation",
        reshapes: bool = False,
        timeout: float = 60.0,
    ) -> Command:
        """A program as a step, run once for each texture, from a PNG file at {input} to a picture at {output}.

            BlackBox.command(["cwebp", "-q", "50", "{input}", "-o", "{output}"], suffix=".webp")

        `argv` is its command line, without a shell; `suffix` is how its output ends; it may take `timeout` seconds.
        """
        return Command(Program(argv, suffix, timeout), estimator, reshapes)

    def hard(self, x: Tensor) -> Tensor:
        return _black_box(x.detach(), self.number)

    def call(self, x: np.ndarray) -> np.ndarray:
        """What the function makes of (N, C, H, W), checked. ArgumentError says what is wrong with it."""
        out = np.asarray(self.fn(x.clip(0, 1)))
        who = f"the black box {_name(self.fn)}"
        if out.dtype.kind not in "biuf":
            raise ArgumentError(f"{who} returned {out.dtype} instead of an array of numbers.")
        if not self.reshapes and out.shape != x.shape:
            raise ArgumentError(
                f"{who} was given {x.shape} and returned {out.shape}: return the same shape, or say reshapes=True."
            )
        if out.ndim != 4 or len(out) != len(x):
            raise ArgumentError(f"{who} returned {out.shape} for textures {x.shape}: return (N, C, H, W), the same N.")
        out = np.array(out, x.dtype)
        if not np.isfinite(out).all():
            raise ArgumentError(f"{who} returned NaN or infinity: return finite numbers.")
        return out

    def extra_repr(self) -> str:
        return f"{_name(self.fn)}, {super().extra_repr()}"

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self._enrol()  # a copy is a box of its own

    def _enrol(self) -> None:
        self.number = next(_numbers)
        _boxes[self.number] = self


class Program:
    """A command line as a function of textures: each is written to a PNG file (8 bits; grey, grey and alpha, RGB or
    RGBA), the program run, and the picture that it wrote read, with as many channels.

    A program that cannot be run, fails, takes too long or writes no picture raises ArgumentError with what it said.
    """

    def __init__(self, argv: Sequence[str], suffix: str, timeout: float):
        self.argv, self.suffix, self.timeout = [str(word) for word in argv], suffix, timeout
        line = textwrap.shorten(" ".join(self.argv), 80, placeholder=" ...")
        self.__qualname__ = f"'{line}'"
        for place in ("{input}", "{output}"):
            if not any(place in word for word in self.argv):
                raise ArgumentError(f"the command {_name(self)} has no {place}: write it where the file's name goes.")
        if not timeout > 0:
            raise ArgumentError(f"a time limit is above 0 seconds, but this one is {timeout}.")

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.stack([self.read(self.write(image), len(image)) for image in x])

    def write(self, image: np.ndarray) -> bytes:
        """The file that the program writes for a texture (C, H, W) in [0, 1]."""
        if len(image) not in MODES:
            raise ArgumentError(f"a picture has 1 to 4 channels, but this texture has {len(image)}.")
        with tempfile.TemporaryDirectory(prefix="neurotex-") as folder:
            source, target = Path(folder, "input.png"), Path(folder, f"output{self.suffix}")
            pixels = np.ascontiguousarray(np.moveaxis((image * 255).round().astype(np.uint8), 0, -1))
            Image.fromarray(pixels[..., 0] if len(image) == 1 else pixels).save(source)
            self._run([word.replace("{input}", str(source)).replace("{output}", str(target)) for word in self.argv])
            try:
                return target.read_bytes()
            except OSError:
                raise ArgumentError(f"the program {_name(self)} wrote no file at {{output}}.") from None

    def read(self, file: bytes, channels: int) -> np.ndarray:
        """A picture as (C, H, W) in [0, 1]."""
        try:
            picture = images.decode(file, f"the output of {_name(self)}").to(channels)
        except FileError:
            raise ArgumentError(f"the program {_name(self)} wrote a file that is not a picture.") from None
        return picture.floats().double().numpy()

    def _run(self, words: list[str]) -> None:
        try:
            done = subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, timeout=self.timeout)
        except subprocess.TimeoutExpired:
            raise ArgumentError(f"the program {_name(self)} ran for more than {self.timeout:g} s.") from None
        except OSError as error:
            raise ArgumentError(f"the program {_name(self)} cannot be run: {error.strerror or error}.") from None
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing."]
            raise ArgumentError(f"the program {_name(self)} ended with exit code {done.returncode}: {said[-1].strip()}")


class Command(BlackBox):
    """A program as a step: what `BlackBox.command` makes."""

    def encode(self, x: Float[Tensor, "1 c h w"]) -> tuple[bytes, str]:
        """The file that the program writes, the one that `hard(x)` is read from."""
        return self.fn.write(x[0].detach().clamp(0, 1).cpu().numpy()), self.fn.suffix


def _name(fn: Callable) -> str:
    return getattr(fn, "__qualname__", type(fn).__qualname__)


def _through_numpy(x: Tensor, number: int) -> Tensor:
    array = x.to(x.dtype if x.dtype == torch.float64 else torch.float32).cpu().numpy()
    return torch.from_numpy(_boxes[number].call(array)).to(x)


def _fake(x: Tensor, number: int) -> Tensor:
    box = _boxes[number]
    if not box.reshapes:
        return x.new_empty(x.shape)
    grey = np.full((1, *map(int, x.shape[1:])), 0.5, np.float32)
    return x.new_empty((x.shape[0], *box.call(grey).shape[1:]))


_black_box = Op("black_box(Tensor x, int number) -> Tensor", reference=_through_numpy, fake=_fake, vmap=side_by_side)
