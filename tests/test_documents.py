"""Every block of code in README, CONTRIBUTING and docs runs as it stands, in order, but with smaller numbers; and what
the text around them names is there.

Documents take for granted what a reader brings along: photographs, a mesh, a network of their own. Here these are small
(`brought`, `yours`).
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import webbrowser
from collections.abc import Callable
from functools import partial, partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import neurotex as nt
from neurotex import cli, gan, warm_up
from neurotex.cli.app import app
from neurotex.compat import mitsuba
from neurotex.errors import ArgumentError, MissingError
from neurotex.fit import outputs
from neurotex.fit import plan as fit_plan
from neurotex.gan import plan as gan_plan
from neurotex.renderers import turntable
from tests import tiny
from tests.documents import DOCUMENTS, REPOSITORY, Block, Reader, blocks, spans, text_of
from tests.generators import pickled

# numbers that would take long, and what stands for them here
FEWER = {
    "size=256": "size=16",
    "size=512": "size=16",
    "(512, 512)": "(16, 16)",
    "spp=64": "spp=2",
    "steps=200": "steps=2",
    "search_latent(fit, latent)": "search_latent(fit, latent, draws=2, rounds=())",
    '"photos", 128': '"photos", 32',
    "train(10_000)": "train(1)",
    "evaluate()": "evaluate(16)",
}
# words added to a command, by its verb
SMALL = {"channel-base": 64, "channel-max": 8, "latent-dim": 4, "batch": 4, "size": 32, "images": 4, "render-size": 16}
FEW = {"fit": {"size": 16, "steps": 1, "imagined": 1}, "train": SMALL, "render": {"size": 16}}
# who starts eight processes; here it is one, on no GPU
LAUNCHER = ("torchrun --nproc-per-node 8 -m neurotex.cli", "neurotex")
ELSEWHERE = {LAUNCHER[0]: LAUNCHER[1], "--device cuda": "--device cpu"}
CODE = [block for document in DOCUMENTS for block in blocks(document)]
ROOM = """<scene version="3.0.0">
<integrator type="direct"/>
<sensor type="perspective"><transform name="to_world">
<lookat origin="0, 0, 3" target="0, 0, 0" up="0, 1, 0"/></transform>
<film type="hdrfilm"><integer name="width" value="8"/><integer name="height" value="8"/></film></sensor>
<emitter type="constant"/>
<shape type="rectangle" id="wall"><bsdf type="diffuse"><texture type="bitmap" name="reflectance">
<string name="filename" value="wall.png"/><string name="format" value="variant"/></texture></bsdf></shape>
</scene>"""


def network(latents: int, size: int) -> torch.nn.Module:
    """A module that anybody might have written."""
    layers = torch.nn.Linear(latents, 3 * size * size), torch.nn.Tanh(), torch.nn.Unflatten(1, (3, size, size))
    return torch.nn.Sequential(*layers)


def brought(folder: Path, side: int = 48) -> None:
    """The files that documents name; photographs are of `side` pixels."""
    for name in ("photos", "views1", "views2"):
        tiny.photograph(folder / name, nt.ImageTexture(tiny.picture()), tiny.cameras(2), side)
    for name in ("mesh.obj", "spot.obj"):
        tiny.write_obj(folder / name, tiny.box())
    for name in ("vase.glb", "jug.glb"):
        mesh = tiny.box()
        mesh.material = nt.Material(nt.ImageTexture(tiny.picture()))
        nt.Scene(mesh).save(folder / name)
    sizes = {"z_dim": 4, "c_dim": 0, "w_dim": 4, "img_resolution": 16, "img_channels": 3}
    style = nt.generators.StyleGAN2(**sizes, channel_base=64, channel_max=8)
    pickled.write(folder / "stylegan2.pkl", {"G_ema": style})
    pixels = np.full((4, 8, 4), 129, np.uint8)
    (folder / "sky.hdr").write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 4 +X 8\n" + pixels.tobytes())
    Image.new("RGB", (4, 4)).save(folder / "wall.png")
    (folder / "room.xml").write_text(ROOM)
    if importlib.util.find_spec("onnx"):
        from tests.fuzz.kinds import KINDS

        KINDS["onnx"].seeds(folder)


def yours() -> Reader:
    """The names that documents take for granted, small, and those that an absent package would bring."""
    mesh, generator = tiny.box(), tiny.generator()
    latent = nt.Latent(generator, "skin").sample(seed=0)
    mesh.material = nt.Material(nt.GeneratedTexture(generator, latent).maps()["base_color"])
    scene = nt.Scene(mesh, tiny.cameras(1), nt.Flash(7.0))
    reader = Reader(
        {
            "__name__": "document",
            "nt": nt,
            "torch": torch,
            "generator": generator,
            "latent": latent,
            "scene": scene,
            "discriminator": gan.StyleGAN2Discriminator(32, 3, channel_base=64, channel_max=8),
            "any_module": network(128, 32),
            "fn": lambda params, z: (z @ params).reshape(-1, 3, 4, 4),
            "params": np.ones((4, 48), np.float32),
            "keras_model": lambda z: z,
            "bumps": torch.rand(3, 4, 4),
            "colors": torch.rand(len(mesh.vertices), 3),
            "rgba": torch.rand(4, 4, 4),
            "tiles": torch.rand(3, 4, 4),
            "corners": torch.rand(5, 3, 3) + torch.tensor([0, 0, 1]),
            "verts": mesh.vertices,
            "faces": mesh.faces.long(),
            "verts_uvs": mesh.uvs,
            "faces_uvs": mesh.faces.long(),
            "loss": lambda picture: picture.square().mean(),
            "scaled_numba": lambda x, by: torch.from_numpy(x.numpy() * by),
        }
    )
    try:
        reader.names["mi"] = mitsuba.activate()
    except MissingError as error:
        reader.absent["mi"] = str(error)
    if importlib.util.find_spec("tensorflow"):
        import tensorflow as tf

        layers = [tf.keras.layers.Dense(48), tf.keras.layers.Reshape((4, 4, 3))]
        reader.names["keras_model"] = tf.keras.Sequential([tf.keras.Input((4,)), *layers])
    try:
        reader.names |= _of_pytorch3d()
    except ImportError:
        theirs = ("cameras", "settings", "lights", "Meshes", "HardPhongShader")
        reader.absent |= dict.fromkeys(theirs, "PyTorch3D is not installed.")
    return reader


def _of_pytorch3d() -> dict[str, Any]:
    renderer = importlib.import_module("pytorch3d.renderer")
    return {
        "cameras": renderer.FoVPerspectiveCameras(T=torch.tensor([[0.0, 0.0, 4.0]])),
        "settings": renderer.RasterizationSettings(16),
        "lights": renderer.PointLights(),
        "Meshes": importlib.import_module("pytorch3d.structures").Meshes,
        "HardPhongShader": renderer.HardPhongShader,
    }


class Document:
    """One document, read from its beginning in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        brought(folder, 16)
        self.folder, self.reader = folder, yours()
        self.left_out: dict[Block, list[str]] = {}

    def read(self, until: Block) -> list[str]:
        """Run what has not run yet of the Python up to a block; returns what was left out of that one, and why."""
        for block in blocks(until.document):
            if block.language == "python" and block.line <= until.line and block not in self.left_out:
                self.left_out[block] = self.reader.run(block, FEWER)
        return self.left_out[until]


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Document]:
    kept: dict[str, Document] = {}

    def opened(name: str) -> Document:
        if name not in kept:
            kept[name] = Document(tmp_path_factory.mktemp("document"))
        return kept[name]

    return opened


