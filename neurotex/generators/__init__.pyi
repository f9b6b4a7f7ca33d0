"""The public names, and where they are defined: `__init__.py` reads them here."""

from .family import FamilyGenerator as FamilyGenerator
from .files import bundled as bundled
from .files import info as info
from .files import load as load
from .files import save as save
from .interop import from_jax as from_jax
from .interop import from_onnx as from_onnx
from .interop import from_tensorflow as from_tensorflow
from .latent_spaces import GaussianPrior as GaussianPrior
from .latent_spaces import LatentSpace as LatentSpace
from .latent_spaces import lerp as lerp
from .latent_spaces import moments as moments
from .latent_spaces import one_hot as one_hot
from .latent_spaces import sample_w as sample_w
from .latent_spaces import slerp as slerp
from .latent_spaces import truncate as truncate
from .material import MaterialGenerator as MaterialGenerator
from .nvidia import from_nvidia as from_nvidia
from .pickles import read_pickle as read_pickle
from .stylegan2 import StyleGAN2 as StyleGAN2
from .stylegan3 import StyleGAN3 as StyleGAN3
from .torch_files import read_state_dict as read_state_dict
from .wrapped import WrappedGenerator as WrappedGenerator
from .wrapped import wrap as wrap
