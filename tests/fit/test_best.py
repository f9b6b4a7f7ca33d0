"""The best parameters on the way are the ones that were looked at when the score was lowest."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor, nn

from neurotex.fit.best import Best

SCORES = st.lists(st.one_of(st.floats(-1e30, 1e30), st.just(math.nan), st.just(math.inf)), min_size=1, max_size=9)


class Place(nn.Module):
    """Where somebody walks. One parameter is called as an entry of the state is, and one never moves."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(3))
        self.of = nn.ParameterDict({"value": nn.Parameter(torch.zeros((), dtype=torch.float64))})
        self.still = nn.Parameter(torch.ones(2), requires_grad=False)
        self.register_buffer("table", torch.zeros(1))

    @torch.no_grad()
    def walk(self, step: int) -> None:
        self.value.fill_(step + 1 / 3)
        self.of["value"].fill_(step / 7)
        self.table.fill_(step)

    def parts(self) -> list[Tensor]:
        return [p.detach().clone() for p in self.parameters()]


def same(a: list[Tensor], b: list[Tensor]) -> bool:
    return all(x.dtype == y.dtype and torch.equal(x, y) for x, y in zip(a, b, strict=True))


def walked(scores: list[float]) -> tuple[Place, Best, list[list[Tensor]]]:
    """Who has looked at each of these scores, and where that was."""
    place, left = Place(), iter(scores)
    best, passed = Best(place, lambda: next(left)), []
    lowest = math.inf
    for step, score in enumerate(scores):
        place.walk(step)
        passed.append(place.parts())
        assert best.look() == (score < lowest)
        lowest = min(lowest, score) if score == score else lowest
        assert best.value == lowest
    return place, best, passed


@given(SCORES)
def test_the_lowest_is_restored_the_first_of_equals(scores):
    place, best, passed = walked(scores)
    table = place.table.clone()
    numbers = [score if score < math.inf else math.inf for score in scores]
    expected = passed[numbers.index(min(numbers))] if min(numbers) < math.inf else passed[-1]
    best.restore()
    assert same(place.parts(), expected)
    assert torch.equal(place.table, table)  # what is no parameter is not its business
    best.restore()
    assert same(place.parts(), expected)


@given(SCORES)
def test_it_comes_back_bitwise_from_a_file(scores):
    place, best, _ = walked(scores)
    state = load(save(best.state_dict()))
    other = Place()
    other.walk(50)
    again = Best(other, lambda: math.inf)
    again.load_state_dict(state)
    assert again.value == best.value
    if again.value < math.inf:
        place.walk(99)
        best.restore()
        again.restore()
        assert same(other.parts(), place.parts())
    found = again.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_what_is_remembered_does_not_move_with_the_parameters():
    place = Place()
    best = Best(place, lambda: float(place.value[0].detach()))
    best.look()
    before = {name: value.clone() for name, value in best.state_dict().items()}
    place.walk(8)
    assert not best.look()
    assert all(torch.equal(value, before[name]) for name, value in best.state_dict().items())


def test_before_the_first_look_there_is_nothing_to_restore():
    place = Place()
    place.walk(3)
    here, best = place.parts(), Best(place, lambda: pytest.fail("nobody asked for a score"))
    best.restore()
    assert same(place.parts(), here)
    assert best.state_dict()["value"] == math.inf
