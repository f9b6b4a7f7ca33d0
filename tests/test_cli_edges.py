"""The command line at its edges: nonsense in any option, signals at any time, too little memory, nowhere to write."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image

import neurotex as nt
from neurotex import cli
from neurotex.cli import app
from neurotex.fit import run as fit_run
from neurotex.gan import run as gan_run
from tests import tiny

NONSENSE = ("", "nonsense ü", "-1", "nan", "9" * 30, "a,b:c")
COMMANDS = typer.main.get_command(app.app).commands
CHOICES = [
    (verb, option)
    for verb, command in COMMANDS.items()
    if verb != "demo"
    for option in command.params
    if option.param_type_name == "option" and option.name not in ("help", "json_", "resume", "overwrite", "out")
]


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return tiny.write_case(tmp_path_factory.mktemp("edges") / "case")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable:
    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["neurotex", *map(str, words)])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        return leaving.value.code or 0, *capsys.readouterr()

    return call


def arguments(verb: str, case: dict[str, Path], out: Path) -> list[object]:
    return {
        "fit": [case["mesh"], case["views"], "--size", 8, "--steps", 1, "--out", out],
        "train": ["materials", "--size", 16, "--batch", 4, "--channel-base", 64, "--latent-dim", 4, "--out", out],
        "render": [case["mesh"], "--size", 8, "--out", out / "a.png"],
        "info": [case["generator"]],
        "convert": [case["generator"], out / "a.safetensors"],
        "view": [case["mesh"], "--no-open"],
        "views": [case["views"], "--out", out / "views.png"],
    }[verb]


@pytest.mark.parametrize(("verb", "option"), CHOICES, ids=[f"{verb} {option.opts[0]}" for verb, option in CHOICES])
def test_nonsense_in_an_option_is_success_or_exit_code_2(verb, option, case, run, tmp_path, monkeypatch):
    def enough(*_: object, **__: object) -> None:
        raise nt.ArgumentError("as far as this, options are looked at.")

    monkeypatch.setattr(fit_run, "run_stages", enough)
    monkeypatch.setattr(gan_run, "_run", enough)
    monkeypatch.setattr(nt.viewer.Viewer, "wait", enough)
    for value in ("",) if option.is_flag else NONSENSE:
        given = [option.opts[0]] if option.is_flag else [option.opts[0], *[value] * option.nargs]
        code, out, err = run(verb, *arguments(verb, case, tmp_path / "out"), *given)
        assert code in (0, 2), (value, err)
        if code == 2:
            assert out == ""
            assert "Traceback" not in err
            (line,) = [
                line for line in err.splitlines() if line.strip() and not line.startswith(("warning: ", "look at "))
            ]
            assert line.startswith("error: ")
            assert line.endswith(".")
            assert not (tmp_path / "out").exists(), value
        elif (tmp_path / "out").exists():
            for path in (tmp_path / "out").iterdir():
                path.unlink()
            (tmp_path / "out").rmdir()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["render"], "missing argument 'mesh': see neurotex render --help."),
        (["render", "a.obj", "b.obj"], "got unexpected extra argument"),
        (["render", "a.obj", "--sizee", "3"], "no such option"),
        (["render", "a.obj", "--size"], "'--size' requires an argument"),
        (["fit", "a.obj", "b", "--size", "big"], "invalid value for '--size'"),
        (["renders"], "no such command 'renders'"),
    ],
)
def test_words_that_a_command_does_not_take_are_one_sentence(words, said, run):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert said in err.lower()
    assert err.endswith(" --help.\n")
    assert err.count("\n") == 1


def test_without_words_there_is_the_help(run):
    code, out, err = run()
    assert "Usage: neurotex" in out
    assert "error" not in err
    assert code in (0, 2)  # as click has it, before and after 8.2


def test_every_option_and_command_has_a_help_text():
    for command in COMMANDS.values():
        assert command.help.endswith(".")
        assert all(option.help for option in command.params)


# --- nothing is overwritten unasked -----------------------------------------------------------------------------------


def test_a_second_run_into_a_folder_is_refused(case, run, tmp_path):
    out = tmp_path / "out"
    words = ["fit", *arguments("fit", case, out)]
    (out / "textures").mkdir(parents=True)
    (out / "textures" / "base_color.png").write_text("mine")
    assert "--overwrite" in run(*words)[2]
    assert (out / "textures" / "base_color.png").read_text() == "mine"
    assert run(*words, "--overwrite")[0] == 0
    (out / "mine.txt").touch()
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    code, _, err = run(*words)
    assert code == 2
    assert "already holds checkpoint.safetensors: continue that run by --resume, replace it by --overwrite" in err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert "give one of the two" in run(*words, "--overwrite", "--resume")[2]
    more = [*words, "--texture", case["generator"], "--space", "v"]
    assert run(*more, "--overwrite")[0] == 2  # what is refused replaces nothing
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert run(*words, "--overwrite", "--through", "jpeg:50", "--imagined", 0)[0] == 0
    assert [path.name for path in (out / "textures").iterdir()] == ["base_color.jpg"]
    assert (out / "mine.txt").exists()


def test_a_second_picture_or_generator_of_one_name_is_refused(case, run, tmp_path):
    for verb, name in (("render", "a.png"), ("convert", "a.safetensors")):
        words = [verb, *arguments(verb, case, tmp_path)]
        (tmp_path / name).write_text("mine")
        code, _, err = run(*words)
        assert code == 2
        assert f"{name} already exists: replace it by --overwrite" in err
        assert (tmp_path / name).read_text() == "mine"
        assert run(*words, "--overwrite")[0] == 0
        assert (tmp_path / name).read_bytes() != b"mine"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.png").write_text("mine")
    words = ["render", case["mesh"], "--views", case["holdout"], "--out", tmp_path / "b"]
    assert "already holds 1.png" in run(*words)[2]
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["1.png"]


def test_a_second_training_into_a_folder_is_refused(run, tmp_path, case):
    words = ["train", *arguments("train", case, tmp_path / "out"), "--images", 4, "--generator", "material"]
    words[words.index("--size") + 1] = 32
    (tmp_path / "out" / "samples").mkdir(parents=True)
    for name in ("samples/0000001.png", "samples/cat.png"):
        (tmp_path / "out" / name).write_text("mine")
    code, _, err = run(*words)
    assert code == 2
    assert "already holds samples/0000001.png" in err


# --- where results go -------------------------------------------------------------------------------------------------


def test_paths_may_have_spaces_and_any_letters(case, run, tmp_path):
    out = tmp_path / "mein Ordner — 结果 😀"
    assert run("render", case["mesh"], "--out", out / "ein Bild.png", "--size", 8)[0] == 0
    assert run("fit", *arguments("fit", case, out))[0] == 0
    assert run("fit", *arguments("fit", case, out), "--resume")[0] == 0
    assert run("render", out / "model.glb", "--out", out / "b.gif", "--size", 8)[0] == 0


@pytest.mark.parametrize("verb", ["fit", "train", "render", "convert"])
def test_a_file_in_the_place_of_a_folder_is_one_sentence(verb, case, run, tmp_path):
    (tmp_path / "out").write_text("mine")
    code, printed, err = run(verb, *arguments(verb, case, tmp_path / "out"))
    assert (code, printed) == (2, "")
    assert "out" in err
    assert len(err.strip().splitlines()) == 1
    assert (tmp_path / "out").read_text() == "mine"


def process(*words: object, **options: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "neurotex", *map(str, words)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, encoding="utf-8", **options)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_what_cannot_be_printed_is_one_sentence():
    with open("/dev/full", "w") as full:
        child = process("info", "materials", stdout=full)
        _, err = child.communicate(timeout=60)
    assert child.returncode == 2
    assert err.strip().startswith("error: what is printed cannot be")
    assert len(err.strip().splitlines()) == 1


def test_a_reader_that_leaves_is_no_matter_and_a_terminal_without_unicode_no_error():
    child = process("info", "materials", "--json", stdout=subprocess.PIPE)
    child.stdout.close()
    _, err = child.communicate(timeout=60)
    assert err == ""
    plain = {**os.environ, "PYTHONIOENCODING": "ascii"}
    child = process("info", "materials", stdout=subprocess.PIPE, env=plain)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (0, "")
    assert "MaterialGenerator" in out


@pytest.mark.skipif(os.name == "nt", reason="Windows has other words for it")
@pytest.mark.parametrize("how", [">&- 2>&-", "2> >(true)"])
def test_a_run_that_nobody_listens_to_ends_as_others_do(how, case, tmp_path):
    """Of a file that would get the number of a closed stream, what is printed would spoil the beginning."""
    words = [sys.executable, "-m", "neurotex", "fit", *arguments("fit", case, tmp_path / "out"), "--json"]
    done = subprocess.run(["bash", "-c", f'exec "$@" {how}', "-", *map(str, words)], timeout=60)
    assert done.returncode == 0
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["steps"] == 1
    assert nt.Scene.load(tmp_path / "out" / "model.glb").meshes()


# --- signals ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send to a process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", [0.3, 0.8])
def test_a_signal_while_torch_loads_or_a_scene_is_read_is_one_line(number, after, case, tmp_path):
    """Of a turntable that takes minutes: the command is sure to be at work."""
    started = "import sys, os; from neurotex import cli; print(flush=True); cli.main()"
    words = [sys.executable, "-c", started, "render", str(case["mesh"]), "--size", "4000", "--out", tmp_path / "a.gif"]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    child.stdout.readline()
    time.sleep(after)
    child.send_signal(number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 128 + number
    assert err == "stopped\n"
    assert list(tmp_path.iterdir()) == []


# --- memory -----------------------------------------------------------------------------------------------------------

LITTLE = """
import json, resource, sys
from pathlib import Path
from neurotex import cli, renderers
from neurotex.fit import fit_views  # loaded before memory is short
from neurotex.gan import train_generator
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (1 << 28), resource.RLIM_INFINITY))
for words in json.loads(sys.argv[1]):
    sys.argv[1:] = words
    try:
        cli.main()
    except SystemExit as leaving:
        print(leaving.code)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux limits a process's memory in this way")
