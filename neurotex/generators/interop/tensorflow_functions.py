"""Generators written in TensorFlow and Keras."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils import dlpack

from ...errors import ArgumentError, MissingError
from .bridge import Pullback
from .foreign import ForeignGenerator
from .named import NamedTensors

ALIGNMENT = 64  # bytes; TensorFlow's kernels count on it


def from_tensorflow(
    model: Callable[..., Any], channels_last: bool = True, variables: Sequence[Any] | None = None
) -> ForeignGenerator:
    """A Keras model, a tf.Module or a function of TensorFlow as a torch module: latents → textures in [-1, 1].

    The model's variables become the module's: trainable ones parameters, others buffers, copies that torch optimises.
    Each call writes them into the variables first, so the model itself always shows the last ones used. A plain
    function has those that `variables` names, and keeps the gradient that tf.custom_gradient gives it. Keras models
    run with training=False: batch normalisation uses its stored statistics.

    `channels_last`: textures come as (N, H, W, C), as TensorFlow has them. The function is compiled by tf.function,
    once per shape. A model that says its input's shape has a `latent_shape`; `wrap` others. ArgumentError for a Keras
    model that is not built yet.
    """
    tf = _find_tensorflow()
    is_keras = hasattr(model, "get_weights") and hasattr(model, "built")
    if is_keras and not model.built:
        raise ArgumentError(f"{model.name} has no weights yet: call it on a latent once, or build() it.")
    given: Sequence[Any] = getattr(model, "variables", ()) if variables is None else variables
    names = _names(given)
    variables = [_variable(tf, variable) for variable in given]
    kept = [k for k, variable in enumerate(variables) if variable.dtype.is_floating or variable.trainable]
    function = TensorFlowFunction(partial(model, training=False) if is_keras else model, [variables[k] for k in kept])
    values = {names[k]: _to_torch(tf, tf.convert_to_tensor(variables[k])) for k in kept}
    fixed = {names[k] for k in kept if not variables[k].trainable}
    module = ForeignGenerator(function, NamedTensors(values, fixed), channels_last)
    shape = getattr(model, "input_shape", None)
    if isinstance(shape, tuple) and len(shape) > 1 and all(isinstance(side, int) for side in shape[1:]):
        module.latent_shape = shape[1:]
    return module


class TensorFlowFunction:
    """A function of one TensorFlow tensor and of variables as one of torch tensors, the variables' values first.

    See `bridge.ForeignFunction`. What a tape has recorded stays as it was when variables are written again.
    """

    def __init__(self, fn: Callable[[Any], Any], variables: Sequence[Any]) -> None:
        self._tf = _find_tensorflow()
        self._fn = self._tf.function(lambda latent: fn(latent))
        self._variables = list(variables)

    def __call__(self, tensors: Sequence[Tensor]) -> Tensor:
        return self._checked(self._fn(self._written(tensors)))

    def linearize(self, tensors: Sequence[Tensor], needed: Sequence[bool]) -> tuple[Tensor, Pullback]:
        latent = self._written(tensors)
        watched = [x for x, need in zip([*self._variables, latent], needed, strict=True) if need]
        with self._tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            for source in watched:
                tape.watch(source)
            value = self._fn(latent)
        return self._checked(value), partial(self._pulled, tape, value, watched)

    def shape(self, tensors: Sequence[Tensor]) -> tuple[int, ...]:
        latent = tensors[-1]
        spec = self._tf.TensorSpec(tuple(latent.shape), str(latent.dtype).removeprefix("torch."))
        return tuple(self._fn.get_concrete_function(spec).output_shapes)

    def _pulled(self, tape: Any, value: Any, watched: list, grad: Tensor) -> list[Tensor]:
        zero = self._tf.UnconnectedGradients.ZERO
        found = tape.gradient(value, watched, _to_tensorflow(self._tf, grad), unconnected_gradients=zero)
        return [_to_torch(self._tf, self._tf.convert_to_tensor(one)) for one in found]  # those of lookups are sparse

    def _written(self, tensors: Sequence[Tensor]) -> Any:
        """Put the weights into the variables and return the latent."""
        *values, latent = tensors
        for variable, value in zip(self._variables, values, strict=True):
            # the variable keeps this very memory, hence a copy
            given = _to_tensorflow(self._tf, value.clone(memory_format=torch.contiguous_format))
            if given.dtype != variable.dtype:
                raise ArgumentError(
                    f"the variable {variable.name} is {variable.dtype.name}, but the module's weight is {value.dtype}: "
                    "TensorFlow's variables keep their type, convert the module back."
                )
            variable.assign(given)
        return _to_tensorflow(self._tf, latent)

    def _checked(self, value: Any) -> Tensor:
        if not isinstance(value, self._tf.Tensor):
            raise ArgumentError(f"a generator returns one tensor, but this one gives a {type(value).__name__}.")
        return _to_torch(self._tf, value)


def _to_tensorflow(tf: Any, tensor: Tensor) -> Any:
    tensor = tensor.detach().contiguous()
    if tensor.data_ptr() % ALIGNMENT:
        tensor = tensor.clone()
    try:
        return tf.experimental.dlpack.from_dlpack(dlpack.to_dlpack(tensor))  # pyright: ignore[reportPrivateImportUsage]
    except (RuntimeError, ValueError, TypeError, tf.errors.OpError) as error:
        raise ArgumentError(
            f"TensorFlow takes no tensor of {tensor.dtype} on {tensor.device} ({str(error).splitlines()[0]}): "
            "move the generator to a device that both have."
        ) from None


def _to_torch(tf: Any, tensor: Any) -> Tensor:
    """A copy: TensorFlow keeps what it returns, constants for one, and torch may change a tensor in place."""
    return dlpack.from_dlpack(tf.experimental.dlpack.to_dlpack(tensor)).clone()


def _variable(tf: Any, variable: Any) -> Any:
    """The tf.Variable inside a Keras variable; raises ArgumentError where another backend holds it."""
    held = variable if isinstance(variable, tf.Variable) else variable.value
    if not isinstance(held, tf.Variable):
        raise ArgumentError(
            f"the variable {variable.name} is not TensorFlow's but of {type(held).__module__.partition('.')[0]}: "
            "set KERAS_BACKEND=tensorflow before Keras is imported."
        )
    return held


def _names(variables: Sequence[Any]) -> list[tuple[str, ...]]:
    """Paths from the variables' names, "dense/kernel:0"; one that came before gets a number."""
    names: list[tuple[str, ...]] = []
    for variable in variables:
        *folders, last = getattr(variable, "path", variable.name).partition(":")[0].split("/")
        name, count = (*folders, last), 0
        while name in names:
            count += 1
            name = (*folders, f"{last}_{count}")
        names.append(name)
    return names


def _find_tensorflow() -> Any:
    try:
        import tensorflow
    except ImportError as error:
        raise MissingError("TensorFlow is not installed: pip install 'neurotex[tensorflow]'") from error
    return tensorflow
