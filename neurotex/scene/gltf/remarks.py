"""What of a file is not shown as it says: collected while it is read, then said at once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from ...images.read import shown

LISTED = 3  # more of a kind are counted


class Remarks:
    """Features that are not rendered, and faults that were got over."""

    def __init__(self, path: Path):
        self.path = path
        self._unused: dict[str, list[str]] = {}  # by what has them
        self._faults: dict[str, None] = {}

    def unused(self, owner: str, feature: str) -> None:
        """Something of the file is left out."""
        features = self._unused.setdefault(owner, [])
        if feature not in features:
            features.append(feature)

    def fault(self, sentence: str) -> None:
        """Something is wrong or missing; `sentence` says what is shown instead."""
        self._faults[sentence] = None

    def say(self, stacklevel: int) -> None:
        """One warning for all that is not used, one for all that is wrong."""
        owners: dict[tuple[str, ...], list[str]] = {}
        for owner, features in self._unused.items():
            owners.setdefault(tuple(features), []).append(owner)
        found = [f"{_listed(names)}: {', '.join(features)}" for features, names in owners.items()]
        for sentences in (found and [f"{_listed(found, '; ')} not used"], list(self._faults)):
            if sentences:
                warnings.warn(f"{shown(self.path)}: {_listed(sentences, '; ')}.", stacklevel=stacklevel + 1)


def _listed(names: Sequence[str], between: str = ", ") -> str:
    more = len(names) - LISTED
    return between.join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")
