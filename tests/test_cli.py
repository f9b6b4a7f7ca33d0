"""The command line: whatever a user can get wrong is one sentence and exit code 2, and leaves nothing behind."""

# Over 400 lines: every verb and what can be wrong with it, on the same small files

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image

import neurotex as nt
from neurotex import cli, warm_up
from neurotex.fit import outputs, search_latent
from neurotex.fit import plan as fit_plan
from neurotex.renderers import turntable
from tests import tiny
from tests.generators import pickled

Case = dict[str, Path]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return tiny.write_case(tmp_path / "case")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable:
    """run("fit", …) → (exit code, stdout, stderr), through the real entry point; with a short turntable."""
    monkeypatch.setattr(outputs, "turntable", lambda scene: turntable(scene, size=32, frames=3))

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["neurotex", *map(str, words)])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        return leaving.value.code or 0, *capsys.readouterr()

    return call


def fit_words(case: Case, out: Path, *more: object) -> list[object]:
    return ["fit", case["mesh"], case["views"], "--out", out, "--size", 16, "--steps", 3, *more]


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def assert_one_sentence(code: int, out: str, err: str, *words: str) -> None:
    lines = [line for line in err.splitlines() if line.strip()]
    assert code == 2, err
    assert out == ""
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    assert lines[0].endswith(".")
    for word in words:
        assert word in lines[0]


# --- inputs that are broken on disk: how to break them, and what the sentence must name -------------------------------


def edit(key: str, old: str, new: str) -> Callable[[Case], None]:
    def damage(case: Case) -> None:
        path = case[key] if case[key].is_file() else case[key] / "transforms.json"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return damage


def edit_json(change: Callable[[dict], object]) -> Callable[[Case], None]:
    def damage(case: Case) -> None:
        path = case["views"] / "transforms.json"
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))

    return damage


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def without_uvs(case: Case) -> None:
    lines = case["mesh"].read_text().splitlines()
    case["mesh"].write_text("\n".join(re.sub(r"/\d+", "", line) for line in lines if not line.startswith("vt")))


def scale_camera(data: dict) -> None:
    data["frames"][2]["transform_matrix"][0][0] = 3.0


def move_away(data: dict) -> None:
    for frame in data["frames"]:
        for row in frame["transform_matrix"][:3]:
            row[3] = 50.0


