"""Intervals and simultaneous tests: against textbook values, and against what they estimate."""

import numpy as np
import pytest
from scipy import stats

from synth_mlflow.errors import UsageError
from synth_mlflow.sweep.inference import Uncertainty, max_t, peak_probabilities, uncertainty

KNOWN = Uncertainty(np.eye(4), np.zeros((4, 4)), 8)
"""Four independent scores with standard error 1 that comes from the evaluation rows alone."""


def test_known_variance_gives_normal_intervals():
    assert KNOWN.half_width(np.array([1.0, 0, 0, 0])) == pytest.approx(1.96, abs=0.001)
    assert KNOWN.half_width(np.array([1.0, -1, 0, 0])) == pytest.approx(1.96 * np.sqrt(2), abs=0.001)


def test_repeats_alone_give_student_intervals():
    estimated = Uncertainty(np.zeros((1, 1)), np.ones((1, 1)), 8)
    assert estimated.half_width(np.ones(1)) == pytest.approx(stats.t.ppf(0.975, 7))


def test_covariances_are_added():
    rng = np.random.default_rng(0)
    found = uncertainty(rng.normal(0, 1, (5_000, 1)), rng.normal(0, 2, (5_000, 1)))
    assert found.standard_error(np.ones(1)) == pytest.approx(np.sqrt(5), rel=0.03)


def test_what_the_evaluation_rows_make_of_repeats_counts_once():
    """Models that truly vary by 1, and by 2 more on the rows at hand, which the bootstrap of these rows knows of."""
    rng = np.random.default_rng(0)
    still, n_repeats = np.zeros((100, 2)), 4_000
    repeats = rng.normal(0, 1, (n_repeats, 2)) + rng.normal(0, 2, (n_repeats, 2))
    noise = rng.normal(0, 2, (n_repeats, 2, 20)) + rng.normal(0, 5, (1, 1, 20))  # what all repeats share is no noise
    first = np.array([1.0, 0])
    assert uncertainty(still, repeats).standard_error(first) == pytest.approx(np.sqrt(5), rel=0.03)
    assert uncertainty(still, repeats, noise=noise).standard_error(first) == pytest.approx(1, rel=0.1)
    assert uncertainty(still, repeats, noise=2 * noise).standard_error(first) == 0  # by chance more than there is
    noise[:, :, 0] = np.nan  # a draw without one of the classes
    assert uncertainty(still, repeats, noise=noise).standard_error(first) == pytest.approx(1, rel=0.1)
    assert uncertainty(still, repeats, noise=noise[:, :, :1]).standard_error(first) == pytest.approx(5**0.5, rel=0.03)


def test_max_t_of_one_contrast_is_the_t_test():
    test = max_t(np.array([2.0, 0, 0, 0]), np.array([[1.0, 0, 0, 0]]), KNOWN)
    assert test.critical[0] == pytest.approx(1.645, abs=0.03)
    assert test.p_values[0] == pytest.approx(stats.norm.sf(2), abs=0.005)


def test_max_t_of_three_comparisons_is_dunnetts_test():
    """One-sided 5 % critical value of three comparisons with a control, known variance: 2.06 (Dunnett 1955)."""
    contrasts = np.column_stack([-np.ones(3), np.eye(3)])
    assert max_t(np.zeros(4), contrasts, KNOWN).critical == pytest.approx(np.full(3, 2.06), abs=0.03)


def test_few_repeats_of_one_ratio_cost_the_others_nothing():
    """The last ratio takes all rows there are: nothing of it is drawn, and its statistic is a normal number."""
    contrasts, drawn = np.column_stack([-np.ones(2), np.eye(2)]), np.diag([0.0, 3.0, 0.0])
    test = max_t(np.array([0.0, 0.0, 9.0]), contrasts, Uncertainty(np.eye(3) * 0.5, drawn, 6))
    assert test.critical[1] < 2.0 < test.critical[0]
    tails = stats.t.sf(test.critical, [Uncertainty(np.eye(3) * 0.5, drawn, 6).freedom(contrasts[0]), np.inf])
    assert tails == pytest.approx(np.full(2, tails[0])) and 0.025 <= tails[0] <= 0.05


