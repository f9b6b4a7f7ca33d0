"""Nodes of the scene graph: places with transforms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from ..core.typed import ModuleList
from ..errors import SceneError
from ..geometry import product
from .mesh import Mesh
from .origin import NOWHERE, Origin, Placed, common_origin

# a module within a module is a call within a call for torch, several for copies and pickles, and Python ends at 1,000
DEEPEST = 64


class Node(Placed):
    """A place in the graph: `transform` (4, 4) takes this node's space to its parent's.

    It may carry a mesh and have children. Two nodes with the same Mesh are two instances of it. `front` is where a root
    node looks as its file has it: "+Z" in glTF; in other files "-Z", as OBJ files of research (ShapeNet, Spot) do,
    which have no rule. SceneError unless `transform` is 4 × 4 finite numbers.
    """

    front = "+Z"

    def __init__(
        self,
        mesh: Mesh | None = None,
        transform: Float[Tensor, "4 4"] | None = None,
        children: Iterable[Node] = (),
        name: str = "node",
    ):
        super().__init__()
        self.name = name
        transform = torch.eye(4) if transform is None else torch.as_tensor(transform, dtype=torch.get_default_dtype())
        if tuple(transform.shape) != (4, 4) or not bool(transform.isfinite().all()):
            raise SceneError(f"node '{name}' needs a transform of 4 x 4 finite numbers.")
        self.register_buffer("transform", transform.clone())
        self.mesh = mesh
        self.nodes = ModuleList(children)
        self._take_origin(common_origin(self.nodes))

    def _take_origin(self, origin: Origin | None) -> None:
        """Have the origin of children that come from a file, which theirs is relative to from now on."""
        for child in self.nodes:
            if origin is not None:
                child.move_origin(origin)
            child.origin = None
        self.origin = origin
        if origin not in (None, NOWHERE):
            matrix = self.transform.double()
            self.origin = tuple((matrix[:3, :3] @ matrix.new_tensor(origin) + matrix[:3, 3]).tolist())
            self.transform[:3, 3] = 0

    def visit(self, path: str = "") -> Iterator[tuple[str, Node, int]]:
        """Every node below and including this one, parents first: (path, node, how many of them it lies within).

        Raises SceneError beyond DEEPEST.
        """
        stack = [(self, path, 0)]
        while stack:
            node, path, depth = stack.pop()
            path = f"{path}/{node.name}"
            if depth > DEEPEST:
                raise SceneError(
                    f"node '{node.name}' lies within more than {DEEPEST} others, or within itself: hang it higher, by "
                    "the product of their transforms."
                )
            yield path, node, depth
            stack += [(child, path, depth + 1) for child in reversed(node.nodes)]

    def walk(self, parent: Tensor | None = None, path: str = "") -> Iterator[tuple[str, Node, Tensor]]:
        """`visit` with transforms: (path, node, node-to-world transform)."""
        above: list[Tensor | None] = [parent]
        for place, node, depth in self.visit(path):
            outer = above[depth]
            world = node.transform if outer is None else product(outer, node.transform)
            above[depth + 1 :] = [world]
            yield place, node, world

    def extra_repr(self) -> str:
        return f"'{self.name}'"