BROKEN = {
    "mesh without UVs": (without_uvs, ("box.obj", "no UVs", "unwrap")),
    "NaN vertex": (edit("mesh", "v 0.700000", "v nan"), ("box.obj, line 1", "a v", "not finite", "repair")),
    "face index out of range": (
        edit("mesh", "f 1/1", "f 99/99"),
        ("box.obj, line 49", "99/99", "of 24", "export it again"),
    ),
    "empty mesh": (lambda case: case["mesh"].write_text(""), ("box.obj", "no triangle mesh")),
    "missing mesh": (lambda case: case["mesh"].unlink(), ("box.obj", "does not exist", "check the path")),
    "image missing": (lambda case: (case["views"] / "1.png").unlink(), ("1.png", "missing", "put it back")),
    "image truncated": (lambda case: cut(case["views"] / "1.png"), ("1.png", "truncated", "get it again")),
    "image of another size": (
        lambda case: Image.new("RGB", (40, 48)).save(case["views"] / "1.png"),
        ("1.png", "40 x 48", "48 x 48", "correct"),
    ),
    "camera that is not rigid": (edit_json(scale_camera), ("transforms.json, frame 2", "not rigid", "give a rotation")),
    "camera without numbers": (
        edit_json(lambda data: data["frames"][1].update(transform_matrix=[[1, "x"]])),
        ("transforms.json, frame 1", "numbers", "check its matrix"),
    ),
    "camera without a lens": (
        edit_json(lambda data: data.pop("camera_angle_x")),
        ("transforms.json, frame 0", "no camera_angle_x", "field of view"),
    ),
    "light that is no light": (
        edit_json(lambda data: data["light"].update(intensity=["bright"])),
        ("transforms.json", "'light' must be", "[r, g, b]"),
    ),
    "no frames": (edit_json(lambda data: data.update(frames=[])), ("transforms.json", "no frames", "it needs")),
    "bad JSON": (edit("views", '"frames"', '"frames'), ("transforms.json", "not valid JSON", "export it again")),
    "missing transforms.json": (
        lambda case: (case["views"] / "transforms.json").unlink(),
        ("views", "holds no set of views", "give a transforms.json"),
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_input_is_one_sentence(what, case, run, tmp_path):
    damage, words = BROKEN[what]
    damage(case)
    assert_one_sentence(*run(*fit_words(case, tmp_path / "out")), *words)
    assert not (tmp_path / "out").exists()


def test_a_mesh_that_no_camera_sees_is_one_sentence(case, run, tmp_path):
    edit_json(move_away)(case)
    assert_one_sentence(*run(*fit_words(case, tmp_path / "out")), "no view sees", "one space")
    assert not files_in(tmp_path / "out")


def test_square_brackets_in_a_path_are_printed_as_they_are(case, run, tmp_path):
    case["mesh"] = tmp_path / "scan[final][/b].obj"
    assert_one_sentence(*run(*fit_words(case, tmp_path / "out")), "scan[final][/b].obj")


# --- options ----------------------------------------------------------------------------------------------------------

OPTIONS = {
    "unknown generator": (["--texture", "nonsense"], ("'nonsense'", "materials", "path")),
    "unknown step": (["--through", "blur:3"], ("'blur'", "levels, threshold, palette")),
    "step without a number": (["--through", "levels:x"], ("'levels:x'", "write levels:NUMBER")),
    "step with too small a number": (["--through", "levels:1"], ("levels:1", "at least 2")),
    "unknown estimator": (["--through", "levels:8", "--estimator", "magic"], ("'magic'", "straight_through, clipped")),
    "bad --optimize": (["--texture", "materials", "--optimize", "all"], ("--optimize all", "latents, weights or both")),
    "bad --device": (["--device", "banana"], ("'banana'", "try --device cpu")),
    "bad --huber": (["--huber", "-1"], ("--huber -1", "above 0")),
    "bad --imagined": (["--imagined", "-1"], ("--imagined -1", "0 or more")),
    "bad --temperature": (["--temperature", "0.3", "0"], ("--temperature", "two numbers above 0")),
    "a --temperature that is no number": (["--temperature", "0.3", "nan"], ("--temperature", "two numbers above 0")),
    "missing holdout": (["--holdout", "nowhere"], ("nowhere", "does not exist")),
    "nothing to resume": (["--resume"], ("checkpoint.safetensors", "without --resume")),
}


@pytest.mark.parametrize("what", OPTIONS)
def test_a_bad_option_is_one_sentence(what, case, run, tmp_path):
    options, words = OPTIONS[what]
    assert_one_sentence(*run(*fit_words(case, tmp_path / "out", *options)), *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--size", 0],
        ["--steps", 0],
        ["--ssim", -1],
        ["--size", "big"],
        ["--imagined", "few"],
        ["--temperature", 0.3, "cold"],
    ],
)
def test_a_number_out_of_range_is_a_usage_error(words, case, run, tmp_path):
    code, out, err = run(*fit_words(case, tmp_path / "out", *words))
    assert code == 2
    assert out == ""
    assert words[0] in err
    assert not (tmp_path / "out").exists()


def test_a_generator_cut_off_in_the_middle_is_one_sentence(case, run, tmp_path):
    cut(case["generator"])
    words = fit_words(case, tmp_path / "out", "--texture", case["generator"])
    assert_one_sentence(*run(*words), "generator.safetensors", "cut off", "get it again")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_an_output_folder_that_cannot_be_written_is_one_sentence(below, case, run):
    before = case["mesh"].read_bytes()
    assert_one_sentence(*run(*fit_words(case, case["mesh"] / below)), "box.obj", "choose another output folder")
    assert case["mesh"].read_bytes() == before


def test_a_file_in_the_place_of_the_textures_is_found_before_the_fit(case, run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "textures").write_text("mine")
    assert_one_sentence(*run(*fit_words(case, tmp_path / "out")), "textures", "choose another output folder")
    assert files_in(tmp_path / "out") == [tmp_path / "out" / "textures"]


def test_only_the_same_run_is_resumed_and_only_from_a_whole_checkpoint(case, run, tmp_path):
    out = tmp_path / "out"
    assert run(*fit_words(case, out))[0] == 0
    before = {path: path.read_bytes() for path in files_in(out)}
    other = run(*fit_words(case, out, "--resume", "--seed", 7, "--ssim", 0.5))
    assert_one_sentence(*other, "checkpoint.safetensors", "another seed, ssim", "repeat its options")
    assert {path: path.read_bytes() for path in files_in(out)} == before
    cut(out / "checkpoint.safetensors")
    broken = run(*fit_words(case, out, "--resume"))
    assert_one_sentence(*broken, "checkpoint.safetensors", "not a whole checkpoint", "without --resume")
    assert files_in(out) == list(before)


# --- what works -------------------------------------------------------------------------------------------------------


def test_a_fit_through_steps_takes_imagined_views_and_temperatures(case, run, tmp_path):
    out = tmp_path / "out"
    through = ["--through", "palette:3", "--estimator", "gumbel"]
    assert run(*fit_words(case, out, *through, "--imagined", 0, "--temperature", 0.5, 0.02))[0] == 0
    with Image.open(out / "textures" / "base_color.png") as image:
        assert image.mode == "P"
        assert len(image.getcolors()) <= 3
    other = run(*fit_words(case, out, *through, "--imagined", 2, "--resume"))
    assert_one_sentence(*other, "another temperature, imagined", "repeat its options")


def test_json_prints_the_metrics_and_nothing_else(case, run, tmp_path):
    code, out, _ = run(*fit_words(case, tmp_path / "out", "--holdout", case["holdout"], "--json"))
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert len(out.splitlines()) == 1


def test_without_json_the_psnr_and_the_files_are_printed(case, run, tmp_path):
    code, out, _ = run(*fit_words(case, tmp_path / "out", "--holdout", case["holdout"]))
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert code == 0
    assert f"train {metrics['train_psnr_db']:.1f} dB, held out {metrics['holdout_psnr_db']:.1f} dB" in out
    assert "report.html" in out


def test_version_is_printed(run):
    assert run("--version") == (0, f"{nt.__version__}\n", "")


def test_render_writes_a_picture_with_alpha(case, run, tmp_path):
    assert run("render", case["mesh"], "--out", tmp_path / "box.png", "--size", 64)[0] == 0
    with Image.open(tmp_path / "box.png") as image:
        assert (image.mode, image.size) == ("RGBA", (64, 64))
        low, high = image.getchannel("A").getextrema()
    assert (low, high) == (0, 255)


def test_render_writes_a_film_of_a_generator(case, run, tmp_path):
    words = ["--texture", case["generator"], "--out", tmp_path / "box.gif", "--size", 32]
    assert run("render", case["mesh"], *words)[0] == 0
    with Image.open(tmp_path / "box.gif") as image:
        assert image.n_frames > 1


def test_render_writes_the_views_of_a_transforms_file(case, run, tmp_path):
    assert run("render", case["mesh"], "--views", case["holdout"], "--out", tmp_path / "views")[0] == 0
    assert [path.name for path in files_in(tmp_path / "views")] == ["0.png", "1.png"]


def test_render_writes_views_of_one_name_to_folders_and_obeys_size(case, run, tmp_path):
    file = case["holdout"] / "transforms.json"
    data = json.loads(file.read_text())
    for frame, side in zip(data["frames"], ("left", "right"), strict=True):
        (case["holdout"] / side).mkdir()
        with Image.open(case["holdout"] / frame["file_path"]) as image:
            image.crop((0, 0, 48, 24)).save(case["holdout"] / side / "0001.png")
        frame["file_path"] = f"{side}/0001.png"
    file.write_text(json.dumps({**data, "h": 24}))
    words = ["render", case["mesh"], "--views", case["holdout"], "--out", tmp_path / "views", "--size", 64]
    code, _, said = run(*words)
    assert code == 0
    assert "wrote 2 pictures" in said
    for side in ("left", "right"):
        with Image.open(tmp_path / "views" / side / "0001.png") as image:
            assert image.size == (64, 32)


def test_photographs_with_a_background_are_measured_where_the_mesh_is(case, run, tmp_path):
    """Texture and figure are those of cut-out photographs; the figure says over what it is."""
    for path in sorted(case["views"].glob("*.png")):
        with Image.open(path) as image:
            wall = Image.new("RGBA", image.size, (90, 160, 230, 255))
            Image.alpha_composite(wall, image.convert("RGBA")).convert("RGB").save(path)
    code, out, _ = run(*fit_words(case, tmp_path / "out"))
    assert code == 0
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["evaluated_pixels"] == "covered"
    assert metrics["train_psnr_db"] > 20  # over all pixels it is 6
    assert "PSNR over what the mesh covers: train" in out


def test_views_that_see_nothing_are_named(case, run, tmp_path):
    file = case["views"] / "transforms.json"
    data = json.loads(file.read_text())
    for frame in data["frames"][:2]:
        frame["transform_matrix"][0][3] += 1000
    file.write_text(json.dumps(data))
    code, _, said = run(*fit_words(case, tmp_path / "some"))
    assert code == 0
    assert "2 of 4 views see nothing of the mesh: 0, 1." in said


def test_views_says_what_it_understood_and_draws_it(case, run, tmp_path):
    picture = tmp_path / "cameras.png"
    code, out, err = run("views", case["views"], "--mesh", case["mesh"], "--out", picture, "--size", 64)
    assert code == 0, err
    assert re.search(r"written by +transforms\.json", out)
    assert f"× {tiny.SIDE} x {tiny.SIDE}" in out
    assert "flash" in out
    assert Image.open(picture).size == (64, 64)
    assert_one_sentence(*run("views", case["views"], "--out", picture), "--overwrite")
    facts = json.loads(run("views", case["views"], "--json")[1])
    assert facts["program"] == "transforms.json"
    assert facts["lenses"] == {}
    assert facts["photographs"] == sum(facts["sizes"].values())
    assert_one_sentence(*run("views", tmp_path / "none"), "does not exist")
    assert_one_sentence(*run("views", case["views"], "--out", tmp_path / "cameras.jpg"), ".png")


def test_render_refuses_another_format(case, run, tmp_path):
    words = ["render", case["mesh"], "--out", tmp_path / "box.bmp"]
    assert_one_sentence(*run(*words), "box.bmp", ".png")
    assert not (tmp_path / "box.bmp").exists()


# --- generators of others ---------------------------------------------------------------------------------------------


@pytest.fixture
def pickle(tmp_path) -> Path:
    """A pickle as NVIDIA's training writes it: G and G_ema, a StyleGAN2 of 3 classes with 9 channels."""
    sizes = {"z_dim": 4, "w_dim": 4, "c_dim": 3, "img_channels": 9, "channel_base": 32, "channel_max": 4}
    networks = {name: nt.generators.StyleGAN2(4, **sizes, mapping_kwargs={"num_layers": 1}) for name in ("G", "G_ema")}
    return pickled.write(tmp_path / "network.pkl", networks)


def test_info_prints_what_there_is_to_tell(case, pickle, run, tmp_path):
    code, out, _ = run("info", pickle)
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if "│" in line]
    assert code == 0
    assert "NVIDIA pickle" in out
    found = {"architecture": "StyleGAN2", "resolution": "4", "channels": "9", "z": "4", "w": "4", "classes (c)": "3"}
    for label, value in {**found, "layers of w+": "2"}.items():
        assert [label, value, value] in rows
    parameters = nt.generators.info(pickle)["networks"]["G"]["parameters"]
    assert ["parameters", f"{parameters:,}", f"{parameters:,}"] in rows
    assert "latent_dim" in run("info", case["generator"])[1]
    assert "MaterialGenerator" in run("info", "materials")[1]


