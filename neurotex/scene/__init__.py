"""The nodes of a scene, and its files."""

from .camera import Camera, OrthographicCamera, PerspectiveCamera, PinholeCamera, look_at, orbit
from .files import to_image
from .graph import Geometry, Node, Scene, resolution
from .latent import Evaluation, Latent
from .light import AmbientLight, DirectionalLight, EnvironmentLight, Flash, Light, PointLight
from .material import Material
from .mesh import Mesh, vertex_normals
from .textures import ConstantTexture, GeneratedTexture, ImageTexture, PyramidTexture, SteppedTexture, Texture
from .views import Views

__all__ = [
    "AmbientLight",
    "Camera",
    "ConstantTexture",
    "DirectionalLight",
    "EnvironmentLight",
    "Evaluation",
    "Flash",
    "GeneratedTexture",
    "Geometry",
    "ImageTexture",
    "Latent",
    "Light",
    "Material",
    "Mesh",
    "Node",
    "OrthographicCamera",
    "PerspectiveCamera",
    "PinholeCamera",
    "PointLight",
    "PyramidTexture",
    "Scene",
    "SteppedTexture",
    "Texture",
    "Views",
    "look_at",
    "orbit",
    "resolution",
    "to_image",
    "vertex_normals",
]
