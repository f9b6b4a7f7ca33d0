"""Files whose names stand in another file, found however they are written there."""

from __future__ import annotations

import os
from pathlib import Path

# what exporters write names in; the file system decides which one it was
ENCODINGS = ("utf-8", "cp932", "cp1252", "gb18030", "latin-1")


def find_file(folder: Path, name: bytes | str) -> Path | None:
    """The file that `name` means, seen from `folder`; None if there is none.

    Written in any encoding, with slashes either way, in quotes, between blanks, in other letter case; where its folder
    is not there (as on another machine), it lies in `folder` itself.
    """
    spellings = [name] if isinstance(name, str) else list(_decoded(name))
    for spelling in spellings:
        for each in _trimmed(spelling):
            path = each.replace("\\", "/")
            found = _spelled(folder, path) or _spelled(folder, path.rsplit("/", 1)[-1])
            if found is not None:
                return found
    return None


def _decoded(name: bytes) -> dict[str, None]:
    """Every text that the bytes may be; undecodable bytes drop out, and with them what they were not."""
    return dict.fromkeys(name.decode(encoding, "ignore") for encoding in ENCODINGS)


def _trimmed(name: str) -> dict[str, None]:
    """As it stands (a name may begin with a blank), without blanks around it, without quotes."""
    bare = name.strip()
    unquoted = bare[1:-1] if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'" else bare
    return dict.fromkeys(spelling for spelling in (name, bare, unquoted, unquoted.strip()) if spelling.strip())


def _spelled(folder: Path, path: str) -> Path | None:
    """`folder`/`path`, its parts in any letter case if not in this one."""
    try:
        if (folder / path).is_file():
            return folder / path
        here = Path(folder.anchor) if path.startswith("/") else folder
        for part in filter(None, path.split("/")):
            if part in (".", "..") or (here / part).exists():
                here = here / part
                continue
            same = sorted(entry for entry in os.listdir(here) if entry.casefold() == part.casefold())
            if not same:
                return None
            here = here / same[0]
        return here if here.is_file() else None
    except (OSError, ValueError):  # too long, no folder, a NUL in it
        return None