def test_info_as_json_has_everything(case, pickle, run):
    for path in (case["generator"], pickle):
        code, out, _ = run("info", path, "--json")
        assert code == 0
        assert json.loads(out) == nt.generators.info(path)


def test_info_of_other_weights_lists_tensors(run, tmp_path):
    torch.save({f"layer{k}[red]": torch.zeros(k, 3) for k in range(14)}, tmp_path / "weights.pt")
    code, out, _ = run("info", tmp_path / "weights.pt")
    assert code == 0
    assert "14 tensors, 273 numbers" in out
    assert "layer5[red]  5 x 3" in out
    assert "… and 2 more" in out


def test_convert_keeps_every_pixel(pickle, run, tmp_path):
    z, label = torch.randn(2, 4), torch.eye(3)[:2]
    for words, name in (([], "G_ema"), (["--network", "G"], "G")):
        code, _, err = run("convert", pickle, tmp_path / "new" / "own.safetensors", *words, "--overwrite")
        assert code == 0
        assert "wrote StyleGAN2" in err
        converted = nt.generators.load(tmp_path / "new" / "own.safetensors")
        assert torch.equal(converted(z, label), nt.generators.load(pickle, name)(z, label))
    assert run("info", tmp_path / "new" / "own.safetensors")[0] == 0


