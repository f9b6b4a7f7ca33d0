"""The tiny case on disk, and runs of it that save time where a test does not look."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from neurotex.fit import Options, fit_views, outputs, plan, search_latent
from neurotex.renderers import turntable
from tests import tiny

Case = dict[str, Path]


@pytest.fixture(scope="session")
def drawn_case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return tiny.write_case(tmp_path_factory.mktemp("drawn") / "case")


@pytest.fixture
def case(drawn_case: Case, tmp_path: Path) -> Case:
    """Paths of a mesh, of views to fit, of views held out and of a generator. A test may change its files."""
    folder = drawn_case["mesh"].parent
    shutil.copytree(folder, tmp_path / "case")
    return {name: tmp_path / "case" / path.relative_to(folder) for name, path in drawn_case.items()}


@pytest.fixture
def short_turntable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "turntable", partial(turntable, size=32, frames=3))


@pytest.fixture
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search for latents that takes 14 renders instead of 736."""
    monkeypatch.setattr(plan, "search_latent", partial(search_latent, draws=8, rounds=((2, 3),)))


@pytest.fixture
def fit(case: Case, short_turntable: None) -> Callable[..., dict]:
    """fit(out, resume=…, progress=…, **options) → metrics, of the tiny case: a texture of 32 and few imagined views."""

    def call(out: Path, *, resume: bool = False, progress: Callable | None = None, **options: object) -> dict:
        common = {
            "mesh": str(case["mesh"]),
            "views": str(case["views"]),
            "holdout": str(case["holdout"]),
            "size": 32,
            "imagined": 4,
        }
        return fit_views(Options(**{**common, **options}), out, resume=resume, progress=progress)

    return call
