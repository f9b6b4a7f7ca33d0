import os
import subprocess
import sys
from pathlib import Path

CALL = "from kernels_here.outer_kernels import outer; print(outer(2.0))"
INNER = """
from neurotex.core.jit import jit

@jit
def inner(x):
    return x * {}
"""
OUTER = """
from neurotex.core.jit import jit
from .inner_kernels import inner

@jit
def outer(x):
    return inner(x) + 1
"""


def called(folder: Path) -> str:
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[2])])
    environment = {**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run([sys.executable, "-c", CALL], capture_output=True, text=True, env=environment, check=True)
    return done.stdout.strip()


def test_a_kernel_that_calls_one_of_another_file_is_compiled_anew_when_that_changes(tmp_path: Path) -> None:
    package = tmp_path / "kernels_here"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "outer_kernels.py").write_text(OUTER)
    (package / "inner_kernels.py").write_text(INNER.format("10"))
    assert called(tmp_path) == "21.0"
    kept = {path.name for path in (tmp_path / "cache").rglob("*.nbc")}
    assert kept
    assert called(tmp_path) == "21.0"
    assert {path.name for path in (tmp_path / "cache").rglob("*.nbc")} == kept  # nothing was compiled
    (package / "inner_kernels.py").write_text(INNER.format("20"))
    assert called(tmp_path) == "41.0"
