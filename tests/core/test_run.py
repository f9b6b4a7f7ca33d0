"""A folder of results: claimed, kept, resumed, overwritten."""

import pytest
import torch

from neurotex.core.run import Run
from neurotex.errors import ArgumentError, FileError

FILES = ("result.txt", "pictures/*.png")
OPTIONS = {"size": 8, "through": ("a", "b"), "images": 100}


def test_a_run_goes_on_from_what_it_saved(tmp_path):
    Run(tmp_path, FILES, OPTIONS).save({"x": torch.arange(3), "stage": 2})
    again = Run(tmp_path, FILES, OPTIONS, resume=True)
    assert again.state["stage"] == 2
    assert again.state["x"].tolist() == [0, 1, 2]


def test_other_options_are_named_unless_they_are_free_to_change(tmp_path):
    Run(tmp_path, FILES, OPTIONS).save({})
    with pytest.raises(ArgumentError, match="another size, new: repeat"):
        Run(tmp_path, FILES, {**OPTIONS, "size": 9, "new": None}, resume=True)
    assert Run(tmp_path, FILES, {**OPTIONS, "images": 200}, resume=True, free=["images"]).state == {}


def test_results_are_refused_or_replaced_and_nothing_else_is_touched(tmp_path):
    (tmp_path / "pictures").mkdir()
    for name in ("result.txt", "pictures/1.png", "pictures/notes.txt"):
        (tmp_path / name).write_text("old")
    with pytest.raises(ArgumentError, match=r"already holds result\.txt"):
        Run(tmp_path, FILES, OPTIONS)
    run = Run(tmp_path, FILES, OPTIONS, overwrite=True)
    assert (tmp_path / "result.txt").exists()  # until it is clear that the run can begin
    with run.folder("pictures"):
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["notes.txt"]


def test_a_process_that_does_not_write_leaves_the_folder_alone(tmp_path):
    (tmp_path / "result.txt").write_text("of the process that does")
    with Run(tmp_path, FILES, OPTIONS, writes=False).folder("pictures"):
        assert not (tmp_path / "pictures").exists()


def test_resuming_what_is_to_be_overwritten_or_is_not_there_is_refused(tmp_path):
    with pytest.raises(ArgumentError, match="either resumed or overwritten"):
        Run(tmp_path, FILES, OPTIONS, resume=True, overwrite=True)
    with pytest.raises(FileError, match="nothing to resume"):
        Run(tmp_path, FILES, OPTIONS, resume=True)


def test_a_checkpoint_is_due_after_a_while_and_not_just_after_one(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    run = Run(tmp_path, FILES, OPTIONS)
    clock[0] = 11.0
    assert run.due(10.0)
    run.save({})
    assert not run.due(10.0)
