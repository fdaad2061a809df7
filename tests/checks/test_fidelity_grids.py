"""Fidelity compares the grid of dates and numbers where real rows have one, and makes no such probe elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.checks import Metric, failed_probes
from synth_mlflow.checks._columns import column_probes
from synth_mlflow.checks.fidelity import Fidelity
from synth_mlflow.data.columns import normalise, schema_of

START = pd.Timestamp("2018-01-01")
NEW = {"off_grid", "weekday_distance", "day_of_month_distance", "hour_distance", "last_digit_distance"}


def rows(seed: int, n_rows: int = 600) -> pd.DataFrame:
    """A column for each structure, and two without any."""
    rng = np.random.default_rng(seed)
    trading = pd.Series(rng.choice(pd.bdate_range(START, periods=500), n_rows))
    any_day = pd.Series(START + pd.to_timedelta(rng.integers(0, 700, n_rows), "D"))
    return normalise(
        pd.DataFrame(
            {
                "month_end": START + pd.Series([pd.offsets.MonthEnd(int(k) + 1) for k in rng.integers(0, 70, n_rows)]),
                "trading": trading,
                "closing": trading + pd.Timedelta("16:30:00"),
                "office": any_day + pd.to_timedelta(rng.integers(8 * 60, 17 * 60, n_rows), "m"),
                "written": any_day.dt.strftime("%Y%m%d").astype("int64"),
                "price": rng.integers(1, 300, n_rows) + 0.99,
                "digit": rng.integers(0, 200, n_rows) * 10 + rng.choice([1, 3], n_rows),
                "single": rng.normal(size=n_rows).astype("float32").astype("float64"),
                "any_day": any_day,
                "free": rng.normal(size=n_rows),
            }
        )
    )


DAMAGES: dict[str, Any] = {
    "month_end": (lambda v: v + pd.to_timedelta(np.arange(len(v)) % 2, "D"), "off_grid", "the last day of a month"),
    "trading": (lambda v: v + pd.to_timedelta(2 * (np.arange(len(v)) % 2), "D"), "off_grid", "Monday or Tuesday"),
    "closing": (lambda v: v + pd.to_timedelta(np.arange(len(v)) % 3, "s"), "off_grid", "16:30:00 of a day"),
    "office": (lambda v: v.dt.normalize() + (v - v.dt.normalize()) * 1.3, "hour_distance", "00 has"),
    "written": (lambda v: v + np.arange(len(v)) % 40, "off_grid", "dates written as numbers"),
    "price": (lambda v: v + np.arange(len(v)) % 3 / 100, "off_grid", "0.99 and multiples of 1 more"),
    "digit": (lambda v: v + np.arange(len(v)) % 3, "last_digit_distance", "last digit 1 has"),
    "single": (lambda v: v + 1e-10, "off_grid", "32-bit floats"),
}


def new_probes(real: pd.DataFrame, batch: pd.DataFrame) -> list[Metric]:
    """What fidelity says of grids."""
    probes = column_probes(real, batch, schema_of(real), Fidelity.defaults, np.random.default_rng(0))
    failed = failed_probes(tuple(probes), 0.005)
    return [probe for probe in failed if probe.name in NEW]


def test_fresh_rows_pass_and_columns_without_structure_have_no_such_probe() -> None:
    real = rows(0)
    assert all(new_probes(real, rows(seed)) == [] for seed in range(1, 6))
    probes = column_probes(real, rows(1), schema_of(real), Fidelity.defaults, np.random.default_rng(0))
    named = {probe.column for probe in probes if probe.name in NEW}
    assert named == set(real) - {"free"}
    assert {probe.name for probe in probes if probe.column == "any_day" and probe.name in NEW} == {"off_grid"}


@pytest.mark.parametrize("column", DAMAGES)
def test_a_batch_off_the_grid_fails_and_is_named(column: str) -> None:
    spoil, name, words = DAMAGES[column]
    real, batch = rows(0), rows(1)
    batch[column] = spoil(batch[column]).astype(real[column].dtype)
    found = [probe for probe in new_probes(real, batch) if probe.column == column]
    assert name in {probe.name for probe in found}
    assert any(words in probe.note for probe in found)