def test_convert_writes_whole_or_not(pickle, run, tmp_path):
    out = tmp_path / "own.safetensors"
    assert_one_sentence(*run("convert", pickle, tmp_path / "own.bin"), "own.bin", ".safetensors")
    assert_one_sentence(*run("convert", pickle, out, "--network", "D"), "no network 'D'", "'G' or 'G_ema'")
    cut(pickle)
    assert_one_sentence(*run("convert", pickle, out), "network.pkl", "get it again")
    assert_one_sentence(*run("info", pickle), "network.pkl", "get it again")
    assert not out.exists()


@pytest.mark.parametrize("words", [["--optimize", "both"], ["--space", "w+"], ["--space", "gaussian", "--prior", 0.1]])
def test_a_pickle_is_fitted_by_its_latents_and_weights(words, case, pickle, run, tmp_path, monkeypatch):
    search = partial(search_latent, draws=4, rounds=((1, 2),))
    monkeypatch.setattr(fit_plan, "search_latent", search)
    more = ["--texture", pickle, "--class", 1, "--json", *words]
    code, out, err = run(*fit_words(case, tmp_path / "out", *more))
    assert code == 0, err
    assert "warning: this generator makes 9 channels: the first 3 are used" in err
    assert json.loads(out)["steps"] == 3
    assert (tmp_path / "out" / "generator.safetensors").exists() == ("both" in words)
    with Image.open(tmp_path / "out" / "textures" / "base_color.png") as image:
        assert (image.mode, image.size) == ("RGB", (4, 4))


