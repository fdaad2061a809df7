"""The whole sweep on small tables: what helps is chosen, what does not is not, and killed sweeps go on."""

import json
import time
import warnings
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.audit.reproduce import swept_again
from synth_mlflow.data.columns import normalise
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Guardrail, ModelSpec, Task
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.sweep.baseline import measure_baseline, power_words
from synth_mlflow.sweep.curve import Curve
from synth_mlflow.sweep.executors import open_engine
from synth_mlflow.sweep.plan import ALL_ROWS, Fit, FitKey, SweepPlan
from synth_mlflow.sweep.plots import curve_figure, sources_figure
from synth_mlflow.sweep.runner import final_of, fit_final, run_sweep
from synth_mlflow.sweep.selection import refined_ratios

TASK = Task("bought", "binary")
SPEC = ModelSpec(params={"num_leaves": 4, "min_data_in_leaf": 5, "n_estimators": 30, "learning_rate": 0.1})
PLAN = SweepPlan(repeats=4, n_jobs=1)
SLICES = {"north": Slice.parse('region == "north"')}


def people(n_rows, seed, *, inverted=False):
    """Rows whose label depends on all columns; ``inverted`` ones say the opposite."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4))
    region = rng.choice(["north", "south"], n_rows)
    hidden = X.sum(axis=1) + (region == "north") + rng.normal(scale=0.5, size=n_rows)
    bought = np.where((hidden > 0) != inverted, "yes", "no")
    return normalise(pd.DataFrame(X, columns=list("abcd")).assign(region=region, bought=bought))


@pytest.fixture(scope="module")
def tables():
    """60 real rows, 1,500 evaluation rows, 180 synthetic rows of the true process."""
    return people(60, 1), people(180, 2), people(1_500, 3)


@pytest.fixture(scope="module")
def outcome(tables):
    """A sweep that should help."""
    return run_sweep(*tables, TASK, "roc_auc", SPEC, PLAN, slices=SLICES, batches=np.repeat(["u", "v"], 90))


@pytest.mark.slow
def test_more_rows_of_the_true_process_are_chosen(outcome):
    curve = outcome.curve
    assert curve.peak == 0.75
    assert 0 < curve.chosen <= curve.peak
    assert curve.peak in curve.plateau
    assert curve.at(0.75).gain > curve.at(0.75).placebo - curve.points[0].score
    assert curve.learning.worth > 0
    assert "Use" in curve.decision


@pytest.mark.slow
def test_inverted_labels_are_not(tables):
    real, _, evaluation = tables
    curve = run_sweep(real, people(180, 2, inverted=True), evaluation, TASK, "roc_auc", SPEC, PLAN).curve
    assert (curve.chosen, curve.peak) == (0.0, 0.0)
    assert curve.decision.startswith("Use no synthetic rows")


@pytest.mark.slow
def test_a_killed_sweep_goes_on_with_what_is_missing(tables, outcome):
    records = [json.loads(json.dumps(fit.to_json())) for key, fit in outcome.fits.items() if key.repeat != 2]
    kept = {key: fit.predictions for key, fit in outcome.fits.items()}
    finished = {}
    for record in records:
        key = FitKey(record["arm"], record["ratio"], record["repeat"])
        finished[key] = Fit.from_json(record, kept[key])
    told = []
    again = run_sweep(
        *tables,
        TASK,
        "roc_auc",
        SPEC,
        PLAN,
        slices=SLICES,
        batches=np.repeat(["u", "v"], 90),
        finished=finished,
        on_fit=lambda key, fit: told.append(key),
    )
    assert sorted(told) == sorted(key for key in outcome.fits if key.repeat == 2)
    assert again.curve == outcome.curve


@pytest.mark.slow
def test_parallel_fits_change_nothing(tables, outcome):
    plan = SweepPlan(repeats=4, n_jobs=2)
    again = run_sweep(*tables, TASK, "roc_auc", SPEC, plan, slices=SLICES, batches=np.repeat(["u", "v"], 90))
    assert again.curve == outcome.curve


def test_curve_survives_json(outcome):
    record = json.loads(json.dumps(outcome.curve.to_json(), allow_nan=False))
    assert Curve.from_json(record) == outcome.curve


def test_frame_has_the_public_columns_first(outcome):
    frame = outcome.curve.frame()
    assert list(frame)[:7] == ["ratio", "score", "low", "high", "gain", "gain_low", "gain_high"]
    assert frame["ratio"].tolist() == [0, 0.25, 0.5, 0.75]
    assert {"slice_north", "recall_yes"} <= set(frame)


def test_final_model_is_the_one_that_was_scored(tables, outcome):
    final = final_of(outcome)
    scored = outcome.fits[FitKey("synthetic", outcome.curve.chosen, ALL_ROWS)].predictions
    assert np.array_equal(final.model.predict(tables[2]), scored)
    assert len(final.real_rows) == 60
    assert len(np.unique(final.synthetic_rows)) == len(final.synthetic_rows)
    batches = np.repeat(["u", "v"], 90)
    again = fit_final(*tables, TASK, "roc_auc", SPEC, PLAN, outcome.curve.chosen, batches=batches)
    assert np.array_equal(again.model.predict(tables[2]), scored)


def test_picture_shows_choice_and_success_line(outcome):
    figure = curve_figure(outcome.curve, success_line=0.9)
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert {"asked for", f"chosen: {outcome.curve.chosen:.0%}".replace("%", " %")} <= set(labels)


def test_baseline_is_ratio_0_of_a_sweep_without_synthetic_rows(tables):
    real, _, evaluation = tables
    baseline = measure_baseline(real, evaluation, TASK, "roc_auc", SPEC, repeats=4, n_jobs=1)
    assert baseline.low < baseline.score < baseline.high
    assert len(baseline.repeats) == 4


def test_baseline_says_beforehand_about_which_gain_the_sweep_can_show(tables, outcome):
    real, _, evaluation = tables
    said = measure_baseline(real, evaluation, TASK, "roc_auc", SPEC, repeats=4, n_jobs=1).smallest_detectable
    assert 1 / 3 < said / outcome.curve.smallest_detectable < 3


def test_too_few_synthetic_rows_are_refused(tables):
    with pytest.raises(GateError, match=r"needs 180 synthetic rows, 179 passed"):
        run_sweep(tables[0], tables[1][:179], tables[2], TASK, "roc_auc", SPEC, PLAN)


def test_metric_that_is_undefined_on_the_evaluation_set_is_refused(tables):
    evaluation = tables[2].assign(bought="yes")
    with pytest.raises(UsageError, match="roc_auc is undefined on the evaluation set"):
        run_sweep(tables[0], tables[1], evaluation, TASK, "roc_auc", SPEC, PLAN)


@pytest.mark.slow
def test_slice_without_both_classes_has_no_score(tables):
    slices = {"sure": Slice.parse("a > 2.9 and b > 1")}
    curve = run_sweep(*tables, TASK, "roc_auc", SPEC, PLAN, slices=slices).curve
    assert all(point.slices["sure"].score is None for point in curve.points)


def test_slice_of_one_row_cannot_show_that_it_does_not_fall(tables):
    second = float(np.sort(tables[2]["a"])[-2])
    plan = SweepPlan((0.75,), repeats=3, n_jobs=1, guardrail=Guardrail(0.01))
    slices = {"one": Slice.parse(f"a > {second!r}")}
    curve = run_sweep(*tables, TASK, "accuracy", SPEC, plan, slices=slices).curve
    part = curve.at(0.75).slices["one"]
    assert (part.n_rows, part.gain_low, part.gain_high) == (1, None, None)
    assert "slice 'one' (1 evaluation rows) is too small to tell" in curve.at(0.75).forbidden
    assert curve.chosen == 0


def test_curves_of_the_first_design_are_read(outcome):
    record = outcome.curve.to_json()
    del record["design"]
    for point in record["points"]:
        for name in ("model_score", "recipe_gain_low", "recipe_gain_high"):
            del point[name]
    old = Curve.from_json(record)
    assert old.design == 1
    assert old.points[1].of_model == old.points[1].score
    with pytest.raises(UsageError, match=r"of design 1 [\s\S]*its curve cannot"):
        swept_again(SimpleNamespace(curve=old))
    for design, change in ((2, "degrees of freedom"), (3, "few rows of a class")):
        later = Curve.from_json(outcome.curve.to_json() | {"design": design})
        assert later == replace(outcome.curve, design=design)
        with pytest.raises(UsageError, match=rf"of design {design} [\s\S]*{change}"):
            swept_again(SimpleNamespace(curve=later))


@pytest.mark.slow
def test_groups_widen_what_few_of_them_can_show(tables):
    grouped = [table.assign(shop=[f"s{n % 12}" for n in range(len(table))]) for table in tables]
    for table in grouped:
        table["a"] += table["shop"].str[1:].astype(float)  # what a row says depends on its shop
    plan = SweepPlan((0.75,), repeats=3, n_jobs=1)
    rows, shops = (
        run_sweep(*grouped, Task("bought", "binary", group=by), "neg_log_loss", SPEC, plan).curve.points[0]
        for by in (None, "shop")
    )
    assert rows.score == shops.score
    assert shops.high - shops.low != rows.high - rows.low


def test_guardrail_keeps_a_ratio_that_hurts_a_slice_from_being_chosen(tables):
    """Synthetic rows that are right in the south and inverted in the north."""
    real, good, evaluation = tables
    bad = people(180, 2, inverted=True)
    mixed = good.where(good["region"] == "south", bad).astype(good.dtypes)
    free = run_sweep(real, mixed, evaluation, TASK, "roc_auc", SPEC, PLAN, slices=SLICES).curve
    plan = SweepPlan(repeats=4, n_jobs=1, guardrail=Guardrail(0.01), rule="peak")
    curve = run_sweep(real, mixed, evaluation, TASK, "roc_auc", SPEC, plan, slices=SLICES).curve
    assert all(not point.forbidden for point in free.points)
    assert "slice 'north' falls by" in curve.at(0.75).forbidden
    assert curve.chosen == 0
    assert min(point.slices["north"].gain_high for point in free.points) < 0


@pytest.mark.slow
def test_held_back_real_rows_are_an_arm_where_they_suffice(tables):
    plan = SweepPlan(ratios=(0.25, 0.5, 0.75), repeats=3, n_jobs=1)
    curve = run_sweep(*tables, TASK, "roc_auc", SPEC, plan, extra_real=people(70, 9)).curve
    assert [point.extra is not None for point in curve.points] == [False, True, True, False]
    assert curve.at(0.5).extra_low < curve.at(0.5).extra < curve.at(0.5).extra_high
    assert curve.at(0.5).extra > curve.points[0].score


def test_refinement_reuses_the_fits_of_the_first_sweep(tables, outcome):
    ratios = refined_ratios(outcome.curve)
    assert ratios == (0.0, 0.25, 0.5, 0.625, 0.75, 0.875)
    plan = SweepPlan(ratios=ratios[:-1], repeats=4, n_jobs=1)
    told = []
    finer = run_sweep(
        *tables,
        TASK,
        "roc_auc",
        SPEC,
        plan,
        slices=SLICES,
        batches=np.repeat(["u", "v"], 90),
        finished=outcome.fits,
        on_fit=lambda key, fit: told.append(key.ratio),
    ).curve
    assert set(told) == {0.625}
    assert finer.at(0.5).score == outcome.curve.at(0.5).score


@pytest.fixture(scope="module")
def rivals(tables):
    """A sweep by generator: `good` makes rows of the true process, `bad` inverts their labels."""
    real, good, evaluation = tables
    made = pd.concat([good, people(180, 2, inverted=True)], ignore_index=True)
    sources = {"bad": np.arange(180, 360), "good": np.arange(180)}
    plan = SweepPlan((0.5, 0.75), repeats=4, n_jobs=1, sources=("", "bad", "good"), rule="peak")
    labels = np.repeat(["u", "v"], 180)
    return run_sweep(real, made, evaluation, TASK, "roc_auc", SPEC, plan, batches=labels, sources=sources)


@pytest.mark.slow
def test_generators_are_swept_beside_each_other(rivals):
    curve = rivals.curve
    assert curve.source == "good" and set(curve.rivals) == {"", "bad"}
    assert curve.peak == 0.75
    scores = {source: points[-1].score for source, points in curve.by_source().items()}
    assert scores["good"] > scores[""] > scores["bad"]
    assert curve.points[0].score == curve.at(0, "bad").score
    assert "good 0." in curve.decision and "one test covers them all" in curve.decision
    assert Curve.from_json(json.loads(json.dumps(curve.to_json()))) == curve
    assert set(curve.frame()["source"]) == {"good", "bad", "all together"}


@pytest.mark.slow
def test_family_of_a_sweep_by_generator_is_larger(tables, rivals):
    real, good, evaluation = tables
    plan = SweepPlan((0.5, 0.75), repeats=4, n_jobs=1, rule="peak")
    alone = run_sweep(real, good, evaluation, TASK, "roc_auc", SPEC, plan, batches=np.repeat("u", 180)).curve
    assert alone.points[-1].score == rivals.curve.points[-1].score
    assert alone.points[-1].p_value <= rivals.curve.points[-1].p_value


@pytest.mark.slow
def test_final_model_has_rows_of_the_winner_alone(tables, rivals):
    final = final_of(rivals, 0.75)
    assert len(final.synthetic_rows) == 180 and final.synthetic_rows.max() < 180
    scored = rivals.fits[FitKey("synthetic", 0.75, ALL_ROWS, "good")].predictions
    assert np.array_equal(final.model.predict(tables[2]), scored)


@pytest.mark.slow
def test_pictures_show_every_source(rivals):
    labels = curve_figure(rivals.curve).axes[0].get_legend_handles_labels()[1]
    assert {"good", "bad", "all together"} <= set(labels)
    assert [axes.get_title(loc="left") for axes in sources_figure(rivals.curve).axes] == ["good", "all together", "bad"]


def test_source_with_too_few_rows_is_named(tables):
    plan = SweepPlan(repeats=4, n_jobs=1, sources=("", "few"))
    with pytest.raises(GateError, match=r"needs 180 synthetic rows, 90 passed[\s\S]*generate few --rows 90"):
        run_sweep(*tables, TASK, "roc_auc", SPEC, plan, sources={"few": np.arange(90)})


@pytest.mark.slow
def test_fits_that_nobody_waits_for_are_left_without_a_warning():
    class Slow:
        def do(self, key):
            time.sleep(0.02 * key)
            return key

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = open_engine("local", n_jobs=2).run(Slow(), range(8))
        next(results)
        results.close()


def test_scores_that_never_move_say_nothing_of_the_gain_that_would_be_found():
    assert power_words(0.0, 0.02).startswith("Every draw of the real rows scores the same here")


@pytest.mark.slow
def test_any_estimator_can_be_swept(tables):
    plan, spec = SweepPlan(ratios=(0.5,), repeats=3, n_jobs=1), ModelSpec("sklearn.linear_model:LogisticRegression")
    assert run_sweep(*tables, TASK, "neg_log_loss", spec, plan).curve.at(0.5).gain > 0


PICKY = """
from sklearn.linear_model import LogisticRegression
class Picky(LogisticRegression):
    limit = LIMIT
    def fit(self, X, y):
        if len(X) > self.limit:
            raise MemoryError(f"{len(X)} rows are too many")
        return super().fit(X, y)
