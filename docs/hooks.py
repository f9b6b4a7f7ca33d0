"""What the site has beside the files in this folder: pages of all public names, the examples, the changelog."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "discrete",
    "generators",
    "scene",
    "renderers",
    "fit",
    "gan",
    "viewer",
    "compat.pytorch3d",
    "compat.mitsuba",
    "images",
    "raster",
    "shading",
)


def public() -> dict[str, list[str]]:
    """Package to its public names: those of its `__init__.pyi` where it has one, else its `__all__`."""
    found = {}
    for package in ("neurotex", *(f"neurotex.{name}" for name in PACKAGES)):
        folder = ROOT / package.replace(".", "/")
        stub = folder / "__init__.pyi"
        tree = ast.parse((stub if stub.exists() else folder / "__init__.py").read_text(encoding="utf-8"))
        if stub.exists():
            own = package != "neurotex"  # its packages have pages of their own
            imports = [s for s in tree.body if isinstance(s, ast.ImportFrom) and (s.module or own)]
            names = [alias.asname or alias.name for statement in imports for alias in statement.names]
        else:
            (names,) = (
                ast.literal_eval(s.value)
                for s in tree.body
                if isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == "__all__"
            )
        found[package] = sorted(names, key=str.lower)
    return found


def on_files(files, config):
    """Add what is not in this folder."""
    index = "# Python\n\nThe names of `import neurotex as nt`, then those of its packages.\n"
    for package, names in public().items():
        page = f"# `{package}`\n\n" + "\n".join(f"::: {package}.{name}\n" for name in names)
        path = f"api/{package}.md"
        files.append(File.generated(config, path, content=page))
        index += f"\n## [`{package}`]({path})\n\n" + ", ".join(f"[`{n}`]({path}#{package}.{n})" for n in names) + "\n"
    files.append(File.generated(config, "api.md", content=index))
    files.append(File.generated(config, "changelog.md", content=(ROOT / "CHANGELOG.md").read_text(encoding="utf-8")))
    for file in (*sorted((ROOT / "examples").glob("*.py")), ROOT / "assets/materials.json"):
        files.append(File.generated(config, f"{file.parent.name}/{file.name}", abs_src_path=str(file)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links that lead out of this folder, as they must in the repository, lead to the copies."""
    del page, config, files
    return re.sub(r"\]\(\.\./(examples|assets)/", r"](\1/", markdown)
