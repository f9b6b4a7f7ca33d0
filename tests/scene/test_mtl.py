"""Materials of OBJ files, and the pictures that they name."""

import codecs
import os
import re
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import neurotex as nt
from neurotex.scene.mtl import split_options

OBJ = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nf 1/1 2/2 3/3\nf 1/1 3/3 4/4\n"
TEXELS = np.random.default_rng(0).integers(0, 256, (2, 3, 3), np.uint8)
DEFAULT = nt.Material().base_color.color.tolist()


def _load(folder, mtl: str | bytes, obj: str | bytes = "mtllib it.mtl\nusemtl m\n") -> tuple[nt.Scene, list[str]]:
    """The scene of an OBJ with this beginning beside an MTL, and what was said."""
    (folder / "it.mtl").write_bytes(mtl.encode() if isinstance(mtl, str) else mtl)
    (folder / "it.obj").write_bytes((obj.encode() if isinstance(obj, str) else obj) + OBJ.encode())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        scene = nt.Scene.load(folder / "it.obj")
    return scene, [str(one.message) for one in said]


def _material(folder, *args) -> nt.Material:
    scene, said = _load(folder, *args)
    assert said == []
    (material,) = scene.materials()
    return material


def _texels(material: nt.Material) -> list:
    return (material.base_color()[0].movedim(0, -1) * 255).round().byte().tolist()


@pytest.fixture
def folder(tmp_path):
    Image.fromarray(TEXELS).save(tmp_path / "paint.png")
    return tmp_path


@pytest.mark.parametrize(
    ("mtl", "obj"),
    [
        ("newmtl m\nmap_Kd paint.png\n", b"mtllib it.mtl\nusemtl m\n"),
        ("newmtl m\r\n\tMAP_KD\t paint.png  \r\n", b"mtllib\tit.mtl \r\nusemtl  m \r\n"),
        ("newmtl m\nmap_Kd PAINT.PNG\n", b"mtllib IT.MTL\nusemtl M\n"),
        ('newmtl m\nmap_Kd "paint.png"\n', b'mtllib "it.mtl"\nusemtl m\n'),
        ("newmtl m\nmap_Kd .\\textures\\paint.png\n", b"mtllib .\\it.mtl\nusemtl m\n"),
        ("newmtl m\nmap_Kd C:\\Users\\me\\paint.png\n", b"mtllib /home/me/it.mtl\nusemtl m\n"),
        ("newmtl m\nmap_Kd paint.png # the first\n", b"mtllib it.mtl\nusemtl m\n"),
        (
            "newmtl m\nmap_Kd -blendu on -blendv off -bm 1 -texres 512 -mm 0 1 -type sphere paint.png\n",
            b"mtllib it.mtl\nusemtl m\n",
        ),
        (codecs.BOM_UTF8 + b"newmtl m\nmap_Kd paint.png\n", codecs.BOM_UTF8 + b"mtllib it.mtl\nusemtl m\n"),
        (b"# caf\xe9\nnewmtl m\xe9\nmap_Kd paint.png\n", b"mtllib it.mtl\nusemtl m\xe9\n"),
        ("newmtl m\xe9\nmap_Kd paint.png\n".encode(), b"mtllib it.mtl\nusemtl m\xe9\n"),
        (b"newmtl \x95\x5c\nmap_Kd paint.png\n", b"mtllib it.mtl\nusemtl \x95\x5c\n"),
        ("newmtl wet paint, red\nmap_Kd paint.png\n", b"mtllib it.mtl\nusemtl wet paint, red\n"),
        ("newmtl m\nKd 0 0 0\nmap_Kd paint.png\nNs 10\nillum 2\n", b"mtllib it.mtl\nusemtl m\n"),
        ("newmtl m\nmap_Kd paint.png\nmap_Bump\n", b"mtllib it.mtl\nusemtl m\n"),
        ("newmtl m\nmap_Kd paint.png\nd 1\nTr 0\nKe 0 0 0\n", b"o one\nmtllib it.mtl\ng two\nusemtl m\n"),
    ],
)
def test_a_picture_is_found_however_it_is_named(folder, mtl, obj):
    assert _texels(_material(folder, mtl, obj)) == TEXELS.tolist()


@pytest.mark.parametrize("name", [" paint.png", "wet paint.png", "a  b.png", "\xe4.png", "表.png", "1 2.png"])
def test_a_name_with_blanks_or_letters_of_another_alphabet(tmp_path, name):
    Image.fromarray(TEXELS).save(tmp_path / name)
    assert _texels(_material(tmp_path, f"newmtl m\nmap_Kd {name}\n")) == TEXELS.tolist()


@pytest.mark.parametrize("encoding", ["latin-1", "cp932"])
def test_a_name_in_an_old_encoding(tmp_path, encoding):
    name = {"latin-1": "\xe4\xe5.png", "cp932": "表面.png"}[encoding]
    Image.fromarray(TEXELS).save(tmp_path / name)
    assert _texels(_material(tmp_path, f"newmtl m\nmap_Kd {name}\n".encode(encoding))) == TEXELS.tolist()


