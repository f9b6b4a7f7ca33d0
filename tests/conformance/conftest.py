"""Every test here that takes `golden_scene` runs once per scene."""

from pathlib import Path

import pytest

from tests.conformance import golden


@pytest.fixture(scope="session", params=golden.paths(), ids=lambda path: path.stem)
def golden_scene(request: pytest.FixtureRequest) -> golden.Golden:
    """A scene that PyTorch3D rendered; see `golden.Golden`."""
    path: Path = request.param
    return golden.load(path)
