"""Drift of later rows: found where a column moved or went missing, and seldom where nothing did."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import schema_of
from synth_mlflow.queries.rerun_check import table_drift


def rows(seed: int, n_rows: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "size": rng.normal(size=n_rows),
        "count": rng.integers(0, 9, n_rows),
        "colour": rng.choice(["red", "blue", "green"], n_rows, p=[0.6, 0.3, 0.1]),
        "is_new": rng.random(n_rows) < 0.2,
        "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n_rows), unit="D"),
    })  # fmt: skip
    frame.loc[rng.random(n_rows) < 0.1, "size"] = np.nan
    return frame


KNOWN = rows(0, 2_000)
SCHEMA = schema_of(KNOWN)


@pytest.mark.parametrize(
    ("column", "changed"),
    [
        ("size", lambda new: new.assign(size=new["size"] + 0.5)),
        ("size", lambda new: new.assign(size=new["size"].where(np.arange(len(new)) % 2 == 0))),
        ("size", lambda new: new.assign(size=np.nan)),
        ("count", lambda new: new.assign(count=new["count"] + 1)),
        ("colour", lambda new: new.assign(colour="violet")),
        ("colour", lambda new: new.assign(colour=new["colour"].where(np.arange(len(new)) % 5 > 0))),
        ("is_new", lambda new: new.assign(is_new=~new["is_new"])),
        ("day", lambda new: new.assign(day=new["day"] + pd.Timedelta(days=90))),
    ],
)
def test_a_moved_column_comes_first(column, changed):
    first, second, *_ = table_drift(KNOWN, changed(rows(1)), SCHEMA)
    assert first.column == column and first.p_value < 0.001 < second.p_value and 0 < first.distance <= 1


@pytest.mark.slow
def test_rows_of_the_same_law_are_seldom_said_to_differ():
    alarms = sum(table_drift(KNOWN, rows(seed), SCHEMA)[0].p_value < 0.05 for seed in range(100, 300))
    assert alarms <= 18  # 5 % of 200 are 10; 18 or more happen once in a hundred


def test_identical_tables_do_not_differ():
    assert {(drift.distance, drift.p_value) for drift in table_drift(KNOWN, KNOWN, SCHEMA)} == {(0.0, 1.0)}


@pytest.mark.parametrize("n_rows", [1, 2, 5])
def test_a_few_rows_are_no_drift(n_rows):
    assert table_drift(KNOWN, rows(3, n_rows), SCHEMA)[0].p_value > 0.05
