"""glTF's metallic-roughness surface as a BSDF of Mitsuba.

None of Mitsuba's own is that model: its `principled` has Disney's diffuse lobe, exact Fresnel terms and Smith's terms
for each direction alone. This is the formula of `neurotex.shading.ggx`, in Mitsuba's words: seen and lit from the front
(put it into `twosided`), with the textures "base_color", "roughness" and "metallic", and differentiable in them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ...shading.albedo import DIELECTRIC

NAME = "metallic_roughness"  # for mi.load_dict


def register(mi: Any) -> str:
    """Make the BSDF known to the active variant of `mi`, and return its name there."""
    _register(mi, mi.variant())
    return NAME


@lru_cache
def _register(mi: Any, variant: str) -> None:
    import drjit as dr

    class MetallicRoughness(mi.BSDF):
        def __init__(self, props: Any):
            mi.BSDF.__init__(self, props)
            self.maps = {name: props[name] for name in ("base_color", "roughness", "metallic")}
            front = mi.BSDFFlags.FrontSide
            self.m_components = [mi.BSDFFlags.DiffuseReflection | front, mi.BSDFFlags.GlossyReflection | front]
            self.m_flags = self.m_components[0] | self.m_components[1]

        def traverse(self, callback: Any) -> None:
            for name, texture in self.maps.items():
                callback.put(name, texture, mi.ParamFlags.Differentiable)

        def sample(self, ctx: Any, si: Any, which: Any, place: Any, active: Any = True) -> tuple[Any, Any]:
            """A direction by either lobe. It is a constant to gradients, as densities are: they are those of values."""
            with dr.suspend_grad():
                shiny, lobe = self._sampling(ctx, si, active)
                half, _ = lobe.sample(si.wi, place)
                glossy = which < shiny
                wo = dr.select(glossy, mi.reflect(si.wi, half), mi.warp.square_to_cosine_hemisphere(place))
            density = self.pdf(ctx, si, wo, active)
            active &= density > 0
            bs = mi.BSDFSample3f()
            bs.wo, bs.pdf, bs.eta = wo, density, 1.0
            bs.sampled_component = dr.select(glossy, mi.UInt32(1), mi.UInt32(0))
            bs.sampled_type = dr.select(
                glossy, mi.UInt32(+mi.BSDFFlags.GlossyReflection), mi.UInt32(+mi.BSDFFlags.DiffuseReflection)
            )
            return bs, self.eval(ctx, si, wo, active) / dr.select(active, density, 1)

        def eval(self, ctx: Any, si: Any, wo: Any, active: Any = True) -> Any:
            """BRDF times cosine, of the lobes that `ctx` asks for."""
            nv, nl = mi.Frame3f.cos_theta(si.wi), mi.Frame3f.cos_theta(wo)
            active &= (nv > 0) & (nl > 0)
            base = self.maps["base_color"].eval(si, active)
            metal = self.maps["metallic"].eval_1(si, active)
            a = dr.square(dr.square(self.maps["roughness"].eval_1(si, active)))  # alpha²
            half = dr.normalize(si.wi + wo)
            nh, vh = mi.Frame3f.cos_theta(half), dr.dot(si.wi, half)
            f0 = dr.lerp(mi.Color3f(DIELECTRIC), base, metal)
            fresnel = f0 + (1 - f0) * dr.power(dr.maximum(1 - vh, 0), 5)
            across = dr.square(half.x) + dr.square(half.y)  # 1 − (n·h)² without cancellation
            spread = a / (dr.pi * dr.square(dr.square(nh) * a + across))
            shadow = 0.5 / (nl * dr.sqrt(dr.square(nv) * (1 - a) + a) + nv * dr.sqrt(dr.square(nl) * (1 - a) + a))
            value = mi.Color3f(0)
            if ctx.is_enabled(mi.BSDFFlags.DiffuseReflection, 0):
                value += (1 - fresnel) * base * (1 - metal) / dr.pi
            if ctx.is_enabled(mi.BSDFFlags.GlossyReflection, 1):
                value += fresnel * spread * shadow
            return dr.select(active, value * nl, 0)

        def pdf(self, ctx: Any, si: Any, wo: Any, active: Any = True) -> Any:
            with dr.suspend_grad():
                shiny, lobe = self._sampling(ctx, si, active)
                half = dr.normalize(si.wi + wo)
                glossy = lobe.pdf(si.wi, half) / (4 * dr.dot(wo, half))
                density = shiny * glossy + (1 - shiny) * mi.warp.square_to_cosine_hemisphere_pdf(wo)
                active &= (mi.Frame3f.cos_theta(si.wi) > 0) & (mi.Frame3f.cos_theta(wo) > 0)
                return dr.select(active, density, 0)

        def eval_pdf(self, ctx: Any, si: Any, wo: Any, active: Any = True) -> tuple[Any, Any]:
            return self.eval(ctx, si, wo, active), self.pdf(ctx, si, wo, active)

        def eval_diffuse_reflectance(self, si: Any, active: Any = True) -> Any:
            return self.maps["base_color"].eval(si, active) * (1 - self.maps["metallic"].eval_1(si, active))

        def _sampling(self, ctx: Any, si: Any, active: Any) -> tuple[Any, Any]:
            """How often the glossy lobe is sampled, and its distribution of normals."""
            alpha = dr.square(self.maps["roughness"].eval_1(si, active))
            shiny = 0.5 + 0.5 * self.maps["metallic"].eval_1(si, active)
            if not ctx.is_enabled(mi.BSDFFlags.DiffuseReflection, 0):
                shiny = mi.Float(1)
            elif not ctx.is_enabled(mi.BSDFFlags.GlossyReflection, 1):
                shiny = mi.Float(0)
            return shiny, mi.MicrofacetDistribution(mi.MicrofacetType.GGX, alpha)

        def to_string(self) -> str:
            return f"MetallicRoughness[{', '.join(self.maps)}]"

    mi.register_bsdf(NAME, MetallicRoughness)
