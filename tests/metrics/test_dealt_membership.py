"""Floors of attacks: what random memberships give."""

import numpy as np
import pytest
from scipy import stats

from synth_mlflow.metrics.membership import (
    LOW_RATES,
    attack_floors,
    excess_floors,
    meta_floors,
    meta_null,
    outcome,
    permute_membership,
)

N = 500


@pytest.fixture(scope="module")
def dealt() -> np.ndarray:
    return permute_membership(2 * N, np.random.default_rng(0))


def test_half_of_the_targets_are_members_in_every_deal(dealt):
    assert (dealt.sum(axis=1) == N).all()


@pytest.mark.slow
@pytest.mark.parametrize("decimals", [9, 1])
def test_floors_are_the_quantiles_of_the_attacks_outcome(dealt, decimals):
    scores = np.random.default_rng(1).normal(size=2 * N).round(decimals)  # few decimals make ties
    found = [outcome("any", scores, one) for one in dealt]
    floors = attack_floors(scores, dealt)
    assert floors[0] == pytest.approx(np.quantile([one.auc for one in found], 0.99))
    for place in range(len(LOW_RATES)):
        rates = [one.rates[place].true_positive_rate for one in found]
        assert floors[place + 1] == pytest.approx(np.quantile(rates, 0.99))


def test_the_floor_of_marks_agrees_with_the_exact_law(dealt):
    marks = np.arange(2 * N) < 60
    exact = stats.hypergeom.ppf(0.99, 2 * N, 60, N)
    assert excess_floors(marks[:, None], dealt)[0] * N == pytest.approx(2 * exact - 60, abs=6)


def test_an_attack_that_learns_has_a_wider_floor_than_the_rank_law_says():
    known = np.random.default_rng(2).normal(size=(2 * N, 6))
    area, *rates = meta_floors(meta_null(known, np.random.default_rng(3)), N)
    assert 0.52 < area < 0.65
    assert all(rate >= low for rate, low in zip(rates, LOW_RATES, strict=True))
