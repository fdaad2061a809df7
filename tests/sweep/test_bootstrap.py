"""Fast scores over row weights: equal to scikit-learn's, draw by draw."""

import numpy as np
import pytest

from synth_mlflow.data.task import MEAN_SCORE, SCORED, Task
from synth_mlflow.models.scoring import score_codes
from synth_mlflow.sweep.bootstrap import FAST, LINEAR_FROM, resample, scores_by_weights, weighted_scorer

RNG = np.random.default_rng(0)
N = 60
CODES = RNG.integers(0, 2, N).astype(float)
POSITIVE = np.round(RNG.uniform(0.05, 0.95, N), 1)  # with ties
BINARY = np.column_stack([1 - POSITIVE, POSITIVE])
NUMBERS = 1e6 + RNG.normal(size=N)
GUESSES = NUMBERS + RNG.normal(size=N)


@pytest.mark.parametrize("metric", sorted(FAST))
def test_fast_score_equals_scikit_learn_under_weights(metric):
    regression = metric.startswith(("r2", "neg_mean", "neg_root"))
    task = Task("y", "regression" if regression else "binary")
    truth, prediction = (NUMBERS, GUESSES) if regression else (CODES, BINARY)
    if metric == MEAN_SCORE:
        task, prediction = Task("", SCORED), POSITIVE
    counts = RNG.multinomial(N, np.full(N, 1 / N), size=5).astype(float)
    expected = [score_codes(metric, task, truth, prediction, row) for row in counts]
    assert weighted_scorer(metric, task, truth, prediction)(counts) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "accuracy"])
def test_scores_by_weights_are_exact_on_many_rows_too(metric):
    n_rows, task = LINEAR_FROM + 1, Task("y", "binary")
    truth, said = RNG.integers(0, 2, n_rows).astype(float), np.round(RNG.random(n_rows), 3)
    prediction = np.column_stack([1 - said, said])
    weights = RNG.multinomial(n_rows, np.full(n_rows, 1 / n_rows), size=3).astype(float)
    expected = [score_codes(metric, task, truth, prediction, row) for row in weights]
    assert scores_by_weights(metric, task, truth, prediction, weights) == pytest.approx(expected, abs=1e-12)


def test_multiclass_log_loss_equals_scikit_learn():
    truth, raw = RNG.integers(0, 3, N).astype(float), RNG.uniform(0.1, 1, (N, 3))
    prediction, task = raw / raw.sum(axis=1, keepdims=True), Task("y", "multiclass")
    scorer = weighted_scorer("neg_log_loss", task, truth, prediction)
    assert scorer(np.ones((1, N))) == pytest.approx(score_codes("neg_log_loss", task, truth, prediction))


def test_slow_and_fast_paths_agree(monkeypatch):
    task, seed = Task("y", "binary"), 1
    fast = resample("accuracy", task, CODES, [BINARY], np.random.default_rng(seed)).inside[:200]
    monkeypatch.setattr("synth_mlflow.sweep.bootstrap.FAST", {})
    slow = resample("accuracy", task, CODES, [BINARY], np.random.default_rng(seed)).inside
    assert slow == pytest.approx(fast)


def test_bootstrap_spread_is_the_textbook_one():
    """The standard error of a share p over n rows is sqrt(p (1 − p) / n)."""
    truth, task = np.zeros(400), Task("y", "multiclass")
    right = np.arange(400) < 300
    prediction = np.column_stack([right, ~right, np.zeros(400)]).astype(float)
    draws = resample("accuracy", task, truth, [prediction], np.random.default_rng(0), n_outside=1)
    assert draws.inside.std() == pytest.approx(np.sqrt(0.75 * 0.25 / 400), rel=0.1)
    assert draws.outside.mean() == pytest.approx(0.75, abs=0.01)


def test_undefined_draws_are_nan():
    scorer = weighted_scorer("roc_auc", Task("y", "binary"), CODES, BINARY)
    assert np.isnan(scorer(CODES[None, :])).all()


def test_expanded_auc_varies_as_the_exact_one_does():
    rng = np.random.default_rng(3)
    truth = (rng.random(2_500) < 0.2).astype(float)
    positive = np.round(1 / (1 + np.exp(-(truth + rng.normal(size=2_500)))), 2)
    prediction, task = np.column_stack([1 - positive, positive]), Task("y", "binary")
    counts = rng.multinomial(2_500, np.full(2_500, 1 / 2_500), size=100).astype(float)
    expanded = weighted_scorer("roc_auc", task, truth, prediction)(counts)
    exact = [score_codes("roc_auc", task, truth, prediction, row) for row in counts]
    assert np.corrcoef(expanded, exact)[0, 1] > 0.999
    assert expanded.std() == pytest.approx(np.std(exact), rel=0.02)
    assert expanded.mean() == pytest.approx(np.mean(exact), abs=2e-4)
