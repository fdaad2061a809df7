"""Identifiers of the same form."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.identifier_forms import ean_digit
from synth_mlflow.generators._identifiers import Identifiers, roles_of


@pytest.mark.parametrize(
    ("values", "form"),
    [
        ([f"INV-{i:06d}" for i in range(100)], r"INV-\d{6}"),
        ([f"{i * 7919:016x}" for i in range(10**9, 10**9 + 100)], r"[0-9a-f]{16}"),
        ([f"u{i}@mail.org" for i in range(100)], r"u\d+@mail\.org"),
        ([f"{chr(65 + i % 26)}{i:03d}" for i in range(100)], r"[A-Z]\d{3}"),
        ([f"#{i * 7919 % 16**6:06x}" for i in range(500, 600)], r"#[0-9a-f]{6}"),
        ([f"{100 + i}x{7 * i + 800}" for i in range(100)], r"\d+x\d+"),
        ([f"{chr(65 + i % 5)}{i:02d}.{i % 7}" for i in range(100)], r"[A-E]\d{2}\.\d"),
    ],
)
def test_fresh_values_have_the_form_of_the_old_ones(values: list[str], form: str) -> None:
    drawn = Identifiers.of(pd.Series(values, name="id", dtype="str")).draw(300, np.random.default_rng(0))
    assert drawn.str.fullmatch(form).all()
    assert drawn.is_unique
    assert not drawn.isin(values).any()


def test_whole_numbers_stay_whole_and_grow_when_the_form_is_used_up() -> None:
    column = pd.Series(range(100, 1_000), name="id")
    drawn = Identifiers.of(column).draw(5_000, np.random.default_rng(0))
    assert drawn.dtype == "int64"
    assert drawn.is_unique
    assert not drawn.isin(column).any()


def test_codes_of_letters_grow_by_letters() -> None:
    states = pd.Series([f"{a}{b}" for a in "acdfgi" for b in "adehklo"] * 8, name="state", dtype="str")
    drawn = Identifiers.of(states.drop_duplicates()).draw(2_000, np.random.default_rng(0))
    assert drawn.is_unique and drawn.str.fullmatch("[a-z]{2,4}").all()


def test_missing_identifiers_stay_missing() -> None:
    column = pd.Series([f"A{i:04d}" if i % 4 else None for i in range(200)], name="id", dtype="str")
    drawn = Identifiers.of(column).draw(2_000, np.random.default_rng(0))
    assert abs(drawn.isna().mean() - 0.25) < 0.04


@pytest.mark.parametrize(
    ("column", "role"),
    [
        (pd.Series(range(500, 600)), "identifier"),
        (pd.Series(np.random.default_rng(0).integers(0, 10**6, 100)).drop_duplicates(), "number"),
        (pd.Series(np.random.default_rng(0).normal(size=100)), "number"),
        (pd.Series(["a", "b"] * 50, dtype="str"), "category"),
        (pd.Series([f"{i:04d} {i:04d} {i:04d} {i:04d}" for i in range(100)], dtype="str"), "identifier"),
        (pd.Series([f"https://shop.example/{'a' * 50}/{i}" for i in range(100)], dtype="str"), "identifier"),
        (
            pd.Series([int(f"{400_638_133_000 + i}{ean_digit(str(400_638_133_000 + i))}") for i in range(0, 700, 7)]),
            "identifier",
        ),
        (pd.Series(range(10**18, 10**18 + 10**11, 10**9)), "number"),
        (pd.Series([f"{i:x}z" for i in range(100)], dtype="str"), "identifier"),
        (pd.Series([f"we saw {i} of them today" for i in range(100)], dtype="str"), "text"),
        (pd.Series([None] * 100, dtype="str"), "constant"),
        (pd.Series([7] * 100), "constant"),
    ],
)
def test_roles(column: pd.Series, role: str) -> None:
    assert roles_of(column.to_frame("a"), "y") == {"a": role}


def test_the_target_is_never_an_identifier() -> None:
    assert roles_of(pd.DataFrame({"y": range(100)}), "y") == {"y": "number"}
