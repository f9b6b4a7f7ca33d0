"""Materials, textures and samplers in glTF's JSON. After glTF 2.0, sections 3.8 and 3.9."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate, pad

from ...errors import SceneError
from ...images import srgb_to_linear
from ...images.png import png
from ...raster.sampler import ON_MESH, Sampler
from ..corners import distinct
from ..export import texture_file
from ..latent import Evaluation
from ..material import Material
from ..mesh import Mesh
from ..textures import ConstantTexture, Texture
from .glb import Glb
from .textures import FLIP, words

MIME = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
DDS = "MSFT_texture_dds"  # the extension for block-compressed textures
TRANSFORM = "KHR_texture_transform"


class MaterialWriter:
    """Writes materials into a `Glb`, as one evaluation of their textures shows them; each texture once."""

    def __init__(self, glb: Glb, evaluation: Evaluation):
        self.glb = glb
        self.evaluation = evaluation
        self._written: dict[tuple[Texture | None, ...], int] = {}  # by what is in the image
        self._samplers: dict[Sampler, int] = {}

    def __call__(self, material: Material) -> dict:
        """A material in glTF's JSON. A diffuse one is the roughest dielectric, which is how `gltf.load` knows it."""
        maps, values = material.maps(), material.values(self.evaluation)
        surface: dict = {"metallicFactor": 0.0, "roughnessFactor": 1.0}
        for name, texture in maps.items():
            if texture.filter in ON_MESH and (name != "base_color" or values[name].shape[3] > 1):
                raise SceneError(
                    f"material '{material.name}': {name} has a texel for each {texture.filter}, which glTF has no "
                    "words for: paint it on an image."
                )
        if maps["base_color"].filter in ON_MESH:
            pass  # the mesh has it, see `vertex_colors`
        elif isinstance(maps["base_color"], ConstantTexture):
            surface["baseColorFactor"] = [*_factor(values["base_color"]), 1.0][:4]
        else:
            surface["baseColorTexture"] = self._texture(material, "base_color")
        if "roughness" in maps:
            surface |= self._roughness_metallic(material, maps, values)
        out = {"name": material.name, "pbrMetallicRoughness": surface, "doubleSided": True}
        if material.alpha_cutoff is not None:
            out |= {"alphaMode": "MASK", "alphaCutoff": float(material.alpha_cutoff)}
        if "normal" in maps:
            out["normalTexture"] = self._texture(material, "normal")
        if "emissive" in maps:
            plain = isinstance(maps["emissive"], ConstantTexture)
            out["emissiveFactor"] = _factor(values["emissive"]) if plain else [1.0] * 3
            if not plain:
                out["emissiveTexture"] = self._texture(material, "emissive")
        return out

    def parted(self, mesh: Mesh) -> tuple[Mesh, np.ndarray]:
        """A mesh with a colour for each face: one vertex for each colour around it, and for each vertex such a face."""
        value = mesh.material.values(self.evaluation)["base_color"]
        mesh.check_texels("base_color", tuple(value.shape))
        corners = mesh.faces.cpu().long().reshape(-1)
        _, colour = torch.unique(value[0, :, :, 0].T, dim=0, return_inverse=True)
        like, number = distinct(corners.numpy(), colour.cpu().repeat_interleave(3).numpy())
        place = corners[torch.from_numpy(like)]

        def moved(rows: Tensor | None) -> Tensor | None:
            return None if rows is None else rows.detach().cpu()[place]

        faces = torch.from_numpy(number.reshape(-1, 3))
        arrays = (moved(mesh.uvs), moved(mesh.shading_normals()), mesh.material, mesh.name, moved(mesh.colors))
        return Mesh(mesh.vertices.detach().cpu()[place], faces, *arrays), like // 3

    def vertex_colors(self, mesh: Mesh, face: np.ndarray | None = None) -> np.ndarray | None:
        """COLOR_0 of a mesh: its colours, times those that its material has on vertices, linear. None for white.

        Or on faces: then `face` is one of each vertex, see `parted`.
        """
        colors = None if mesh.colors is None else mesh.colors.detach().double().cpu()
        if mesh.material.base_color.filter in ON_MESH:
            value = mesh.material.values(self.evaluation)["base_color"]
            if face is None:
                mesh.check_texels("base_color", tuple(value.shape))
            own = value[0, :, :, 0].T.double().cpu()
            own = own if face is None else own[torch.from_numpy(face)]
            own = torch.cat([srgb_to_linear(own[:, :3].clamp(0, 1)), own[:, 3:]], 1)
            columns = max(own.shape[1], 0 if colors is None else colors.shape[1])
            parts = [pad(part, (0, columns - part.shape[1]), value=1.0) for part in (own, colors) if part is not None]
            if colors is not None and face is None:
                warnings.warn(
                    f"mesh '{mesh.name}' has colours and its material '{mesh.material.name}' a base_color on vertices: "
                    "both, of which glTF has the product at vertices alone.",
                    stacklevel=2,
                )
            colors = parts[0] if len(parts) == 1 else parts[0] * parts[1]
        return None if colors is None else colors.clamp(0, 1).numpy()

    def _texture(self, material: Material, name: str) -> dict:
        """A reference to a texture: its own file, if that is what all viewers read, else a PNG of its texels.

        DDS goes beside the PNG, for viewers that know the extension; but not if a side is no multiple of 4: Direct3D
        and WebGL refuse such blocks, and a viewer that has begun with the DDS may not turn to the PNG.
        """
        texture = material.maps()[name]
        key = (texture,)
        if key not in self._written:
            content, suffix = texture_file(texture, self.evaluation)
            picture = self.evaluation(texture)
            own = MIME.get(suffix)
            entry = self._sampler(texture)
            entry |= {"source": self.glb.add_image(content, own) if own else self._png(picture)}
            if suffix == ".dds" and not any(side % 4 for side in picture.shape[2:]):
                entry["extensions"] = {DDS: {"source": self.glb.add_image(content, "image/vnd-ms.dds")}}
                self.glb.use_extension(DDS)
            self._written[key] = self.glb.add("textures", entry)
        return self._reference(self._written[key], material, name)

    def _reference(self, index: int, material: Material, name: str) -> dict:
        """What a material says of the texture of a map: where it is, and how its UVs are moved."""
        found: dict = {"index": index}
        moved = _transform(material.maps()[name]) @ uv_base(material)
        if not np.array_equal(moved, np.eye(3)):
            said = _offset_rotation_scale(FLIP @ moved @ FLIP)
            if said is None:
                raise SceneError(
                    f"material '{material.name}': the uv_transforms of its maps shear, which glTF has no words "
                    "for: apply them to the UVs of the mesh."
                )
            found["extensions"] = {TRANSFORM: said}
            self.glb.use_extension(TRANSFORM)
        return found

    def _sampler(self, texture: Texture) -> dict:
        """A reference to how a texture is read; none where that is what readers take for granted."""
        said = words(texture.sampler)
        if not said:
            return {}
        if texture.sampler not in self._samplers:
            self._samplers[texture.sampler] = self.glb.add("samplers", said)
        return {"sampler": self._samplers[texture.sampler]}

    def _png(self, picture: Tensor) -> int:
        return self.glb.add_image(png(picture.clamp(0, 1)), MIME[".png"])

    def _roughness_metallic(self, material: Material, maps: dict[str, Texture], values: dict[str, Tensor]) -> dict:
        """Factors for what is constant, and one image for the rest: roughness in green, metallic in blue.

        glTF has both in one image, so steps of one channel keep their texels, but not their formats. Where both are
        images they share the larger size, and roughness's sampler.
        """
        factors, channels = {}, {}
        for name in ("roughness", "metallic"):
            constant = isinstance(maps[name], ConstantTexture)
            factors[f"{name}Factor"] = float(values[name].mean()) if constant else 1.0
            if not constant:
                channels[name] = values[name]
        if not channels:
            return factors
        name = next(iter(channels))
        key = tuple(maps[other] if other in channels else None for other in ("roughness", "metallic"))
        if key not in self._written:
            if len({maps[other].reading for other in channels}) > 1:
                warnings.warn(
                    f"material '{material.name}': glTF has roughness and metallic in one image, and reads both with "
                    "the sampler of roughness.",
                    stacklevel=2,
                )
            picture = self._png(_roughness_in_green(channels))
            self._written[key] = self.glb.add("textures", {**self._sampler(maps[name]), "source": picture})
        return {**factors, "metallicRoughnessTexture": self._reference(self._written[key], material, name)}