@pytest.fixture
def short(monkeypatch):
    """What the command line has no option for is short, too: searches, turntables, scores, banks of materials."""
    monkeypatch.setattr(outputs, "turntable", lambda scene: turntable(scene, size=16, frames=2))
    monkeypatch.setattr(fit_plan, "search_latent", partial(nt.fit.search_latent, draws=2, rounds=()))
    monkeypatch.setattr(gan_plan, "ProceduralMaterials", partial(gan.ProceduralMaterials, bank=8))
    monkeypatch.setattr(gan.Trainer, "evaluate", partialmethod(gan.Trainer.evaluate, 16))
    monkeypatch.setattr(warm_up, "warm_up", lambda: None)
    monkeypatch.setattr(webbrowser, "open", lambda url: True)
    monkeypatch.setattr(nt.viewer.Viewer, "wait", lambda viewer: None)  # it would serve until Ctrl-C


def test_every_block_is_run_by_this_file():
    assert {block.language for block in CODE} <= {"python", "sh"}
    assert {block.document for block in CODE} >= {"README.md", "CONTRIBUTING.md", "docs/training.md"}
    for document in DOCUMENTS:
        assert text_of(document).count("```") == 2 * len(blocks(document))


@pytest.mark.parametrize("block", [block for block in CODE if block.language == "python"], ids=str)
def test_python(block, document, monkeypatch):
    shown = document(block.document)
    monkeypatch.chdir(shown.folder)
    if left_out := shown.read(block):
        pytest.skip("all but what needs more ran: " + " ".join(left_out))


