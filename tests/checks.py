"""What annotations become while the tests run: checks by beartype, and by jaxtyping where there are shapes.

jaxtyping checks every function by two of beartype's checks and a binding of its arguments, anew for functions within
functions. That was more than half of all tests' time; here it is done where it tells something.
"""

import functools
import inspect
import typing
from collections.abc import Callable

import jaxtyping
from beartype import BeartypeConf, beartype

# a float may be given as an int, as PEP 484 has it; and whichever finds a fault, it is the same error
_beartype = beartype(conf=BeartypeConf(is_pep484_tower=True, violation_type=jaxtyping.TypeCheckError))
_with_shapes = jaxtyping.jaxtyped
_shared: dict[tuple, Callable] = {}


def check(function: Callable) -> Callable:
    """Beartype's check of the calls of `function`, which jaxtyping makes of a signature alone: its body does nothing.

    So functions within functions, which are made in every call of what is around them, share one.
    """
    if "<locals>" not in function.__qualname__:
        return _beartype(function)
    key = (function.__module__, function.__qualname__, inspect.signature(function))
    try:
        if key not in _shared:
            _shared[key] = _beartype(function)
    except TypeError:  # a default that cannot be a key
        return _beartype(function)
    return _shared[key]


def jaxtyped(function: object = None, *, typechecker: Callable) -> object:
    """In place of jaxtyping's decorator: beartype's alone for a function of a module or a class without shapes."""
    if function is None:
        return functools.partial(jaxtyped, typechecker=typechecker)
    if not inspect.isfunction(function) or "<locals>" in function.__qualname__ or _has_shapes(function):
        return _with_shapes(function, typechecker=typechecker)
    checked = _beartype(function)

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        return (function if jaxtyping.config.jaxtyping_disable else checked)(*args, **kwargs)

    return call


def _has_shapes(function: Callable) -> bool:
    """Whether annotations speak of shapes, or cannot be read yet."""
    try:
        return any(map(_is_shaped, typing.get_type_hints(function).values()))
    except NameError:
        return True


def _is_shaped(hint: object) -> bool:
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_is_shaped, typing.get_args(hint)))
