"""neurotex: a generative texture network as a differentiable node of a scene graph.

The README's code is the tour; the public names are handed on here and defined in the folders they come from.
"""

from . import assets, discrete, fit, generators
from .errors import ArgumentError, FileError, NeurotexError, SceneError
from .fit import Fit, losses
from .renderers import BakedScene, around, bake, on_background, render, save_gif, turntable
from .scene import (
    AmbientLight,
    Camera,
    ConstantTexture,
    DirectionalLight,
    Flash,
    GeneratedTexture,
    ImageTexture,
    Latent,
    Light,
    Material,
    Mesh,
    Node,
    OrthographicCamera,
    PerspectiveCamera,
    PinholeCamera,
    PointLight,
    PyramidTexture,
    Scene,
    Texture,
    Views,
    look_at,
    orbit,
)

__version__ = "0.1.0"

__all__ = [
    "AmbientLight",
    "ArgumentError",
    "BakedScene",
    "Camera",
    "ConstantTexture",
    "DirectionalLight",
    "FileError",
    "Fit",
    "Flash",
    "GeneratedTexture",
    "ImageTexture",
    "Latent",
    "Light",
    "Material",
    "Mesh",
    "NeurotexError",
    "Node",
    "OrthographicCamera",
    "PerspectiveCamera",
    "PinholeCamera",
    "PointLight",
    "PyramidTexture",
    "Scene",
    "SceneError",
    "Texture",
    "Views",
    "around",
    "assets",
    "bake",
    "discrete",
    "fit",
    "generators",
    "look_at",
    "losses",
    "on_background",
    "orbit",
    "render",
    "save_gif",
    "turntable",
]
