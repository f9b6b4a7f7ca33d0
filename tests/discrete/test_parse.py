import pytest

from neurotex.discrete import Levels, Palette, StraightThrough, Surrogate, Threshold, parse
from neurotex.errors import ArgumentError


def test_short_forms_name_a_step_and_its_number():
    assert (type(parse("levels:8")), parse("levels:8").levels) == (Levels, 8)
    assert (type(parse("threshold:0.25")), parse("threshold:0.25").value) == (Threshold, 0.25)
    assert (type(parse("palette:5")), len(parse("palette:5").colors)) == (Palette, 5)


def test_the_estimator_is_handed_on():
    assert isinstance(parse("levels:8").estimator, StraightThrough)
    assert isinstance(parse("levels:8", "surrogate").estimator, Surrogate)


@pytest.mark.parametrize(
    "text", ["level:8", "", "levels", "levels:", "levels:two", "levels:2.5", "levels:1", "palette:0"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(ArgumentError):
        parse(text)


def test_the_message_lists_the_steps():
    with pytest.raises(ArgumentError, match="levels, threshold, palette"):
        parse("dither:3")
