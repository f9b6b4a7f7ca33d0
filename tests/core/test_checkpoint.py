"""Nested states on disk."""

import pytest
import torch

from neurotex.core.checkpoint import load_state, save_state
from neurotex.errors import FileError


def test_an_optimiser_comes_back_as_it_was(tmp_path):
    weight = torch.nn.Parameter(torch.randn(3))
    optimizer = torch.optim.Adam([weight], lr=0.1 + 0.2, betas=(0.1, 0.9))
    weight.square().sum().backward()
    optimizer.step()
    state = {"optimizers": [optimizer.state_dict()], "count": 3, "name": "x", "none": None, "flag": True}
    save_state(tmp_path / "state.safetensors", state, {"size": 8})
    found, about = load_state(tmp_path / "state.safetensors")
    assert about == {"size": 8}
    assert found["count"] == 3
    assert found["none"] is None
    assert found["flag"] is True
    again = torch.optim.Adam([weight], lr=1.0)
    again.load_state_dict(found["optimizers"][0])
    assert again.param_groups[0]["lr"] == 0.1 + 0.2
    assert torch.equal(again.state[weight]["exp_avg_sq"], optimizer.state[weight]["exp_avg_sq"])
    assert torch.equal(again.state[weight]["step"], optimizer.state[weight]["step"])


def test_a_cut_off_file_and_none_at_all_are_refused(tmp_path):
    file = tmp_path / "state.safetensors"
    with pytest.raises(FileError, match="nothing to resume"):
        load_state(file)
    save_state(file, {"a": torch.zeros(4)}, {})
    file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(FileError, match="not a whole checkpoint"):
        load_state(file)
    assert [path.name for path in tmp_path.iterdir()] == ["state.safetensors"]


WHOLE = {"stage": 1, "x": torch.arange(600.0).view(20, 30), "past": torch.tensor([0.5, 0.25], dtype=torch.float64)}


def test_what_was_saved_is_loaded(tmp_path):
    options = {"mesh": "a.obj", "through": ["palette:4"], "huber": None}
    save_state(tmp_path / "checkpoint.safetensors", WHOLE, options)
    found, about = load_state(tmp_path / "checkpoint.safetensors")
    assert about == options
    assert found.keys() == WHOLE.keys()
    assert found["stage"] == 1
    for name in ("x", "past"):
        assert found[name].dtype == WHOLE[name].dtype
        assert torch.equal(found[name], WHOLE[name])
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


@pytest.mark.parametrize("kept", [0, 1, 8, 40, 0.5, 0.99])
def test_a_file_cut_off_anywhere_is_refused(kept, tmp_path):
    file = tmp_path / "checkpoint.safetensors"
    save_state(file, WHOLE, {})
    content = file.read_bytes()
    file.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(FileError, match="not a whole checkpoint"):
        load_state(file)


def test_tensors_of_something_else_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(FileError, match="not a whole checkpoint"):
        load_state(tmp_path / "other.safetensors")


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(FileError, match="run without --resume first"):
        load_state(tmp_path / "checkpoint.safetensors")
