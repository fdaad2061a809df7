"""Counts of matches and the tests that judge them, on cases worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from synth_mlflow.checks._evaluation_matches import _design_effect
from synth_mlflow.metrics.intervals import Matches, critical_count, rate_p_value, smallest_detectable

NONE = Matches(
    evaluation=0, training=0, real_pairs=0, batch_exposure=100.0, real_exposure=300.0, side_share=0.25
)  # fmt: skip


def matches(evaluation, training, real_pairs):
    return Matches(evaluation, training, real_pairs, 100.0, 300.0, 0.25)


def test_nothing_matched_is_nothing_found():
    assert (NONE.natural_p_value, NONE.side_p_value, NONE.expected) == (1.0, 1.0, 0.0)


def test_expectations_follow_the_exposures():
    found = matches(10, 30, 60)
    assert (found.expected, found.expected_from_training) == (20.0, 10.0)


def test_the_side_test_is_binomial():
    assert matches(2, 0, 0).side_p_value == pytest.approx(0.25**2)


@pytest.mark.slow
@pytest.mark.parametrize("expected", [0.3, 1.0, 4.0, 20.0])
def test_the_rate_test_keeps_its_level(expected):
    rng = np.random.default_rng(1)
    p_values = [rate_p_value(int(k), 1.0, int(m), 4.0) for k, m in rng.poisson([expected, 4 * expected], (2_000, 2))]
    assert np.mean(np.array(p_values) <= 0.01) <= 0.015


@pytest.mark.parametrize("k_reference", [0, 5, 200, 4_000])
def test_the_critical_count_is_where_the_test_turns(k_reference):
    found = critical_count(k_reference, 1.0, 5.0, alpha=1e-3)
    assert rate_p_value(found, 1.0, k_reference, 5.0) <= 1e-3
    assert rate_p_value(int(found * 0.95) - 1, 1.0, k_reference, 5.0) > 1e-3


def test_what_is_found_in_four_of_five_cases_is_found_so_often():
    rng = np.random.default_rng(2)
    planted = smallest_detectable(40, 1.0, 5.0, alpha=1e-3)
    hits = [rate_p_value(planted + int(k), 1.0, 40, 5.0) <= 1e-3 for k in rng.poisson(8, 1_000)]
    assert 0.75 <= np.mean(hits) <= 0.95


def test_rows_of_a_group_that_are_matched_together_count_as_one():
    rows, groups = matches(60, 120, 100), replace(matches(60, 120, 100), design_effect=4.0)
    assert groups.side_p_value == matches(15, 30, 0).side_p_value > rows.side_p_value
    assert groups.natural_p_value == matches(15, 0, 25).natural_p_value > rows.natural_p_value


def test_the_alarms_of_a_split_by_group_keep_their_rate():
    rng = np.random.default_rng(5)
    groups = rng.integers(20, size=(4_000, 60))  # of matched rows, drawn with no look at the split
    in_evaluation = rng.random((4_000, 20)) < 0.25
    p_values = []
    for own, inside in zip(groups, in_evaluation, strict=True):
        n_inside, effect = int(inside[own].sum()), _design_effect(own)
        p_values.append(replace(matches(n_inside, 60 - n_inside, 0), design_effect=effect).side_p_value)
    assert np.mean(np.array(p_values) <= 0.01) <= 0.015
