"""Which functions of a package owe a gradcheck."""

import importlib
import inspect
import pkgutil
from types import ModuleType


def public_functions(package: ModuleType, modules: tuple[str, ...] = ()) -> set[str]:
    """Names of the functions that the modules of a package, or those of them that are named, define for others.

    References have the tests that hold them and their kernels together; what is beneath a checked function is its own.
    """
    names = set()
    for module in pkgutil.iter_modules(package.__path__):
        if module.name.endswith(("kernels", "warp")) or (modules and module.name not in modules):
            continue
        found = importlib.import_module(f"{package.__name__}.{module.name}")
        names |= {
            name
            for name, value in vars(found).items()
            if inspect.isfunction(value) and value.__module__ == found.__name__ and not name.startswith("_")
        }
    return {name for name in names if not name.endswith(("_reference", "_unchecked"))}
