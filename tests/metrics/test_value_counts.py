"""Tallies give what the values themselves give, and floors that real rows keep to."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.metrics.distances import (
    ValueCounts,
    absent_levels,
    ks_distance,
    ks_of_tally,
    marks_gap,
    marks_kept,
    measured_floors,
    missing_gap,
    missing_kept,
    outside_range,
    tallied,
    tv_distance,
    tv_of_tally,
    unseen_levels,
)


def counts(*values: int) -> np.ndarray:
    return np.array(values)


def test_distances_of_tallies_equal_those_of_the_values():
    rng = np.random.default_rng(0)
    numbers = [pd.Series(rng.normal(size=n).round(1)).where(lambda s: s < 2) for n in (300, 200)]
    labels = [pd.Series(rng.choice(list("abc"), n)) for n in (300, 200)]
    assert ks_of_tally(tallied(*numbers, ordered=True).tally) == pytest.approx(ks_distance(*numbers))
    assert tv_of_tally(tallied(*labels, ordered=False).tally) == pytest.approx(tv_distance(*labels))


@pytest.mark.parametrize(
    ("statistic", "tally", "value"),
    [
        (missing_gap, ValueCounts(counts(6), counts(9), (4, 1)), 0.3),
        (missing_kept, ValueCounts(counts(6), counts(9), (4, 1)), 0.25),
        (missing_kept, ValueCounts(counts(6), counts(9), (0, 1)), 1.0),  # nothing to keep
        (marks_gap(np.array([True, False])), ValueCounts(counts(5, 5), counts(2, 8), (0, 0)), 0.3),
        (marks_kept(np.array([True, False])), ValueCounts(counts(5, 5), counts(2, 8), (0, 0)), 0.4),
        (outside_range, ValueCounts(counts(0, 3, 3, 0), counts(1, 2, 2, 3), (0, 0)), 0.5),
        (unseen_levels, ValueCounts(counts(10, 0), counts(5, 5), (0, 0)), 0.5),
        (
            unseen_levels,
            ValueCounts(counts(5, 1, 1, 1, 1, 1, 0), counts(5, 1, 1, 1, 1, 0, 1), (0, 0)),
            0.0,
        ),  # to be expected
        (absent_levels(5), ValueCounts(counts(50, 50), counts(100, 0), (0, 0)), 0.5),
        (absent_levels(5), ValueCounts(counts(98, 2), counts(100, 0), (0, 0)), 0.0),  # too rare to be missed
        (ks_of_tally, ValueCounts(counts(5), counts(0), (0, 5)), 0.0),
    ],
)
def test_statistics_by_hand(statistic, tally, value):
    assert statistic(tally) == pytest.approx(value)


def test_floors_are_kept_by_fresh_draws():
    rng = np.random.default_rng(1)

    def beyond() -> bool:
        real, fresh = (pd.Series(rng.exponential(size=n)) for n in (800, 400))
        column = tallied(real, fresh, ordered=True)
        marks = marks_kept(column.values > 2.5)
        floors = measured_floors(column, {"ks": ks_of_tally, "tail": marks}, ["tail"], rng)
        return ks_of_tally(column.tally) > floors["ks"].floor or marks(column.tally) < floors["tail"].floor

    assert sum(beyond() for _ in range(60)) <= 5  # 1.2 are to be expected
