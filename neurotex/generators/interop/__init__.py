"""Generators of other frameworks as torch modules: JAX, TensorFlow with Keras, and ONNX files.

Importing this needs none of them; a function that does without one says so when it is called.
"""

from .foreign import ForeignGenerator
from .jax_functions import from_jax
from .onnx_generators import OnnxGenerator, from_onnx
from .tensorflow_functions import from_tensorflow

__all__ = ["ForeignGenerator", "OnnxGenerator", "from_jax", "from_onnx", "from_tensorflow"]
