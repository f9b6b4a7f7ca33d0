"""Runs that are killed within a write and resumed are those that nobody disturbed; `tests.kills` kills many more."""

import os

import pytest

from tests import kills


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals to send to a process")
@pytest.mark.parametrize(("verb", "seed"), [("fit", 18), ("train", 9)])
def test_a_killed_run_resumed_is_the_run_that_nobody_disturbed(verb, seed):
    assert kills.kill_runs(verb, 1, seed) == 1
