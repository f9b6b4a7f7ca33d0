"""The scene: what is rendered, and the flat geometry of it that a renderer sees."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import pad

from ..core.precision import uncast
from ..core.typed import ModuleList
from ..errors import ArgumentError, SceneError
from ..geometry import cofactors, determinant, transform
from .camera import Camera
from .light import Light
from .material import Material
from .mesh import Mesh, coincidence
from .node import Node
from .origin import NOWHERE, common_origin

if TYPE_CHECKING:
    from .check import Shapes


@dataclass(frozen=True)
class Geometry:
    """All instances of a scene in world space, as one list of triangles.

    `materials` are those of the scene, in which `face_material` counts.
    """

    vertices: Float[Tensor, "v 3"]
    normals: Float[Tensor, "v 3"]
    uvs: Float[Tensor, "v 2"]
    faces: Int[Tensor, "f 3"]
    face_material: Int[Tensor, "f"]
    materials: list[Material]
    colors: Float[Tensor, "v channels"]
    """Linear; with a fourth channel if any mesh has alpha. No channels where no mesh has colours."""
    face_casts: Bool[Tensor, "f"]
    """Whether light is held up by it."""
    starts: tuple[tuple[int, int], ...]
    """The first face and the first vertex of each instance."""

    def elements(self, face: Int[Tensor, "n"]) -> Int[Tensor, "n 4"]:
        """For faces of this list: the number of each in its own mesh, and there those of its vertices."""
        starts = torch.tensor(self.starts, device=face.device)
        start = starts[torch.bucketize(face, starts[:, 0].contiguous(), right=True) - 1]
        return torch.cat([face[:, None] - start[:, :1], self.faces[face] - start[:, 1:]], 1)

    @cached_property
    def radius(self) -> float:
        """Half the diagonal of the box around everything, scene units."""
        low, high = self.vertices.detach().aminmax(dim=0)
        return float((high - low).norm()) / 2


class Scene(nn.Module):
    """What is rendered: nodes, cameras (one image each) and lights.

    An `nn.Module`: `.to()`, `.parameters()`, `state_dict()` mean what they always mean. `Scene.load` reads OBJ, PLY
    and glTF, `save` writes GLB.
    """

    nodes: ModuleList[Node]
    cameras: ModuleList[Camera]
    lights: ModuleList[Light]

    def __init__(
        self,
        nodes: Mesh | Node | Iterable[Mesh | Node],
        cameras: Iterable[Camera] | Camera = (),
        lights: Iterable[Light] | Light = (),
    ):
        super().__init__()
        nodes = _members("nodes", nodes, Mesh | Node)
        self.nodes = ModuleList(Node(n, name=n.name) if isinstance(n, Mesh) else n for n in nodes)
        self.cameras = ModuleList(_members("cameras", cameras, Camera))
        self.lights = ModuleList(_members("lights", lights, Light))
        origin = common_origin(self.nodes) or common_origin(self.cameras)
        for member in (*self.nodes, *self.cameras):
            if origin is not None:
                member.move_origin(origin)

    @property
    def origin(self) -> tuple[float, float, float]:
        """The point of the world that this scene's coordinates are relative to, in double precision.

        (0, 0, 0), unless a file's mesh is so far away (1000 times its radius) that single precision would spoil it.
        What comes from files, meshes and the cameras of `Views`, is moved there, in place, when it is given to a
        scene; what is made by hand (cameras, lights, nodes) is in the scene's coordinates. `save` writes the world's.
        """
        return common_origin(self.nodes) or NOWHERE

    @property
    def front(self) -> str:
        """Where the scene's first node looks, "+Z" or "-Z"; see `Node`."""
        return self.nodes[0].front if len(self.nodes) else "+Z"

    @classmethod
    def load(
        cls,
        path: str | Path,
        material: Material | None = None,
        cameras: Iterable[Camera] | Camera = (),
        lights: Iterable[Light] | Light = (),
    ) -> Scene:
        """Read a scene file: hierarchy, instances, UVs, normals, materials and their textures.

        `material`, if given, replaces every material of the file, and colours of vertices with it; but where it is a
        texture, meshes without UVs beside others that have some keep their own, as is then said. Raises FileError
        with the file's name.
        """
        from .files import load_nodes

        scene = cls(load_nodes(path), cameras, lights)
        if material is not None:
            meshes = scene.meshes()
            bare = [mesh for mesh in meshes if mesh.uvs is None] if material.needs_uvs() else []
            if bare and len(bare) < len(meshes):
                warnings.warn(
                    f"{path}: '{bare[0].name}' ({sum(len(mesh.faces) for mesh in bare)} faces in all) has no UVs and "
                    "keeps its own material.",
                    stacklevel=2,
                )
                meshes = [mesh for mesh in meshes if mesh.uvs is not None]
            for mesh in meshes:
                mesh.material, mesh.colors = material, None
        return scene

    def replace(
        self,
        *,
        cameras: Iterable[Camera] | Camera | None = None,
        lights: Iterable[Light] | Light | None = None,
        materials: Mapping[Material, Material] | None = None,
    ) -> Scene:
        """The same nodes before other cameras, under other lights, in other materials; None leaves them. This scene
        stays as it is.

        `materials` says which of this scene's are worn by which others instead (see `Material.replace`). No tensor is
        copied: what is not replaced is shared, and the new cameras and lights come to its device.
        """
        if cameras is None and lights is None and materials is None:
            return self
        scene = Scene(
            list(self.nodes) if materials is None else _dressed(self, materials),
            list(self.cameras) if cameras is None else cameras,
            list(self.lights) if lights is None else lights,
        )
        if len(self.nodes):
            for new in (scene.cameras, scene.lights):
                new.to(self.nodes[0].transform.device)
        scene.training = self.training
        return scene

    def save(self, path: str | Path) -> None:
        """Write a GLB with the textures as they are now (8 bits, what `eval()` shows); cameras and lights stay out."""
        from .gltf import save

        save(self, path)

    def _repr_png_(self) -> bytes | None:
        """In notebooks, a picture of it; nothing but its words where it cannot be rendered yet."""
        # renderers stand above scenes, so they are asked for by name, once there is something to show
        return import_module("neurotex.renderers").portrait_png(self)

    def check(self, size: int | tuple[int, int] = 256) -> Shapes:
        """Run the texture graph on shapes alone, unbound latents included: no arithmetic on data, no rasterising.

        Raises SceneError, with the node's path, what was expected and what it got, for maps that a render could not
        use, and for a scene without cameras, lights or UVs. Returns the shapes of images, maps and latents. `size` is
        that of the images, as `render` takes it.
        """
        from .check import check

        return check(self, size)

    def __str__(self) -> str:
        """A drawing of the graph with the shapes in it; `repr` lists every module, as for any `nn.Module`."""
        from .drawing import draw

        return draw(self)

    def walk(self) -> Iterator[tuple[str, Node, Tensor]]:
        """Every node of the scene: (path, node, node-to-world transform)."""
        for node in self.nodes:
            yield from node.walk()

    def visit(self) -> Iterator[tuple[str, Node, int]]:
        """Every node of the scene, parents first: (path, node, how many nodes it lies within)."""
        for node in self.nodes:
            yield from node.visit()

    def meshes(self) -> list[Mesh]:
        """The distinct meshes, in order of appearance."""
        return list(dict.fromkeys(node.mesh for _, node, _ in self.visit() if node.mesh is not None))

    def materials(self) -> list[Material]:
        """The distinct materials, in order of appearance."""
        return list(dict.fromkeys(mesh.material for mesh in self.meshes()))

    def geometry(self) -> Geometry:
        """Flatten the graph. Differentiable in vertices and transforms.

        It has the precision of the meshes, the widest of them, whatever autocast says and nodes are in. Raises
        SceneError for what cannot be rendered as it is now: vertices without UVs that wear a texture, that are not
        finite or too far away, and half precision.
        """
        self._check_origins()
        with uncast(self.nodes[0].transform.device if len(self.nodes) else torch.device("cpu")):
            return self._geometry()

    def _geometry(self) -> Geometry:
        materials = self.materials()
        number = {material: k for k, material in enumerate(materials)}
        parts: list[tuple[Tensor, ...]] = []
        starts, extents = [], []
        first = first_face = 0
        channels = max((mesh.colors.shape[1] for mesh in self.meshes() if mesh.colors is not None), default=0)
        for path, node, world in self.walk():
            mesh = node.mesh
            if mesh is None:
                continue
            mesh.check_uvs(f"node '{path}'")
            uvs = torch.zeros_like(mesh.vertices[:, :2]) if mesh.uvs is None else mesh.uvs
            mesh.check_faces()
            mesh.check_normals()
            world = world.to(mesh.vertices)
            linear = world[:3, :3]
            # normals turn with the inverse transpose; the cofactor matrix is that up to length, and exists always
            turn = cofactors(linear) * determinant(linear).sign()
            normals = transform(mesh.shading_normals().to(world), pad(turn.T, (0, 0, 0, 1)))
            owner = torch.full_like(mesh.faces[:, 0], number[mesh.material])
            vertices = transform(mesh.vertices, world[:3].T)
            extents += [(path, "vertices", vertices), (path, "uvs", uvs)]
            casts, colors = torch.full_like(owner, mesh.cast_shadows, dtype=torch.bool), _colors(mesh, channels, world)
            parts.append((vertices, normals, uvs.to(world), mesh.faces + first, owner, colors, casts))
            starts.append((first_face, first))
            first, first_face = first + len(mesh.vertices), first_face + len(mesh.faces)
        if not parts:
            raise SceneError("the scene has no mesh: add a node that carries one.")
        _check_extents(extents)
        vertices, normals, uvs, faces, owner, colors, casts = (torch.cat(column) for column in zip(*parts, strict=True))
        return Geometry(vertices, normals, uvs, faces, owner, materials, colors, casts, tuple(starts))

    def _check_origins(self) -> None:
        origin = self.origin
        for what, members in (("node", self.nodes), ("camera", self.cameras)):
            for k, member in enumerate(members):
                if member.origin not in (None, origin):
                    raise SceneError(
                        f"{what} {k} of the scene is told from another origin than the first node, for it was added "
                        "later or is in another scene now: give all (or copies) to a new Scene(nodes, cameras, lights)."
                    )

    def welded(self) -> Int[Tensor, "v"]:
        """A number for each vertex of `geometry()`, the same for those of one instance that lie in one place.

        A vertex on a UV seam is there twice; the surface is whole there all the same.
        """
        numbers, first = [], 0
        for _, node, _ in self.walk():
            if node.mesh is not None:
                numbers.append(coincidence(node.mesh.vertices.detach()) + first)
                first = int(numbers[-1].max()) + 1
        return torch.cat(numbers)

    def bounds(self) -> tuple[Float[Tensor, "3"], float]:
        """Centre and radius of a sphere around everything, in scene units."""
        vertices = self.geometry().vertices.detach()
        low, high = vertices.amin(0), vertices.amax(0)
        center = (low + high) / 2
        return center, float((vertices - center).norm(dim=1).max())


