"""Whether a scene fits together, found out from shapes alone: nothing is computed on data, unbound latents included.

Texture nodes run under torch's fake tensors, which have a shape, a type and a device but no memory. Weights stay
where they are; those on the "meta" device will do. The first use in a process loads torch's compiler, a few seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..errors import SceneError
from ..raster.sampler import ON_MESH
from .counts import resolution
from .generated import GeneratedTexture
from .kept import is_known
from .latent import Evaluation, Latent, TextureNode
from .material import Material
from .mesh import UNWRAP
from .textures import SteppedTexture, Texture

if TYPE_CHECKING:
    from .graph import Scene
    from .mesh import Mesh


Shape = tuple[int, ...]


@dataclass(frozen=True)
class Shapes:
    """What `check` found. `image` starts with the names of batches; `maps` are by their path in the scene.

    The shape of a map is None where a node decides it by looking at values, as a program of the user's may.
    """

    image: tuple[int | str, ...]
    maps: dict[str, Shape | None]
    latents: dict[str, str]


class FakeEvaluation(Evaluation):
    """A pass through texture graphs that yields shapes. Use it inside `fake_tensors()`.

    Latents, bound or not, are zeros of the type and on the device of the node that reads them.
    """

    def __init__(self, root: nn.Module):
        super().__init__()
        self._zeros = stand_ins(root)
        self._shapes: dict[int, Shape | None] = {}

    def latent(self, name: str) -> Tensor | None:
        """Zeros, whatever values there are."""
        return self._zeros.get(name)

    def shape(self, node: TextureNode) -> Shape | None:
        """The shape of a node's value; None where it depends on values.

        Raises SceneError with the chain of nodes, from this one down to the one that fails.
        """
        if id(node) not in self._shapes:
            try:
                self._shapes[id(node)] = tuple(self(node).shape)
            except _Failure as failure:
                if not _looks_at_values(failure.cause):
                    chain = " of ".join(self._say(part) for part in failure.chain)
                    raise SceneError(f"{chain} fails: {_sentence(failure.cause)}") from failure.cause
                self._shapes[id(node)] = None
        return self._shapes[id(node)]

    def __call__(self, node: TextureNode) -> Tensor:
        try:
            return super().__call__(node)
        except _Failure as failure:
            failure.chain.insert(0, node)
            raise
        except Exception as cause:
            # a generator or step may be anybody's module, and fail in any way
            raise _Failure([node, *_chain(node)], cause) from cause

    def _say(self, node: nn.Module) -> str:
        """A node, and what it gave if it got so far."""
        given = self._done.get(id(node))
        return describe(node) if given is None or isinstance(node, Latent) else f"{describe(node)} {tuple(given.shape)}"


class _Failure(Exception):
    def __init__(self, chain: list[nn.Module], cause: Exception):
        super().__init__(cause)
        self.chain, self.cause = chain, cause


def fake_tensors():
    """A context in which everything is computed on fake tensors."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    return FakeTensorMode(allow_non_fake_inputs=True)


def check(scene: Scene, size: int | tuple[int, int] = 256) -> Shapes:
    """See `Scene.check`."""
    image = (*batches(scene), len(scene.cameras), 4, *resolution(size))
    check_views(scene)
    seen: set[Material] = set()
    maps: dict[str, Shape | None] = {}
    with torch.no_grad(), fake_tensors():
        evaluation = FakeEvaluation(scene)
        for path, node, _ in scene.visit():
            if node.mesh is None:
                continue
            material = node.mesh.material
            node.mesh.check_uvs(f"node '{path}'")
            if material not in seen:
                seen.add(material)
                maps.update(_check_material(f"{path}: material '{material.name}'", material, evaluation))
            for name, texture in material.maps().items():
                shape = evaluation.shape(texture)
                if shape is not None:
                    node.mesh.check_texels(name, shape)
    if not seen:
        raise SceneError("the scene has no mesh: add a node that carries one.")
    return Shapes(image, maps, {latent.name: latent.symbol for latent in _latents(scene)})


def check_maps_alone(scene: Scene, who: str) -> None:
    """Raise SceneError for colours on vertices and faces, for a renderer that paints with images alone."""
    check_meshes_plain(scene, who)
    for mesh in scene.meshes():
        remedy = f"{who} paints with images alone: draw it with neurotex.render."
        for name, texture in mesh.material.maps().items():
            if texture.filter in ON_MESH:
                raise SceneError(
                    f"material '{mesh.material.name}': {name} has a texel for each {texture.filter}, but {remedy}"
                )


def check_meshes_plain(scene: Scene, who: str) -> None:
    """Raise SceneError for meshes with colours of their own, for a renderer that paints with materials alone."""
    for mesh in scene.meshes():
        if mesh.colors is not None:
            raise SceneError(
                f"mesh '{mesh.name}' has colours of its own, but {who} paints with materials alone: draw it with "
                "neurotex.render."
            )