"""


@pytest.fixture
def picky(tmp_path, monkeypatch):
    """The path of an estimator that takes no more than some number of rows."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(limit):
        (tmp_path / f"picky_{limit}.py").write_text(PICKY.replace("LIMIT", str(limit)))
        return ModelSpec(f"picky_{limit}:Picky")

    return write


def test_estimator_that_fails_without_synthetic_rows_is_refused(tables, picky):
    with pytest.raises(UsageError, match=r"synthetic arm at 0 %, 60 real and 0 added rows\): MemoryError: 60 rows"):
        run_sweep(*tables, TASK, "roc_auc", picky(59), PLAN)


@pytest.mark.slow
def test_estimator_that_fails_at_one_ratio_loses_that_ratio_alone(tables, picky):
    curve = run_sweep(*tables, TASK, "roc_auc", picky(200), PLAN).curve  # 240 rows at 75 %, 120 at 50 %
    without = run_sweep(*tables, TASK, "roc_auc", picky(999), SweepPlan((0.25, 0.5), repeats=4, n_jobs=1)).curve
    assert curve.points == without.points
    assert [lost.ratio for lost in curve.failed] == [0.75]
    assert "75 % was left out: the model could not be fitted (synthetic arm at 75 %" in curve.decision
    assert Curve.from_json(json.loads(json.dumps(curve.to_json()))) == curve


