from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses import FakeTensorMode

import neurotex as nt
from neurotex.generators.interop import from_jax
from tests.generators.interop.compare import in_torch, relative


@pytest.fixture
def fn(jax: Any) -> Any:
    def generate(params: dict, z: Any) -> Any:
        hidden = jax.numpy.tanh(z @ params["mix"] + params["bias"])
        return jax.numpy.tanh(hidden @ params["out"]).reshape(-1, 3, 8, 8)

    return generate


def test_picture_and_gradients_are_jax_s_and_torch_s(jax, fn, weights):
    module = from_jax(fn, weights)
    z = torch.randn(2, 4, requires_grad=True)
    probe = torch.randn(2, 3, 8, 8)
    ((module(z) + module(2 * z)) * probe).sum().backward()

    def loss(params: dict, z: Any) -> Any:
        return ((fn(params, z) + fn(params, 2 * z)) * probe.numpy()).sum()

    theirs, latent = jax.grad(loss, (0, 1))(weights, z.detach().numpy())
    assert relative(z.grad, latent) <= 1e-5
    for name, expected in theirs.items():
        assert relative(module.weights.get_parameter(name).grad, expected) <= 1e-5
    ours = {name: torch.from_numpy(value) for name, value in weights.items()}
    assert relative(module(z).detach(), in_torch(ours, z).detach()) <= 1e-5


def test_a_tree_of_weights_becomes_named_parameters(jax):
    params = {
        "layers": [{"w": np.ones((2, 3), np.float32)}, {"w": np.ones((3, 3), np.float32)}],
        "gain": 0.5,
        "steps": np.array([4]),
        "activation": jax.numpy.tanh,
        "size": 1,
    }

    def generate(params: dict, z: Any) -> Any:
        for layer in params["layers"]:
            z = params["activation"](z @ layer["w"])
        return params["gain"] * z.reshape(-1, 3, params["size"], 1)

    module = from_jax(generate, params)
    assert {name: tuple(p.shape) for name, p in module.named_parameters()} == {
        "weights.gain": (),
        "weights.layers.0.w": (2, 3),
        "weights.layers.1.w": (3, 3),
    }
    assert [name for name, _ in module.named_buffers()] == ["weights.steps"]
    module(torch.rand(1, 2)).sum().backward()
    assert float(module.weights.gain.grad) > 0
    with torch.no_grad():
        module.weights.gain.zero_()
    assert not module(torch.rand(1, 2)).any()
    assert params["gain"] == 0.5
    assert params["layers"][0]["w"].all()


def test_params_may_be_one_array_or_none(jax):
    one = from_jax(lambda w, z: (w * z)[:, :, None, None], np.float32([1, 2, 3]))
    assert one(torch.ones(1, 3)).flatten().tolist() == [1, 2, 3]
    assert list(one.state_dict()) == ["weights.params"]
    none = from_jax(lambda _, z: z[:, None, None], None, channels_last=True)
    z = torch.rand(2, 3, requires_grad=True)
    none(z).sum().backward()
    assert z.grad.tolist() == [[1.0] * 3] * 2


def test_a_derivative_of_the_user_s_own_is_kept(jax):
    """Rounding, straight through."""
    round_through = jax.custom_vjp(lambda x: jax.numpy.round(x))
    round_through.defvjp(lambda x: (jax.numpy.round(x), None), lambda _, g: (3 * g,))
    module = from_jax(lambda _, z: round_through(z)[:, :, None, None], {})
    z = torch.tensor([[0.2, 1.7]], requires_grad=True)
    texture = module(z)
    texture.sum().backward()
    assert texture.flatten().tolist() == [0, 2]
    assert z.grad.tolist() == [[3, 3]]


def test_memory_is_shared_inwards_and_no_two_results_share_it(jax):
    """What JAX hands on unchanged would else be one tensor under two names: an optimiser's step on one moved both."""
    module = from_jax(lambda p, z: (z + p["a"] + p["b"])[:, :, None, None], {k: np.zeros((1, 64), "f") for k in "ab"})
    z = torch.randn(1, 64, requires_grad=True)
    assert jax.dlpack.from_dlpack(z.detach()).unsafe_buffer_pointer() == z.data_ptr()
    module(z).square().sum().backward()
    grads = [z.grad, module.weights.a.grad, module.weights.b.grad]
    before = grads[1].clone()
    grads[0].zero_()
    grads[2].zero_()
    assert torch.equal(grads[1], before)
    same = from_jax(lambda _, z: z, {})
    picture = torch.rand(1, 3, 8, 8)
    kept = picture.clone()
    same(picture).zero_()
    assert torch.equal(picture, kept)


def test_a_picture_changed_in_place_before_backward_is_noticed(fn, weights):
    z = torch.randn(2, 4, requires_grad=True)
    texture = from_jax(fn, weights)(z)
    with torch.no_grad():
        texture.detach().zero_()  # JAX keeps tanh's value for its derivative, in this memory
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        texture.sum().backward()


def test_views_and_broadcasts_of_latents_are_taken(fn, weights):
    module = from_jax(fn, weights)
    z = torch.randn(4, 2)
    assert torch.equal(module(z.T[:, :4]), module(z.T[:, :4].contiguous()))
    wide = torch.randn(1, 4).expand(3, 4)
    assert torch.equal(module(wide)[0], module(wide)[2])
    assert module(torch.randn(3, 5)[1:, 1:]).shape == (2, 3, 8, 8)


def test_a_shape_is_compiled_once(jax, fn, weights):
    traced = []

    def counting(params: dict, z: Any) -> Any:
        traced.append(z.shape)
        return fn(params, z)

    module = from_jax(counting, weights)
    for n in (1, 2, 1, 2, 1):
        module(torch.randn(n, 4, requires_grad=True)).sum().backward()
    assert len(traced) == 2


def test_doubles_are_refused_unless_jax_has_them(jax, fn, weights):
    module = from_jax(fn, weights).double()
    z = torch.randn(2, 4, dtype=torch.float64)
    with pytest.raises(nt.ArgumentError, match=r"round float64 to float32.*jax_enable_x64"):
        module(z)
    jax.config.update("jax_enable_x64", True)
    try:
        texture = module(z)
        assert texture.dtype == torch.float64
        assert torch.autograd.gradcheck(lambda z: module(z)[:, 0, 0, :2], z[:1].requires_grad_())
    finally:
        jax.config.update("jax_enable_x64", False)


def test_shapes_alone_give_a_shape(fn, weights):
    """Before anything is computed: `scene.check` and modules on the device "meta"."""
    module = from_jax(fn, weights)
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert module(torch.empty(5, 4)).shape == (5, 3, 8, 8)
    assert module.to("meta")(torch.empty(2, 4, device="meta")).shape == (2, 3, 8, 8)


def test_several_arrays_are_refused(jax):
    with pytest.raises(nt.ArgumentError, match="returns one array, but this one gives a tuple"):
        from_jax(lambda _, z: (z, z), {})(torch.rand(1, 4))


def test_it_is_a_generator_of_a_scene(fn, weights, scene):
    generator = nt.generators.wrap(from_jax(fn, weights), 4)
    latent = nt.Latent(generator).sample(seed=0)
    scene.meshes()[0].material = nt.Material(nt.GeneratedTexture(generator, latent))
    nt.render(scene, size=16).square().sum().backward()
    assert float(latent.value.grad.norm()) > 0
    assert all(float(weight.grad.norm()) > 0 for weight in generator.parameters())
