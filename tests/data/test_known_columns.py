"""Tables that were saved again, extended or damaged, in the columns of a schema."""

import pandas as pd
import pytest

from synth_mlflow.data.columns import Schema, normalise, schema_of
from synth_mlflow.data.digests import row_hashes
from synth_mlflow.data.schema import Wishes
from synth_mlflow.data.schema_inference import infer_table
from synth_mlflow.data.tables import raw_table, read_known
from synth_mlflow.data.text_forms import Form
from synth_mlflow.errors import UsageError
from synth_mlflow.queries.identify import known_columns, missing_columns

ROWS = normalise(
    pd.DataFrame(
        {
            "n": [1, 2, 3], "x": [0.1, None, 1e-7], "on": [True, False, None], "code": ["01", "2", None],
            "at": pd.to_datetime(["2020-01-01", "2021-05-05 10:00:00.000001", None], format="ISO8601"),
        }
    )
)  # fmt: skip
SCHEMA = schema_of(ROWS)


@pytest.mark.parametrize("name", ["saved.csv", "saved.csv.gz", "saved.parquet"])
@pytest.mark.parametrize("kept", [slice(None), slice(0, 2), slice(2, 3)])
def test_rows_survive_a_save_with_index_further_columns_and_another_order(tmp_path, name, kept):
    wider = ROWS[kept].assign(note=[{"a": 1}] * len(ROWS[kept]))[["note", *ROWS.columns[::-1]]]
    wider.index = pd.Index(range(10, 10 + len(wider)))
    wider.to_parquet(tmp_path / name) if name.endswith("parquet") else wider.to_csv(tmp_path / name)
    frame, extra = read_known(tmp_path / name, SCHEMA)
    known = known_columns(frame, SCHEMA)
    assert known.readable.all() and "note" in extra
    assert (row_hashes(known.rows) == row_hashes(ROWS[kept].reset_index(drop=True))).all()


def test_values_of_another_kind_are_marked_and_harm_no_other_row():
    damaged = ROWS.astype(object)
    damaged.loc[0, "n"] = "one"
    damaged.loc[1, "at"] = "yesterday"
    known = known_columns(damaged, SCHEMA)
    assert known.readable.tolist() == [False, False, True]
    assert row_hashes(known.rows)[2] == row_hashes(ROWS)[2]


@pytest.mark.parametrize(
    ("kind", "values", "readable"),
    [
        ("number", ["1.5", "x", None, float("inf")], [True, False, True, False]),
        ("integer", [1.0, 1.5, None, "2"], [True, False, True, True]),
        ("boolean", ["True", "maybe", None, 0], [True, False, True, True]),
        ("string", [1, "x", None, True], [True, True, True, True]),
        ("datetime", ["2020-01-01", "soon", None, "2020-13-01"], [True, False, True, False]),
    ],
)
def test_every_kind_reads_what_it_can(kind, values, readable):
    frame = pd.DataFrame({"c": pd.Series(values, dtype=object)})
    assert known_columns(frame, Schema({"c": kind})).readable.tolist() == readable


def test_missing_and_doubled_columns():
    assert missing_columns(ROWS[["n", "x"]], SCHEMA) == ("on", "code", "at")
    with pytest.raises(UsageError, match="column 'n' stands in the table 2 times"):
        known_columns(pd.concat([ROWS, ROWS[["n"]]], axis=1), SCHEMA)


def read_with(folder, **columns):
    """A table as `define` reads it from CSV, and its schema."""
    pd.DataFrame(columns).to_csv(folder / "own.csv", index=False)
    found = infer_table(raw_table(folder / "own.csv"), Wishes())
    return found.rows, found.table.schema


def test_zeros_and_a_plus_that_a_save_has_left_out_are_put_back(tmp_path):
    rows, schema = read_with(
        tmp_path,
        zip=["01067", "94107", "00501"] * 20,
        phone=[f"0{n}" for n in range(30_000_000, 30_000_060)],
        plus=[f"+49{n}" for n in range(30_000_000_000, 30_000_000_060)],
        change=[f"{n - 30:+.1f}" for n in range(60)],
        time=[f"{n % 24:02d}{n:02d}" for n in range(60)],
    )
    for name in ("again.csv", "again.parquet"):
        again = pd.read_csv(tmp_path / "own.csv")
        assert again["zip"].iloc[0] == 1067
        again.to_parquet(tmp_path / name) if name.endswith("parquet") else again.to_csv(tmp_path / name, index=False)
        known = known_columns(read_known(tmp_path / name, schema)[0], schema)
        assert known.readable.all() and (row_hashes(known.rows) == row_hashes(rows)).all()


def test_a_decimal_comma_that_a_save_has_brought_is_read(tmp_path):
    rows, schema = read_with(tmp_path, x=[f"{n}.5" for n in range(60)], n=[n if n % 7 else "" for n in range(60)])
    pd.read_csv(tmp_path / "own.csv").to_csv(tmp_path / "again.csv", index=False, sep=";", decimal=",")
    known = known_columns(read_known(tmp_path / "again.csv", schema)[0], schema)
    assert known.readable.all() and (row_hashes(known.rows) == row_hashes(rows)).all()


def test_a_column_of_whole_numbers_that_holds_none_is_unreadable_and_no_error():
    schema = Schema({"n": "integer"}, {"n": Form(dtype="Int64", words=("-999",))})
    known = known_columns(pd.DataFrame({"n": ["a", "b"]}), schema)
    assert not known.readable.any()
