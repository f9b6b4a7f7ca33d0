"""Embree, called from our own threads.

The wheel `embreex` brings Embree's library along. Its own functions trace one ray at a time under Python's lock; here
the library is called directly, in packets, without it. It is asked for its robust mode, in which no ray slips through
between two faces that share an edge.
"""

from __future__ import annotations

import ctypes
import importlib.util
from functools import lru_cache
from pathlib import Path
from weakref import finalize

import numpy as np

from ..core.threads import parallel_for
from ..errors import MissingError

# of rtcore_device.h, rtcore_geometry.h, rtcore_buffer.h, rtcore_scene.h and rtcore_common.h of Embree 4
VERSION_MAJOR, PACKETS_OF_16 = 1, 34
TRIANGLES, INDEX, VERTEX, UINT3, FLOAT3 = 0, 0, 1, 0x5003, 0x9003
ROBUST, HIGH_QUALITY = 1 << 2, 2
GRAIN, PIECES = 1024, 8

_Pointer = ctypes.c_void_p
_SIGNATURES = {
    "rtcNewDevice": (_Pointer, ctypes.c_char_p),
    "rtcGetDeviceProperty": (ctypes.c_ssize_t, _Pointer, ctypes.c_int),
    "rtcGetDeviceError": (ctypes.c_int, _Pointer),
    "rtcNewScene": (_Pointer, _Pointer),
    "rtcSetSceneFlags": (None, _Pointer, ctypes.c_int),
    "rtcSetSceneBuildQuality": (None, _Pointer, ctypes.c_int),
    "rtcNewGeometry": (_Pointer, _Pointer, ctypes.c_int),
    "rtcSetNewGeometryBuffer": (
        *(_Pointer, _Pointer, ctypes.c_int, ctypes.c_uint, ctypes.c_int),
        *(ctypes.c_size_t, ctypes.c_size_t),
    ),
    "rtcCommitGeometry": (None, _Pointer),
    "rtcAttachGeometry": (ctypes.c_uint, _Pointer, _Pointer),
    "rtcReleaseGeometry": (None, _Pointer),
    "rtcCommitScene": (None, _Pointer),
    "rtcReleaseScene": (None, _Pointer),
}


@lru_cache(maxsize=1)
def _library() -> tuple[ctypes.CDLL, int] | None:
    """Embree 4 and a device of it; None where there is none, or one that we do not know."""
    found = importlib.util.find_spec("embreex")
    if found is None or found.origin is None:
        return None
    home = Path(found.origin).parent
    folders = (home, home / ".dylibs", home.parent / "embreex.libs")  # of wheels for Windows, macOS, Linux
    for path in sorted(path for folder in folders for path in folder.glob("*embree4*")):
        try:
            library = ctypes.CDLL(str(path))
            for name, (result, *arguments) in _SIGNATURES.items():
                function = getattr(library, name)
                function.restype, function.argtypes = result, arguments
        except (OSError, AttributeError):
            continue
        device = library.rtcNewDevice(b"threads=1")  # which build trees; rays come from our threads
        needs = ((VERSION_MAJOR, 4), (PACKETS_OF_16, 1))
        if device and all(library.rtcGetDeviceProperty(device, what) == value for what, value in needs):
            return library, device
    return None


def has_embree() -> bool:
    """Whether Embree can be used here."""
    return _library() is not None


class EmbreeTree:
    """What `Rays` traces by."""

    def __init__(self, place: np.ndarray, index: np.ndarray, solid: np.ndarray):
        found = _library()
        if found is None:
            raise MissingError("there is no Embree here: pip install 'neurotex[rays]'.")
        library, device = found
        self._owner = solid
        scene = library.rtcNewScene(device)
        finalize(self, library.rtcReleaseScene, scene)
        library.rtcSetSceneFlags(scene, ROBUST)
        library.rtcSetSceneBuildQuality(scene, HIGH_QUALITY)
        if len(solid):
            geometry = library.rtcNewGeometry(device, TRIANGLES)
            buffers = ((VERTEX, FLOAT3, place), (INDEX, UINT3, index[solid].view(np.uint32)))
            for slot, kind, rows in buffers:
                room = library.rtcSetNewGeometryBuffer(geometry, slot, 0, kind, 12, len(rows))
                ctypes.memmove(room, np.ascontiguousarray(rows).ctypes.data, rows.nbytes)
            library.rtcCommitGeometry(geometry)
            library.rtcAttachGeometry(scene, geometry)
            library.rtcReleaseGeometry(geometry)
        library.rtcCommitScene(scene)
        if library.rtcGetDeviceError(device):
            raise MemoryError("Embree could not build its tree.")
        self._scene = scene
        self._functions = [_address(library, name) for name in ("rtcIntersect16", "rtcOccluded16")]

    def trace(self, origin, direction, far, own, any_hit: bool, *out: np.ndarray) -> None:
        from . import embree_kernels as kernels

        args = (self._functions[any_hit], self._scene, origin, direction, far, any_hit, *out)
        parallel_for(kernels.trace, len(origin), *args, grain=GRAIN, pieces=PIECES)
        if not any_hit and len(self._owner):
            face = out[0]
            np.copyto(face, self._owner[face], where=face >= 0)


def _address(library: ctypes.CDLL, name: str) -> int:
    address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    assert address is not None  # it was found when the library was opened
    return address
