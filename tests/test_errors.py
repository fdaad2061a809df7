"""The tree of errors: exit codes, and messages of two parts."""

import pytest

from synth_mlflow import errors
from synth_mlflow.errors import SynthError, closest


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("SynthError", 1),
        ("UsageError", 2),
        ("StatementError", 2),
        ("GateError", 3),
        ("EvidenceError", 4),
        ("GeneratorError", 1),
        ("ServerError", 1),
    ],
)
def test_exit_codes_are_part_of_the_contract(name, code):
    kind = getattr(errors, name)
    assert (kind.exit_code, issubclass(kind, SynthError)) == (code, True)
    assert str(kind("found", "fix")) == "found\nfix"
    assert str(kind("found")) == "found"


def test_many_known_names_are_cut():
    assert closest("zzz", [f"n{at:02}" for at in range(20)]).endswith("'n11', ….")
    assert closest("zzz", []) == "There is none."
