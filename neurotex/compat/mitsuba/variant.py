"""Mitsuba itself: whether it is there, and which of its variants computes on a device.

A variant is one compilation of all of Mitsuba. Only *_ad_rgb ones will do here: they differentiate, and their textures
hold linear RGB. Which one is active is a global of the process, and the user's: it is changed for a block at most.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ...errors import ArgumentError, MissingError

BACKENDS = {"cpu": "llvm", "cuda": "cuda"}
LIBRARIES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/opt/homebrew/opt/llvm/lib")
VERSIONS = range(22, 15, -1)  # of LLVM: 15 crashes in Mitsuba 3.9


def find_mitsuba() -> Any:
    """The module `mitsuba`; raises MissingError where it is not installed."""
    try:
        import mitsuba
    except ImportError as error:
        raise MissingError("Mitsuba 3 is not installed: pip install 'neurotex[mitsuba]'") from error
    return mitsuba


def find_llvm() -> Path | None:
    """LLVM's shared library for Mitsuba's variants on CPU, of version 16 or later; None if there is none.

    The one that DRJIT_LIBLLVM_PATH names, else the newest in the usual folders.
    """
    named = os.environ.get("DRJIT_LIBLLVM_PATH")
    if named:
        return Path(named) if Path(named).is_file() else None
    for version in VERSIONS:
        for folder in (*LIBRARIES, f"/usr/lib/llvm-{version}/lib", f"{sys.prefix}/lib"):
            for name in (f"libLLVM.so.{version}.1", f"libLLVM-{version}.so", f"libLLVM-{version}.so.1"):
                if (Path(folder) / name).is_file():
                    return Path(folder) / name
    return None


def activate(device: str | torch.device = "cpu") -> Any:
    """Make a variant active that renders and differentiates RGB on `device`, and return the module `mitsuba`.

    It finds LLVM, and lets the active variant be where it fits. Raises MissingError for what is not installed.
    """
    mi, variant = find_mitsuba(), fitting(torch.device(device))
    if mi.variant() != variant:
        _set(mi, variant)
    return mi


def fitting(device: torch.device) -> str:
    """The variant for tensors on `device`: the active one if it fits, else llvm_ad_rgb or cuda_ad_rgb."""
    backend = BACKENDS.get(device.type)
    if backend is None:
        raise ArgumentError(f"Mitsuba computes on cpu and cuda, but the tensors are on {device.type}: move them first.")
    active = find_mitsuba().variant()
    return active if active and fits(active, device) else f"{backend}_ad_rgb"


def fits(variant: str, device: torch.device) -> bool:
    """Whether a variant differentiates RGB on `device`."""
    return variant.endswith("_ad_rgb") and variant.partition("_")[0] == BACKENDS.get(device.type)


@contextmanager
def using(variant: str) -> Iterator[Any]:
    """Mitsuba with this variant active; afterwards the user's own is again, where there was one.

    Raises MissingError where the variant, or the library that it compiles with, is not there.
    """
    mi = find_mitsuba()
    before = mi.variant()
    if before != variant:
        _set(mi, variant)
    try:
        yield mi
    finally:
        if before is not None and mi.variant() != before:
            mi.set_variant(before)


def _set(mi: Any, variant: str) -> None:
    if variant.startswith("llvm"):
        library = find_llvm()
        if library is None:
            raise MissingError(
                f"Mitsuba's {variant} needs the shared library of LLVM 16 or later: install it (Debian's libllvm19), "
                "or name its file in the environment variable DRJIT_LIBLLVM_PATH."
            )
        os.environ["DRJIT_LIBLLVM_PATH"] = str(library)
    try:
        mi.set_variant(variant)
    except ImportError as error:
        raise MissingError(f"Mitsuba's variant {variant} does not work here ({error}).") from error
