import json

import pytest
import torch
from safetensors.torch import load_file

from neurotex import FileError, storage


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
    (tmp_path / "below").mkdir()
    left = [tmp_path / ".checkpoint.123.safetensors", tmp_path / "below" / ".0001.4.png"]
    kept = [tmp_path / name for name in (".hidden", ".gitignore", ".a.png", "checkpoint.123.safetensors", "a.1.png")]
    for path in [*left, *kept]:
        path.touch()
    storage.sweep(tmp_path)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)


def test_tensors_come_back(tmp_path):
    tensors = {"a": torch.rand(3, 2), "b.c": torch.arange(4)}
    storage.write_tensors(tmp_path / "t.safetensors", tensors, {"note": "x"})
    loaded = load_file(tmp_path / "t.safetensors")
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[key], value) for key, value in tensors.items())
