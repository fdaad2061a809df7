"""What may be expected: the confirming half, or the corrected score; wider where the set was used before."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.models.base import fit
from synth_mlflow.models.labels import target_values
from synth_mlflow.models.scoring import score
from synth_mlflow.sweep.holdout import (
    estimate_on_confirmation_split,
    halve,
    halves_of,
    provisional_estimate,
    reuse_adjusted_quantile,
)
from synth_mlflow.sweep.plan import SweepPlan
from synth_mlflow.sweep.runner import run_sweep

TASK, SPEC = Task("y", "binary"), ModelSpec(params={"num_leaves": 4, "min_data_in_leaf": 5, "n_estimators": 10})


def rows(n, seed):
    """Two numbers and a label that their sum decides."""
    X = np.random.default_rng(seed).normal(size=(n, 2))
    return normalise(pd.DataFrame(X, columns=["a", "b"]).assign(y=(X.sum(axis=1) > 0).astype(int)))


def swept(n_evaluation):
    """Everything that a handoff has at hand."""
    real, evaluation = rows(60, 1), rows(n_evaluation, 2)
    plan = SweepPlan(ratios=(0.5,), repeats=3, n_jobs=1)
    curve = run_sweep(real, rows(60, 3), evaluation, TASK, "roc_auc", SPEC, plan).curve
    model = fit(SPEC, TASK, real, seed=0)
    return curve, evaluation, model.classes, model.predict(evaluation)


def test_large_set_is_scored_on_the_half_that_chose_nothing():
    curve, evaluation, classes, predictions = swept(2_400)
    estimate = estimate_on_confirmation_split(curve, evaluation, TASK, classes, predictions)
    half = halve(evaluation["y"].to_numpy(dtype=float), True).confirm
    assert estimate.n_rows == half.sum() == 1_200
    assert estimate.score == score("roc_auc", TASK, evaluation["y"][half], predictions[half], classes)
    assert estimate.low < estimate.score < estimate.high
    assert f"roc_auc {estimate.score:.4g} (95 % interval {estimate.low:.4g} to {estimate.high:.4g})" in estimate.words
    assert "The former chose in no other sweep, the latter are opened for the first time." in estimate.words
    assert curve.n_evaluation == 1_200


def test_half_that_confirms_is_worn_by_what_was_opened_and_not_by_what_chose_on_the_other():
    curve, evaluation, classes, predictions = swept(2_400)
    given = (curve, evaluation, TASK, classes, predictions)
    new, chosen = estimate_on_confirmation_split(*given), estimate_on_confirmation_split(*given, other_sweeps=(4, 4))
    assert (chosen.low, chosen.high) == (new.low, new.high)
    assert "The former chose in 2 other sweeps, the latter are opened" in chosen.words
    opened = estimate_on_confirmation_split(*given, other_sweeps=(4, 4), earlier_openings=(4,))
    assert "the latter were opened for one other model before; the interval is widened" in opened.words
    width = (opened.score - opened.low) / (new.score - new.low)
    assert width == pytest.approx(
        2.498 / 1.960, rel=0.05
    )  # z of .025 / 4 and of .025; no line near the end of the range
    assert (opened.earlier_answers, opened.n_other_sweeps) == ((4,), 2)


def test_before_the_opening_nothing_but_the_rows_that_chose_is_said():
    curve = swept(2_400)[0]
    point = curve.at(curve.chosen)
    score, low, high = provisional_estimate(curve, 1.0)
    assert score == curve.corrected
    assert score - low == pytest.approx(point.score - point.model_low)
    assert low < score < high <= 1.0


def test_small_set_estimates_the_corrected_score_and_wears():
    curve, evaluation, classes, predictions = swept(300)
    first, third = (
        estimate_on_confirmation_split(curve, evaluation, TASK, classes, predictions, other_sweeps=n)
        for n in ((), (2, 4))
    )
    assert first.score == third.score == curve.corrected
    assert third.low < first.low
    assert "same rows choose and confirm" in first.words
    assert "chose in 2 other sweeps before" in third.words


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "metric", "estimator"),
    [
        ("multiclass", "balanced_accuracy", "sklearn.naive_bayes:GaussianNB"),
        ("regression", "r2", "sklearn.linear_model:Ridge"),
    ],
)
def test_every_task_is_scored_on_the_half_that_chose_nothing(kind, metric, estimator):
    task, spec = Task("y", kind), ModelSpec(estimator)
    real, synthetic, evaluation = (of_kind(kind, n, seed) for n, seed in ((90, 1), (90, 2), (2_400, 3)))
    plan = SweepPlan(ratios=(0.5,), repeats=3, n_jobs=1)
    curve = run_sweep(real, synthetic, evaluation, task, metric, spec, plan).curve
    model = fit(spec, task, real, seed=0)
    predictions = model.predict(evaluation)
    estimate = estimate_on_confirmation_split(curve, evaluation, task, model.classes, predictions)
    half = halve(target_values(evaluation, task, model.classes), task.is_classification).confirm
    assert estimate.score == score(metric, task, evaluation["y"][half], predictions[half], model.classes)
    assert estimate.low < estimate.score < estimate.high


def of_kind(kind, n, seed):
    """Rows whose label is which third their sum lies in, or the sum itself."""
    table = rows(n, seed)
    total = table["a"] + table["b"]
    cut = pd.cut(total, [-np.inf, -0.6, 0.6, np.inf], labels=["low", "mid", "up"]).astype(str)
    return normalise(table.assign(y=total if kind == "regression" else cut))


def test_worn_interval_is_the_union_bound():
    assert reuse_adjusted_quantile([]) == pytest.approx(1.95996, abs=1e-5)
    assert reuse_adjusted_quantile([3, 3]) == pytest.approx(reuse_adjusted_quantile([9]))
    assert np.isfinite(reuse_adjusted_quantile([4] * 10_000))


def test_worn_interval_holds_against_somebody_who_keeps_the_luckiest():
    """Models that are all worth 0 are swept 5 times, and the best score of all 4 ** 5 paths is expected."""
    rng = np.random.default_rng(0)
    luckiest = rng.normal(size=(300, 4**5)).max(axis=1)
    assert (luckiest > reuse_adjusted_quantile([])).mean() > 0.99
    assert (luckiest > reuse_adjusted_quantile([4] * 5)).mean() <= 0.05


def test_halves_are_fixed_and_keep_the_classes():
    truth = (np.arange(5_000) % 10 == 0).astype(float)
    halves = halve(truth, True)
    assert not (halves.select & halves.confirm).any()
    assert truth[halves.select].sum() == truth[halves.confirm].sum() == 250
    assert np.array_equal(halves.select, halve(truth, True).select)
    assert halve(truth[:1_900], True).shared
    assert halve((np.arange(5_000) % 50 == 0).astype(float), True).shared  # 100 rows of the rare class


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_rows_are_cut_as_the_sweep_cuts_codes_of_them(kind):
    table, task = of_kind(kind, 3_000, 8), Task("y", kind)
    codes = table["y"].rank(method="dense").to_numpy() if kind == "multiclass" else table["y"].to_numpy()
    assert np.array_equal(halves_of(table, task).select, halve(codes, task.is_classification).select)
    assert 0 < halves_of(table, task).select.sum() < 3_000


def test_a_small_set_of_numbers_is_not_asked_for_classes() -> None:
    assert "2,000 rows would do" in halve(np.arange(500.0), False).words
    assert "2,000 rows and 200 of each class would do" in halve(np.arange(500.0) % 2, True).words


def test_halves_of_a_set_that_was_split_by_group_keep_groups_together():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(500), rng.integers(1, 12, 500))
    truth = (rng.random(500)[groups] < 0.3).astype(float)
    halves = halve(truth, True, groups)
    assert not halves.shared and not set(groups[halves.select]) & set(groups[halves.confirm])
    assert abs(halves.select.mean() - 0.5) < 0.01 and abs(truth[halves.select].mean() - truth.mean()) < 0.01


def test_few_groups_choose_and_confirm_alike_however_many_rows_they_have():
    halves = halve(np.arange(5_000.0) % 2, True, np.arange(5_000) // 50)
    assert halves.shared and "200 of each class in 200 groups would do" in halves.words