@pytest.mark.slow
def test_losses_of_a_first_pass_are_told_by_the_second(tables, picky):
    lost = run_sweep(*tables, TASK, "roc_auc", picky(200), PLAN).curve.failed
    curve = run_sweep(
        *tables, TASK, "roc_auc", picky(130), SweepPlan((0.25, 0.55), repeats=4, n_jobs=1), lost=lost
    ).curve
    assert [each.ratio for each in curve.failed] == [0.75, 0.55]
    assert "75 % was left out" in curve.decision and "55 % was left out" in curve.decision


@pytest.mark.slow
def test_estimator_that_fails_at_every_ratio_is_refused(tables, picky):
    with pytest.raises(UsageError, match=r"at 25 %, 60 real and 20 added rows\): MemoryError"):
        run_sweep(*tables, TASK, "roc_auc", picky(60), SweepPlan((0.25,), repeats=4, n_jobs=1))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "kind", "metric"),
    [("bought", "binary", "f1"), ("region", "multiclass", "f1_macro"), ("a", "regression", "r2")],
)
def test_every_kind_of_task_can_be_swept(tables, target, kind, metric):
    plan = SweepPlan(ratios=(0.5,), repeats=3, n_jobs=1)
    curve = run_sweep(*(table[:300] for table in tables), Task(target, kind), metric, SPEC, plan).curve
    assert len(curve.points) == 2
    assert np.isfinite(curve.corrected)


def test_metric_that_predictions_break_is_refused(tables):
    tables = [table.assign(a=table["a"].abs()) for table in tables]
    spec, task = ModelSpec("sklearn.linear_model:LinearRegression"), Task("a", "regression")
    negative = [table.assign(b=-9.0 * table["a"]) for table in tables]
    negative[2]["b"] *= -1
    with pytest.raises(UsageError, match="neg_root_mean_squared_log_error cannot be computed"):
        run_sweep(*negative, task, "neg_root_mean_squared_log_error", spec, PLAN)
