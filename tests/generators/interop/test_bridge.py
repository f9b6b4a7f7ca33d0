"""The bridge itself, by a function of numpy whose derivatives are written by hand."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck
from torch.func import functional_call, grad, jacrev, vmap

import neurotex as nt
from neurotex.generators.interop import ForeignGenerator
from neurotex.generators.interop.bridge import call
from neurotex.generators.interop.named import NamedTensors


class Waves:
    """sin(z · w) as (N, C, 1, 1), computed by numpy; counts its evaluations."""

    def __init__(self) -> None:
        self.values = self.linearized = 0

    def __call__(self, tensors: tuple[Tensor, ...]) -> Tensor:
        self.values += 1
        weight, z = (tensor.detach().numpy() for tensor in tensors)
        return torch.from_numpy(np.sin(z @ weight))[..., None, None]

    def shape(self, tensors: tuple[Tensor, ...]) -> tuple[int, ...]:
        return (len(tensors[1]), tensors[0].shape[1], 1, 1)

    def linearize(self, tensors: tuple[Tensor, ...], needed: tuple[bool, ...]) -> tuple:
        self.linearized += 1
        weight, z = (tensor.detach().numpy() for tensor in tensors)
        slope = np.cos(z @ weight)

        def pullback(grad: Tensor) -> list[Tensor]:
            inner = grad.detach().numpy()[..., 0, 0] * slope
            both = (z.T @ inner, inner @ weight.T)
            return [torch.from_numpy(one) for one, need in zip(both, needed, strict=True) if need]

        return torch.from_numpy(np.sin(z @ weight))[..., None, None], pullback


WEIGHT, Z = torch.rand(3, 2, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)


def plain(weight: Tensor, z: Tensor) -> Tensor:
    return torch.sin(z @ weight)[..., None, None]


def test_derivatives_are_those_of_the_function():
    waves = Waves()
    weight, z = WEIGHT.clone().requires_grad_(), Z.clone().requires_grad_()
    assert gradcheck(lambda *tensors: call(waves, *tensors), (weight, z))
    # used twice in one graph
    assert gradcheck(lambda weight, z: call(waves, weight, z) + call(waves, weight, 2 * z), (weight, z))


@pytest.mark.parametrize("needed", [(True, False), (False, True)])
def test_only_what_is_needed_is_asked_for(needed):
    asked = []

    class Asking(Waves):
        def linearize(self, tensors, needed):
            asked.append(needed)
            return super().linearize(tensors, needed)

    tensors = [t.clone().requires_grad_(need) for t, need in zip((WEIGHT, Z), needed, strict=True)]
    call(Asking(), *tensors).sum().backward()
    assert asked == [needed]
    assert [tensor.grad is not None for tensor in tensors] == list(needed)


def test_without_gradients_nothing_is_kept():
    waves = Waves()
    with torch.no_grad():
        assert not call(waves, WEIGHT.clone().requires_grad_(), Z).requires_grad
    call(waves, WEIGHT, Z)
    assert (waves.values, waves.linearized) == (2, 0)


def test_backward_takes_no_second_evaluation_and_may_be_repeated():
    waves, z = Waves(), Z.clone().requires_grad_()
    loss = call(waves, WEIGHT, z).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    torch.testing.assert_close(z.grad, 2 * grad(lambda z: plain(WEIGHT, z).sum())(Z))
    assert (waves.values, waves.linearized) == (0, 1)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_a_weight_changed_before_backward_is_noticed():
    weight, z = WEIGHT.clone().requires_grad_(), Z.clone().requires_grad_()
    loss = call(Waves(), weight, z).sum()
    with torch.no_grad():
        weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_torch_func_sees_a_function_like_any_other():
    waves = Waves()
    ours, theirs = (lambda z: call(waves, WEIGHT, z[None])[0]), (lambda z: plain(WEIGHT, z[None])[0])
    for transform in (
        lambda f: vmap(f)(Z),
        lambda f: grad(lambda z: f(z).sum())(Z[0]),
        lambda f: vmap(grad(lambda z: f(z).sum()))(Z),
        lambda f: grad(lambda z: vmap(f)(z).sum())(Z),
        lambda f: jacrev(f)(Z[1]),
    ):
        torch.testing.assert_close(transform(ours), transform(theirs))
    both = vmap(lambda weight, z: call(waves, weight, z[None])[0], in_dims=(2, 0))
    torch.testing.assert_close(
        both(torch.stack([WEIGHT, -WEIGHT], 2), Z[:2]),
        plain(WEIGHT, Z[:2]) * torch.tensor([1, -1])[:, None, None, None],
    )


def test_a_gradient_of_gradients_is_refused():
    z = Z.clone().requires_grad_()
    (first,) = torch.autograd.grad(call(Waves(), WEIGHT, z).sum(), z, create_graph=True)
    with pytest.raises(nt.ArgumentError, match="differentiated once"):
        first.sum().backward()


def test_a_generator_takes_the_weights_that_functional_call_gives():
    generator = ForeignGenerator(Waves(), NamedTensors({("layer", "float"): WEIGHT}))
    assert list(generator.state_dict()) == ["weights.layer.float_"]
    other = {"weights.layer.float_": 2 * WEIGHT}
    torch.testing.assert_close(functional_call(generator, other, (Z,)), plain(2 * WEIGHT, Z))


def test_what_is_no_texture_or_of_another_type_is_refused():
    class Flat(Waves):
        def __call__(self, tensors):
            return super().__call__(tensors)[..., 0, 0]

    for last, shape in ((False, r"\(N, C, H, W\)"), (True, r"\(N, H, W, C\)")):
        with pytest.raises(nt.ArgumentError, match=rf"must return {shape}.*\(4, 2\)"), torch.no_grad():
            ForeignGenerator(Flat(), NamedTensors({("w",): WEIGHT}), channels_last=last)(Z)
    with pytest.raises(nt.ArgumentError, match=r"weights are torch.float64, but the latents are torch.float32"):
        ForeignGenerator(Waves(), NamedTensors({("w",): WEIGHT}))(Z.float())


@pytest.mark.parametrize("paths", [[("a.b",), ("a_b",)], [("a",), ("a", "b")], [("a", "b"), ("a",)]])
def test_two_weights_of_one_name_are_refused(paths):
    with pytest.raises(nt.ArgumentError, match=r"two weights of the generator are called a"):
        NamedTensors({path: WEIGHT for path in paths})


def test_fixed_and_whole_numbers_are_buffers():
    tensors = NamedTensors({("w",): WEIGHT, ("mean",): WEIGHT, ("steps",): torch.tensor(3)}, {("mean",)})
    assert [name for name, _ in tensors.named_parameters()] == ["w"]
    assert [name for name, _ in tensors.named_buffers()] == ["mean", "steps"]
    assert all(a is b for a, b in zip(tensors.values(), (tensors.w, tensors.mean, tensors.steps), strict=True))
