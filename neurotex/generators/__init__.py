"""Latents → texture maps: networks as modules, and their files."""

from .files import bundled, load, save
from .styles import StyleGenerator
from .tile import TileGenerator
from .wrapped import WrappedGenerator, wrap

__all__ = ["StyleGenerator", "TileGenerator", "WrappedGenerator", "bundled", "load", "save", "wrap"]
