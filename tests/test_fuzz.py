"""A few damaged files of every kind; `python -m tests.fuzz KIND N SEED` tries as many as one likes."""

from random import Random

import pytest

from tests.fuzz import run as fuzz
from tests.fuzz.kinds import KINDS
from tests.fuzz.mutations import damaged


def test_damaged_files_end_in_success_or_one_sentence():
    result = fuzz.run(",".join(KINDS), 12 * len(KINDS), seed=0)
    assert not result.failures, "\n".join(result.failures.values())
    assert result.read
    assert result.refused


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"number": 1, "failed": "Traceback"}, "Traceback"),
        ({"number": 1, "bytes": fuzz.BYTES + 1}, "MiB"),
        ({"number": 1, "bytes": 0, "refused": "two\nlines"}, "one sentence"),
        ({"number": 1, "bytes": 0, "refused": ""}, "one sentence"),
    ],
)
def test_what_counts_as_a_failure(said, why):
    result = fuzz.Result()
    fuzz._check(said, result)
    assert why in result.failures[1]


def test_the_same_seed_damages_alike():
    data = bytes(range(256))
    assert damaged(data, "a.png", Random("1 2")) == damaged(data, "a.png", Random("1 2"))
