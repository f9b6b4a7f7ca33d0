"""Runs that are killed and resumed are those that nobody disturbed: a few; `python -m tests.kills` kills more."""

import os

import pytest

from tests import kills


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send to a process")
@pytest.mark.parametrize(("verb", "seed"), [("fit", 3), ("train", 2)])
def test_a_killed_run_resumed_is_the_run_that_nobody_disturbed(verb, seed):
    assert kills.kill_runs(verb, 2, seed, 1) > 0
