"""What a bake holds constant, and whether it still is: a picture of what no longer is so would be wrong in silence."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor

from ..errors import SceneError
from ..scene import Scene


class Frozen:
    """The tensors of a scene's "nodes" (with their meshes), "cameras" or "lights", as they were found.

    Looking again costs next to nothing while nobody writes to them: a tensor counts its changes.
    """

    def __init__(self, scene: Scene, kinds: Sequence[str]):
        self._lists = [(kind, getattr(scene, kind), len(getattr(scene, kind))) for kind in kinds]
        self._slots = [
            (f"{path}.{name}", node, name)
            for kind in kinds
            for path, node in _members(scene, kind)
            for name, tensor in (*node._parameters.items(), *node._buffers.items())
            if tensor is not None
        ]
        # what is no tensor, but decides where light gets
        self._casting = [
            (f"{path}.cast_shadows", member, member.cast_shadows)
            for kind in kinds
            for path, member in _members(scene, kind)
            if hasattr(member, "cast_shadows")
        ]
        self._seen = [_state(getattr(node, name)) for _, node, name in self._slots]
        self._values = [getattr(node, name).detach().clone() for _, node, name in self._slots]

    def changed(self) -> str | None:
        """What is first found to be other than it was; None if nothing is."""
        for kind, members, count in self._lists:
            if len(members) != count:
                return f"the number of {kind}"
        for path, member, casts in self._casting:
            if member.cast_shadows != casts:
                return path
        for k, (path, node, name) in enumerate(self._slots):
            tensor = getattr(node, name)
            kept, version = self._seen[k]
            if tensor is kept and version is not None and tensor._version == version:
                continue
            if not equal_values(tensor, self._values[k]):
                return path
            self._seen[k] = _state(tensor)
        return None

    def of(self, scene: Scene, kinds: Sequence[str]) -> Frozen:
        """Of another scene with the same values. Raises SceneError naming what has others."""
        other = Frozen(scene, kinds)
        for (path, *_), (place, *_) in zip(self._slots, other._slots, strict=False):
            if path != place:
                raise SceneError(f"{place} is not in the scene that was baked: bake this one.")
        if len(self._slots) != len(other._slots) or len(self._lists) != len(other._lists):
            raise SceneError("this scene has other nodes, cameras or lights than the one that was baked: bake it.")
        for (path, _, casts), (_, _, others) in zip(self._casting, other._casting, strict=True):
            if casts != others:
                raise SceneError(f"{path} is another than in the scene that was baked: bake this one.")
        for k, (path, *_) in enumerate(self._slots):
            if not equal_values(other._values[k], self._values[k]):
                raise SceneError(f"{path} is another than in the scene that was baked: bake this one.")
        other._values = self._values
        return other

    def trained(self) -> str | None:
        """The first tensor, by path, that wants a gradient."""
        return next((path for path, node, name in self._slots if getattr(node, name).requires_grad), None)


class Guard:
    """Refuses to draw what has changed since the bake, and warns once of gradients that are not there."""

    def __init__(self, scene: Scene, lights: bool):
        self._kinds = ["nodes", "cameras", *(["lights"] if lights else [])]
        self._frozen = Frozen(scene, self._kinds)
        also = ", and one of diffuse surfaces their lights" if lights else ""
        self._why = f"a bake holds meshes and cameras constant{also}"
        self._warned = False

    def of(self, scene: Scene) -> Guard:
        """The same for another scene that shares what is frozen. Raises SceneError where it does not."""
        other = copy.copy(self)
        other._frozen = self._frozen.of(scene, self._kinds)
        return other

    def check(self) -> None:
        """Raises SceneError naming what has changed."""
        what = self._frozen.changed()
        if what is not None:
            raise SceneError(f"{what} has changed since the bake, but {self._why}: bake again, or use render.")
        if not self._warned and torch.is_grad_enabled():
            what = self._frozen.trained()
            if what is not None:
                self._warned = True
                warnings.warn(f"{what} wants a gradient and gets none: {self._why}; use render for it.", stacklevel=4)


def _members(scene: Scene, kind: str) -> Iterator[tuple[str, nn.Module]]:
    if kind != "nodes":
        yield from ((f"{kind}[{k}]", member) for k, member in enumerate(getattr(scene, kind)))
        return
    for path, node, _ in scene.walk():
        yield f"node '{path}'", node
        if node.mesh is not None:
            yield f"node '{path}': mesh", node.mesh


def _state(tensor: Tensor) -> tuple[Tensor, int | None]:
    """What tells whether values may have changed; tensors of inference mode do not count their changes."""
    return tensor, None if tensor.is_inference() else tensor._version


def equal_values(tensor: Tensor, kept: Tensor) -> bool:
    """Whether values are the same, as far as their types can tell; never, where a transform hides them."""
    if is_functorch_wrapped_tensor(tensor) or tensor.shape != kept.shape:
        return False
    narrower = min(tensor.dtype, kept.dtype, key=lambda dtype: dtype.itemsize)
    return torch.equal(tensor.detach().to(kept.device, narrower), kept.to(narrower))