def _dressed(scene: Scene, materials: Mapping[Material, Material]) -> list[Node]:
    """The nodes of a scene with other materials on meshes of their own, which share all tensors with those there."""
    own = scene.materials()
    for material, other in materials.items():
        if material not in own:
            raise ArgumentError(f"material '{getattr(material, 'name', material)}' is not worn in this scene.")
        if not isinstance(other, Material):
            raise ArgumentError(f"a material is replaced by another Material, not by a {type(other).__name__}.")
    copies: dict[nn.Module, Any] = {}  # an instance stays an instance

    def dressed(module: Node | Mesh) -> Any:
        if module not in copies:
            copied: Any = copy.copy(module)
            copies[module] = copied
            for name in ("_parameters", "_buffers", "_modules"):
                setattr(copied, name, dict(getattr(module, name)))
            if isinstance(module, Mesh):
                copied.material = materials.get(module.material, module.material)
            else:
                copied.mesh = None if module.mesh is None else dressed(module.mesh)
                copied.nodes = ModuleList(map(dressed, module.nodes))
        return copies[module]

    return [dressed(node) for node in scene.nodes]


def _members(what: str, given: object, kind: type | UnionType) -> list:
    members = list(given) if isinstance(given, Iterable) else [given]
    for member in members:
        if not isinstance(member, kind):
            raise SceneError(f"a scene's {what} are neurotex nodes of that kind, but one is a {type(member).__name__}.")
    return members


