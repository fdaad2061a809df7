"""Tables of other libraries: the same rows as in pandas, and what is none is refused by its name."""

from __future__ import annotations

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shop

from synth_mlflow.data.chunks import as_pandas
from synth_mlflow.data.columns import conform, normalise, schema_of
from synth_mlflow.data.digests import table_digest
from synth_mlflow.errors import UsageError


def polars(rows):
    return pytest.importorskip("polars").from_pandas(rows)


def duckdb(rows):
    return pytest.importorskip("duckdb").from_arrow(pa.Table.from_pandas(rows, preserve_index=False))


WAYS = {
    "pandas": lambda rows: rows,
    "pyarrow": lambda rows: pa.Table.from_pandas(rows, preserve_index=False),
    "dictionary-encoded": lambda rows: pa.Table.from_pandas(rows.astype({"region": "category"}), preserve_index=False),
    "dict of lists": lambda rows: {name: list(rows[name]) for name in rows},
    "dict of arrays": lambda rows: {name: rows[name].to_numpy() for name in rows},
    "dict of series": lambda rows: {name: rows[name].iloc[::1] for name in rows},
    "polars": polars,
    "polars, lazy": lambda rows: polars(rows).lazy(),
    "duckdb": duckdb,
}


@pytest.mark.parametrize("way", WAYS)
def test_the_rows_are_the_same(way):
    rows = normalise(shop.customers(60, 3))
    found = conform(as_pandas(WAYS[way](rows)), schema_of(rows))
    assert table_digest(found, schema_of(rows)) == table_digest(rows, schema_of(rows))


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([1, None, 3], pa.int8()), "number"),
        (pa.array([2**40, 1, 3], pa.uint64()), "integer"),
        (pa.array([True, None, False]), "boolean"),
        (pa.array([dt.date(2020, 1, 1), None, dt.date(2021, 1, 1)]), "datetime"),
        (pa.array([dt.datetime(2020, 1, 1), None, None], pa.timestamp("ns", "Asia/Tokyo")), "datetime"),
        (pa.array([decimal.Decimal("1.5"), None, decimal.Decimal("2.25")]), "number"),
        (pa.array(["a", None, "b"], pa.large_string()), "string"),
    ],
)
def test_types_of_arrow(column, kind):
    assert schema_of(normalise(as_pandas(pa.table({"x": column})))).kinds == {"x": kind}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (None, "a NoneType, which is no table"),
        ([[1, 2]], "a list, which is no table"),
        ("rows.csv", "a str, which is no table"),
        (np.zeros((2, 2)), "a numpy.ndarray, which is no table"),
        (pa.array([1]), r"a pyarrow.lib.\w*Array, which is no table"),
        (pd.Series([1]), r"a pandas\S*Series, which is no table"),
        ({"age": [1, 2], "n": [4242]}, "unequal length: 'age' has 2, 'n' has 1"),
        ({"age": 4242}, "whose item 'age' is no column"),
        ({"age": "4242"}, "whose item 'age' is no column"),
    ],
)
def test_what_is_no_table_is_refused_by_its_type_and_never_by_its_values(table, says):
    with pytest.raises(UsageError, match=f"the batch is .*{says}.*\nGive a table of pandas, Polars") as refusal:
        as_pandas(table, "the batch")
    assert "4242" not in str(refusal.value)


@pytest.mark.parametrize(
    "column",
    [pa.array([[4242], [1]]), pa.array([{"a": 4242}, {"a": 1}]), pa.array([b"4242", b"1"]), [4242.5, 1.0], [4242, "1"]],
)
def test_columns_that_do_not_fit_are_named_without_their_values(column):
    table = as_pandas(pa.table({"age": column}) if isinstance(column, pa.Array) else {"age": column})
    with pytest.raises(UsageError, match="'age'") as refusal:
        conform(table, schema_of(pd.DataFrame({"age": [1]})))
    assert "4242" not in str(refusal.value)


def test_batches_and_questions_take_them(frozen):
    law = {"generator": "law", "version": "1", "params": {}, "seed": 3, "slice": None, "purpose": "x", "source": "none"}
    with frozen.batch(**law) as b:
        b.write(pa.Table.from_pandas(shop.customers(30, 3), preserve_index=False))
        b.write(shop.customers(20, 4).to_dict("list"))
    assert b.batch.n_rows == 50
    found = frozen.identify(pa.Table.from_pandas(shop.customers(30, 3), preserve_index=False))
    assert found.counts["synthetic"] == 30 and found.what == "the table"
    with pytest.raises(UsageError, match="the table is a int, which is no table"):
        frozen.identify(7)


def test_where_a_file_is_needed_a_table_is_refused_by_its_type(frozen):
    with pytest.raises(UsageError, match=r"a file was needed, and a pyarrow.lib.Table was given") as refusal:
        frozen.define(pa.table({"age": [4242]}))
    assert "4242" not in str(refusal.value)
