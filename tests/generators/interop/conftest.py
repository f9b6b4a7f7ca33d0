"""The other frameworks, where they are installed."""

import os
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow greets at length


@pytest.fixture(scope="session")
def jax() -> Any:
    return pytest.importorskip("jax", reason="JAX is not installed", exc_type=ImportError)


@pytest.fixture(scope="session")
def tf() -> Any:
    return pytest.importorskip("tensorflow", reason="TensorFlow is not installed", exc_type=ImportError)


@pytest.fixture(scope="session")
def onnx() -> Any:
    return pytest.importorskip("onnx", reason="onnx is not installed", exc_type=ImportError)


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    """Of a generator (N, 4) → (N, 3, 8, 8): two layers."""
    rng = np.random.default_rng(0)
    shapes = {"mix": (4, 6), "bias": (6,), "out": (6, 3 * 8 * 8)}
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
