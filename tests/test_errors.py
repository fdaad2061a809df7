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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://s3cret@host/x", "https://***@host/x"),
        ("https://ann%3As3cret@host/x", "https://***@host/x"),
        ("git+https://s3cret:x-oauth-basic@host/x", "git+https://***@host/x"),
        ("https://host/#access_token=s3cret", "https://host/#access_token=***"),
        ("mssql:///?odbc_connect=UID%3Da%3BPWD%3Ds3cret%3BX%3D1", "mssql:///?odbc_connect=UID%3Da%3BPWD%3D***%3BX%3D1"),
        ("http://ann:s3cret@host:5000/x@y", "http://ann@host:5000/x@y"),
        ("https://host/@scope/x", "https://host/@scope/x"),
    ],
)
def test_secrets_of_uris_are_masked(text, shown):
    assert SynthError(f"cannot read {text}").found == f"cannot read {shown}"


def test_many_known_names_are_cut():
    assert closest("zzz", [f"n{at:02}" for at in range(20)]).endswith("'n11', ….")
    assert closest("zzz", []) == "There is none."
