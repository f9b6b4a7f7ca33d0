"""The nodes of a scene, and its files."""

from ..images.write import to_image, to_photograph
from .area_light import AreaLight, RectangleLight, SphereLight
from .camera import Camera, OrthographicCamera, PerspectiveCamera, PinholeCamera, look_at, orbit
from .channels import ChannelTexture, NormalsFromXY
from .counts import resolution
from .export import encode_texture, load_texture, save_texture
from .generated import GeneratedTexture
from .graph import Geometry, Scene
from .latent import Evaluation, Latent, Latents
from .light import AmbientLight, DirectionalLight, EnvironmentLight, Flash, Light, PlacedLight, PointLight
from .material import Material
from .mesh import Mesh, vertex_normals
from .mixture import LogitTexture, MixedTexture, mixed_material
from .node import Node
from .textures import (
    ConstantTexture,
    FaceTexture,
    ImageTexture,
    PyramidTexture,
    SteppedTexture,
    Texture,
    VertexTexture,
)
from .views import Views

__all__ = [
    "AmbientLight",
    "AreaLight",
    "Camera",
    "ChannelTexture",
    "ConstantTexture",
    "DirectionalLight",
    "EnvironmentLight",
    "Evaluation",
    "FaceTexture",
    "Flash",
    "GeneratedTexture",
    "Geometry",
    "ImageTexture",
    "Latent",
    "Latents",
    "Light",
    "LogitTexture",
    "Material",
    "Mesh",
    "MixedTexture",
    "Node",
    "NormalsFromXY",
    "OrthographicCamera",
    "PerspectiveCamera",
    "PinholeCamera",
    "PlacedLight",
    "PointLight",
    "PyramidTexture",
    "RectangleLight",
    "Scene",
    "SphereLight",
    "SteppedTexture",
    "Texture",
    "VertexTexture",
    "Views",
    "encode_texture",
    "load_texture",
    "look_at",
    "mixed_material",
    "orbit",
    "resolution",
    "save_texture",
    "to_image",
    "to_photograph",
    "vertex_normals",
]
