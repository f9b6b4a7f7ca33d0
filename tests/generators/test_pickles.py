"""Networks and state dicts out of pickles: what the originals wrote comes back, and none of their code runs.

The pickles here are made by Python's own pickler from modules that describe themselves as NVIDIA's persistent classes
do: the same calls, with the same arguments.
"""

import pickle
import sys
import types
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

import neurotex as nt
from neurotex.generators.pickles import describe, read_pickle
from neurotex.generators.torch_files import is_torch_file, read_state_dict

KEYWORDS = {"z_dim": 8, "c_dim": 0, "w_dim": 4, "img_resolution": 16, "img_channels": 3}
SYNTHESIS = {"conv_clamp": None, "output_scale": 0.25, "resample_filter": [1, 3, 3, 1], "use_noise": True}


@dataclass
class Original:
    """What stands in for the original's Python packages while a pickle is written."""

    reconstruct: object
    easy_dict: type
    source: str


@pytest.fixture
def original(monkeypatch, tmp_path):
    """Modules by the names that the pickler must find; `source` would leave a file behind if somebody executed it."""

    def reconstruct(meta):
        raise AssertionError("nobody calls this")

    reconstruct.__module__, reconstruct.__qualname__ = "torch_utils.persistence", "_reconstruct_persistent_obj"
    easy_dict = type("EasyDict", (dict,), {"__module__": "dnnlib.util"})
    contents = {
        "torch_utils": {},
        "torch_utils.persistence": {"_reconstruct_persistent_obj": reconstruct},
        "dnnlib": {},
        "dnnlib.util": {"EasyDict": easy_dict},
    }
    for name, members in contents.items():
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)
    yield Original(reconstruct, easy_dict, f"open({str(tmp_path / 'executed')!r}, 'w')\n" + "#" * 10_000)
    assert not (tmp_path / "executed").exists()


class Persistent(nn.Module):
    """A module that is pickled as a call with its class's name, source text and attributes."""

    def __init__(self, original, class_name, **keywords):
        super().__init__()
        object.__setattr__(self, "_describe", (original, class_name))
        self._init_args, self._init_kwargs = (), original.easy_dict(keywords)

    def __reduce__(self):
        original, class_name = self._describe
        state = {name: value for name, value in vars(self).items() if name != "_describe"}
        meta = {"type": "class", "version": 6, "module_src": original.source, "class_name": class_name, "state": state}
        return original.reconstruct, (meta,), None


def layer(original, inputs, outputs):
    """A layer of the originals: besides tensors it keeps numbers of NumPy's, arrays, and a bias that is None."""
    module = Persistent(original, "SynthesisLayer", in_channels=inputs, out_channels=outputs)
    module.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
    module.register_parameter("bias", None)
    module.register_buffer("noise_const", torch.randn(4, 4))
    module.register_buffer("scratch", torch.zeros(2), persistent=False)
    module.weight_gain = 1 / np.sqrt(inputs * 9)
    module.in_size = np.array([4, 4])
    return module


def generator(original, first="b4", dtype=torch.float32):
    mapping_kwargs = original.easy_dict(num_layers=2)
    network = Persistent(original, "Generator", **KEYWORDS, mapping_kwargs=mapping_kwargs, **SYNTHESIS)
    vars(network).update(KEYWORDS, num_ws=2)
    network.synthesis = Persistent(original, "SynthesisNetwork")
    block = Persistent(original, "SynthesisBlock")
    block.conv1 = layer(original, 2, 3)
    network.synthesis.add_module(first, block)
    network.synthesis.layers = nn.ModuleList([nn.Linear(2, 3)])
    network.mapping = Persistent(original, "MappingNetwork", lr_multiplier=np.float64(0.01))
    network.mapping.register_buffer("w_avg", torch.randn(4).to(dtype))
    return network.requires_grad_(False)


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_networks_come_back(original, tmp_path, protocol):
    networks = {"G": generator(original), "D": Persistent(original, "Discriminator"), "G_ema": generator(original)}
    path = tmp_path / "network.pkl"
    path.write_bytes(
        pickle.dumps({"training_set_kwargs": {"path": "x.zip"}, **networks, "augment_pipe": None}, protocol)
    )
    found = read_pickle(path)
    assert list(found) == ["G", "D", "G_ema"]
    for name in ("G", "G_ema"):
        state = networks[name].state_dict()
        assert list(found[name].state) == list(state)
        assert all(torch.equal(found[name].state[key], value) for key, value in state.items())
    module = found["G_ema"]
    assert module.class_name == "Generator"
    assert module.init_args == ()
    assert module.init_kwargs == {**KEYWORDS, "mapping_kwargs": {"num_layers": 2}, **SYNTHESIS}
    assert found["D"].state == {}


