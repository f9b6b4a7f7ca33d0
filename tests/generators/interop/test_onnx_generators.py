"""Generators through torch's own exporters and back; their gradients are those of the modules that they were."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

import neurotex as nt
from neurotex.generators.interop import from_onnx
from tests.generators.interop.compare import relative
from tests.generators.interop.models import Model


class Convolutional(nn.Sequential):
    """z (N, 6) → (N, 3, 16, 16), with what such generators are made of."""

    def __init__(self) -> None:
        super().__init__(
            nn.Linear(6, 16 * 4 * 4),
            nn.Unflatten(1, (16, 4, 4)),
            nn.ConvTranspose2d(16, 12, 4, 2, 1, bias=False),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(12, 8, 3, bias=False),  # the next layer takes the mean away
            nn.InstanceNorm2d(8, affine=True),
            nn.LeakyReLU(0.2),
            nn.PixelShuffle(2),
            nn.Upsample(scale_factor=0.5, mode="bilinear"),
            nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"),
            nn.GroupNorm(2, 4),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(4, 3, 1),
            nn.Tanh(),
        )
        for part in self:
            if getattr(part, "bias", None) is not None:
                nn.init.normal_(part.bias)  # exporters keep one of several tensors of the same numbers
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A module, the file that torch's older exporter makes of it, and that with `dynamo` where onnxscript is there."""
    pytest.importorskip("onnx", reason="onnx is not installed", exc_type=ImportError)

    def export(name: str, module: nn.Module, z: torch.Tensor, dynamo: bool) -> Path:
        path = tmp_path_factory.mktemp("exported") / f"{name}.onnx"
        if dynamo:
            pytest.importorskip("onnxscript", reason="onnxscript is not installed", exc_type=ImportError)
            shapes = ({0: torch.export.Dim("n")},)
            torch.onnx.export(module, (z,), path, dynamo=True, dynamic_shapes=shapes, verbose=False)
        else:
            axes = {"z": {0: "n"}} if len(z) > 1 else None
            torch.onnx.export(
                module, (z,), path, dynamo=False, input_names=["z"], dynamic_axes=axes, do_constant_folding=False
            )
        return path

    return export


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dynamo", [False, True], ids=["older", "dynamo"])
def test_gradients_to_latents_and_weights_are_the_module_s(exported, dynamo):
    module = Convolutional().eval()
    generator = from_onnx(exported("convolutional", module, torch.randn(2, 6), dynamo))
    assert generator.latent_shape == (6,)
    z, probe = torch.randn(3, 6, requires_grad=True), torch.randn(3, 3, 16, 16)
    expected = torch.autograd.grad((module(z) * probe).sum(), [z, *module.parameters()])
    assert relative(generator(z), module(z)) <= 1e-6
    ((generator(z) + generator(z)) * probe / 2).sum().backward()  # twice in one graph
    assert relative(z.grad, expected[0]) <= 1e-5
    theirs = dict(zip(dict(module.named_parameters()), expected[1:], strict=True))
    ours = {name.removeprefix("weights."): value.grad for name, value in generator.named_parameters()}
    # the newer exporter merges a batch normalisation into the convolution before it
    assert {"0.weight", "0.bias", "6.weight", "14.bias"} <= theirs.keys() & ours.keys()
    for name in theirs.keys() & ours.keys() - {"2.weight"}:
        assert relative(ours[name], theirs[name]) <= 1e-5, name
    if not dynamo:
        assert relative(ours["2.weight"], theirs["2.weight"]) <= 1e-5
        assert {"weights.3.running_mean", "weights.3.running_var"} <= dict(generator.named_buffers()).keys()


@pytest.mark.filterwarnings("ignore")
def test_a_style_based_generator_survives_and_torch_func_sees_through_it(exported):
    module = nt.generators.MaterialGenerator(16, 3, 4, 8, (4, 4)).eval()
    generator, z = from_onnx(exported("tile", module, torch.randn(1, 4), False)), torch.randn(3, 4)
    torch.testing.assert_close(generator(z), module(z), atol=1e-5, rtol=1e-4)
    grads = [torch.func.grad(lambda z, m=m: m(z).square().sum())(z) for m in (generator, module)]
    assert relative(*grads) <= 1e-5
    each = torch.func.vmap(torch.func.grad(lambda z: generator(z[None]).square().sum()))(z)
    assert relative(each, grads[1]) <= 1e-5
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert generator(torch.empty(5, 4)).shape == (5, 3, 16, 16)


@pytest.fixture
def dense(onnx: Any, tmp_path: Path) -> Any:
    """z (batch, 4) → (batch, 3, 2, 2): two layers."""

    def make(batch: Any) -> Model:
        model, rng = Model(onnx, (batch, 4)), np.random.default_rng(0)
        first, second = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 4), (5, 12)))
        bias = model.tensor(rng.normal(size=5).astype(np.float32), "net/hidden.bias")
        hidden = model.add("Gemm", ["z", model.tensor(first, "net/hidden.w"), bias], transB=1, beta=0.5, alpha=2.0)
        slope = model.add("Constant", [], value_float=0.5)
        out = model.add("MatMul", [model.add("Mul", [model.add("Tanh", [hidden]), slope]), model.tensor(second, "out")])
        model.add("Reshape", [out, model.tensor(np.array([-1, 3, 2, 2]))])
        return model

    return make


def test_weights_have_the_file_s_names_and_every_derivative(dense, tmp_path):
    model = dense("n")
    generator, z = from_onnx(model.write(tmp_path)), torch.randn(3, 4)
    assert relative(generator(z), model.runtime(z.numpy())) <= 1e-6
    names = ["weights.net.hidden.bias", "weights.net.hidden.w", "weights.out"]
    assert sorted(generator.state_dict()) == sorted(names)
    generator.double()
    z = z[:1].double().requires_grad_()
    assert torch.autograd.gradcheck(generator, (z,))
    assert torch.autograd.gradgradcheck(generator, (z,))


def test_a_file_for_one_latent_takes_several(dense, tmp_path):
    generator, z = from_onnx(dense(1).write(tmp_path)), torch.randn(3, 4)
    torch.testing.assert_close(generator(z)[1:2], generator(z[1:2]))
    with pytest.raises(nt.ArgumentError, match=r"exported for 2 latents at once: give it a multiple"):
        from_onnx(dense(2).write(tmp_path))(z)


def test_channels_may_come_last(dense, tmp_path):
    path, z = dense("n").write(tmp_path), torch.randn(2, 4)
    plain, moved = from_onnx(path), from_onnx(path, channels_last=True)
    assert torch.equal(moved(z), plain(z).movedim(-1, 1))


def test_what_is_no_texture_is_refused(onnx, tmp_path):
    model = Model(onnx, ("n", 4))
    model.add("Relu", ["z"])
    with pytest.raises(nt.ArgumentError, match=r"generator\.onnx must give \(N, C, H, W\).*it gives \(2, 4\)"):
        from_onnx(model.write(tmp_path))(torch.randn(2, 4))


def test_it_is_a_generator_of_a_scene(dense, tmp_path, scene):
    generator = from_onnx(dense("n").write(tmp_path))
    latent = nt.Latent(generator).sample(seed=0)
    scene.meshes()[0].material = nt.Material(nt.GeneratedTexture(generator, latent))
    nt.render(scene, size=16).square().sum().backward()
    assert float(latent.value.grad.norm()) > 0
    assert all(float(weight.grad.norm()) > 0 for weight in generator.parameters())
