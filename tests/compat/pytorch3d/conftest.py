"""PyTorch3D, where it is installed."""

from typing import Any

import pytest


@pytest.fixture
def pytorch3d() -> Any:
    """PyTorch3D's renderer module."""
    return pytest.importorskip("pytorch3d.renderer", reason="PyTorch3D is not installed", exc_type=ImportError)
