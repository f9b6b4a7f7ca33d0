"""How a texture is read: a sampler, in glTF's terms and names."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ArgumentError

# glTF's REPEAT, CLAMP_TO_EDGE and MIRRORED_REPEAT; numbered so in the kernels
WRAPS = ("repeat", "clamp", "mirror")
FILTERS = ("nearest", "bilinear", "trilinear", "anisotropic")  # numbered so in the kernels
ON_MESH = ("vertex", "face")  # texels that no UVs lead to: see `mesh_taps`
MIPMAPPED = FILTERS[2:]

Wrap = str | tuple[str, str]


@dataclass(frozen=True)
class Sampler:
    """Which texels are read: how the texture goes on outside [0, 1] along u and along v, and how it is filtered.

    `wrap_s` and `wrap_t` are each one of `WRAPS`; `filter` is one of `FILTERS`, which says both of glTF's, magnified
    and minified, or one of `ON_MESH`. ArgumentError for others.
    """

    wrap_s: str = "repeat"
    wrap_t: str = "repeat"
    filter: str = "bilinear"

    def __post_init__(self) -> None:
        for value, choices, verb in (
            (self.wrap_s, WRAPS, "wrap as"),
            (self.wrap_t, WRAPS, "wrap as"),
            (self.filter, FILTERS + ON_MESH, "be filtered as"),
        ):
            if value not in choices:
                raise ArgumentError(f"a texture cannot {verb} '{value}': choose one of {', '.join(choices)}.")

    @classmethod
    def of(cls, wrap: Wrap = "repeat", filter: str = "bilinear") -> Sampler:
        """With a wrap for both axes, or a pair: along u, along v. ArgumentError for anything else."""
        if isinstance(wrap, str):
            return cls(wrap, wrap, filter)
        if not isinstance(wrap, tuple | list) or len(wrap) != 2:
            raise ArgumentError(f"a texture wraps in one way, or in two, along u and along v; not as {wrap!r}.")
        return cls(wrap[0], wrap[1], filter)

    @property
    def wrap(self) -> Wrap:
        """One word where both axes wrap alike, else a pair: along u, along v."""
        return self.wrap_s if self.wrap_s == self.wrap_t else (self.wrap_s, self.wrap_t)

    @property
    def mipmapped(self) -> bool:
        """Whether it reads averages of texels, from mip maps."""
        return self.filter in MIPMAPPED

    @property
    def on_mesh(self) -> bool:
        """Whether texels lie on the mesh itself, and no UVs lead to them."""
        return self.filter in ON_MESH
