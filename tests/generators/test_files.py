"""Generators to files and back, whoever wrote them, and files that are not what they should be."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import neurotex as nt
from neurotex.generators import MaterialGenerator, StyleGAN2, StyleGAN3, bundled, info, load, save
from tests.generators import originals, pickled

TINY = {"size": 16, "latent_dim": 4, "style_dim": 6, "widths": (4, 3), "substances": 3}
SMALL = {"img_resolution": 8, "z_dim": 6, "w_dim": 8, "channel_base": 64, "channel_max": 8, "conv_clamp": 256}
SMALL |= {"mapping_kwargs": {"num_layers": 2}}


def second(**options) -> StyleGAN2:
    return StyleGAN2(**{**SMALL, **options}).eval()


def third(**options) -> StyleGAN3:
    return StyleGAN3(**{**SMALL, "num_layers": 3, **options}).eval()


def same(a: nn.Module, b: nn.Module) -> bool:
    z = torch.randn(2, *a.latent_shape)
    label = torch.eye(b.mapping.c_dim)[:2] if getattr(b.mapping, "c_dim", 0) else None
    return torch.equal(*((generator(z) if label is None else generator(z, label)) for generator in (a, b)))


NETWORKS = {
    "MaterialGenerator": lambda: MaterialGenerator(**TINY).eval(),
    "skip": second,
    "resnet": lambda: second(architecture="resnet", c_dim=3),
    "orig, no noise": lambda: second(architecture="orig", use_noise=False, img_channels=9),
    "tileable": lambda: second(tileable=True, noise="none"),
    "T": lambda: third(c_dim=2),
    "R": lambda: third(conv_kernel=1, use_radial_filters=True),
}
STRANGERS = [name for name in NETWORKS if name not in ("MaterialGenerator", "tileable")]


@pytest.fixture
def path(tmp_path):
    save(MaterialGenerator(**TINY).eval(), tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


@pytest.mark.parametrize("name", NETWORKS)
def test_a_saved_generator_comes_back(name, tmp_path):
    generator = NETWORKS[name]()
    save(generator, tmp_path / "own.safetensors")
    loaded = load(str(tmp_path / "own.safetensors"))
    assert same(loaded, generator)
    assert loaded.config == generator.config
    assert not loaded.training


@pytest.mark.parametrize("name", STRANGERS)
def test_a_pickle_of_nvidias_is_loaded_converted_and_told_about(name, tmp_path):
    average = NETWORKS[name]()
    path = pickled.write(tmp_path / "network.pkl", {"D": nn.Linear(2, 3), "G_ema": average})
    loaded = load(path)
    assert same(loaded, average)
    save(loaded, tmp_path / "own.safetensors")
    assert same(load(tmp_path / "own.safetensors"), average)

    facts, own = info(path)["networks"], info(tmp_path / "own.safetensors")["networks"]
    (name,) = own
    config = own[name].pop("config")
    assert {**own[name], "class": "Generator"} == facts["G_ema"]
    assert [own[name][key] for key in ("resolution", "z_dim", "w_dim", "num_ws")] == [8, 6, 8, average.synthesis.num_ws]
    assert (own[name]["c_dim"], own[name]["channels"]) == (config["c_dim"], config["img_channels"])
    trained = [parameter for parameter in average.parameters() if parameter.requires_grad]
    assert own[name]["parameters"] == sum(parameter.numel() for parameter in trained)
    assert facts["D"] == {"class": "Discriminator", "architecture": "unknown", "parameters": 9}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_state_dict_with_nvidias_names_is_recognised(name, tmp_path):
    generator = NETWORKS[name]()
    path = tmp_path / "weights.bin"  # what it is, its content says
    save_file(generator.state_dict(), path)
    assert same(load(path), generator)


@pytest.mark.parametrize("zipped", [True, False])
def test_state_dicts_of_torch_and_what_precedes_their_names(zipped, tmp_path):
    average, last, path = second(), third(), tmp_path / "weights.bin"
    contents = {"nested": {"g": last.state_dict(), "g_ema": average.state_dict()}, "step": 3}
    torch.save(contents, path, _use_new_zipfile_serialization=zipped)
    assert same(load(path), average)
    assert same(load(path, "nested.g"), last)
    found = info(path)["networks"]
    assert {name: facts["num_ws"] for name, facts in found.items()} == {"nested.g": 5, "nested.g_ema": 4}


@pytest.mark.parametrize("path", originals.files("stylegan"))
def test_a_state_dict_alone_computes_what_the_original_does(path, tmp_path):
    _, state, data = originals.read(path)
    torch.save(state, tmp_path / "weights.pt")
    originals.check(load(tmp_path / "weights.pt"), data)


def test_tied_layers_are_saved_one_by_one(path):
    generator = second(z_dim=8)
    generator.mapping.fc1.weight = generator.mapping.fc0.weight
    save(generator, path)
    assert same(load(path), generator)


def test_loading_draws_nothing_at_random(path):
    before = torch.get_rng_state()
    load(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_half_precision_weights_are_widened(tmp_path):
    save(MaterialGenerator(**TINY).half(), tmp_path / "half.safetensors")
    assert {p.dtype for p in load(tmp_path / "half.safetensors").parameters()} == {torch.float32}


def test_the_bundled_generators_load_by_name():
    for name in bundled():
        generator = load(name)
        z = generator.sample_latents(1, torch.Generator().manual_seed(0))
        assert generator(z).shape[1] == generator.out_channels == 6
        (facts,) = info(name)["networks"].values()
        assert facts["z_dim"] == z.shape[1]


def test_an_unknown_name_is_refused(tmp_path):
    with pytest.raises(nt.ArgumentError, match="no generator 'nonsense'"):
        load("nonsense")
    with pytest.raises(nt.ArgumentError, match="no generator"):
        load(tmp_path)


def test_a_network_that_is_not_there_is_refused(tmp_path):
    first = second(img_resolution=4)
    path = pickled.write(tmp_path / "network.pkl", {"A": first, "B": first, "D": nn.Linear(2, 3)})
    assert same(load(path, "A"), first)
    with pytest.raises(nt.FileError, match=r"network\.pkl holds several generators: .* 'A' or 'B'"):
        load(path)
    with pytest.raises(nt.FileError, match=r"network\.pkl has no network 'G_ema': choose 'A' or 'B'"):
        load(path, "G_ema")
    with pytest.raises(nt.FileError, match="D is no generator that neurotex knows: choose 'A' or 'B'"):
        load(path, "D")
    pickled.write(path, {"D": nn.Linear(2, 3)})
    with pytest.raises(nt.FileError, match=r"network.pkl holds D, no generator .* neurotex.generators.wrap"):
        load(path)


def test_without_an_average_the_last_weights_are_loaded(tmp_path):
    last, other = second(img_resolution=4), second(img_resolution=4)
    assert same(load(pickled.write(tmp_path / "network.pkl", {"other": other, "G": last})), last)


def test_a_pickle_whose_arguments_do_not_fit_is_refused(tmp_path):
    generator = second(img_resolution=4)
    path = pickled.write(tmp_path / "network.pkl", {"G": generator}, img_channels=4)
    with pytest.raises(nt.FileError, match=r"network.pkl: G is no StyleGAN2 .*torgb.bias is \(3,\).*wrap\(\)"):
        load(path)
    pickled.write(path, {"G": generator}, activation="swish")
    with pytest.raises(nt.FileError, match="no activation 'swish'"):
        load(path)
    pickled.write(path, {"G": generator}, z_dim=1 << 40)
    with pytest.raises(nt.FileError, match="more numbers than it has"):
        load(path)


def test_the_state_of_something_else_is_listed_and_not_loaded(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"g_ema": nn.Linear(2, 3).state_dict()}, path)
    assert info(path)["tensors"] == {"g_ema.weight": [3, 2], "g_ema.bias": [3]}
    assert info(path)["networks"] == {}
    with pytest.raises(nt.FileError, match=r"weights.pt .*g_ema.weight \(3, 2\).*no generator.*wrap\(module, latent"):
        load(path)


def _write(path, metadata: dict[str, str] | None, name: str = "a") -> None:
    save_file({name: torch.ones(1)}, path, metadata)


def _material(**config) -> dict[str, str]:
    return {"architecture": "MaterialGenerator", "config": json.dumps({**TINY, **config})}


BAD = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "is empty": lambda path: path.write_bytes(b""),
    "cannot be read: it is neither safetensors": lambda path: path.write_bytes(b"P6 16 16 255 a picture"),
    "get it again": lambda path: path.write_bytes(b"PK\x03\x04 this is a pickle in a zip"),
    "ends too early": lambda path: path.write_bytes(b"\x80\x04\x95"),
    "no generator that neurotex knows": lambda path: _write(path, None),
    "cannot be printed": lambda path: _write(path, None, "\x1b[31m"),
    "holds architecture 'Other'": lambda path: _write(path, {"architecture": "Other"}),
    "its own description": lambda path: _write(path, {"architecture": "MaterialGenerator"}),
    "does not fit its own": lambda path: _write(path, {"architecture": "MaterialGenerator", "config": "{"}),
    "does not fit its": lambda path: _write(path, {"architecture": "MaterialGenerator", "config": '{"depth": 3}'}),
    "does not fit": lambda path: _write(path, {"architecture": "MaterialGenerator", "config": json.dumps(TINY)}),
    "not fit its own": lambda path: _write(path, {"architecture": "MaterialGenerator", "config": "[1]"}),
    "size is 1048576, above 8192": lambda path: save_file(load(path).state_dict(), path, _material(size=1 << 20)),
    "more numbers than it has": lambda path: save_file(load(path).state_dict(), path, _material(style_dim=1 << 40)),
    "too few for 5000 layers": lambda path: save_file(load(path).state_dict(), path, _material(widths=[1] * 5000)),
}


@pytest.mark.parametrize("message", BAD)
@pytest.mark.parametrize("read", [load, info])
def test_a_bad_file_is_refused_by_name(path, message, read):
    BAD[message](path)
    if read is info and message == "no generator that neurotex knows":
        assert info(path)["tensors"] == {"a": [1]}
        return
    with pytest.raises(nt.FileError, match=f"tiny.safetensors.*{message}") as caught:
        read(path)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_only_what_can_be_rebuilt_is_saved(tmp_path):
    with pytest.raises(nt.ArgumentError, match="Linear cannot be rebuilt"):
        save(torch.nn.Linear(2, 2), tmp_path / "linear.safetensors")
    assert list(tmp_path.iterdir()) == []
