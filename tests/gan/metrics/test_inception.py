"""Inception: what torch-fidelity's module computes with the same weights, and its file."""

import math

import pytest
import torch

from neurotex.errors import ArgumentError, FileError
from neurotex.gan.metrics.inception import Inception, _blocks, resize_as_tensorflow


def filled() -> dict[str, torch.Tensor]:
    """Weights of a formula, by name in alphabetical order, the same on every machine."""
    with torch.device("meta"):
        net = torch.nn.ModuleDict({**_blocks(), "fc": torch.nn.Linear(2048, 1008)})
    state = {}
    for name, like in sorted(net.state_dict().items()):
        if "num_batches" in name:
            continue
        k = torch.arange(like.numel(), dtype=torch.float64)
        wave = torch.sin(k * 12.9898 + 0.1 * len(state)) * 43758.5453 % 2 - 1
        if like.ndim > 1:
            wave = wave * math.sqrt(6 / like[0].numel())
        else:
            wave = 1 + 0.3 * wave if name.endswith(("var", "bn.weight")) else 0.2 * wave
        state[name] = wave.float().view(like.shape)
    return state


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    path = tmp_path_factory.mktemp("inception") / "filled.pth"
    torch.save(filled(), path)
    network = Inception(path)
    path.unlink()  # a hundred megabytes
    return network


def picture() -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(40), torch.arange(52), indexing="ij")
    return torch.stack([(x * 7 + y * 3) % 256, (x * x + 5 * y) % 256, (y * y + x) % 256])[None] / 255


def test_features_and_logits_are_torch_fidelitys(inception, golden):
    expected = golden("gan_metrics/inception")
    inception.train()  # must not matter
    features = inception(picture())
    assert features.shape == (1, 2048)
    assert torch.allclose(features[0, :8], expected["features"], rtol=1e-4, atol=1e-4)
    logits = features @ inception.fc.weight.mT
    assert logits.shape == (1, 1008)
    assert torch.allclose(logits[0, :8], expected["logits"], rtol=1e-4, atol=1e-3)


def test_weights_are_frozen_and_maps_refuse_other_channels(inception):
    assert not any(p.requires_grad for p in inception.parameters())
    with pytest.raises(ArgumentError, match="three channels"):
        inception(torch.rand(1, 6, 32, 32))


def test_a_wrong_file_is_refused(tmp_path):
    torch.save({"fc.weight": torch.zeros(3, 3)}, tmp_path / "other.pth")
    with pytest.raises(FileError, match=r"other\.pth is not the Inception network"):
        Inception(tmp_path / "other.pth")
    with pytest.raises(FileError, match=r"missing\.pth"):
        Inception(tmp_path / "missing.pth")


def test_resizing_reads_from_the_corner_on():
    """Twice as large: even outputs are the inputs, odd ones lie halfway, the last repeats the border."""
    row = torch.tensor([0.0, 1.0, 4.0]).expand(1, 1, 3, 3)
    assert resize_as_tensorflow(row, 6)[0, 0, 0].tolist() == [0, 0.5, 1, 2.5, 4, 4]
    assert torch.equal(resize_as_tensorflow(row, 3), row)
