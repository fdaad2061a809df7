"""Tables that were saved again, extended or damaged, in the columns of a schema."""

import pandas as pd
import pytest

from synth_mlflow.data.columns import Schema, normalise, schema_of
from synth_mlflow.data.digests import row_hashes
from synth_mlflow.data.tables import read_known
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
