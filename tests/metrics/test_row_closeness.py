"""Closeness of rows, on tables that can be worked by hand."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.metrics import row_closeness
from synth_mlflow.metrics.row_closeness import FAR, Closeness
from synth_mlflow.metrics.row_pairs import closest_pairs

REAL = pd.DataFrame({"x": np.arange(20.0), "colour": ["red"] * 10 + ["blue"] * 9 + ["green"]})


@pytest.fixture(autouse=True)
def _each_column_for_itself(monkeypatch):
    """Of twenty rows the colour is a function of the number."""
    monkeypatch.setattr(row_closeness, "own_information", lambda codes: np.ones(len(codes)))


def closeness(batch: pd.DataFrame) -> Closeness:
    return Closeness(REAL, 10, batch)


def test_a_value_weighs_by_how_few_rows_share_it():
    found = closeness(pd.DataFrame({"x": [19.0, 3.0], "colour": ["green", "red"]}))
    close = found.by_column(np.array([20, 21]), np.array([19, 3])).sum(axis=1)
    assert close == pytest.approx([2 * np.log(20), np.log(20) + np.log(2)])


def test_what_differs_costs_nothing():
    found = closeness(pd.DataFrame({"x": [19.0], "colour": ["red"]}))
    assert found.by_column(np.array([20]), np.array([19])).sum(axis=1) == pytest.approx([np.log(20)])


def test_a_real_row_is_not_paired_with_itself():
    pairs = closest_pairs(closeness(REAL[:1]), np.arange(20))
    assert (pairs.places != np.arange(20)[:, None])[pairs.usable].all()


def test_a_copy_leads_by_far_and_a_row_between_two_does_not():
    batch = pd.DataFrame({"x": [19.0, 4.5], "colour": ["green", "red"]})
    pairs = closest_pairs(closeness(batch), np.array([20, 21]))
    lead = pairs.features[:, 0, -1]
    assert pairs.places[0, 0] == 19
    assert lead[0] > 3 > 1 > lead[1]


def test_missing_values_match_each_other_alone():
    real = REAL.assign(x=REAL["x"].where(REAL["x"] > 1))
    found = Closeness(real, 10, pd.DataFrame({"x": [np.nan], "colour": ["none"]}))
    assert found.by_column(np.array([20, 20]), np.array([0, 5])).sum(axis=1) == pytest.approx([np.log(10), 0.0])
    assert found.differences(np.array([20, 20]), np.array([0, 5])).tolist() == [[0.0, FAR], [FAR, FAR]]