def _factor(color: Tensor) -> list[float]:
    """Linear factors of a constant colour, as encoded as textures are; alpha stays as it is."""
    color = color.flatten()
    linear = [*srgb_to_linear(color[:3]).tolist(), *color[3:].tolist()]
    return [min(max(value, 0.0), 1.0) for value in linear]


def uv_base(material: Material) -> np.ndarray:
    """B, (3, 3): UVs are written as B⁻¹ uv and a map's transform M as M B, so that none of these shears.

    glTF rotates what it has scaled, in one map unlike in another; UVs that fit one of them then shear for the other.
    With M' = M₂ M₁⁻¹ = U S Vᵀ, B = M₁⁻¹ V leaves V and U S. That is the identity where nothing shears.
    """
    linear = [_transform(m)[:2, :2] for m in material.maps().values() if not isinstance(m, ConstantTexture)]
    base = np.eye(3)
    if any(_skewed(each) for each in linear) and abs(np.linalg.det(linear[0])) > 1e-12:
        first = np.linalg.inv(linear[0])
        skewed = next((each @ first for each in linear if _skewed(each @ first)), np.eye(2))
        turn = np.linalg.svd(skewed)[2].T
        turn[:, 1] *= np.sign(np.linalg.det(turn))
        base[:2, :2] = first @ turn
    return base


