"""What can be said of kernels for GPUs without one: they compile for each generation, and decide without fused sums."""

import importlib
import os
import re
from pathlib import Path

import pytest

from neurotex.core import warp
from neurotex.core.op import kernels_for_gpus

# what covers what, and what is nearest, must not depend on how a sum is rounded
DECIDING = ("zbuffer", "antialias", "palette_lookup", "rasterize_faces", "rasterize_faces_gradient")
CHIPS = (75, 90, 120)  # Turing, Hopper, Blackwell
MODULES = sorted({name.rpartition(".")[0] for name in kernels_for_gpus() if name.startswith("neurotex.")})


@pytest.mark.parametrize("module", MODULES)
def test_kernels_compile_for_gpus(module):
    if not warp.available():
        pytest.skip("warp-lang is not installed")
    import warp as wp

    loaded = importlib.import_module(module)
    kept = Path(os.environ["WARP_CACHE_PATH"]) / "ahead" / module
    files = wp.compile_aot_module(loaded, device=None, arch=list(CHIPS), module_dir=str(kept), use_ptx=True)
    assert len(files) == len(CHIPS)
    for file in files:
        code = Path(file).read_text()
        assert ".entry" in code
        if module.endswith(tuple(f".{name}_warp" for name in DECIDING)):
            assert not re.search(r"\bfma\.", code)


def test_a_warm_up_compiles_all_of_them():
    if not warp.available():
        pytest.skip("warp-lang is not installed")
    ours = [name for name in kernels_for_gpus() if name.startswith("neurotex.")]  # other tests declare ops, too
    warp.compile_ahead(ours, device="cpu")
    for module in MODULES:
        assert importlib.import_module(module).wp
