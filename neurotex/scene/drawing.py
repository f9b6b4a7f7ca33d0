"""A scene as text: what `print(scene)` shows.

    Scene: 1 node, 1 mesh, 2 cameras, 1 light → images (2, 4, H, W)
    ├─ Node 'teapot'
    │  └─ Mesh 'body', 1,024 vertices, 2,048 faces
    │     └─ Material 'skin', diffuse
    │        └─ base_color: SteppedTexture (1, 3, 64, 64), Palette(8 colours, StraightThrough()) with 24 weights
    │           └─ GeneratedTexture (1, 3, 64, 64), MaterialGenerator with 12,345 weights
    │              └─ Latent 'skin' (1, 64), unbound
    ├─ PerspectiveCamera fov=45
    …

What is used several times has a number, [1], and is drawn once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import nn

from ..errors import SceneError
from .check import FakeEvaluation, batches, fake_tensors
from .latent import Latent
from .material import Material
from .mesh import Mesh
from .node import Node
from .textures import ConstantTexture, Texture

if TYPE_CHECKING:
    from .graph import Scene


def draw(scene: Scene) -> str:
    """The drawing, without a line's end. Shapes come from fake tensors; `?` where a node fails or looks at values."""
    with torch.no_grad(), fake_tensors():
        return "\n".join(_Drawing(scene).lines())


class _Drawing:
    def __init__(self, scene: Scene):
        self.scene = scene
        self.evaluation = FakeEvaluation(scene)
        self.uses = Counter(id(part) for part in _walk(scene))
        self.numbers: dict[int, int] = {}
        self.drawn: set[int] = set()

    def lines(self) -> list[str]:
        scene = self.scene
        counts = [(len(list(scene.visit())), "node"), (len(scene.meshes()), "mesh")]
        counts += [(len(scene.cameras), "camera"), (len(scene.lights), "light")]
        image = ", ".join(map(str, (*batches(scene), len(scene.cameras), 4, "H", "W")))
        title = f"Scene: {', '.join(_count(*pair) for pair in counts)} → images ({image})"
        parts = [*scene.nodes, *scene.cameras, *scene.lights]
        return [title, *_branches([self.tree(part) for part in parts])]

    def tree(self, part: nn.Module, label: str = "") -> list[str]:
        """The lines of a part and all below it."""
        key = id(part)
        mark = ""
        if self.uses[key] > 1:
            mark = f"[{self.numbers.setdefault(key, len(self.numbers) + 1)}] "
        if key in self.drawn:
            return [f"{label}{mark}{type(part).__name__}, see above"]
        self.drawn.add(key)
        maps = part.maps() if isinstance(part, Material) else {}
        below = [self.tree(texture, f"{name}: ") for name, texture in maps.items()]
        below += [self.tree(child) for child in _below(part) if not maps]
        return [f"{label}{mark}{self.say(part)}", *_branches(below)]

    def say(self, part: nn.Module) -> str:
        """One part in one line."""
        kind = type(part).__name__
        if isinstance(part, Node):
            return f"Node '{part.name}'"
        if isinstance(part, Mesh):
            uvs = "" if part.uvs is not None else ", no UVs"
            return f"Mesh '{part.name}', {_count(len(part.vertices), 'vertex')}, {_count(len(part.faces), 'face')}{uvs}"
        if isinstance(part, Latent):
            return f"Latent '{part.name}' {part.symbol}, {_bound(part)}"
        if isinstance(part, ConstantTexture):
            return f"{kind} {tuple(round(value, 4) for value in part.color.tolist())}"
        if isinstance(part, Texture):
            return ", ".join([f"{kind} {self.shape(part)}", *map(_say_module, _own(part))])
        rest = part.extra_repr()
        return f"{kind} {rest}".rstrip()

    def shape(self, texture: Texture) -> str:
        try:
            shape = self.evaluation.shape(texture)
        except SceneError:
            shape = None
        return "(?)" if shape is None else str(shape)


def _below(part: nn.Module) -> list[nn.Module]:
    """What is drawn below a part: meshes and nodes of a node, the material of a mesh, maps, texture nodes, latents."""
    if isinstance(part, Material):
        return list(part.maps().values())
    found = []
    for child in part.children():
        inside = list(child) if isinstance(child, nn.ModuleList) else [child]
        found += [node for node in inside if isinstance(node, Node | Mesh | Material | Texture | Latent)]
    return found


def _own(texture: Texture) -> list[nn.Module]:
    """What belongs to a texture node alone: its generator, its step."""
    return [
        child
        for child in texture.children()
        if not isinstance(child, Texture | Latent | nn.ModuleList | nn.ParameterList)
    ]


def _walk(part: nn.Module) -> Iterator[nn.Module]:
    """Everything that is drawn, as often as it is used; what lies below a part once."""
    seen: set[int] = set()

    def visit(part: nn.Module) -> Iterator[nn.Module]:
        yield part
        if id(part) not in seen:
            seen.add(id(part))
            for child in _below(part):
                yield from visit(child)

    yield from visit(part)


def _branches(trees: list[list[str]]) -> list[str]:
    lines = []
    for k, (first, *rest) in enumerate(trees):
        last = k == len(trees) - 1
        lines.append(("└─ " if last else "├─ ") + first)
        lines += [("   " if last else "│  ") + line for line in rest]
    return lines


def _say_module(module: nn.Module) -> str:
    weights = sum(parameter.numel() for parameter in module.parameters())
    inside = module.extra_repr()
    size = f" with {weights:,} weights" if weights else ""
    return f"{type(module).__name__}{f'({inside})' if inside else ''}{size}"


def _bound(latent: Latent) -> str:
    if latent.value is None:
        return "unbound"
    return "bound" if latent.batch is None else f"bound, {latent.batch} = {len(latent.value)}"


def _count(n: int, what: str) -> str:
    plural = {"mesh": "meshes", "vertex": "vertices"}.get(what, f"{what}s")
    return f"{n:,} {what if n == 1 else plural}"
