"""Annotations are checked, those of functions made anew in every call as well."""

import pytest
from jaxtyping import Float, TypeCheckError, config
from torch import Tensor, ones

import neurotex as nt
from neurotex.core.threads import parallel_for
from tests.checks import check, jaxtyped


@jaxtyped(typechecker=check)
def _half(count: float) -> int:
    return count // 2


def test_annotations_of_the_package_are_checked():
    with pytest.raises(TypeCheckError, match="look_at"):
        nt.look_at("here")
    with pytest.raises(TypeCheckError, match="parallel_for"):
        parallel_for(print, "three")


def test_functions_without_shapes_are_checked_unless_checks_are_off(monkeypatch):
    assert _half(6) == 3
    for wrong in ("6", 6.0):
        with pytest.raises(TypeCheckError, match="_half"):
            _half(wrong)
    monkeypatch.setattr(config, "jaxtyping_disable", True)
    assert _half(6.0) == 3.0


def _made(gain: float):
    @jaxtyped(typechecker=check)
    def scale(x: Float[Tensor, "n 3"], count: float = 1) -> Float[Tensor, "n 3"]:
        return x * gain if gain else x.T

    return scale


def test_functions_that_share_a_check_are_each_checked():
    first, second, wrong = _made(2.0), _made(3.0), _made(0.0)
    x = ones(2, 3)
    assert (float(first(x)[0, 0]), float(second(x, 2)[0, 0])) == (2, 3)
    for scale in (first, second):
        with pytest.raises(TypeCheckError, match="parameters"):
            scale(x.T)
        with pytest.raises(TypeCheckError, match="parameters"):
            scale(x, "2")
    with pytest.raises(TypeCheckError, match="return value"):
        wrong(x)
