"""Whether PyTorch3D is there, and what to say if not."""

from __future__ import annotations

from ...errors import MissingError

GUIDE = "https://github.com/facebookresearch/pytorch3d/blob/main/INSTALL.md"


def require() -> None:
    """Raise MissingError unless PyTorch3D can be imported."""
    try:
        import pytorch3d.renderer  # noqa: F401
    except ImportError as error:
        raise MissingError(
            f"PyTorch3D is not installed, or does not fit this torch ({error}): install it by its own guide, {GUIDE}"
        ) from error
