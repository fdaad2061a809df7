"""How well raters tell rows apart, and how well they agree: by hand, against SciPy and scikit-learn, and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from synth_mlflow.metrics.intervals import clopper_pearson
from synth_mlflow.metrics.raters import (
    chance_to_pass,
    cohen_kappa,
    fewest_right_to_fail,
    fleiss_kappa,
    majority,
    most_right_to_pass,
    rater_auc,
    rater_auc_interval,
)

HALF = [True] * 10 + [False] * 10
ANSWERS = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=20, max_size=20)


@given(ANSWERS)
def test_it_is_the_area_that_scikit_learn_gives(answers):
    assert rater_auc(answers, HALF) == pytest.approx(roc_auc_score(HALF, answers))
    low, high = rater_auc_interval(answers, HALF)
    assert 0 <= low <= rater_auc(answers, HALF) <= high <= 1


def test_without_doubt_it_is_the_share_of_right_answers():
    """7 of 10 real rows and 8 of 10 synthetic ones are recognised: 15 of 20."""
    answers = [1.0] * 7 + [0.0] * 3 + [0.0] * 8 + [1.0] * 2
    assert rater_auc(answers, HALF) == 0.75
    assert rater_auc_interval(answers, HALF) == clopper_pearson(15, 20)


def test_with_doubt_pairs_of_rows_are_counted():
    """All real rows real, all synthetic ones in doubt: each of 100 pairs is won, and 10 disjoint pairs are 10 of 10."""
    answers = [1.0] * 10 + [0.5] * 10
    assert rater_auc(answers, HALF) == 1.0
    assert rater_auc_interval(answers, HALF) == clopper_pearson(10, 10)


@pytest.mark.parametrize(
    ("real", "synthetic"),
    [((0.5, 0.0, 0.5), (0.0, 1.0, 0.0)), ((0.3, 0.0, 0.7), (0.0, 1.0, 0.0)), ((0.2, 0.3, 0.5), (0.4, 0.3, 0.3))],
)
def test_the_interval_holds_at_its_worst(real, synthetic):
    """Chances of the answers 0, one half and 1 to real and to synthetic rows; a bound misses in 2.5 % of cases."""
    rng, kinds = np.random.default_rng(4), np.array([0.0, 0.5, 1.0])
    wins = (kinds[:, None] > kinds[None, :]) + 0.5 * (kinds[:, None] == kinds[None, :])
    true = float((np.outer(real, synthetic) * wins).sum())
    answers = np.hstack([rng.choice(kinds, (1500, 10), p=real), rng.choice(kinds, (1500, 10), p=synthetic)])
    bounds = np.array([rater_auc_interval(list(row), HALF) for row in answers])
    assert (bounds[:, 0] > true).mean() < 0.035 and (bounds[:, 1] < true).mean() < 0.035


def test_what_a_sheet_can_decide_is_what_its_intervals_decide():
    for n_rows in (10, 40, 100):
        passing = [k for k in range(n_rows + 1) if clopper_pearson(k, n_rows)[1] < 0.7]
        failing = [k for k in range(n_rows + 1) if clopper_pearson(k, n_rows)[0] > 0.7]
        assert most_right_to_pass(n_rows, 0.7) == max(passing)
        assert fewest_right_to_fail(n_rows, 0.7) == min([*failing, n_rows + 1])
    assert chance_to_pass(40, 0.7) == pytest.approx(0.682, abs=0.001)


def test_fleiss_kappa_of_his_own_example_in_small():
    """Three raters, four rows, counts 3-0, 2-1, 1-2, 0-3: agreement 2/3, by chance 1/2."""
    answers = [[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]]
    assert fleiss_kappa(answers) == pytest.approx((2 / 3 - 1 / 2) / (1 - 1 / 2))
    assert fleiss_kappa([[1, 1]]) is None and fleiss_kappa([[1, 1], [1, 1]]) is None


@given(ANSWERS, ANSWERS)
def test_cohen_kappa_is_that_of_scikit_learn(one, other):
    found = cohen_kappa(one, other)
    if found is None:
        assert one == other and len(set(one)) == 1
        return
    expected = cohen_kappa_score([str(each) for each in one], [str(each) for each in other])
    assert found[0] == pytest.approx(expected) and found[1] <= found[0] <= found[2]


def test_a_tie_of_people_is_doubt():
    assert majority([[1.0, 0.0], [0.0, 0.0]]) == [0.5, 0.0]
