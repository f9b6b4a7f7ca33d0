"""What torch's default type is decides about no result."""

from collections.abc import Iterator

import pytest
import torch

from neurotex.generators import fields
from neurotex.images import linear_to_srgb, srgb_to_linear


@pytest.fixture(params=[torch.float32, torch.float64], ids=str)
def default(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_curves_keep_the_type_of_their_values(default: torch.dtype, dtype: torch.dtype) -> None:
    values = torch.rand(100, dtype=dtype, requires_grad=True)
    for curve in (srgb_to_linear, linear_to_srgb):
        found = curve(values)
        assert found.dtype == dtype
        assert torch.autograd.grad(found.sum(), values)[0].dtype == dtype


def test_what_is_drawn_for_a_generator_is_the_same(default: torch.dtype) -> None:
    drawn = fields.waves()
    assert drawn.dtype == torch.float32
    generator = torch.Generator().manual_seed(1_000_003)
    assert torch.equal(drawn[0, 0], torch.randn(*drawn.shape[2:], generator=generator, dtype=torch.float32))