def test_too_little_memory_is_one_sentence_and_nothing_is_left(case, tmp_path):
    out = tmp_path / "out"
    commands = {
        "fit": (["--size", 20000], "a fit of a texture of 20000 x 20000", "turn down --size"),
        "render": (["--size", 8000], "a picture of 8000 x 8000 pixels", "turn down --size"),
        "train": (
            ["--size", 1024, "--channel-base", 65536, "--channel-max", 4096],
            "batches of 4",
            "turn down --batch",
        ),
    }
    runs = [[verb, *map(str, [*arguments(verb, case, out), *more])] for verb, (more, *_) in commands.items()]
    done = subprocess.run([sys.executable, "-c", LITTLE, json.dumps(runs)], capture_output=True, text=True, timeout=200)
    said = [line for line in done.stderr.splitlines() if line.strip()]
    assert done.stdout.split() == ["2"] * len(runs), done.stderr
    assert len(said) == len(runs), done.stderr
    for line, (_, what, remedy) in zip(said, commands.values(), strict=True):
        assert line.startswith("error: ")
        assert what in line
        assert "needs more memory than there is" in line
        assert remedy in line
    assert not out.exists()


# --- where the camera stands -----------------------------------------------------------------------------------------


def test_the_camera_stands_where_it_is_told_and_sees_the_front_by_default(run, tmp_path):
    """A plate that is red towards +Z and blue towards −Z: OBJ files of research face −Z, glTF's models +Z."""
    corners = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    colours = (("Front", 0.01, faces, (1.0, 0, 0)), ("Back", -0.01, faces.flip(1), (0, 0, 1.0)))
    plates = [
        nt.Mesh(corners + torch.tensor([0, 0, z]), turned, material=nt.Material(nt.ConstantTexture(colour)), name=name)
        for name, z, turned, colour in colours
    ]
    nt.Scene([nt.Node(plate) for plate in plates]).save(tmp_path / "a.glb")
    mtl = "newmtl Front\nKd 1 0 0\nnewmtl Back\nKd 0 0 1\n"
    (tmp_path / "a.mtl").write_text(mtl)
    text, first = "mtllib a.mtl\n", 1
    for plate in plates:
        text += "".join("v {} {} {}\n".format(*row) for row in plate.vertices.tolist()) + f"usemtl {plate.name}\n"
        text += "".join("f {} {} {}\n".format(*(k + first for k in face)) for face in plate.faces.tolist())
        first += 4
    (tmp_path / "a.obj").write_text(text)

    def seen(file: str, *more: object) -> tuple[str, float]:
        assert run("render", tmp_path / file, "--size", 32, "--out", tmp_path / "a.png", "--overwrite", *more)[0] == 0
        with Image.open(tmp_path / "a.png") as image:
            pixels = torch.from_numpy(np.array(image)).float()
        red, _, blue, alpha = pixels.sum((0, 1)).tolist()
        return ("red" if red > blue else "blue"), alpha

    assert seen("a.glb")[0] == "red"
    assert seen("a.obj")[0] == "blue"
    assert seen("a.obj", "--azimuth", 0)[0] == "red"
    nt.Scene.load(tmp_path / "a.obj").save(tmp_path / "b.glb")  # as a fit does
    assert seen("b.glb")[0] == "blue"
    nt.Scene(list(nt.Scene.load(tmp_path / "b.glb").nodes)).save(tmp_path / "c.glb")
    assert seen("c.glb")[0] == "blue"
    assert seen("a.glb", "--azimuth", 180)[0] == "blue"
    straight, aside, above = (seen("a.glb", "--elevation", e, "--azimuth", a)[1] for e, a in ((0, 0), (0, 60), (70, 0)))
    assert straight > 1.5 * aside
    assert straight > 1.5 * above
    near, far = (seen("a.glb", "--azimuth", 0, "--elevation", 0, "--distance", d)[1] for d in (5, 10))
    assert near == pytest.approx(4 * far, rel=0.1)
    code, _, err = run("render", tmp_path / "a.glb", "--views", tmp_path, "--azimuth", 3)
    assert code == 2
    assert "leave --azimuth" in err
