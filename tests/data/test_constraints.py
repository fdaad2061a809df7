"""Declared constraints: the grammar, what they hold, and what is refused."""

import contextlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.constraints import Bound, Fixed, Order, Total, as_texts, parse_constraints
from synth_mlflow.errors import UsageError


def rows(**columns):
    return normalise(pd.DataFrame(columns))


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("age >= 17", Bound("age >= 17", "age", ">=", 17.0)),
        ("`net pay` < -1.5e2", Bound("`net pay` < -1.5e2", "net pay", "<", -150.0)),
        ('opened > "2024-01-31"', Bound('opened > "2024-01-31"', "opened", ">", "2024-01-31")),
        ("a <= b", Order("a <= b", "a", "b", False)),
        ("a > b", Order("a > b", "b", "a", True)),
        ("t = a + b - `c d`", Total("t = a + b - `c d`", "t", ((1, "a"), (1, "b"), (-1, "c d")))),
        ("t == a", Total("t == a", "t", ((1, "a"),))),
        ("fixed(city, `home region`)", Fixed("fixed(city, `home region`)", ("city", "home region"))),
        ("fixed <= 3", Bound("fixed <= 3", "fixed", "<=", 3.0)),
    ],
)
def test_what_the_grammar_reads(text, read):
    assert parse_constraints([text]).items == (read,)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "needed a column name"),
        ("age", "needed one of `<`, `<=`, `>`, `>=` and `=`"),
        ("opened at <= closed at", "found 'at' at character 8, needed .*goes in `backticks`"),
        ("age >=", "needed a number, a column, or a date"),
        ("age >= 17 and age <= 90", "found 'and' at character 11, needed the end"),
        ("age != 3", "found '!=' at character 5, needed one of"),
        ("a <= b * 2", r"cannot be read at '\* 2'"),
        ("__import__('os')", "needed one of"),
        ("t = a + 3", "found '3' at character 9, needed a column name"),
        ("opened >= 'now'", "needed a number, a column, or a date"),
        ("a <= a", "two or more different columns"),
        ("t = a + a", "two or more different columns"),
        ("fixed(a)", "two or more different columns"),
        ("fixed(a b)", "needed `,` or `\\)`"),
        ("x" * 2_000, "at most 1,000 are read"),
    ],
)
def test_what_it_refuses(text, match):
    with pytest.raises(UsageError, match=match):
        parse_constraints([text])


@pytest.mark.slow
@given(st.text(max_size=40))
def test_no_text_does_anything_but_parse_or_be_refused(text):
    with contextlib.suppress(UsageError):
        parse_constraints([text])


@pytest.mark.parametrize(
    ("item", "texts"),
    [
        ("a <= b", ["a <= b"]),
        ({"column": "age", "min": 17, "max": 90}, ["age >= 17", "age <= 90"]),
        ({"column": "net pay", "min": -1.5}, ["`net pay` >= -1.5"]),
        ({"column": "day", "max": pd.Timestamp("2024-01-31").date()}, ['day <= "2024-01-31"']),
        ({"fixed": ["city", "home region"]}, ["fixed(city, `home region`)"]),
    ],
)
def test_entries_of_the_statement(item, texts):
    assert as_texts(item) == texts
    assert parse_constraints(texts)


@pytest.mark.parametrize("item", [3, {"column": "age"}, {"column": "age", "low": 3}, {"fixed": "a"}, None])
def test_other_entries_are_refused(item):
    with pytest.raises(ValueError, match="holds texts like"):
        as_texts(item)


def test_broken_rows_are_counted_and_missing_values_break_nothing_but_combinations():
    real = rows(a=[1.0, None], b=[2.0, 1.0], t=[3.0, 9.0], city=["x", None], zone=[1, 2], day=["2024-01-01", None])
    real["day"] = pd.to_datetime(real["day"]).astype("datetime64[us]")
    texts = ["a <= b", "t = a + b", "a >= 1", 'day >= "2024-01-01"', "fixed(city, zone)"]
    declared = parse_constraints(texts).seen_in(real)
    batch = rows(a=[3.0, None, 1.0], b=[2.0, 1.0, 2.0], t=[5.0, 9.0, 3.5], city=["x", None, "x"], zone=[1, 1, 2])
    batch["day"] = pd.to_datetime(["2023-12-31", None, "2024-02-01"]).astype("datetime64[us]")
    assert declared.broken(batch) == {
        "a <= b": 1,
        "t = a + b": 1,
        'day >= "2024-01-01"': 1,
        "fixed(city, zone)": 2,
    }
    assert declared.holds(batch).tolist() == [False, False, False]


def test_binary_dust_breaks_no_sum():
    assert parse_constraints(["t = a + b"]).holds(rows(a=[0.1], b=[0.2], t=[0.3])).all()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("ago >= 3", "names column 'ago', which the table lacks. Did you mean 'age'"),
        ("city >= 3", "compares column 'city', which holds string values, with 3.0"),
        ("age >= '2024-01-01'", "which holds integer values"),
        ("age <= day", r"compares integer values \('age'\) with datetime values"),
        ("age = size + day", "adds column 'day', which holds datetime values"),
        ("age <= 20", "'age <= 20' is broken by 2 of 4 real rows"),
    ],
)
def test_what_does_not_fit_the_real_rows_is_said(text, match):
    real = rows(age=[18, 20, 22, 24], size=[1.0, 2.0, 3.0, 4.0], city=["a", "b", "c", "d"])
    real["day"] = pd.Timestamp("2024-01-01")
    with pytest.raises(UsageError, match=match):
        parse_constraints([text]).seen_in(normalise(real))


def test_combinations_that_single_rows_own_are_refused():
    rng = np.random.default_rng(0)
    real = rows(lat=rng.random(60), lon=rng.random(60))
    with pytest.raises(UsageError, match="60 of 60 real rows have a combination of their own"):
        parse_constraints(["fixed(lat, lon)"]).seen_in(real)
