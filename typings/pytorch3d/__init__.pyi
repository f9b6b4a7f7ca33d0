"""Not typed, and not always installed. Without this file, our folder of that name would be taken for it."""

from typing import Any

def __getattr__(name: str) -> Any: ...
