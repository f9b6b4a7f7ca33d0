"""Latents → texture maps: networks as modules, and their files."""

from importlib import import_module
from typing import TYPE_CHECKING

from .files import bundled, info, load, save
from .latent_spaces import GaussianPrior, LatentSpace, lerp, moments, one_hot, sample_w, slerp, truncate
from .wrapped import WrappedGenerator, wrap

if TYPE_CHECKING:
    from .family import FamilyGenerator
    from .interop import from_jax, from_onnx, from_tensorflow
    from .material import MaterialGenerator
    from .nvidia import from_nvidia
    from .pickles import read_pickle
    from .stylegan2 import StyleGAN2
    from .stylegan3 import StyleGAN3
    from .torch_files import read_state_dict

__all__ = [
    "FamilyGenerator",
    "GaussianPrior",
    "LatentSpace",
    "MaterialGenerator",
    "StyleGAN2",
    "StyleGAN3",
    "WrappedGenerator",
    "bundled",
    "from_jax",
    "from_nvidia",
    "from_onnx",
    "from_tensorflow",
    "info",
    "lerp",
    "load",
    "moments",
    "one_hot",
    "read_pickle",
    "read_state_dict",
    "sample_w",
    "save",
    "slerp",
    "truncate",
    "wrap",
]

# networks and readers of files are imported when they are first used: most programs need one of them, or none.
# What is in interop imports the other framework when it is called
_PLACES = {
    "FamilyGenerator": "family",
    "StyleGAN2": "stylegan2",
    "StyleGAN3": "stylegan3",
    "MaterialGenerator": "material",
    "from_jax": "interop",
    "from_nvidia": "nvidia",
    "from_onnx": "interop",
    "from_tensorflow": "interop",
    "read_pickle": "pickles",
    "read_state_dict": "torch_files",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)
