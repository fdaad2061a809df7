"""Addresses of approved data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_mlflow.data.approved_names import ApprovedName, parse_address, parse_name
from synth_mlflow.errors import UsageError

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,20}", fullmatch=True)


@given(project=st.text(min_size=1, max_size=30), name=NAMES, version=st.none() | st.integers(0, 10**9 - 1))
def test_what_is_written_is_read_back(project: str, name: str, version: int | None) -> None:
    whole = ApprovedName(project, name, version)
    assert parse_address(whole.text) == whole
    assert parse_name(f"{project}/{name}") == (project, name)


@pytest.mark.parametrize("text", ["", "young", "shop/young", "young@approved", "shop/young/x", "/young/1", "shop//1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="is no address of approved data"):
        parse_address(text)


def test_no_other_alias_and_no_odd_name() -> None:
    with pytest.raises(UsageError, match="has the alias 'production'"):
        parse_address("shop/young@production")
    for name in ("2", "_x", "a b", "a" * 65, "é"):
        with pytest.raises(UsageError, match="is no name of approved data"):
            parse_address(f"shop/{name}@approved")
