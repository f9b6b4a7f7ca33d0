"""The site's pages name everything public: `make docs` builds them, strictly."""

import importlib
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """The site's hooks, which need of mkdocs one class that they make pages with."""
    files = ModuleType("mkdocs.structure.files")
    files.File = object
    fakes = {"mkdocs": ModuleType("mkdocs"), "mkdocs.structure": ModuleType("mkdocs.structure"), files.__name__: files}
    with pytest.MonkeyPatch.context() as patch:
        for name, module in fakes.items():
            patch.setitem(sys.modules, name, module)
        spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs/hooks.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def test_every_public_name_has_its_place(hooks):
    for package, names in hooks.public().items():
        listed = [n for n in importlib.import_module(package).__all__ if package != "neurotex" or n[0].isupper()]
        missing = sorted(set(listed) - set(names))
        assert not missing, (package, missing)
        assert len(names) > 2


def test_links_out_of_the_folder_lead_to_copies_in_the_site(hooks):
    text = "[a](../examples/own_module.py) [b](../assets/materials.json) [c](renderer.md)"
    moved = hooks.on_page_markdown(text, None, None, None)
    assert moved == "[a](examples/own_module.py) [b](assets/materials.json) [c](renderer.md)"


def test_every_page_is_in_the_navigation_and_every_picture_on_a_page():
    navigation = (ROOT / "mkdocs.yml").read_text()
    pages = {page.name: page.read_text() for page in (ROOT / "docs").glob("*.md")}
    for name in pages:
        assert re.search(rf": {re.escape(name)}$", navigation, re.M), name
    text = "".join(pages.values()) + (ROOT / "README.md").read_text()
    for picture in (*(ROOT / "docs").glob("*.png"), *(ROOT / "docs").glob("*.svg")):
        assert picture.name in text, picture.name
