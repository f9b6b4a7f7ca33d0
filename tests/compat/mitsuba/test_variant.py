"""What is said where Mitsuba or LLVM is absent, and whose variant is active when."""

import sys
from contextlib import suppress
from typing import Any

import pytest
import torch

import neurotex as nt
from neurotex.compat import mitsuba
from neurotex.compat.mitsuba import variant
from neurotex.errors import MissingError

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "call",
    [
        mitsuba.activate,
        lambda: mitsuba.bind_texture(object(), "wall.bsdf.reflectance.data", nt.ConstantTexture((1.0, 1.0, 1.0))),
        lambda: mitsuba.MitsubaRenderer(_scene()),
        lambda: mitsuba.to_mitsuba(_scene()),
    ],
)
def test_without_mitsuba_a_call_says_so(monkeypatch, call):
    monkeypatch.setitem(sys.modules, "mitsuba", None)
    with pytest.raises(MissingError, match=r"^Mitsuba 3 is not installed: pip install 'neurotex\[mitsuba\]'$"):
        call()


def _scene() -> nt.Scene:
    mesh = nt.Mesh(torch.eye(3), torch.tensor([[0, 1, 2]]))
    return nt.Scene(mesh, nt.PerspectiveCamera(nt.look_at(torch.tensor([1.0, 1, 3]))), nt.Flash(1.0))


class Stand:
    """Something that has variants as Mitsuba has them."""

    def __init__(self, active: str | None, broken: bool = False):
        self.active, self.broken = active, broken
        self.history = [active]

    def variant(self) -> str | None:
        return self.active

    def set_variant(self, name: str) -> None:
        if self.broken:
            raise ImportError(f"no {name}")
        self.active = name
        self.history.append(name)


@pytest.mark.parametrize(
    ("active", "device", "fitting"),
    [
        (None, "cpu", "llvm_ad_rgb"),
        (None, "cuda", "cuda_ad_rgb"),
        ("scalar_rgb", "cpu", "llvm_ad_rgb"),
        ("llvm_ad_spectral", "cpu", "llvm_ad_rgb"),
        ("cuda_ad_rgb", "cpu", "llvm_ad_rgb"),
        ("cuda_ad_rgb", "cuda", "cuda_ad_rgb"),
    ],
)
def test_the_variant_goes_with_the_device(monkeypatch, active, device, fitting):
    monkeypatch.setitem(sys.modules, "mitsuba", Stand(active))
    assert variant.fitting(torch.device(device)) == fitting


def test_an_unknown_device_is_refused():
    with pytest.raises(nt.ArgumentError, match="on mps"):
        variant.fitting(torch.device("mps"))


def test_the_active_variant_of_a_user_comes_back(monkeypatch):
    stand = Stand("scalar_rgb")
    monkeypatch.setitem(sys.modules, "mitsuba", stand)
    with suppress(ZeroDivisionError), variant.using("cuda_ad_rgb"):
        assert stand.active == "cuda_ad_rgb"
        raise ZeroDivisionError
    assert stand.history == ["scalar_rgb", "cuda_ad_rgb", "scalar_rgb"]


def test_where_none_was_active_ours_stays(monkeypatch):
    stand = Stand(None)
    monkeypatch.setitem(sys.modules, "mitsuba", stand)
    with variant.using("cuda_ad_rgb"):
        pass
    assert stand.active == "cuda_ad_rgb"
    with variant.using("cuda_ad_rgb"):
        pass
    assert stand.history == [None, "cuda_ad_rgb"]


def test_without_llvm_a_call_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mitsuba", Stand(None))
    monkeypatch.setenv("DRJIT_LIBLLVM_PATH", str(tmp_path / "libLLVM.so"))
    assert mitsuba.find_llvm() is None
    with pytest.raises(MissingError, match=r"libllvm19.*DRJIT_LIBLLVM_PATH"), variant.using("llvm_ad_rgb"):
        pass
    (tmp_path / "libLLVM.so").touch()
    assert mitsuba.find_llvm() == tmp_path / "libLLVM.so"


def test_the_newest_llvm_is_found(monkeypatch, tmp_path):
    monkeypatch.delenv("DRJIT_LIBLLVM_PATH", raising=False)
    monkeypatch.setattr(variant, "LIBRARIES", (str(tmp_path),))
    for name in ("libLLVM-15.so.1", "libLLVM-16.so.1", "libLLVM.so.19.1"):
        (tmp_path / name).touch()
    assert mitsuba.find_llvm() == tmp_path / "libLLVM.so.19.1"


def test_a_variant_that_does_not_work_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mitsuba", Stand(None, broken=True))
    with pytest.raises(MissingError, match="cuda_ad_rgb does not work here"), variant.using("cuda_ad_rgb"):
        pass


def test_mitsuba_s_own_variant_is_switched_and_comes_back(mi: Any, plate: nt.Mesh):
    scene = nt.Scene(plate, nt.OrthographicCamera(nt.look_at(torch.tensor([0.0, 0, 2]))), nt.AmbientLight(0.5))
    renderer = mitsuba.MitsubaRenderer(scene)
    wall = mi.load_dict(mitsuba.to_mitsuba(scene, 2))
    try:
        mi.set_variant("scalar_rgb")
        key = "surface_0.bsdf.brdf_0.reflectance.data"
        bound = mitsuba.bind_texture(wall, key, nt.ConstantTexture((1.0, 1.0, 1.0)))
        assert bound.render(spp=4).shape == (2, 2, 4)
        assert float(renderer(2, spp=4)[0, 3].min()) == 1
        assert mi.variant() == "scalar_rgb"
        with pytest.raises(nt.ArgumentError, match=r"scalar_rgb is active.*llvm_ad_rgb"):
            mitsuba.to_mitsuba(scene, 2)
        with pytest.raises(nt.ArgumentError, match="one of scalar_rgb"):
            mitsuba.bind_texture(mi.load_dict({"type": "scene"}), "key", nt.ConstantTexture((1.0, 1.0, 1.0)))
    finally:
        mi.set_variant("llvm_ad_rgb")