def test_nothing_varies_and_nothing_differs():
    still = Uncertainty(np.zeros((2, 2)), np.zeros((2, 2)), 8)
    test = max_t(np.array([0.5, 0.5]), np.array([[1.0, -1.0]]), still)
    assert test.p_values[0] > 0.9


@pytest.mark.parametrize("evaluation", [0.1, 0.1 + 1e-17, 0.3])
def test_scores_that_never_differ_but_by_rounding(evaluation):
    """As of models that are right on every row there is: no degrees of freedom were left, and the sweep ended."""
    same = Uncertainty(np.full((3, 3), evaluation), np.diag([1e-33, 0.0, 1e-34]), n_repeats=6)
    found = max_t(np.zeros(3), np.array([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]]), same)
    assert np.isfinite(found.critical).all() and list(found.statistics) == [0, 0]
    assert same.freedom(np.array([-1.0, 1.0, 0.0])) == np.inf
    assert same.standard_error(np.array([-1.0, 1.0, 0.0])) == 0


def test_peak_probabilities():
    assert peak_probabilities(np.array([0.0, 0, 0, 0]), KNOWN) == pytest.approx(np.full(4, 0.25), abs=0.02)
    assert peak_probabilities(np.array([0.0, 9, 0, 0]), KNOWN)[1] == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize("true", [(0, 0, 0, 0), (0, 0.5, 1, 0.5), (0, 1, 2, 2), (0, 2, 4, 2)])
def test_a_peak_comes_again_at_least_nearly_as_often_as_is_said(true):
    rng = np.random.default_rng(1)
    often = np.bincount((true + rng.normal(size=(20_000, 4))).argmax(axis=1), minlength=4) / 20_000
    said, happened = [], []
    for scores in true + rng.normal(size=(150, 4)):
        said.append(peak_probabilities(scores, KNOWN).max())
        happened.append(often[scores.argmax()])
    assert np.mean(said) == pytest.approx(np.mean(happened), abs=0.2)
    assert np.mean(said) < np.mean(happened) + 0.1


def _project(rng):
    """Four equal scores: what a project measures, and what it knows of their uncertainty from 8 repeats."""
    known = np.full((4, 4), 0.5) + np.eye(4) * 0.5
    scores = rng.multivariate_normal(np.zeros(4), 0.3 * known) + rng.multivariate_normal(np.zeros(4), 0.7 * known)
    repeats = rng.multivariate_normal(np.zeros(4), 0.7 * known, size=8)
    return scores, Uncertainty(0.3 * known, np.cov(repeats, rowvar=False), 8)


@pytest.mark.slow
def test_intervals_from_few_repeats_cover_as_often_as_estimated():
    rng, contrast = np.random.default_rng(4), np.array([-1.0, 0, 0, 1])
    projects = [_project(rng) for _ in range(1_500)]
    held = [abs(contrast @ scores) <= uncertain.half_width(contrast) for scores, uncertain in projects]
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


@pytest.mark.slow
def test_simultaneous_test_from_few_repeats_keeps_its_level():
    rng, contrasts = np.random.default_rng(5), np.column_stack([-np.ones(3), np.eye(3)])
    projects = [_project(rng) for _ in range(250)]
    assert np.mean([max_t(scores, contrasts, known).p_values.min() <= 0.05 for scores, known in projects]) <= 0.08


def test_mostly_undefined_draws_are_refused():
    draws = np.where(np.arange(100)[:, None] < 60, np.nan, 1.0)
    with pytest.raises(UsageError, match="undefined in 60% of the draws"):
        uncertainty(draws, np.ones((8, 1)))