def test_a_pickle_is_worn_in_a_picture(case, pickle, run, tmp_path):
    words = ["--texture", pickle, "--class", 2, "--out", tmp_path / "box.png", "--size", 48]
    assert run("render", case["mesh"], *words)[0] == 0
    with Image.open(tmp_path / "box.png") as image:
        assert max(high - low for low, high in image.convert("RGB").getextrema()) > 50


WRONG = {
    "no class": (["--space", "w"], ("3 classes", "from 0 to 2")),
    "a class too many": (["--class", "3"], ("no class 3", "0 to 2")),
    "a generator without classes": (["--texture", "materials", "--class", "0"], ("no classes",)),
    "no such space": (["--class", "0", "--space", "v"], ("'v'", "z, w, w+, gaussian, noise")),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_class_or_space_is_one_sentence(what, case, pickle, run, tmp_path):
    options, words = WRONG[what]
    assert_one_sentence(*run(*fit_words(case, tmp_path / "out", "--texture", pickle, *options)), *words)
    assert not (tmp_path / "out").exists()


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(4):
        Image.fromarray((torch.rand(20 + k, 24, 3) * 255).byte().numpy()).save(folder / f"{k}.png")
    return folder


SMALL_RUN = ["--size", 16, "--batch", 4, "--channel-base", 64, "--channel-max", 8, "--latent-dim", 4]


def test_training_leaves_a_generator_to_wear(run, case, images, tmp_path):
    out = tmp_path / "run"
    code, printed, err = run("train", images, *SMALL_RUN, "--images", 8, "--out", out)
    assert code == 0, err
    assert "8 images in" in printed
    assert "4/8 images" in err
    assert "scores are of images of 32 pixels or more" in err
    assert json.loads((out / "metrics.json").read_text())["images"] == 8
    worn = ["--texture", out / "generator.safetensors", "--size", 32, "--out", tmp_path / "worn.png"]
    assert run("render", case["mesh"], *worn)[0] == 0
    code, printed, _ = run("train", images, *SMALL_RUN, "--images", 12, "--out", out, "--resume", "--json")
    assert code == 0
    assert json.loads(printed)["images"] == 12


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], ("nowhere",)),
        (["materials", "--maps", "albedo"], ("maps are some of", "albedo")),
        (["materials", "--size", 48], ("power of two",)),
        (["materials", "--loss", "l2"], ("no loss 'l2'",)),
        (["materials", "--batch", 6, "--accumulate", 4], ("batch of 6", "multiple of 4")),
        (["materials", "--resume"], ("checkpoint.safetensors", "nothing to resume")),
        (["materials", "--begin", "nowhere"], ("nowhere",)),
        (["--through-renders", "nowhere", "--mesh", "sphere"], ("nowhere",)),
        (["materials", "--device", "cuda:7"], ("CUDA",)),
    ],
)
def test_a_training_that_cannot_be_is_one_sentence(run, tmp_path, words, said):
    out = tmp_path / "run"
    code, printed, err = run("train", *words, "--out", out, "--images", 8)
    assert_one_sentence(code, printed, err, *said)
    assert not out.exists()


def test_broken_images_are_named_and_skipped(run, images, tmp_path):
    cut(images / "2.png")
    (images / "broken.jpg").write_bytes(b"no image")
    code, _, err = run("train", images, *SMALL_RUN, "--images", 4, "--out", tmp_path / "run")
    assert code == 0
    assert "broken.jpg" in err


def test_warm_up_compiles_all_kernels(run, monkeypatch):
    compiled = []
    monkeypatch.setattr(warm_up, "warm_up", lambda: compiled.append(True))
    code, out, err = run("warm-up")
    assert code == 0
    assert compiled == [True]
    assert "compiling kernels" in out + err
