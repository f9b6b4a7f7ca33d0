"""Kernels are tested as they run: on several threads."""

import pytest


@pytest.fixture(autouse=True)
def _kernels_on_two_threads(two_threads: None) -> None:
    pass
