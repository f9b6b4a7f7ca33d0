"""What an installation must bring along, and what it must not load before it is asked to."""

import importlib
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import neurotex as nt

# distributions whose module has another name
MODULES = {"pillow": "PIL", "lazy-loader": "lazy_loader"}


def requirements() -> list[str]:
    plain = [line for line in metadata.requires("neurotex") if "extra ==" not in line]
    return [re.match(r"[\w-]+", line)[0] for line in plain]


def test_every_dependency_can_be_imported():
    names = requirements()
    assert "torch" in names
    for name in names:
        importlib.import_module(MODULES.get(name, name))


def test_every_public_name_is_there_and_says_what_it_is():
    for name in nt.__all__:
        assert getattr(nt, name).__doc__, name


def test_the_version_is_that_of_the_package():
    assert nt.__version__ == metadata.version("neurotex")


def test_the_command_line_is_installed():
    (script,) = metadata.entry_points(group="console_scripts", name="neurotex")
    assert script.load() is importlib.import_module("neurotex.cli").main


@pytest.mark.parametrize(("folder", "views"), [("views", 12), ("holdout", 4)])
def test_the_demo_data_ships(folder, views):
    demo = nt.assets.folder() / "demo"
    assert len(nt.Scene.load(demo / "mesh.obj").meshes()) == 1
    found = nt.Views.load(demo / folder)
    assert len(found.cameras) == len(found.images) == views
    assert isinstance(found.lights[0], nt.Flash)
    assert float(found.images[:, 3].mean()) > 0.05


def test_assets_are_found_inside_an_installed_package(tmp_path, monkeypatch):
    (tmp_path / "assets").mkdir()
    monkeypatch.setattr(nt.assets.resources, "files", lambda package: tmp_path)
    assert nt.assets.folder() == tmp_path / "assets"


def test_importing_neurotex_loads_nothing_heavy_that_it_may_never_need():
    heavy = ["matplotlib", "kornia", "mitsuba", "torch._dynamo", "scipy.optimize", "warp"]
    code = f"import sys, neurotex, neurotex.raster; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.home())
    assert done.stdout.split() == []