def test_a_picture_lies_in_a_folder_beside(tmp_path):
    (tmp_path / "Tex").mkdir()
    (tmp_path / "mesh").mkdir()
    Image.fromarray(TEXELS).save(tmp_path / "Tex" / "paint.png")
    for name in ("..\\tex\\Paint.PNG", "../Tex/paint.png", os.fspath(tmp_path / "Tex" / "paint.png")):
        assert _texels(_material(tmp_path / "mesh", f"newmtl m\nmap_Kd {name}\n")) == TEXELS.tolist()


def test_a_library_may_be_one_name_with_blanks_or_several(folder):
    (folder / "a b.mtl").write_text("newmtl m\nKd 1 0 0\n")
    (folder / "c.mtl").write_text("newmtl m\nKd 0 1 0\nnewmtl other\nKd 0 0 1\n")
    for obj, color in {
        "mtllib a b.mtl\nusemtl m\n": [1, 0, 0],
        "mtllib a b.mtl c.mtl\nusemtl m\n": [1, 0, 0],
        "mtllib c.mtl a b.mtl\nusemtl m\n": [0, 1, 0],
        "mtllib a b.mtl\nmtllib c.mtl\nusemtl other\n": [0, 0, 1],
    }.items():
        assert _material(folder, "", obj).base_color.color.tolist() == color, obj


@pytest.mark.parametrize(
    ("mtl", "obj", "says"),
    [
        (
            "newmtl m\nmap_Kd gone.png\n",
            "mtllib it.mtl\nusemtl m\n",
            r"it\.mtl, line 2: .*'gone.png' of map_kd is missing",
        ),
        (
            "newmtl m\nmap_Kd it.mtl\n",
            "mtllib it.mtl\nusemtl m\n",
            r"it\.mtl, line 2: .*it.mtl cannot be read as an image",
        ),
        ("newmtl m\n", "mtllib gone.mtl\n", r"it\.obj, line 1: its material file 'gone.mtl' is missing"),
        ("newmtl m\n", "mtllib it.mtl\nusemtl red\n", r"it\.obj, line 2: there is no material 'red' in its MTL files"),
        ("newmtl m\n", "usemtl red\n", r"it\.obj, line 1: there is no material 'red' for want of an MTL file"),
        ("newmtl m\nKd 1 0 0\n", "mtllib it.mtl\n", r"it\.obj has no usemtl, so that no face wears 'm'"),
        ("newmtl m\nKd red\n", "mtllib it.mtl\nusemtl m\n", r"it\.mtl, line 2: .*'kd red' is not understood"),
        ("newmtl m\nKd 1e999 0 0\n", "mtllib it.mtl\nusemtl m\n", r"it\.mtl, line 2: .*not understood"),
        ("newmtl m\n\nKd 1 1\n", "mtllib it.mtl\nusemtl m\n", r"it\.mtl, line 3: .*Kd needs three numbers"),
    ],
)
def test_what_cannot_be_had_is_the_default_and_said(folder, mtl, obj, says):
    scene, said = _load(folder, mtl, obj)
    assert len(said) == 1
    assert re.search(says, said[0]), said
    assert scene.materials()[0].base_color.color.tolist() == DEFAULT


@pytest.mark.parametrize(
    ("mtl", "says"),
    [
        ("d 0.5", r"line 2: material 'm': transparency"),
        ("Tr 0.5", r"line 2: material 'm': transparency"),
        ("Ke 2 0 0", r"line 2: material 'm': Ke lies outside \[0, 1\]"),
        ("Ke 1 1", r"line 2: material 'm': Ke needs three numbers, it sends out nothing"),
        (
            "Ns 9\nglow 1\nshade 2\nglow 3",
            r"it\.mtl, line 3: 'glow' is no keyword of MTL files \(nor are 1 others\): such",
        ),
        ("map_Ks paint.png\nrefl x.png", r"line 1: material 'm': map_ks, refl not used"),
        ("bump grey.png", r"line 2: material 'm': a bump map of heights is not used"),
        ("norm -bm 0.5 paint.png", r"line 2: material 'm': -bm is not used"),
        ("map_Kd -t 1 1 1 paint.png", r"line 2: material 'm': turbulence"),
        ("map_Kd -s 2 2 paint.png\nnorm paint.png", r"line 3: material 'm': norm lies where map_Kd does"),
        ("Kd 2 0 0", r"line 2: material 'm': Kd lies outside \[0, 1\]"),
    ],
)
def test_what_is_not_rendered_is_said(folder, mtl, says):
    Image.new("L", (2, 2), 99).save(folder / "grey.png")
    _, said = _load(folder, f"newmtl m\n{mtl}\n")
    assert len(said) == 1
    assert re.search(says, said[0]), said


def test_scale_and_offset_place_a_texture(folder):
    scene, said = _load(folder, "newmtl m\nmap_Kd -o 0.25 -0.5 0 -s 2 3 1 -clamp on paint.png\n")
    assert said == []
    (mesh,) = scene.meshes()
    assert mesh.uvs.tolist() == [[0.25, -0.5], [2.25, -0.5], [2.25, 2.5], [0.25, 2.5]]
    assert mesh.material.base_color.wrap == "clamp"


