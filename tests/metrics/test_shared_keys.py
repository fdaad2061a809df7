"""Combinations of values that a batch shares with evaluation rows."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.metrics.shared_keys import KeyedRows, column_sets, identifying_columns, is_key

TRAINING = pd.DataFrame({"a": [1, 2, 2, 3], "b": [1, 1, 1, 1]})
EVALUATION = pd.DataFrame({"a": [4, 5], "b": [1, 1]})


def test_keys_are_counted_by_table():
    counts = KeyedRows.of(TRAINING, EVALUATION, pd.DataFrame({"a": [4, 4, 1, 9], "b": [1, 1, 1, 1]})).counts([0])
    found = counts.matches()
    assert (found.evaluation, found.training, found.real_pairs) == (1, 1, 1)
    assert found.side_share == pytest.approx(2 / 4)  # of 1, 3, 4 and 5


def test_every_real_row_is_left_out_of_its_own_count():
    new, found = KeyedRows.of(TRAINING, EVALUATION, TRAINING[:1]).counts([0]).left_out
    assert new.tolist() == [True, False, False, True, True, True, False]
    assert not found.any()


def test_columns_that_identify_rows_together_are_left_out():
    rng = np.random.default_rng(0)
    grid = pd.DataFrame([(c, y) for c in range(30) for y in range(10)], columns=["country", "year"])
    rows = grid.assign(gdp=rng.integers(0, 50, len(grid))).sample(frac=1, random_state=0, ignore_index=True)
    keyed = KeyedRows.of(rows[:150], rows[150:250], rows[250:])
    assert is_key(keyed, (0, 1), keyed.collisions())
    assert not any({0, 1} <= set(one) for one in column_sets(keyed, rng))


def test_numbers_given_out_once_identify_and_measurements_do_not():
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "customer": rng.permutation(1_000)[:500],
            "code": [f"c{n}" for n in range(500)],
            "age": rng.integers(18, 80, 500),
            "income": rng.normal(size=500),
            "grams": rng.integers(0, 10**9, 500),
            "hour": pd.date_range("2024-01-01", periods=500, freq="h"),
            "moment": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 10**9, 500), "s"),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, 500), "D"),
        }
    )
    # an hour that training lacks is an evaluation row's
    assert identifying_columns(rows[name] for name in rows) == ["customer", "code", "hour"]
    zoned = rows["hour"].dt.tz_localize("Europe/Paris", nonexistent="shift_forward", ambiguous="NaT").dropna()
    assert identifying_columns([zoned]) == ["hour"]
