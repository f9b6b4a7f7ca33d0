"""Texture nodes in a user's own Mitsuba scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from ...core.typed import ModuleList
from ...errors import ArgumentError, SceneError
from ...scene import Evaluation, Latents, Texture
from ...scene.counts import is_count
from ...shading import srgb_to_linear
from .draw import Shot, draw, seeds
from .variant import find_mitsuba, fits, using

FLOATS = ("TensorXf", "TensorXf16")  # what the data of a bitmap may be


class BoundScene(nn.Module):
    """A Mitsuba scene, some of whose bitmaps are texture nodes. Its parameters are those of the nodes.

    Its variant must be one that differentiates RGB, llvm_ad_rgb for nodes on CPU or cuda_ad_rgb. All else in the scene
    stays the user's: what they change with `mi.traverse` and `mi.render` holds here too. `mi_scene` is a mitsuba.Scene;
    ArgumentError for one of another variant.
    """

    def __init__(self, mi_scene: Any):
        super().__init__()
        find_mitsuba()
        variant = mi_scene.variant_name() if hasattr(mi_scene, "variant_name") else None
        if variant is None or not variant.endswith("_ad_rgb"):
            raise ArgumentError(
                f"a node is bound to a mitsuba.Scene of variant llvm_ad_rgb or cuda_ad_rgb, not to {_name(mi_scene)}: "
                "load it after mitsuba.set_variant('llvm_ad_rgb')."
            )
        self.mi_scene = mi_scene
        with using(variant) as mi:
            self._params = mi.traverse(mi_scene)
        self.nodes: ModuleList[Texture] = ModuleList()
        self._slots: dict[str, tuple[int, bool]] = {}  # by key: which node, and whether it is a colour

    def bind(self, key: str, node: nn.Module, srgb: bool = True) -> BoundScene:
        """Make `node` the data of the bitmap `key`, as `mi.traverse` names it; see `bind_texture`.

        With `srgb`, what the node gives is sRGB-encoded, else it is data. ArgumentError for a bitmap that is not there
        or cannot be differentiated, and for what is no texture node.
        """
        with using(self.mi_scene.variant_name()) as mi:
            textures = bitmaps(mi, self._params)
        if key not in textures:
            raise ArgumentError(f"the scene has no bitmap '{key}': there are {', '.join(textures) or 'none'}.")
        if type(self._params[key]).__name__ not in FLOATS:
            raise ArgumentError(
                f"the bitmap '{key}' keeps its picture in 8 bits, which cannot be differentiated: load it with "
                '"format": "variant".'
            )
        if not isinstance(node, Texture):
            raise ArgumentError(f"'{key}' is bound to a texture node, not to a {type(node).__name__}: wrap it in one.")
        number = self._slots[key][0] if key in self._slots else len(self.nodes)
        if number < len(self.nodes):
            self.nodes[number] = node
        else:
            self.nodes.append(node)
        self._slots[key] = (number, srgb)
        return self

    def render(
        self,
        *,
        sensor: Any = 0,
        spp: int = 16,
        seed: int = 0,
        integrator: Any = None,
        latents: Latents | None = None,
    ) -> Float[Tensor, "*views h w c"]:
        """What `mi.render` gives: (H, W, C) as the sensor's film has it, linear; (views, H, W, C) of several sensors.

        `sensor` is a number, a mitsuba.Sensor or a sequence of them, `integrator` a mitsuba.Integrator in place of the
        scene's. Each node is evaluated once. Differentiable in the nodes' latents, weights and texels, in the way of
        the integrator: use "prb" for light that bounces. `latents` gives values to latents by name. `spp` is the number
        of samples per pixel. ArgumentError for sensors whose films differ in size.
        """
        several = isinstance(sensor, Sequence)
        sensors = [self._sensor(one) for one in (sensor if several else [sensor])]
        integrator = self.mi_scene.integrator() if integrator is None else integrator
        check_samples(spp, seed)
        if len({tuple(one.film().size()) for one in sensors}) != 1:
            raise ArgumentError("sensors rendered at once have films of one size: render others by themselves.")
        pairs = zip(sensors, seeds(seed, len(sensors)), strict=True)
        shots = [Shot(one, integrator, spp, number) for one, number in pairs]
        images = draw(self.mi_scene, self._params, self._textures(latents), shots)
        return images if several else images[0]

    def _sensor(self, sensor: Any) -> Any:
        if not isinstance(sensor, int):
            return sensor
        sensors = self.mi_scene.sensors()
        if not -len(sensors) <= sensor < len(sensors):
            raise ArgumentError(f"the scene has no sensor {sensor}: it has {len(sensors)}.")
        return sensors[sensor]

    def _textures(self, latents: Latents | None) -> dict[str, Tensor]:
        """What the nodes give in this render, each evaluated once, by the keys they are bound to."""
        with Evaluation(latents) as evaluation:
            values = {key: (evaluation(self.nodes[k]), srgb) for key, (k, srgb) in self._slots.items()}
        for key, (value, _) in values.items():
            check_device(value, self.mi_scene.variant_name())
            channels = self._params[key].shape[2]
            if value.ndim != 4 or value.shape[:2] != (1, channels):
                raise SceneError(
                    f"the bitmap '{key}' has {channels} channels, so its node must give (1, {channels}, H, W), "
                    f"but it gives {tuple(value.shape)}."
                )
        return {key: bitmap(value, srgb) for key, (value, srgb) in values.items()}

    def extra_repr(self) -> str:
        return ", ".join(f"'{key}': node {k}" for key, (k, _) in self._slots.items())


def bind_texture(mi_scene: Any, key: str, node: nn.Module, srgb: bool = True) -> BoundScene:
    """Make a texture node the data of a bitmap of a Mitsuba scene, as if its picture had been saved and loaded there.

    `key` is the bitmap's in `mi.traverse(mi_scene)`, such as "wall.bsdf.reflectance.data". The node's value
    (1, C, H, W) in [0, 1], row 0 at the top, has as many channels as the bitmap, and any size. With `srgb` it is a
    picture, and decoded; give False for data such as roughness. Raises ArgumentError for a key that is no bitmap's.
    """
    return BoundScene(mi_scene).bind(key, node, srgb)


def bitmaps(mi: Any, params: Any) -> list[str]:
    """The keys of SceneParameters that hold the data of bitmap textures."""
    found = []
    for key in params.keys():  # noqa: SIM118 - iterating over SceneParameters gives pairs
        owner = params.properties[key][2]
        if key.endswith(".data") and isinstance(owner, mi.Texture) and len(params[key].shape) == 3:
            found.append(key)
    return found


def bitmap(value: Float[Tensor, "1 c h w"], srgb: bool) -> Float[Tensor, "h w c"]:
    """A node's value as a bitmap has it in memory: linear where it is a colour, channels last."""
    value = srgb_to_linear(value) if srgb else value
    return value[0].movedim(0, -1).float()


def check_device(value: Tensor, variant: str) -> None:
    """Raise SceneError unless `variant` computes where the tensor is."""
    if not fits(variant, value.device):
        raise SceneError(
            f"a texture node gives a tensor on {value.device.type}, but the Mitsuba scene is of {variant}: "
            "move the node, or load the scene with the other variant."
        )


def check_samples(spp: object, seed: object) -> None:
    """Raise ArgumentError unless these are a number of samples and a seed."""
    if not is_count(spp):
        raise ArgumentError(f"spp is {spp}, but every pixel needs at least 1 sample, a whole number.")
    if not (is_count(seed) or (seed == 0 and not isinstance(seed, float | bool))):
        raise ArgumentError(f"seed is {seed}, but random numbers start from a whole number, at least 0.")


def _name(mi_scene: object) -> str:
    variant = getattr(mi_scene, "variant_name", None)
    return f"one of {variant()}" if callable(variant) else f"a {type(mi_scene).__name__}"
