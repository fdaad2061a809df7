"""Exact intervals, power, and the bound on ε."""

import numpy as np
import pytest
from scipy import stats

from synth_mlflow.metrics.intervals import (
    clopper_pearson,
    epsilon_lower_bound,
    excess_p_value,
    largest_provable_epsilon,
    standard_error_of_auc,
)


@pytest.mark.parametrize(("k", "n"), [(0, 5), (3, 50), (50, 50)])
def test_clopper_pearson_is_scipys(k, n):
    expected = stats.binomtest(k, n).proportion_ci(method="exact")
    assert clopper_pearson(k, n) == pytest.approx((expected.low, expected.high))


def test_excess_is_fishers_one_sided_test():
    expected = stats.fisher_exact([[7, 13], [2, 18]], alternative="greater").pvalue
    assert excess_p_value(7, 2, 20) == pytest.approx(expected)


def test_standard_error_of_auc_is_what_is_seen():
    rng = np.random.default_rng(0)
    seen = [stats.mannwhitneyu(rng.random(40), rng.random(60)).statistic / 2400 for _ in range(600)]
    assert np.std(seen) == pytest.approx(standard_error_of_auc(40, 60), rel=0.1)


def test_guessing_proves_no_privacy_loss():
    rng = np.random.default_rng(1)
    member = np.arange(2000) % 2 == 0
    bounds = [epsilon_lower_bound(rng.random(2000), member) for _ in range(40)]
    assert np.mean(np.array(bounds) > 0.3) <= 0.05


def test_randomised_response_stays_below_its_epsilon():
    rng = np.random.default_rng(2)
    epsilon, member = 1.0, np.arange(4000) % 2 == 0
    kept = rng.random(4000) < np.exp(epsilon) / (1 + np.exp(epsilon))
    guesses = np.where(kept, member, ~member) + rng.random(4000) * 1e-3
    assert 0.5 < epsilon_lower_bound(guesses, member) <= epsilon


def test_nothing_proves_more_than_perfect_guesses():
    member = np.arange(500) % 2 == 0
    assert epsilon_lower_bound(member.astype(float), member) == pytest.approx(largest_provable_epsilon(500))
