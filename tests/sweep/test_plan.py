"""Plans and the rows of their fits: paired within a repeat, never an index twice outside the placebo."""

import numpy as np
import pytest

from synth_mlflow.errors import UsageError
from synth_mlflow.sweep.plan import ALL_ROWS, FitKey, SweepPlan, all_rows, fit_rows, unfinished

BATCHES = np.repeat([0, 1], [200, 400])


def rows_of(arm, ratio, repeat, mix="augment"):
    """The rows of a fit on 100 real and 600 synthetic rows."""
    return fit_rows(FitKey(arm, ratio, repeat), 100, BATCHES, mix, seed=5)


def test_no_fits_at_a_time_are_refused():
    with pytest.raises(UsageError, match="0 fits at a time"):
        SweepPlan(n_jobs=0)


def test_default_plan_has_each_fit_once():
    keys = SweepPlan().keys()
    assert len(keys) == len(set(keys)) == 12 + 3 * 12 + 3 * 6 + 3 * 6


def test_all_ratios_and_arms_of_a_repeat_share_the_real_rows():
    draws = [rows_of(arm, ratio, 3).real for arm in ("synthetic", "placebo") for ratio in (0.25, 0.75)]
    assert all(np.array_equal(draws[0], other) for other in draws)
    assert len(np.unique(draws[0])) == 80
    assert not np.array_equal(np.sort(draws[0]), np.sort(rows_of("synthetic", 0.25, 4).real))


def test_a_smaller_ratio_takes_a_part_of_a_greater_ones_synthetic_rows():
    small, great = rows_of("synthetic", 0.25, 0).added, rows_of("synthetic", 0.75, 0).added
    assert set(small) < set(great)
    assert len(np.unique(great)) == len(great) == 240
    assert great.min() >= 100
    assert np.mean(great >= 300) == pytest.approx(2 / 3, abs=0.02)  # batches in proportion


def test_all_rows_takes_all_real_rows():
    fit = rows_of("synthetic", 0.75, ALL_ROWS)
    assert np.array_equal(np.sort(fit.real), np.arange(100))
    assert len(fit.added) == 300


def test_every_fit_on_all_rows_draws_other_synthetic_rows():
    assert list(all_rows(3)) == [-1, -2, -3]
    first, second = (rows_of("synthetic", 0.5, repeat) for repeat in all_rows(2))
    assert np.array_equal(first.real, second.real) and len(second.real) == 100
    assert set(first.added) != set(second.added)
    assert FitKey("synthetic", 0.5, -2).takes_all and not FitKey("synthetic", 0.5, 0).takes_all


def test_placebo_duplicates_the_drawn_rows_only():
    fit = rows_of("placebo", 0.75, 1)
    assert set(fit.added) == set(fit.real)
    assert len(fit.added) == 240


def test_replace_keeps_the_total():
    fit = rows_of("synthetic", 0.75, ALL_ROWS, "replace")
    assert (len(fit.real), len(fit.added)) == (25, 75)
    assert not np.array_equal(np.sort(fit.real), np.arange(25))


def test_learning_arm_takes_a_share_of_the_real_rows():
    fit = rows_of("real", 0.25, 2)
    assert (len(np.unique(fit.real)), len(fit.added)) == (25, 0)


def test_a_part_of_the_real_rows_takes_whole_groups():
    groups = np.random.default_rng(1).integers(0, 12, 100)
    for key in (FitKey("synthetic", 0.5, 0), FitKey("real", 0.5, 1)):
        part = fit_rows(key, 100, BATCHES, "augment", seed=5, groups=groups).real
        taken = np.isin(groups, groups[part])
        assert np.array_equal(np.sort(part), np.flatnonzero(taken))
        assert abs(len(part) - (80 if key.arm == "synthetic" else 50)) <= 10
    everyone = fit_rows(FitKey("synthetic", 0.5, ALL_ROWS), 100, BATCHES, "augment", seed=5, groups=groups)
    assert np.array_equal(everyone.real, np.arange(100))


def test_unfinished_keeps_the_order():
    keys = SweepPlan().keys()
    assert unfinished(keys, keys[:10]) == keys[10:]


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"repeats": 2}, "at least 3"), ({"rule": "peek"}, "Did you mean 'peak'"), ({"ratios": (0.5, 1.0)}, "outside")],
)
def test_senseless_plans_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        SweepPlan(**settings)
