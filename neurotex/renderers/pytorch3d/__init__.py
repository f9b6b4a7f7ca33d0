"""neurotex inside PyTorch3D: nodes as its textures, our rasteriser in place of its own, scenes drawn by its renderer.

Importing this needs no PyTorch3D; what cannot do without it says so when it is called.
"""

from .cameras import from_cameras, to_camera
from .convert import from_meshes, to_meshes
from .lights import SceneLights
from .phong import from_lights, from_materials, to_lights, to_materials
from .rasterizer import FastMeshRasterizer, FastMeshRenderer, rasterize_meshes
from .renderer import PyTorch3DRenderer
from .textures import GeneratedTexturesUV

__all__ = [
    "FastMeshRasterizer",
    "FastMeshRenderer",
    "GeneratedTexturesUV",
    "PyTorch3DRenderer",
    "SceneLights",
    "from_cameras",
    "from_lights",
    "from_materials",
    "from_meshes",
    "rasterize_meshes",
    "to_camera",
    "to_lights",
    "to_materials",
    "to_meshes",
]