@pytest.mark.parametrize("block", [block for block in CODE if block.language == "sh"], ids=str)
def test_shell(block, tmp_path, monkeypatch, capsys, short):
    """The lines of one block in order, in one folder, as if typed in one after the other."""
    brought(tmp_path)
    monkeypatch.chdir(tmp_path)
    without = []
    for program, *words in block.commands(block.replaced(ELSEWHERE)):
        if program == "make":
            made = subprocess.run(["make", "--dry-run", "-C", REPOSITORY, *words], capture_output=True, text=True)
            assert made.returncode == 0, made.stderr
            continue
        if program == "pip":
            assert words[0] == "install"  # what it installs: see the test of extras
            continue
        assert program == "neurotex"
        more = [str(word) for option, value in FEW.get(words[0], {}).items() for word in (f"--{option}", value)]
        code, said = _call([program, *words, *more], monkeypatch, capsys)
        if code and "pip install" in said:
            without.append(said.strip())
            continue
        assert code == 0, f"{' '.join(words)}: {said}"
    if without:
        pytest.skip(" ".join(without))


def _call(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    return int(leaving.value.code or 0), capsys.readouterr().err


def test_a_step_and_an_estimator_of_one_s_own_do_what_discrete_md_says(document, monkeypatch):
    shown = document("docs/discrete.md")
    monkeypatch.chdir(shown.folder)
    shown.read([block for block in CODE if block.document == "docs/discrete.md"][-1])
    posterise, half = shown.reader.names["Posterise"], shown.reader.names["Half"]
    x = torch.tensor([[[[0.2, 0.7]]]], requires_grad=True)
    tones = posterise(estimator=half())(x)
    tones.sum().backward()
    assert tones.tolist() == [[[[0.0, 1.0]]]]
    assert x.grad.tolist() == [[[[0.5, 0.5]]]]
    with pytest.raises(ArgumentError, match="Gumbel draws codes, but Posterise does not pick one"):
        posterise(estimator="gumbel")
    smooth = posterise(estimator="surrogate")(x)
    assert 0 < float(smooth.detach()[..., 0]) < 0.5


def test_an_op_as_contributing_md_declares_it_computes_and_has_a_gradient(document, monkeypatch):
    shown = document("CONTRIBUTING.md")
    monkeypatch.chdir(shown.folder)
    shown.read(next(block for block in CODE if block.document == "CONTRIBUTING.md"))
    x = torch.rand(3, requires_grad=True)
    y = shown.reader.names["_scaled"](x, 2.0)
    assert torch.equal(y, 2 * x)
    assert torch.autograd.grad(y.sum(), x)[0].tolist() == [2.0, 2.0, 2.0]


SPANS = [(document, span) for document in DOCUMENTS for span in dict.fromkeys(spans(document))]


def test_names_of_the_package_are_there():
    """`nt.…`, `gan.…`, `discrete.…` and so on, wherever they stand."""
    roots = {"nt": nt, "gan": gan, **{name: getattr(nt, name) for name in ("discrete", "raster", "generators")}}
    found = 0
    for document in DOCUMENTS:
        for root, path in re.findall(
            r"(?<![\w./'-])(nt|gan|discrete|raster|generators)((?:\.[A-Za-z_]\w*)+)", text_of(document)
        ):
            held = roots[root]
            for name in path[1:].split("."):
                if name in ("py", "md", "png"):
                    break
                assert hasattr(held, name), f"{document}: {root}{path}"
                held = getattr(held, name)
                found += 1
    assert found > 50


def test_commands_in_the_text_are_there():
    """Modules to run, scripts, targets of make, verbs and options."""
    options = _options()
    for document, span in SPANS:
        where = f"{document}: `{span}`"
        if match := re.match(r"python -m ([\w.]+)(.*)", span):
            module = importlib.util.find_spec(match[1])
            assert module is not None, where
            origin = Path(module.origin)
            files = [origin, *([origin.with_name("__main__.py")] if origin.stem == "__init__" else [])]
            source = "".join(file.read_text() for file in files if file.exists())
            if "neurotex" not in match[1]:
                assert all(option in source for option in re.findall(r"--[a-z][\w-]*", match[2])), where
        elif match := re.match(r"python ([\w/]+\.py)", span):
            assert (REPOSITORY / match[1]).is_file(), where
        elif match := re.match(r"make ([\w-]+)", span):
            assert re.search(rf"^{match[1]}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE), where
        elif match := re.match(r"pytest( .*)", span):
            assert all((REPOSITORY / path).exists() for path in re.findall(r"(?<= )\w[\w/.]*/[\w/.]*", match[1])), where
        elif match := re.match(r"(?:neurotex (?P<verb>[a-z]+))?(?P<rest>.*--[a-z].*)", span):
            known = options[match["verb"]] if match["verb"] in options else set().union(*options.values())
            named = set(re.findall(r"(?<!\S)--[a-z][\w-]*", match["rest"]))
            assert named <= known, where


def _options() -> dict[str, set[str]]:
    """Of each verb, with --help."""
    from typer.main import get_command

    verbs = get_command(app).commands
    named = {
        verb: {name for p in command.params for name in (*p.opts, *p.secondary_opts)} for verb, command in verbs.items()
    }
    return {verb: {*names, "--help", "--install-completion"} for verb, names in named.items()}


def test_links_lead_somewhere():
    for document in DOCUMENTS:
        for link in re.findall(r"\]\(([^)\s]+)\)", text_of(document)):
            if not link.startswith(("http:", "https:")):
                path, _, anchor = link.partition("#")
                target = (REPOSITORY / document).parent / path if path else REPOSITORY / document
                assert target.exists(), f"{document}: {link}"
                if anchor:
                    headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
                    assert anchor in [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings], link


def test_extras_that_documents_install_are_declared():
    declared = set(re.findall(r"^([\w-]+) = \[", (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE))
    named = {name for document in DOCUMENTS for name in re.findall(r"neurotex\[([\w-]+)\]", text_of(document))}
    assert named <= declared
    assert named >= {"train", "mitsuba", "cuda"}


def test_what_is_absent_is_left_out_with_what_needs_it():
    reader = Reader({"MissingError": MissingError}, {"theirs": "It is not here."})
    text = "a = theirs.x\nb = a + 1\nc = 2\nraise MissingError('pip install d')"
    assert reader.run(Block("README.md", 1, "python", text), {"c = 2": "c = 3"}) == ["It is not here.", "pip install d"]
    assert reader.names["c"] == 3
    assert set(reader.absent) == {"theirs", "a", "b"}
