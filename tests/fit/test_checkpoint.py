"""A run whose checkpoint was damaged is refused in one sentence."""

from unittest.mock import Mock

import pytest

from neurotex.errors import ArgumentError, FileError, NeurotexError
from neurotex.fit import run
from tests.misfits import write_misfit


def test_checkpoints_of_other_keys_types_and_shapes_are_refused_in_one_sentence(fit, tmp_path, monkeypatch):
    """Or read, where what is another does not matter."""
    options = {"through": ("palette:3",), "imagined": 0, "steps": 4, "size": 16}
    fit(tmp_path / "out", **options)
    monkeypatch.setattr(run, "finish", enough := Mock(side_effect=ArgumentError("as far as this it was read.")))
    file, whole, refused = tmp_path / "out" / "checkpoint.safetensors", tmp_path / "whole", 0
    file.rename(whole)
    for number in range(40):
        write_misfit(whole, file, number)
        with pytest.raises(NeurotexError) as error:
            fit(tmp_path / "out", resume=True, **options)
        assert "\n" not in str(error.value)
        refused += isinstance(error.value, FileError)
    assert refused > 20
    assert enough.call_count < 20
