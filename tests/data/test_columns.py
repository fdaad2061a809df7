"""Columns: five kinds whatever the frame held, and messages that name everything that does not fit at once."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import Schema, conform, normalise, schema_of
from synth_mlflow.errors import UsageError

BERLIN = pd.Timestamp("2024-01-01", tz="Europe/Berlin")


def objects(*values):
    return pd.Series(list(values), dtype=object)


@pytest.mark.parametrize(
    ("values", "kind", "dtype"),
    [
        (pd.Series([1, 2], dtype="int8"), "integer", "int64"),
        (pd.Series([1, None], dtype="Int64"), "number", "float64"),
        (objects(1, 2), "integer", "int64"),
        (objects(1, 2.5, None), "number", "float64"),
        (objects(Decimal("1.5"), None), "number", "float64"),
        (pd.Series([1.0, np.nan], dtype="float32"), "number", "float64"),
        (pd.Series([True, False]), "boolean", "bool"),
        (objects(True, None), "boolean", "boolean"),
        (objects("a", None), "string", "str"),
        (objects(None, None), "string", "str"),
        (pd.Series(["a", None], dtype="category"), "string", "str"),
        (pd.Series([1, None], dtype="category"), "number", "float64"),
        (objects(datetime.date(2024, 1, 1), None), "datetime", "datetime64[us]"),
        (objects(BERLIN, pd.Timestamp("2024-01-01", tz="UTC")), "datetime", "datetime64[us]"),
        (pd.Series([BERLIN]), "datetime", "datetime64[us]"),
    ],
)
def test_every_column_becomes_one_of_five_kinds(values, kind, dtype):
    table = normalise(pd.DataFrame({"x": values}))
    assert (schema_of(table)["x"], str(table["x"].dtype)) == (kind, dtype)


def test_moments_are_kept_in_utc():
    assert normalise(pd.DataFrame({"x": [BERLIN]}))["x"][0] == pd.Timestamp("2023-12-31 23:00")


def test_the_index_is_made_anew():
    assert list(normalise(pd.DataFrame({"x": [1, 2]}, index=[7, 7])).index) == [0, 1]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "stand more than once: 'a'"),
        (pd.DataFrame([[1, 2]], columns=["1", 1]), "stand more than once: '1'"),
        (pd.DataFrame({" ": [1]}), "a column has an empty name"),
        (pd.DataFrame({"a": [1, np.inf, -np.inf]}), "'a' holds 2 infinite values"),
        (pd.DataFrame({"a": objects(1, "x")}), "'a' mixes types"),
        (pd.DataFrame({"a": objects([1], [2])}), "'a' holds lists"),
        (pd.DataFrame({"a": objects(b"x", b"y")}), "'a' holds bytes"),
        (pd.DataFrame({"a": pd.interval_range(0, 2)}), "'a' holds intervals"),
        (
            pd.DataFrame({"a": pd.Series([1, 2**63], dtype="uint64")}),
            "'a' holds whole numbers beyond 9223372036854775807",
        ),
        (pd.DataFrame({"a": objects("fine", "half a \ud83d")}), "'a' holds text that is not Unicode"),
    ],
)
def test_what_no_table_may_hold_is_refused(frame, message):
    with pytest.raises(UsageError, match=message):
        normalise(frame)


SCHEMA = Schema({"n": "integer", "x": "number", "b": "boolean", "s": "string", "d": "datetime"})
FITTING = pd.DataFrame(
    {"n": [1, 2], "x": [0.5, None], "b": [True, False], "s": ["a", None], "d": pd.to_datetime(["2024-01-01", None])}
)


def test_columns_are_put_in_order():
    assert list(conform(FITTING[["d", "s", "b", "x", "n"]], SCHEMA)) == SCHEMA.columns


@pytest.mark.parametrize(
    ("column", "values", "dtype"),
    [
        ("n", [1.0, 2.0], "int64"),
        ("n", [1.0, None], "float64"),
        ("x", [1, 2], "float64"),
        ("b", [0, 1], "bool"),
        ("b", [0, None], "boolean"),
        ("d", [None, None], "datetime64[us]"),
        ("b", [None, None], "boolean"),
    ],
)
def test_values_that_lose_nothing_are_converted(column, values, dtype):
    assert str(conform(FITTING.assign(**{column: values}), SCHEMA)[column].dtype) == dtype


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("n", [1.5, 2.0], "'n' holds 1 values with a fraction, whole numbers were needed: round them"),
        ("n", ["1", "x"], "'n' holds string values such as 'x' in 1 cells, integer values were needed"),
        ("b", [0, 2], "'b' holds integer values, boolean"),
        ("s", [1, 2], "'s' holds integer values, string"),
        ("d", ["2024-01-01", "x"], "'d' holds string values such as 'x' in 1 cells, datetime"),
    ],
)
def test_another_kind_is_refused(column, values, message):
    with pytest.raises(UsageError, match=message):
        conform(FITTING.assign(**{column: values}), SCHEMA, "the batch")


def test_everything_that_does_not_fit_is_named_at_once():
    wrong = FITTING.drop(columns="x").rename(columns={"d": "date"}).assign(s=[1, 2], sx=1)
    with pytest.raises(UsageError, match="the batch does not have the columns of the real table") as refusal:
        conform(wrong, SCHEMA, "the batch")
    for part in ("'x' is missing", "'d' is missing", "'date' is unknown", "'sx' is unknown. Did you mean", "'s' holds"):
        assert part in refusal.value.found
