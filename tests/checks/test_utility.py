"""Utility passes fresh draws and fails batches that teach nothing."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.checks import utility
from synth_mlflow.checks.utility import Utility
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task

plugin = Utility()


@pytest.mark.slow
def test_a_fresh_draw_passes(evidence, ruled):
    ruling, result = ruled(plugin, evidence)
    assert ruling.verdict == "pass"
    assert result.metrics["gain_share"] == pytest.approx(1, abs=0.25)
    assert list(result.figures) == ["utility"]


def test_shuffled_labels_fail_and_name_the_target(evidence, ruled):
    labels = np.random.default_rng(0).permutation(evidence.batch["default"])
    ruling, _ = ruled(plugin, replace(evidence, batch=evidence.batch.assign(default=labels)))
    assert ruling.verdict == "fail"
    assert "'default'" in ruling.reasons[0]


def test_a_constant_label_fails(evidence, ruled):
    ruling, result = ruled(plugin, replace(evidence, batch=evidence.batch.assign(default="no")))
    assert ruling.verdict == "fail"
    assert result.metrics["gain_share"] == 0


@pytest.mark.slow
def test_regression_and_its_inverted_target(evidence, ruled):
    numeric = replace(evidence, task=Task("age", "regression"), metric="r2")
    assert ruled(plugin, numeric)[0].verdict == "pass"
    inverted = numeric.batch.assign(age=98 - numeric.batch["age"])
    assert ruled(plugin, replace(numeric, batch=inverted))[0].verdict == "fail"


@pytest.mark.slow
def test_slices_and_classes_are_followed(evidence, ruled):
    many = replace(evidence, task=Task("job", "multiclass"), metric="accuracy")
    _, result = ruled(plugin, replace(many, slices={"old": Slice.parse("age > 50")}))
    rows = set(result.tables["utility"]["rows"])
    assert {"all rows", "old", "class retired", "class clerk"} <= rows
    assert "gain_share_old" in {probe.name for probe in result.probes}


@pytest.mark.slow
def test_what_real_rows_do_not_teach_cannot_be_judged(evidence, ruled):
    noise = {
        side: getattr(evidence, side).assign(default=np.random.default_rng(at).choice(["no", "yes"], 2000)[:n])
        for at, (side, n) in enumerate((("batch", 900), ("members", 900), ("control", 700)))
    }
    ruling, _ = ruled(plugin, replace(evidence, **noise))
    assert ruling.verdict == "inconclusive"
    assert "teach nothing" in ruling.reasons[0]


def test_too_few_rows(evidence, ruled):
    ruling, _ = ruled(plugin, replace(evidence, batch=evidence.batch[:1]))
    assert ruling.verdict == "inconclusive"


@pytest.mark.slow
@pytest.mark.parametrize(("label", "what"), [(None, "missing"), ("maybe", "of a class that no real training row has")])
@pytest.mark.parametrize("n_bad", [3, None])
def test_a_batch_with_targets_that_nothing_can_be_trained_on_fails(evidence, ruled, label, what, n_bad):
    batch = evidence.batch.assign(default=evidence.batch["default"].astype(object))
    batch.loc[batch.index[:n_bad], "default"] = label
    ruling, _ = ruled(plugin, replace(evidence, batch=batch))
    assert ruling.verdict == "fail"
    assert f"{n_bad or len(batch):,} of {len(batch):,} targets are {what}: no model" in ruling.reasons[0]


@pytest.mark.slow
def test_no_model_is_scored_on_the_rows_that_confirm(evidence, ruled):
    choosing = np.arange(len(evidence.control)) % 2 == 0
    halved = replace(evidence, choosing=choosing)
    _, result = ruled(plugin, halved)
    assert result.tables["utility"]["n_rows"].tolist() == [int(choosing.sum())]
    other_labels = evidence.control.assign(default=evidence.control["default"].where(choosing, "no"))
    assert ruled(plugin, replace(halved, control=other_labels))[1].metrics == result.metrics


PAID = Slice.parse("default == 'yes'")
METRICS = ("roc_auc", "average_precision", "f1", "neg_log_loss", "balanced_accuracy", "accuracy")


def of_slice(evidence, part, **changes):
    batch = evidence.batch[part.mask(evidence.batch)].reset_index(drop=True)
    return replace(evidence, batch=batch, slice=part, **changes)


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
def test_a_slice_of_one_class_is_judged_beside_real_rows_of_the_rest(evidence, ruled, metric):
    ruling, result = ruled(plugin, of_slice(evidence, PAID, metric=metric))
    assert result.tables["utility"]["n_rows"].tolist() == [len(evidence.control)]
    assert ruling.verdict == "pass" or "too few rows to see" in ruling.reasons[0]
    assert "real rows of the rest" in result.words
    assert 0.5 < result.metrics["gain_share"] < 1.5


def test_a_slice_of_one_class_whose_rows_are_wrong_fails(evidence, ruled):
    wrong = of_slice(evidence, PAID)
    swapped = evidence.batch[~PAID.mask(evidence.batch)].head(len(wrong.batch)).reset_index(drop=True)
    assert ruled(plugin, replace(wrong, batch=swapped.assign(default="yes")))[0].verdict == "fail"


@pytest.mark.slow
def test_a_slice_of_one_class_is_scored_on_the_rows_that_choose(evidence, ruled):
    choosing = np.arange(len(evidence.control)) % 2 == 0
    _, result = ruled(plugin, of_slice(evidence, PAID, choosing=choosing))
    assert result.tables["utility"]["n_rows"].tolist() == [int(choosing.sum())]
    _, within = ruled(plugin, of_slice(evidence, Slice.parse("age < 50"), choosing=choosing))
    assert within.tables["utility"]["n_rows"].tolist() == [int((evidence.control["age"] < 50).sum())]


@pytest.mark.slow
def test_a_slice_of_one_of_three_classes_is_judged(evidence, ruled):
    cut = of_slice(evidence, Slice.parse("job == 'clerk'"), task=Task("job", "multiclass"), metric="accuracy")
    ruling, result = ruled(plugin, cut)
    assert ruling.verdict != "fail" and result.tables["utility"]["n_rows"].iloc[0] == len(evidence.control)


@pytest.mark.slow
def test_a_slice_of_a_number_that_is_the_target_is_judged(evidence, ruled):
    old = of_slice(evidence, Slice.parse("age > 45"), task=Task("age", "regression"), metric="r2")
    assert ruled(plugin, old)[0].verdict == "pass"
    shuffled = np.random.default_rng(0).permutation(old.batch["age"])
    assert ruled(plugin, replace(old, batch=old.batch.assign(age=200 - shuffled)))[0].verdict == "fail"


@pytest.mark.parametrize("metric", METRICS)
def test_an_evaluation_set_of_one_class_is_said_and_raises_nothing(evidence, ruled, metric):
    alone = evidence.control[evidence.control["default"] == "no"].reset_index(drop=True)
    ruling, _ = ruled(plugin, replace(evidence, control=alone, metric=metric))
    assert ruling.verdict == "inconclusive" and "evaluation rows hold one value of 'default'" in ruling.reasons[0]


@pytest.mark.slow
def test_a_slice_on_which_the_metric_is_undefined_is_listed(evidence, ruled):
    _, result = ruled(plugin, replace(evidence, slices={"paid": PAID}))
    assert result.tables["not_judged"]["why"].tolist() == ["roc_auc is undefined there, as where one class is left"]


@pytest.mark.slow
def test_few_positives_need_as_many_as_freeze_said(evidence, ruled):
    few = {}
    for side, n in (("batch", 6), ("members", 6), ("control", 4)):
        rows = getattr(evidence, side)
        positive = rows[rows["default"] == "yes"].head(n)
        few[side] = pd.concat([rows[rows["default"] == "no"], positive], ignore_index=True)
    rare = replace(evidence, **few, metric="average_precision")
    assert "about 321 are needed" in ruled(plugin, replace(rare, rare_class_needs=321))[0].reasons[0]
    own = ruled(plugin, rare)[0].reasons[0]
    assert "too few positives (4)" in own and "about 374 are needed" in own  # the gain is below a quarter


def test_a_small_batch_is_told_how_many_rows_it_needs():
    whole = utility._Comparison("all rows", 9_000, 0.8, 0.79, 0.5, 0.06, 20.0, {utility.ROWS_OF_BATCH: 600})
    weak = utility._weak(whole, "a constant prediction", plugin.defaults, None)
    assert "rows of the batch 1,305 instead of 600; make it again with `synth-mlflow generate … --rows 1305`" in weak


@pytest.mark.slow
def test_further_fits_are_made_where_six_cannot_decide(evidence, monkeypatch):
    few = replace(evidence, control=evidence.control.head(80), batch=evidence.batch.head(100))
    n_fits = []
    whole = utility._compare

    def counted(name, arms, *rest):
        n_fits.append((len(arms.real), len(arms.synthetic)))
        return whole(name, arms, *rest)

    monkeypatch.setattr(utility, "_compare", counted)
    plugin.run(few, plugin.defaults)
    n_more = utility.N_REPEATS + utility.N_MORE
    assert n_fits[:2] == [(utility.N_REPEATS,) * 2, (n_more,) * 2]
    n_fits.clear()
    plugin.run(evidence, plugin.defaults)
    assert set(n_fits) == {(utility.N_REPEATS,) * 2}
