"""Where the small things that come with neurotex lie."""

from __future__ import annotations

from importlib import resources
from pathlib import Path


def folder() -> Path:
    """The assets folder: inside the installed package, or beside it in a checkout."""
    installed = Path(str(resources.files("neurotex"))) / "assets"
    return installed if installed.is_dir() else installed.parent.parent / "assets"
