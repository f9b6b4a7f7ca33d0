"""What is said where a framework is absent; and the example that needs two of them."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neurotex.errors import MissingError
from neurotex.generators.interop import from_jax, from_onnx, from_tensorflow

EXAMPLE = Path(__file__).parents[3] / "examples" / "one_generator_three_frameworks.py"


@pytest.mark.parametrize(
    ("module", "call", "message"),
    [
        ("jax", lambda: from_jax(lambda p, z: z, {}), r"^JAX is not installed: pip install 'neurotex\[jax\]'$"),
        ("tensorflow", lambda: from_tensorflow(lambda z: z), r"^TensorFlow is not .*'neurotex\[tensorflow\]'$"),
        ("onnx", lambda: from_onnx("generator.onnx"), r"^onnx is not installed: pip install 'neurotex\[onnx\]'$"),
    ],
)
def test_without_the_framework_a_call_says_so(monkeypatch, module, call, message):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingError, match=message):
        call()


def test_importing_loads_none_of_them():
    frameworks = ["jax", "tensorflow", "keras", "onnx", "onnxruntime"]
    code = f"import sys, neurotex.generators.interop; print(*[name for name in {frameworks} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_three_frameworks_draw_one_picture_and_give_one_gradient(jax, tf, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLE))["main"]("out.png")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [name for name, *_ in rows] == ["torch", "jax", "tensorflow"]
    expected, *others = (np.array(numbers, float) for _, *numbers in rows)
    for found in others:
        assert np.linalg.norm(found[:4] - expected[:4]) <= 1e-5 * np.linalg.norm(expected[:4])
        np.testing.assert_allclose(found[4:], expected[4:], rtol=1e-5)
    picture = np.asarray(Image.open(tmp_path / "out.png").convert("RGB")).astype(int)
    third = picture.shape[1] // 3
    assert picture[:, :third].std() > 20
    for k in (1, 2):
        assert np.abs(picture[:, :third] - picture[:, k * third : (k + 1) * third]).max() <= 1
