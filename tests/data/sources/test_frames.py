"""Tables in memory where a table is named: of any library, with their types."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from synth_mlflow.data.sources.frames import Frame
from synth_mlflow.data.tables import read_table
from synth_mlflow.errors import UsageError

TABLE = {"age": [31, 44, None], "account": [2**60 + 1, None, 3], "town": ["Ulm", None, "Köln"]}


def polars():
    return pytest.importorskip("polars")


def as_duckdb():
    duckdb, table = pytest.importorskip("duckdb"), pa.table(TABLE)
    return duckdb.from_arrow(table)


MAKERS = {
    "dict": lambda: TABLE,
    "arrow": lambda: pa.table(TABLE),
    "pandas": lambda: pd.DataFrame({**TABLE, "account": pd.array(TABLE["account"], dtype="Int64")}),
    "polars": lambda: polars().DataFrame(TABLE),
    "lazy polars": lambda: polars().DataFrame(TABLE).lazy(),
    "duckdb": as_duckdb,
}


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "dict"])
def test_a_table_of_any_library_keeps_its_values(name):
    rows = read_table(Frame.of(MAKERS[name]()))
    assert rows["account"].tolist()[0] == 2**60 + 1
    assert rows["town"].tolist()[::2] == ["Ulm", "Köln"]
    assert rows.isna().sum().tolist() == [1, 1, 1]


def test_two_tables_of_one_kind_are_not_taken_for_each_other(command):
    first, second = (Frame.of(pd.DataFrame({"age": [at, at]})) for at in (1, 2))
    assert read_table(first)["age"].tolist() == [1, 1]
    assert read_table(second)["age"].tolist() == [2, 2]


@pytest.mark.parametrize("given", [[1, 2], pd.Series([1]), 7])
def test_what_is_no_table_is_told(given):
    with pytest.raises(UsageError, match="a table was needed, and a"):
        Frame.of(given)


def test_a_table_that_arrow_cannot_hold_is_told_without_its_values():
    with pytest.raises(UsageError, match="the table in memory") as refused:
        read_table(Frame.of(pd.DataFrame({"a": [1, "secret"], "b": [{1, 2}, 3]})))
    assert "secret" not in str(refused.value)
