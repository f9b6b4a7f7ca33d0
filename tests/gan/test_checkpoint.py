"""Nested states on disk."""

import pytest
import torch

from neurotex.errors import FileError
from neurotex.gan.checkpoint import load_state, save_state


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
