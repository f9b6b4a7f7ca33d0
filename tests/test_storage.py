import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from neurotex import ArgumentError, FileError
from neurotex.core import storage


def test_a_file_appears_whole(tmp_path):
    path = tmp_path / "out.json"
    storage.write_json(path, {"a": [1, 2]})
    storage.write_json(path, {"a": 3})
    assert json.loads(path.read_text()) == {"a": 3}
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "out.json"
    storage.write_json(path, 1)

    def fail() -> None:
        with storage.replacing(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert json.loads(path.read_text()) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_keeps_the_ending_and_the_folder(tmp_path):
    with storage.replacing(tmp_path / "scene.glb") as temporary:
        assert temporary.suffix == ".glb"
        assert temporary.parent == tmp_path
        temporary.touch()


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match=r"nowhere/out\.json cannot be written"):
        storage.write_json(tmp_path / "nowhere" / "out.json", 1)
    with pytest.raises(FileError, match="nowhere"):
        storage.write_tensors(tmp_path / "nowhere" / "out.safetensors", {"a": torch.ones(1)})
    with pytest.raises(FileError, match="choose another"):
        storage.make_folder(tmp_path / "file" / "below")


def test_folders_are_made_with_their_parents(tmp_path):
    folder = storage.make_folder(str(tmp_path / "a" / "b"))
    assert folder.is_dir()
    assert list(folder.iterdir()) == []
    assert storage.make_folder(folder) == folder


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path):
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    pid = int(gone.stdout)
    left = [tmp_path / f".neurotex-{pid}-0123abcd.tmp{kind}" for kind in (".png", ".safetensors", "")]
    left.append(tmp_path / f".neurotex-{os.getpid()}-0123abcd.tmp.png")  # a namesake's, in another container
    users = (".hidden", ".a.png", ".notes.2024.txt", ".checkpoint.123.safetensors", ".neurotex-notes.tmp", "a.1.png")
    kept = [tmp_path / name for name in users]
    kept.append(tmp_path / f".neurotex-{os.getppid()}-0123abcd.tmp.png")  # still at work
    kept.append(tmp_path / "sub" / left[0].name)  # nothing of ours is written there
    kept.append(tmp_path / f".neurotex-{pid}-0123abce.tmp" / "cache")
    for path in [*left, *kept]:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    link = tmp_path / f".neurotex-{pid}-0123abcf.tmp"
    link.symlink_to(kept[0])
    (tmp_path / ".cache.1").mkdir()
    with storage.replacing(tmp_path / "new.txt") as temporary:
        temporary.touch()
        storage.sweep(tmp_path, tmp_path / "nowhere")
        assert temporary.exists()
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted([*kept, link, tmp_path / "new.txt"])
    assert (tmp_path / ".cache.1").is_dir()


def test_a_new_folder_is_gone_again_where_nothing_came_into_it(tmp_path):
    def work(content: str) -> None:
        with storage.new_folder(tmp_path / "a" / "b", "textures") as folder:
            assert (folder / "textures").is_dir()
            if content:
                (folder / content).touch()
            raise RuntimeError

    for content in ("", "a.txt"):
        with pytest.raises(RuntimeError):
            work(content)
        assert (tmp_path / "a" / "b").is_dir() == bool(content)
    assert (tmp_path / "a" / "b" / "a.txt").is_file()
    assert not (tmp_path / "a" / "b" / "textures").exists()


def test_results_are_replaced_only_where_it_is_asked_for(tmp_path):
    for name in ("report.html", "mine.html", "sub.d/report.html", "sub.d/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = ("report.html", "sub.d/[0-9].png", "model.glb")
    with pytest.raises(ArgumentError, match=r"already holds report.html: .*--resume.*--overwrite"):
        storage.claim(tmp_path, names, overwrite=False)
    assert (tmp_path / "report.html").exists()
    storage.claim(tmp_path, names, overwrite=True)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"mine.html", "sub.d/report.html", "sub.d/x.png"}
    storage.claim(tmp_path, names, overwrite=False)
    storage.claim(tmp_path / "nowhere", names, overwrite=False)


WRITE = """
import sys, torch
from neurotex import generators
from neurotex.core import storage
from neurotex.generators import MaterialGenerator
torch.manual_seed(0)
storage.write_tensors(sys.argv[1] + "/a", {"ü": torch.ones(3), "i": torch.arange(5)}, {k: k for k in "zyxwvuäb"})
generators.save(MaterialGenerator(16, latent_dim=4, style_dim=4, widths=(4,), substances=2), sys.argv[1] + "/b")
"""


def test_the_same_tensors_are_the_same_bytes_in_every_process(tmp_path):
    found = set()
    for k in range(2):
        (tmp_path / str(k)).mkdir()
        subprocess.run([sys.executable, "-c", WRITE, tmp_path / str(k)], check=True)
        found.add(tuple((tmp_path / str(k) / name).read_bytes() for name in ("a", "b")))
    assert len(found) == 1
    tensors, metadata = storage.read_tensors(tmp_path / "0" / "a")
    assert torch.equal(tensors["i"], torch.arange(5))
    assert metadata == {k: k for k in "zyxwvuäb"}
    assert torch.equal(load_file(tmp_path / "0" / "a")["ü"], torch.ones(3))


def test_tensors_come_back(tmp_path):
    tensors = {"a": torch.rand(3, 2), "b.c": torch.arange(4)}
    storage.write_tensors(tmp_path / "t.safetensors", tensors, {"note": "x"})
    loaded = load_file(tmp_path / "t.safetensors")
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[key], value) for key, value in tensors.items())
