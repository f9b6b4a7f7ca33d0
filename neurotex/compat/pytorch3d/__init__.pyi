"""The public names, and where they are defined."""

from .blend import Blend as Blend
from .cameras import from_cameras as from_cameras
from .cameras import to_camera as to_camera
from .fragments import Fragments as Fragments
from .fragments import rasterize as rasterize
from .interpolation import interpolate as interpolate
from .lights import from_lights as from_lights
from .lights import from_materials as from_materials
from .lights import to_lights as to_lights
from .lights import to_materials as to_materials
from .lookup import sample_texture as sample_texture
from .meshes import from_meshes as from_meshes
from .meshes import to_meshes as to_meshes
from .phong import PhongLight as PhongLight
from .phong import PhongMaterial as PhongMaterial
from .rasterizer import FastMeshRasterizer as FastMeshRasterizer
from .rasterizer import FastMeshRenderer as FastMeshRenderer
from .rasterizer import rasterize_meshes as rasterize_meshes
from .renderer import PyTorch3DRenderer as PyTorch3DRenderer
from .scene_lights import SceneLights as SceneLights
from .shaders import Lookup as Lookup
from .shaders import render_phong as render_phong
from .textures import GeneratedTexturesUV as GeneratedTexturesUV
