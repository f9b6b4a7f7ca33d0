"""Generators to files and back, and files that are not what they should be."""

import json

import pytest
import torch
from safetensors.torch import save_file

import neurotex as nt
from neurotex.generators import TileGenerator, bundled, load, save

TINY = {"size": 16, "latent_dim": 4, "style_dim": 6, "widths": (4, 3), "colours": 3}


@pytest.fixture
def path(tmp_path):
    save(TileGenerator(**TINY), tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def test_a_saved_generator_comes_back(tmp_path):
    generator = TileGenerator(**TINY)
    save(generator, tmp_path / "tiny.safetensors")
    loaded = load(str(tmp_path / "tiny.safetensors"))
    z = torch.randn(2, 4)
    assert torch.equal(loaded(z), generator(z))
    assert not loaded.training


def test_half_precision_weights_are_widened(tmp_path):
    save(TileGenerator(**TINY).half(), tmp_path / "half.safetensors")
    assert {p.dtype for p in load(tmp_path / "half.safetensors").parameters()} == {torch.float32}


def test_the_bundled_generators_load_by_name():
    for name in bundled():
        generator = load(name)
        z = generator.sample_latents(1, torch.Generator().manual_seed(0))
        assert generator(z).shape[1] == 3


def test_an_unknown_name_is_refused(tmp_path):
    with pytest.raises(nt.ArgumentError, match="no generator 'nonsense'"):
        load("nonsense")
    with pytest.raises(nt.ArgumentError, match="no generator"):
        load(tmp_path)


def _write(path, metadata: dict[str, str] | None) -> None:
    save_file({"a": torch.ones(1)}, path, metadata)


CONFIG = json.dumps({**TINY, "widths": [4, 3]})
BAD = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "cannot be read": lambda path: path.write_bytes(b""),
    "cannot be read as safetensors": lambda path: path.write_bytes(b"PK\x03\x04 this is a pickle in a zip"),
    "holds architecture 'unknown'": lambda path: _write(path, None),
    "holds architecture 'Other'": lambda path: _write(path, {"architecture": "Other"}),
    "its own description": lambda path: _write(path, {"architecture": "TileGenerator"}),
    "does not fit its own": lambda path: _write(path, {"architecture": "TileGenerator", "config": "{"}),
    "does not fit its": lambda path: _write(path, {"architecture": "TileGenerator", "config": '{"depth": 3}'}),
    "does not fit": lambda path: _write(path, {"architecture": "TileGenerator", "config": CONFIG}),
    "not fit its own": lambda path: _write(path, {"architecture": "TileGenerator", "config": "[1]"}),
}


@pytest.mark.parametrize("message", BAD)
def test_a_bad_file_is_refused_by_name(path, message):
    BAD[message](path)
    with pytest.raises(nt.FileError, match=f"tiny.safetensors.*{message}"):
        load(path)


def test_only_what_can_be_rebuilt_is_saved(tmp_path):
    with pytest.raises(nt.ArgumentError, match="Linear cannot be rebuilt"):
        save(torch.nn.Linear(2, 2), tmp_path / "linear.safetensors")
    assert list(tmp_path.iterdir()) == []
