"""A checkpoint comes back as it was, or is refused."""

from unittest.mock import Mock

import pytest
import torch

from neurotex.errors import ArgumentError, FileError, NeurotexError
from neurotex.fit import run
from neurotex.fit.checkpoint import Checkpoint
from tests.misfits import write_misfit

WHOLE = Checkpoint(
    {"mesh": "a.obj", "through": ["palette:4"], "huber": None},
    1,
    {"scene.x": torch.arange(600.0).view(20, 30), "history": torch.tensor([0.5, 0.25], dtype=torch.float64)},
)


def test_what_was_saved_is_loaded(tmp_path):
    WHOLE.save(tmp_path / "checkpoint.safetensors")
    loaded = Checkpoint.load(tmp_path / "checkpoint.safetensors")
    assert (loaded.options, loaded.stage) == (WHOLE.options, WHOLE.stage)
    assert loaded.state.keys() == WHOLE.state.keys()
    for name, value in WHOLE.state.items():
        assert loaded.state[name].dtype == value.dtype
        assert torch.equal(loaded.state[name], value)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


@pytest.mark.parametrize("kept", [0, 1, 8, 40, 0.5, 0.99])
def test_a_file_cut_off_anywhere_is_refused(kept, tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    WHOLE.save(file)
    content = file.read_bytes()
    file.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(FileError, match="not a whole checkpoint"):
        Checkpoint.load(file)


def test_tensors_of_something_else_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(FileError, match="not a whole checkpoint"):
        Checkpoint.load(tmp_path / "other.safetensors")


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(FileError, match="run without --resume first"):
        Checkpoint.load(tmp_path / "checkpoint.safetensors")


def test_checkpoints_of_other_keys_types_and_shapes_are_refused_in_one_sentence(fit, tmp_path, monkeypatch):
    """Or read, where what is another does not matter."""
    options = {"through": ("palette:3",), "imagined": 0, "steps": 4, "size": 16}
    fit(tmp_path / "out", **options)
    monkeypatch.setattr(run, "finish", enough := Mock(side_effect=ArgumentError("as far as this it was read.")))
    file, whole, refused = tmp_path / "out" / "checkpoint.safetensors", tmp_path / "whole", 0
    file.rename(whole)
    for number in range(40):
        write_misfit(whole, file, number)
        with pytest.raises(NeurotexError) as error:
            fit(tmp_path / "out", resume=True, **options)
        assert "\n" not in str(error.value)
        refused += isinstance(error.value, FileError)
    assert refused > 20
    assert enough.call_count < 20
