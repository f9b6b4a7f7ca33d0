from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses import FakeTensorMode

import neurotex as nt
from neurotex.generators.interop import from_tensorflow
from tests.generators.interop.compare import in_torch, relative


@pytest.fixture
def generator(tf: Any, weights: dict) -> Any:
    """A tf.Module (N, 4) → (N, 8, 8, 3)."""

    class Generator(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.held = {name: tf.Variable(value, name=f"layer/{name}") for name, value in weights.items()}

        def __call__(self, z: Any) -> Any:
            hidden = tf.tanh(z @ self.held["mix"] + self.held["bias"])
            return tf.transpose(tf.reshape(tf.tanh(hidden @ self.held["out"]), (-1, 3, 8, 8)), (0, 2, 3, 1))

    return Generator()


@pytest.fixture
def model(tf: Any) -> Any:
    """A Keras model (N, 4) → (N, 8, 8, 3), with statistics."""
    layers = tf.keras.layers
    tf.keras.utils.set_random_seed(0)
    return tf.keras.Sequential(
        [
            layers.Input((4,)),
            layers.Dense(4 * 4 * 6),
            layers.Reshape((4, 4, 6)),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.Dropout(0.5),
            layers.Conv2DTranspose(3, 4, strides=2, padding="same", activation="tanh"),
        ]
    )


def test_picture_and_gradients_are_tensorflow_s_and_torch_s(tf, generator, weights):
    module = from_tensorflow(generator)
    z, probe = torch.randn(2, 4, requires_grad=True), torch.randn(2, 3, 8, 8)
    ((module(z) + module(2 * z)) * probe).sum().backward()
    latent = tf.constant(z.detach().numpy())
    with tf.GradientTape() as tape:
        tape.watch(latent)
        pictures = generator(latent) + generator(2 * latent)
        loss = tf.reduce_sum(pictures * probe.permute(0, 2, 3, 1).numpy())
    theirs = tape.gradient(loss, {"z": latent, **generator.held})
    assert relative(z.grad, theirs.pop("z")) <= 1e-5
    for name, expected in theirs.items():
        assert relative(module.weights.layer.get_parameter(name).grad, expected) <= 1e-5
    ours = {name: torch.from_numpy(value) for name, value in weights.items()}
    assert relative(module(z).detach(), in_torch(ours, z).detach()) <= 1e-5


def test_a_keras_model_gives_parameters_statistics_and_its_latents_shape(tf, model):
    module = from_tensorflow(model)
    assert module.latent_shape == (4,)
    assert len(list(module.parameters())) == len(model.trainable_variables) == 6
    names = [name.rpartition(".")[2] for name, _ in module.named_buffers()]
    assert names == ["moving_mean", "moving_variance"]
    z = torch.randn(3, 4, requires_grad=True)
    texture = module.train()(z)
    assert texture.shape == (3, 3, 8, 8)
    expected = np.moveaxis(model(z.detach().numpy(), training=False).numpy(), -1, 1)
    assert relative(texture.detach(), expected) <= 1e-5
    texture.square().sum().backward()
    latent = tf.constant(z.detach().numpy())
    with tf.GradientTape() as tape:
        tape.watch(latent)
        loss = tf.reduce_sum(model(latent, training=False) ** 2)
    theirs = tape.gradient(loss, [latent, *model.trainable_variables])
    for found, expected in zip([z, *module.parameters()], theirs, strict=True):
        assert relative(found.grad, expected) <= 1e-5


def test_weights_are_torch_s(tf, generator, weights):
    """An optimiser's step, a loaded state and functional_call all show in the next picture."""
    module, z = from_tensorflow(generator), torch.randn(2, 4)
    before = module(z)
    with torch.no_grad():
        module.weights.layer.out.mul_(2)
    doubled = module(z)
    expected = in_torch({name: torch.from_numpy(value) * (1 + (name == "out")) for name, value in weights.items()}, z)
    assert relative(doubled.detach(), expected) <= 1e-5
    state = {name: value.clone() for name, value in module.state_dict().items()}
    state["weights.layer.out"] /= 2
    torch.testing.assert_close(torch.func.functional_call(module, state, (z,)), before)
    torch.testing.assert_close(module(z), doubled)
    module.load_state_dict(state)
    torch.testing.assert_close(module(z), before)
    assert np.array_equal(weights["out"], generator.held["out"].numpy())


def test_a_gradient_is_that_of_the_weights_of_its_own_picture(generator):
    """Other weights are in the variables by the time of backward."""
    module, z = from_tensorflow(generator), torch.randn(2, 4)
    weights = {name: value.detach().clone().requires_grad_() for name, value in module.named_parameters()}
    other = {name: -3 * value for name, value in module.state_dict().items()}
    first = torch.func.functional_call(module, weights, (z,)).square().sum()
    torch.func.functional_call(module, other, (z,))
    late = torch.autograd.grad(first, list(weights.values()))
    soon = torch.autograd.grad(torch.func.functional_call(module, weights, (z,)).square().sum(), list(weights.values()))
    assert all(torch.equal(a, b) for a, b in zip(late, soon, strict=True))


def test_a_custom_gradient_is_kept(tf):
    """Rounding, straight through, times three; and what a plain function reads, if it is named."""
    gain = tf.Variable([2.0, 2.0])

    @tf.custom_gradient
    def round_through(x: Any) -> tuple:
        return tf.round(x), lambda g: 3 * g

    module = from_tensorflow(lambda z: (round_through(z) * gain)[:, None, None], variables=[gain])
    z = torch.tensor([[0.2, 1.7]], requires_grad=True)
    texture = module(z)
    texture.sum().backward()
    assert texture.flatten().tolist() == [0, 4]
    assert z.grad.tolist() == [[6, 6]]
    assert module.weights.Variable.grad.tolist() == [0, 2]


def test_rows_that_are_looked_up_have_a_gradient(tf):
    table = tf.Variable(np.arange(6, dtype=np.float32).reshape(3, 2), name="table")
    module = from_tensorflow(lambda z: tf.gather(table, [2, 2])[None] + z[:, None, None], variables=[table])
    module(torch.zeros(1, 2, requires_grad=True)).sum().backward()
    assert module.weights.table.grad.tolist() == [[0, 0], [0, 0], [2, 2]]


def test_what_does_not_matter_has_a_gradient_of_zero(tf):
    spare = tf.Variable([1.0], name="spare")
    module = from_tensorflow(lambda z: z[:, None, None], variables=[spare])
    module(torch.ones(1, 3)).sum().backward()
    assert module.weights.spare.grad.tolist() == [0]


def test_results_are_torch_s_to_change(generator):
    module, z = from_tensorflow(generator), torch.randn(2, 4, requires_grad=True)
    texture = module(z)
    kept = texture.detach().clone()
    texture.sum().backward()
    z.grad.zero_()
    texture.detach().zero_()
    torch.testing.assert_close(module(z), kept)


def test_variables_of_one_name_are_numbered(tf):
    pair = [tf.Variable([1.0], name="gain"), tf.Variable([2.0], name="gain")]
    module = from_tensorflow(lambda z: z[:, None, None] * pair[0] * pair[1], variables=pair)
    assert list(module.state_dict()) == ["weights.gain", "weights.gain_1"]


def test_a_shape_is_compiled_once(tf):
    traced = []

    def counting(z: Any) -> Any:
        traced.append(z.shape)
        return z[:, None, None]

    module = from_tensorflow(counting)
    for n in (1, 2, 1, 2, 1):
        module(torch.randn(n, 3, requires_grad=True)).sum().backward()
    assert len(traced) == 2


def test_shapes_alone_give_a_shape(generator):
    """Before anything is computed: `scene.check` and modules on the device "meta"."""
    module = from_tensorflow(generator)
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert module(torch.empty(5, 4)).shape == (5, 3, 8, 8)
    assert module.to("meta")(torch.empty(2, 4, device="meta")).shape == (2, 3, 8, 8)


def test_torch_func_runs_it_sample_by_sample(generator):
    module, z = from_tensorflow(generator), torch.randn(3, 4)

    def loss(z: torch.Tensor) -> torch.Tensor:
        return module(z[None]).square().sum()

    each = torch.func.vmap(torch.func.grad(loss))(z)
    torch.testing.assert_close(each, torch.func.grad(lambda z: module(z).square().sum())(z))


def test_what_cannot_be_taken_is_refused(tf, generator):
    with pytest.raises(nt.ArgumentError, match="has no weights yet"):
        from_tensorflow(tf.keras.Sequential([tf.keras.layers.Dense(3)]))
    with pytest.raises(nt.ArgumentError, match=r"is float32, but the module's weight is torch\.float64"):
        from_tensorflow(generator).double()(torch.randn(1, 4, dtype=torch.float64))
    with pytest.raises(nt.ArgumentError, match="returns one tensor, but this one gives a"):
        from_tensorflow(lambda z: (z, z))(torch.randn(1, 4))
