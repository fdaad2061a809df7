"""Intervals of scores on small and nearly perfect sets, and by group."""

import numpy as np
import pytest
from scipy.stats import norm

from synth_mlflow.data.task import Task
from synth_mlflow.sweep.bootstrap import resample, weighted_scorer
from synth_mlflow.sweep.score_interval import (
    Sizes,
    difference_half_width,
    least_detectable,
    least_error,
    score_interval,
)

TASK = Task("y", "binary")


def covered(metric, n_rows, distance, n_sets=80):
    """How often the interval of one set holds the true score, and how often it has no width."""
    rng, held, flat = np.random.default_rng(4), 0, 0
    true = norm.cdf(distance / 2) if metric == "accuracy" else norm.cdf(distance / np.sqrt(2))
    for _ in range(n_sets):
        truth = np.repeat([0.0, 1.0], n_rows // 2)
        positive = norm.cdf(distance * (truth - 0.5) + rng.normal(size=n_rows))
        said = np.column_stack([1 - positive, positive])
        error = float(np.nanstd(resample(metric, TASK, truth, [said], rng).inside[:, 0], ddof=1))
        score = float(weighted_scorer(metric, TASK, truth, said)(np.ones((1, n_rows)))[0])
        low, high = score_interval(metric, score, error, Sizes.of(TASK, truth))
        held, flat = held + (low <= true <= high), flat + (low == high)
    return held / n_sets, flat


@pytest.mark.slow
@pytest.mark.parametrize(("metric", "distance"), [("accuracy", 4.65), ("roc_auc", 3.3), ("roc_auc", 1.5)])
def test_interval_of_sixty_rows_holds_the_truth(metric, distance):
    share, flat = covered(metric, 60, distance)
    assert share >= 0.9  # 95 % of 80 sets, less two standard errors
    assert flat == 0


def test_ordinary_scores_have_the_ordinary_interval():
    low, high = score_interval("r2", 0.5, 0.01, Sizes(10_000, 10_000))
    assert (low, high) == pytest.approx((0.4804, 0.5196), abs=1e-4)
    low, high = score_interval("roc_auc", 0.8, 0.01, Sizes(10_000, 5_000))
    assert (low, high) == pytest.approx((0.7804, 0.8196), abs=1e-3)


def test_few_rows_of_a_class_that_look_alike_do_not_narrow_the_interval_of_auc():
    # 0.97 · 0.03 / 0.006² = 808 rows; by the formula 24.2; (11 / 808 + 60 / 24.2) / 71 = 1 / 28.5
    alike, before = (score_interval("roc_auc", 0.97, 0.006, Sizes(350, 12), design=design) for design in (4, 3))
    assert before == pytest.approx((0.952, 0.981), abs=2e-3)
    assert alike == pytest.approx((0.808, 0.996), abs=2e-3)
    many, as_many = (score_interval("roc_auc", 0.9, 0.0095, Sizes(2_000, 1_000), design=design) for design in (4, 3))
    assert many == pytest.approx(as_many, abs=5e-4)
    assert score_interval("roc_auc", 0.8, 0.2, Sizes(30, 10), design=4) == score_interval(
        "roc_auc", 0.8, 0.2, Sizes(30, 10), design=3
    )


def test_the_mean_of_squared_errors_on_few_rows_is_in_its_interval():
    """Of normal errors of variance 1; the t interval holds it in 91.8 % of 3,000 sets."""
    squares = np.random.default_rng(0).normal(size=(3_000, 60)) ** 2
    means, errors = squares.mean(axis=1), squares.std(axis=1) / np.sqrt(60)
    ends = [
        score_interval("neg_mean_squared_error", -mean, error, Sizes(60, 60))
        for mean, error in zip(means, errors, strict=True)
    ]
    assert np.mean([low <= -1 <= high for low, high in ends]) >= 0.93


def test_no_interval_reaches_beyond_what_can_be_scored():
    assert score_interval("neg_log_loss", -0.01, 0.02, Sizes(50, 20), best=0.0)[1] < 0.0
    assert score_interval("neg_log_loss", -0.01, 0.02, Sizes(50, 20), best=0.0, design=2)[1] == 0.0
    assert np.isfinite(score_interval("neg_log_loss", -1e-9, 0.02, Sizes(50, 20))[0])
    assert score_interval("roc_auc", 0.999, 0.002, Sizes(50, 20))[1] <= 1.0


@pytest.mark.parametrize(("metric", "n", "least"), [("accuracy", 60, 0.0596), ("recall", 60, 0.1157)])
def test_rows_that_do_not_differ_are_no_proof(metric, n, least):
    assert difference_half_width(metric, 0.0, Sizes(n, n // 2)) == pytest.approx(least, abs=1e-3)


def test_a_class_of_few_rows_counts_as_one_of_several_in_a_mean_over_classes():
    wine = Sizes(45, 12, (15, 18, 12))
    assert difference_half_width("balanced_accuracy", 0.0, wine) == pytest.approx(0.0887, abs=1e-3)
    assert difference_half_width("balanced_accuracy", 0.0, Sizes(45, 12)) == pytest.approx(0.265, abs=1e-3)
    exact = max(  # by trying every pair of shares of two classes under which no row differs by chance
        (p + 1 - (0.025 / (1 - p) ** 30) ** (1 / 10)) / 2 for p in np.linspace(0, 0.11, 2_000)
    )
    assert difference_half_width("f1_macro", 0.0, Sizes(40, 10, (30, 10))) == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_the_gain_that_would_be_found_lies_beyond_the_interval_of_no_gain(metric):
    wine = Sizes(45, 12, (15, 18, 12))
    half, found = difference_half_width(metric, 0.0, wine), least_detectable(metric, wine, 2.06 + 0.84)
    assert half < found < 2.1 * half


@pytest.mark.parametrize("n_rows", [45, 200])
def test_a_gain_in_few_rows_is_found_as_often_as_said(n_rows):
    gain = least_detectable("accuracy", Sizes(n_rows, n_rows), 1.645 + 0.842)
    rows = np.random.default_rng(6).random((4_000, n_rows)) < gain
    lead, error = rows.mean(axis=1), rows.std(axis=1, ddof=1) / np.sqrt(n_rows)
    least = least_error("accuracy", Sizes(n_rows, n_rows))
    power = np.mean(lead > 1.645 * np.maximum(error, least))
    assert 0.75 < power < 0.95


def test_sizes_count_groups_where_rows_depend_on_each_other():
    truth, groups = np.array([0, 0, 1, 1, 1.0]), np.array([0, 0, 0, 1, 2])
    assert Sizes.of(TASK, truth) == Sizes(5, 2, (2, 3))
    assert Sizes.of(TASK, truth, groups) == Sizes(3, 1, (1, 3))


def test_resampling_groups_widens_what_rows_of_one_group_share():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 10)
    truth = rng.normal(size=400)
    said = truth + np.repeat(rng.normal(size=40), 10)  # one error a group
    task = Task("y", "regression")
    spread = [
        np.std(resample("neg_mean_squared_error", task, truth, [said], rng, groups=by).inside) for by in (None, groups)
    ]
    assert spread[1] == pytest.approx(spread[0] * np.sqrt(10), rel=0.15)