def test_what_there_is_to_tell(original, tmp_path):
    network = generator(original)
    (tmp_path / "network.pkl").write_bytes(pickle.dumps(network))
    (module,) = read_pickle(tmp_path / "network.pkl").values()
    assert describe(module) == {
        "class": "Generator",
        "architecture": "StyleGAN2",
        "resolution": 16,
        "z_dim": 8,
        "w_dim": 4,
        "c_dim": 0,
        "num_ws": 2,
        "channels": 3,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
    }


def test_stylegan3_is_told_by_its_input(original, tmp_path):
    network = generator(original, first="input")
    network.synthesis.input.register_buffer("freqs", torch.randn(4, 2))
    (tmp_path / "network.pkl").write_bytes(pickle.dumps({"G_ema": network}))
    assert read_pickle(tmp_path / "network.pkl")["G_ema"].architecture == "StyleGAN3"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.bool])
def test_types_of_numbers(original, tmp_path, dtype):
    network = generator(original, dtype=dtype)
    (tmp_path / "network.pkl").write_bytes(pickle.dumps({"G": network}))
    assert torch.equal(read_pickle(tmp_path / "network.pkl")["G"].state["mapping.w_avg"], network.mapping.w_avg)


def test_tensors_are_views_where_they_were(original, tmp_path):
    numbers = torch.randn(4, 6)
    network = Persistent(original, "Generator")
    views = {"all": numbers, "turned": numbers.T, "part": numbers[1:3, ::2], "one": numbers[2, 3], "none": numbers[:0]}
    for name, view in views.items():
        network.register_buffer(name, view)
    (tmp_path / "network.pkl").write_bytes(pickle.dumps({"G": network}))
    state = read_pickle(tmp_path / "network.pkl")["G"].state
    assert all(torch.equal(state[name], view) for name, view in views.items())
    state["all"].zero_()  # the memory is the caller's, not the file's
    assert torch.equal(read_pickle(tmp_path / "network.pkl")["G"].state["all"], numbers)


STATE = {
    "g_ema": {"style.1.weight": torch.randn(3, 4), "half": torch.randn(5, 2).half().T, "empty": torch.zeros(0, 2)},
    "latent_avg": torch.randn(4),
    "optimizer": {"state": {0: {"exp_avg": torch.ones(2), "step": 3}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
    "best": np.float64(1.5),
}


@pytest.mark.parametrize("zipped", [True, False])
def test_state_dicts_of_torch(tmp_path, zipped):
    path = tmp_path / "weights.pt"
    torch.save(STATE, path, _use_new_zipfile_serialization=zipped)
    assert is_torch_file(path)
    state = read_state_dict(path)
    expected = {f"g_ema.{name}": value for name, value in STATE["g_ema"].items()}
    expected |= {"latent_avg": STATE["latent_avg"], "optimizer.state.0.exp_avg": torch.ones(2)}
    assert list(state) == list(expected)
    for name, value in expected.items():
        assert state[name].dtype == value.dtype
        assert torch.equal(state[name], value)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_modules_state_dict(tmp_path, zipped):
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    torch.save(module.state_dict(), tmp_path / "weights.pth", _use_new_zipfile_serialization=zipped)
    module.load_state_dict(read_state_dict(tmp_path / "weights.pth"))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_whole_module_is_refused(tmp_path, zipped):
    torch.save(nn.Linear(2, 3), tmp_path / "module.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(nt.FileError, match=r"module.pt names 'torch.nn.modules.linear.Linear'.*generator.state_dict"):
        read_state_dict(tmp_path / "module.pt")


def test_which_files_are_torchs(original, tmp_path):
    (tmp_path / "network.pkl").write_bytes(pickle.dumps({"G": generator(original)}))
    assert not is_torch_file(tmp_path / "network.pkl")
    with pytest.raises(nt.FileError, match=r"none\.pt cannot be opened"):
        is_torch_file(tmp_path / "none.pt")