def test_what_it_sends_out_is_read(folder):
    assert _material(folder, "newmtl m\nKd 1 0 0\nKe 0 0 0\n").emissive is None
    material = _material(folder, "newmtl m\nKd 1 0 0\nKe 0.5 0.25 1\n")
    assert material.emissive.color.tolist() == [0.5, 0.25, 1]  # a display colour, as Kd is
    material = _material(folder, "newmtl m\nKe 0 0 0\nmap_Ke paint.png\n")  # a map replaces its factor
    torch.testing.assert_close(material.emissive()[0].movedim(0, -1), torch.tensor(TEXELS[..., :3]) / 255)


def test_a_statement_before_any_material_is_said(folder):
    scene, said = _load(folder, "Kd 1 0 0\nnewmtl m\nKd 0 1 0\n")
    assert said == [f"{folder / 'it.mtl'}, line 1: 'kd' stands before any newmtl: such lines are left out."]
    assert scene.materials()[0].base_color.color.tolist() == [0, 1, 0]


def test_the_physical_extension_is_read(folder):
    Image.fromarray(np.full((2, 2, 3), (128, 128, 255), np.uint8)).save(folder / "up.png")
    material = _material(folder, "newmtl m\nKd 0.2 0.4 0.6\nPr 0.25\nPm 0.75\nnorm up.png\n")
    torch.testing.assert_close(material.base_color.color, torch.tensor([0.2, 0.4, 0.6]))
    assert float(material.roughness.color) == 0.25
    assert float(material.metallic.color) == 0.75
    torch.testing.assert_close(material.normal()[0, :, 0, 0], torch.tensor([128, 128, 255]) / 255)
    material = _material(folder, "newmtl m\nPr 0.25\nmap_Pr -imfchan g paint.png\nmap_Pm -imfchan b paint.png\n")
    torch.testing.assert_close(material.roughness()[0, 0], torch.tensor(TEXELS[..., 1]) / 255)
    torch.testing.assert_close(material.metallic()[0, 0], torch.tensor(TEXELS[..., 2]) / 255)
    assert _material(folder, "newmtl m\nNs 500\nKs 1 1 1\n").roughness is None


def test_a_bump_map_in_colours_is_a_normal_map(folder):
    """As Blender writes them."""
    material = _material(folder, "newmtl m\nmap_Bump -bm 1.0 paint.png\n")
    torch.testing.assert_close(material.normal()[0], torch.tensor(TEXELS).movedim(-1, 0) / 255)


def test_map_d_cuts_out(folder):
    Image.fromarray(np.dstack([TEXELS, TEXELS[..., 0]])).save(folder / "leaf.png")
    Image.fromarray(TEXELS[..., 1]).save(folder / "mask.png")
    leaf = _material(folder, "newmtl m\nmap_Kd leaf.png\nmap_d leaf.png\n")
    assert leaf.alpha_cutoff == 0.5
    torch.testing.assert_close(leaf.base_color()[0, 3], torch.tensor(TEXELS[..., 0]) / 255)
    masked = _material(folder, "newmtl m\nKd 1 0 0\nmap_d mask.png\n")
    torch.testing.assert_close(masked.base_color()[0, 3], torch.tensor(TEXELS[..., 1]) / 255)
    assert masked.base_color()[0, :3].unique().tolist() == [0, 1]
    assert _material(folder, "newmtl m\nmap_Kd leaf.png\n").alpha_cutoff is None


def test_an_untextured_face_wears_the_plain_colour_of_its_material(folder):
    scene, said = _load(folder, "newmtl m\nKd 1 0 0.5\nmap_Kd paint.png\n", "mtllib it.mtl\nusemtl m\nf 1 2 3\n")
    assert len(said) == 1
    assert [mesh.material.base_color()[0, :, 0, 0].tolist() for mesh in scene.meshes() if mesh.uvs is None] == [
        [1, 0, 0.5]
    ]


@pytest.mark.parametrize(
    ("rest", "options", "name"),
    [
        (b" x.png", {}, b" x.png"),
        (b"-s 1 1 1 1 2.png", {"-s": ["1", "1", "1"]}, b"1 2.png"),
        (b"-s 2 -o .5 x y.png", {"-s": ["2"], "-o": [".5"]}, b"x y.png"),
        (b"-clamp on  x.png", {"-clamp": ["on"]}, b" x.png"),
        (b"-odd.png", {}, b"-odd.png"),
        (b"-unknown 1 x.png", {}, b"-unknown 1 x.png"),
        (b"-s . . x.png", {}, b"x.png"),
        (b"-clamp", {}, b"-clamp"),
        (b"", {}, b""),
    ],
)
def test_options_stand_in_front_of_a_name(rest, options, name):
    assert split_options(rest) == (options, name)


def test_without_a_material_there_is_one_default(tmp_path):
    """With UVs and without."""
    for text in (OBJ, "v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 3\n"):
        (tmp_path / "bare.obj").write_text(text)
        (material,) = nt.Scene.load(tmp_path / "bare.obj").materials()
        assert material.base_color.color.tolist() == DEFAULT
        assert material.roughness is None