def _transform(texture: Texture) -> np.ndarray:
    """A texture's `uv_transform`, (3, 3)."""
    return np.eye(3) if texture.uv_transform is None else np.array([*texture.uv_transform, (0, 0, 1)])


def _skewed(linear: np.ndarray) -> bool:
    """Whether the columns are not at right angles."""
    across, down = linear.T
    return bool(abs(across @ down) > 1e-6 * np.linalg.norm(across) * np.linalg.norm(down))


def _roughness_in_green(channels: dict[str, Tensor]) -> Tensor:
    """One picture of what there is of roughness and metallic, in the larger size."""
    size = [max(sides) for sides in zip(*(value.shape[2:] for value in channels.values()), strict=True)]
    white = next(iter(channels.values())).new_ones(1, 1, *size)
    resized = {
        name: value if list(value.shape[2:]) == size else interpolate(value, size, mode="bilinear")
        for name, value in channels.items()
    }
    return torch.cat([white, resized.get("roughness", white), resized.get("metallic", white)], 1)


def _offset_rotation_scale(transform: np.ndarray) -> dict | None:
    """A transform of UVs, v down, in the words of KHR_texture_transform; None if it shears."""
    (a, b, x), (c, d, y), _ = transform.tolist()
    # offset + rotation · scale: the columns are (cos, -sin) · across and (sin, cos) · down
    across, down = math.hypot(a, c), math.hypot(b, d)
    turn = math.atan2(-c, a) if across else math.atan2(b, d)
    if _skewed(transform[:2, :2]):
        return None
    if b * math.sin(turn) + d * math.cos(turn) < 0:
        down = -down
    return {"offset": [x, y], "rotation": turn, "scale": [across, down]}