def check_views(scene: Scene) -> None:
    """Raise SceneError where there would be nothing to see, or numbers that are not finite."""
    check_cameras(scene)
    if len(scene.lights) == 0:
        raise SceneError("the scene has no light: pass lights=[neurotex.Flash(...)], or scene.lights.append(...).")
    _check_finite("lights", scene.lights)


def check_cameras(scene: Scene, what: str = "the scene") -> None:
    """Raise SceneError where nobody looks, or from nowhere. `what` is the scene, in words."""
    if len(scene.cameras) == 0:
        raise SceneError(f"{what} has no camera: pass cameras=[...], or scene.cameras.append(...).")
    _check_finite("cameras", scene.cameras)


def check_unwrapped(meshes: Iterable[Mesh], what: str) -> None:
    """Raise SceneError, naming `what` they come from, where some faces have no UVs."""
    count = {True: 0, False: 0}
    for mesh in meshes:
        count[mesh.uvs is None] += len(mesh.faces)
    if count[True]:
        which = f" for {count[True]} of {sum(count.values())} faces" if count[False] else ""
        raise SceneError(f"{what} has no UVs{which}: {UNWRAP}.")


def _check_finite(kind: str, members: nn.ModuleList) -> None:
    """Of few numbers: images have checks of their own."""
    found = [
        (f"{kind}[{number}], a {type(member).__name__}, has a {name} that is not finite.", tensor.isfinite().all())
        for number, member in enumerate(members)
        for name, tensor in (*member._buffers.items(), *member._parameters.items())
        if tensor is not None and tensor.numel() <= 16 and is_known(tensor)
    ]
    if found and not bool(torch.stack([finite for _, finite in found]).all()):  # asked once: a GPU is waited for
        raise SceneError(next(message for message, finite in found if not bool(finite)))


def stand_ins(root: nn.Module) -> dict[str, Tensor]:
    """Zeros for every latent below a module, of the type and on the device of what reads it."""
    values = {}
    for reader in root.modules():
        for latent in reader.children():
            if isinstance(latent, Latent):
                like = next((p for p in reader.parameters() if p.is_floating_point()), torch.zeros(()))
                values[latent.name] = like.new_zeros((1, *latent.shape))
    return values


def batches(scene: Scene) -> list[str]:
    """Names of batches, in order of appearance."""
    return list(dict.fromkeys(latent.batch for latent in _latents(scene) if latent.batch is not None))


def describe(node: nn.Module) -> str:
    """A texture node in a few words."""
    if isinstance(node, Latent):
        return f"Latent '{node.name}' {node.symbol}"
    inner = {GeneratedTexture: "generator", SteppedTexture: "step"}.get(type(node))
    return f"{type(node).__name__}({type(getattr(node, inner)).__name__})" if inner else type(node).__name__


def _check_material(where: str, material: Material, evaluation: FakeEvaluation) -> dict[str, Shape | None]:
    shapes = {}
    for name, texture in material.maps().items():
        try:
            shape = evaluation.shape(texture)
        except SceneError as error:
            raise SceneError(f"{where}, {name}: {error}") from error.__cause__
        allowed = material.channels(name)
        story = " of ".join(describe(part) for part in [texture, *_chain(texture)])
        if shape is not None and (len(shape) != 4 or shape[0] != 1 or shape[1] not in allowed):
            raise SceneError(
                f"{where}, {name}: {story} gives {shape}, expected (1, {' or '.join(map(str, allowed))}, H, W)."
            )
        shapes[f"{where}, {name}"] = shape
    return shapes


def _chain(node: nn.Module) -> list[nn.Module]:
    """What a node reads, then what that reads, as long as each reads one."""
    read = _read_by(node)
    return [*read, *_chain(read[0])] if len(read) == 1 else []


def _read_by(node: nn.Module) -> list[nn.Module]:
    """The texture nodes and latents that a node is made from."""
    return [child for child in node.children() if isinstance(child, Texture | Latent)]


def _looks_at_values(error: Exception) -> bool:
    from torch._subclasses import fake_tensor

    kinds = ("DataDependentOutputException", "DynamicOutputShapeException", "UnsupportedOperatorException")
    # a NumPy array cannot be had of a fake tensor
    return isinstance(error, tuple(getattr(fake_tensor, kind) for kind in kinds)) or "numpy() is not" in str(error)


def _sentence(error: Exception) -> str:
    """The first line of a message, as of torch's; the class where there is none."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".") + "."


def _latents(scene: Scene) -> list[Latent]:
    return [module for module in scene.modules() if isinstance(module, Latent)]