def _colors(mesh: Mesh, channels: int, like: Tensor) -> Float[Tensor, "v channels"]:
    """The colours of a mesh in this many channels; white where it has none."""
    if mesh.colors is None:
        return like.new_ones((len(mesh.vertices), channels))
    return pad(mesh.colors.to(like), (0, channels - mesh.colors.shape[1]), value=1.0)


def _check_extents(given: list[tuple[str, str, Tensor]]) -> None:
    """Products of a few coordinates, pixels and their squares must be finite numbers, and so must their gradients."""
    greatest = torch.stack([points.detach().abs().max().double() for _, _, points in given])
    for (path, what, points), largest in zip(given, greatest.tolist(), strict=True):
        far = torch.finfo(points.dtype).max ** 0.4
        if largest < far:
            continue
        if math.isfinite(largest):
            raise SceneError(f"node '{path}' has {what} as large as {largest:.3g}: scale it to less than {far:.0e}.")
        raise SceneError(
            f"node '{path}' has {what} that are not finite: look at its transform, and at the optimiser that moves it."
        )


def check_is_scene(scene: object) -> None:
    """Raise ArgumentError for what is no Scene, such as another renderer's; see also `check_has_gradients`."""
    if not isinstance(scene, Scene):
        raise ArgumentError(
            f"what is drawn is a neurotex Scene, not a {type(scene).__name__}: make one of meshes, cameras and lights, "
            "neurotex.Scene(mesh, camera, light)."
        )
    check_has_gradients(scene)


def check_has_gradients(scene: Scene) -> None:
    """SceneError for a parameter that is to have a gradient, but was made where torch records none."""
    if torch.is_grad_enabled():
        lost = next((name for name, p in scene.named_parameters() if p.requires_grad and p.is_inference()), None)
        if lost is not None:
            raise SceneError(
                f"{lost} was made in torch.inference_mode() and can have no gradient: make it outside, or draw in "
                "torch.no_grad()."
            )
