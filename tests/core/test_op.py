"""A toy of each kind of op: which function runs, and derivatives of all orders, in every way that torch has."""

import warnings

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from neurotex.core import warp
from neurotex.core.op import OPS, Backward, Linear, Op, elementwise, plain

ran: list[str] = []


def _said(name: str, function):
    def call(*arguments):
        ran.append(name)
        return function(*arguments)

    return call


_mixed = Op(
    "toy_mixed(Tensor x, Tensor matrix) -> Tensor",
    reference=_said("reference", lambda x, matrix: matrix @ x),
    cpu=_said("kernel", lambda x, matrix: matrix @ x),
    fake=lambda x, matrix: x.new_empty((matrix.shape[0], x.shape[1])),
    derivative=Linear(lambda grad, shape, matrix: _mixed(grad, matrix.T.contiguous())),
)
_cubed_backward = Op(
    "toy_cubed_backward(Tensor grad, Tensor x) -> Tensor",
    reference=_said("reference", lambda grad, x: grad * 3 * x**2),
    cpu=_said("kernel", lambda grad, x: grad * 3 * x**2),
    fake=lambda grad, x: torch.empty_like(x),
    vmap=elementwise,
)
_cubed = Op(
    "toy_cubed(Tensor x) -> Tensor",
    reference=_said("reference", lambda x: x**3),
    cpu=_said("kernel", lambda x: x**3),
    fake=torch.empty_like,
    derivative=Backward(lambda grads, inputs, _: (_cubed_backward(grads[0], *inputs),)),
    vmap=elementwise,
)
_halved = Op(
    "toy_halved(Tensor x) -> (Tensor, Tensor)",
    reference=_said("reference", lambda x: (x / 2, (x > 0).int())),
    cpu=_said("kernel", lambda x: (x / 2, (x > 0).int())),
)


@pytest.fixture(autouse=True)
def _forget() -> None:
    ran.clear()


def _double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def test_a_kernel_runs_where_there_is_one():
    _mixed(_double(3, 2), _double(4, 3))
    assert ran == ["kernel"]
    _mixed(torch.zeros(3, 2, device="meta"), torch.zeros(4, 3, device="meta"))  # by `fake`
    assert ran == ["kernel"]


def test_an_op_without_a_derivative_is_followed_through_its_reference():
    x = _double(5).requires_grad_()
    half, sign = _halved(x)
    assert ran == ["reference"]
    half.sum().backward()
    assert torch.equal(x.grad, torch.full_like(x, 0.5))
    assert not sign.requires_grad
    ran.clear()
    with torch.no_grad():
        _halved(x)
    _halved(x.detach())
    assert ran == ["kernel", "kernel"]


def test_a_linear_op_is_followed_through_its_reference_where_another_input_asks():
    x, matrix = _double(3, 2).requires_grad_(), _double(4, 3).requires_grad_()
    assert gradcheck(_mixed, (x, matrix))
    assert set(ran) == {"reference"}
    assert gradgradcheck(_mixed, (x, matrix))


def test_derivatives_come_from_kernels_and_theirs_from_the_reference():
    x = _double(4).requires_grad_()
    _cubed(x).sum().backward()
    assert ran == ["kernel", "kernel"]
    assert torch.allclose(x.grad, 3 * x.detach() ** 2)
    assert gradcheck(_cubed, x)
    assert gradgradcheck(_cubed, x)
    matrix = _double(2, 4)
    assert gradgradcheck(lambda v: _mixed(v, matrix) ** 2, _double(4, 3).requires_grad_())


@pytest.mark.parametrize("batch", [0, 1, -1])
def test_transforms(batch):
    x = _double(3, 3, 3)
    assert torch.allclose(torch.func.vmap(_cubed, batch)(x), x.movedim(batch, 0) ** 3)
    slopes = torch.func.vmap(torch.func.grad(lambda v: _cubed(v).sum()), batch)(x)
    assert torch.allclose(slopes, 3 * x.movedim(batch, 0) ** 2)
    matrix = _double(2, 3)
    mixed = torch.func.vmap(lambda v: _mixed(v, matrix), batch)(x)
    assert torch.allclose(mixed, matrix @ x.movedim(batch, 0))


def test_forward_mode():
    x, tangent, matrix = _double(3, 3), _double(3, 3), _double(2, 3)
    assert torch.allclose(torch.func.jvp(_cubed, (x,), (tangent,))[1], 3 * x**2 * tangent)
    assert torch.allclose(torch.func.jvp(lambda v: _mixed(v, matrix), (x,), (tangent,))[1], matrix @ tangent)


def test_plain_sees_what_is_beneath_transforms():
    seen = []

    def look(x: Tensor) -> Tensor:
        seen.append(x.sum().item())  # a wrapped tensor has no number to give
        return x.new_empty(0)

    torch.func.grad(lambda v: (plain(look, v), (v * v).sum())[1])(torch.ones(3))
    assert seen == [3.0]


def test_compiled_by_torch():
    x = torch.randn(3, requires_grad=True)
    compiled = torch.compile(lambda v: _cubed(v).sum(), backend="aot_eager", fullgraph=True)
    compiled(x).backward()
    assert torch.allclose(x.grad, 3 * x.detach() ** 2)


def test_a_kernel_for_gpus_is_loaded_when_it_is_called(monkeypatch):
    """Without Warp, and in double precision, the reference runs in its stead; the former is said, once."""
    reference = _said("reference", lambda x: x + 1)
    kernel = warp.kernel("math.isfinite", reference)
    monkeypatch.setattr(warp, "available", lambda: True)
    kernel(_double(1))
    assert ran == ["reference"]
    assert kernel(torch.ones(1)) is True
    assert ran == ["reference"]
    monkeypatch.setattr(warp, "available", lambda: False)
    warp._say_missing.cache_clear()
    with pytest.warns(UserWarning, match=r"pip install neurotex\[cuda\]"):
        kernel(torch.ones(1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernel(torch.ones(1))
    assert ran == ["reference"] * 3


def test_what_stays_on_the_cpu_goes_there_and_back():
    hop = OPS["block_encode"].kernels["CUDA"]
    x = torch.rand(1, 3, 8, 8)
    assert torch.equal(hop(x, "bc1"), OPS["block_encode"].kernels["CPU"](x, "bc1"))
    if torch.cuda.is_available():
        assert hop(x.cuda(), "bc1").is_cuda
