"""Generators written in JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import ArgumentError, MissingError
from .bridge import Pullback
from .foreign import ForeignGenerator
from .named import NamedTensors


def from_jax(fn: Callable[[Any, Any], Any], params: Any, channels_last: bool = False) -> ForeignGenerator:
    """A JAX function as a torch module: `fn(params, latents)` gives textures (N, C, H, W) in [-1, 1].

    `params` is any pytree. Its floating-point arrays and floats become parameters, copies that torch optimises; other
    arrays become buffers; what is no array (functions, strings, whole numbers) stays as it is. `module.weights` names
    them by their paths in the tree. `fn` is compiled by jax.jit, once per shape; its custom derivatives are kept.

    `channels_last`: `fn` gives (N, H, W, C), as Flax's do. `wrap(module, latent_shape)` gives it a latent_shape.
    ArgumentError where two leaves have the same path.
    """
    jax = _find_jax()
    leaves, tree = jax.tree_util.tree_flatten_with_path(params)
    arrays = {tuple(map(_key, path)): leaf for path, leaf in leaves if _is_array(leaf)}
    rest = [None if _is_array(leaf) else leaf for _, leaf in leaves]
    held = [k for k, (_, leaf) in enumerate(leaves) if _is_array(leaf)]
    if len(arrays) != len(held):
        raise ArgumentError("two leaves of params have the same path in the tree: give their containers other keys.")

    def of_arrays(*values: Any) -> Any:
        *weights, latent = values
        filled = list(rest)
        for k, value in zip(held, weights, strict=True):
            filled[k] = value
        return fn(jax.tree_util.tree_unflatten(tree, filled), latent)

    # a copy: JAX's arrays never change, an optimiser's do
    weights = {path or ("params",): torch.from_dlpack(jax.numpy.asarray(leaf)).clone() for path, leaf in arrays.items()}
    return ForeignGenerator(JaxFunction(of_arrays), NamedTensors(weights), channels_last)


class JaxFunction:
    """A function of JAX arrays as one of torch tensors; see `bridge.ForeignFunction`."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        jax = _find_jax()

        def linearize(needed: tuple[bool, ...], *arrays: Any) -> tuple[Any, Any]:
            def of_needed(*wanted: Any) -> Any:
                given = iter(wanted)
                return fn(*(next(given) if need else array for need, array in zip(needed, arrays, strict=True)))

            return jax.vjp(of_needed, *(array for need, array in zip(needed, arrays, strict=True) if need))

        self._jax = jax
        self._value = jax.jit(fn)
        # what jax.vjp returns is a pytree of its residuals, so it may leave one compiled function and enter another
        self._linearize = jax.jit(linearize, static_argnums=0)
        self._pull = jax.jit(lambda pullback, grad: pullback(grad))

    def __call__(self, tensors: Sequence[Tensor]) -> Tensor:
        return self._to_torch([self._value(*map(self._to_jax, tensors))], tensors)[0]

    def linearize(self, tensors: Sequence[Tensor], needed: Sequence[bool]) -> tuple[Tensor, Pullback]:
        value, pullback = self._linearize(tuple(needed), *map(self._to_jax, tensors))
        return self._to_torch([value], tensors)[0], partial(self._pulled, pullback)

    def shape(self, tensors: Sequence[Tensor]) -> tuple[int, ...]:
        structs = [self._jax.ShapeDtypeStruct(tuple(t.shape), str(t.dtype).removeprefix("torch.")) for t in tensors]
        return tuple(self._jax.eval_shape(self._value, *structs).shape)

    def _pulled(self, pullback: Any, grad: Tensor) -> list[Tensor]:
        return self._to_torch(self._pull(pullback, self._to_jax(grad)), [grad])

    def _to_jax(self, tensor: Tensor) -> Any:
        if tensor.dtype == torch.float64 and not self._jax.config.jax_enable_x64:
            raise ArgumentError(
                "JAX would round float64 to float32: convert the generator and the latents to float32, or call "
                "jax.config.update('jax_enable_x64', True)."
            )
        try:
            return self._jax.dlpack.from_dlpack(tensor.detach().contiguous())
        except (RuntimeError, ValueError, TypeError, BufferError) as error:
            raise ArgumentError(
                f"JAX takes no tensor of {tensor.dtype} on {tensor.device} ({str(error).splitlines()[0]}): "
                "move the generator to a device that both have."
            ) from None

    def _to_torch(self, arrays: Sequence[Any], given: Sequence[Tensor]) -> list[Tensor]:
        """Tensors in the arrays' own memory, but where two share it or it was `given`: JAX hands arrays on, unchanged.

        Torch may change each of them in place, and must change no other by that.
        """
        if not isinstance(arrays[0], self._jax.Array):
            raise ArgumentError(f"a generator returns one array, but this one gives a {type(arrays[0]).__name__}.")
        taken = {tensor.data_ptr() for tensor in given}
        tensors = []
        for array in self._jax.block_until_ready(arrays):
            tensor = torch.from_dlpack(array)
            tensors.append(tensor.clone() if tensor.data_ptr() in taken else tensor)
            taken.add(tensor.data_ptr())
        return tensors


def _key(entry: Any) -> str:
    """A step of a path in a pytree: the key of a dict, the index in a sequence, the name of an attribute."""
    for attribute in ("key", "idx", "name"):
        if hasattr(entry, attribute):
            return str(getattr(entry, attribute))
    return str(entry)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, (float, np.ndarray, np.generic, _find_jax().Array))


def _find_jax() -> Any:
    try:
        import jax
        import jax.dlpack
    except ImportError as error:
        raise MissingError("JAX is not installed: pip install 'neurotex[jax]'") from error
    return jax
