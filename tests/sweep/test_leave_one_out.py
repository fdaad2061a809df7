"""Leave one batch out: the culprit is named, good batches are not, and every comparison is at a constant total."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import GateError
from synth_mlflow.sweep.leave_one_out import LeaveOneOutResult, leave_out
from synth_mlflow.sweep.plan import FitKey, SweepPlan, fit_rows

TASK = Task("bought", "binary")
SPEC = ModelSpec("lightgbm", {"num_iterations": 40, "num_leaves": 15, "min_data_in_leaf": 10, "learning_rate": 0.2})


@pytest.fixture(scope="module")
def left_out(customers):
    """Calls leave_out on five batches, of which the third has some labels flipped."""

    def call(flipped, *, n_rows=800, n_batches=5, ratio=0.5, mix="augment", suspects=(), slices=None):
        tables = [customers(n_rows, seed=20 + at) for at in range(n_batches)]
        wrong = np.arange(n_rows) < flipped * n_rows
        if flipped:
            labels = tables[2]["bought"]
            tables[2]["bought"] = labels.where(~wrong, labels.map({"yes": "no", "no": "yes"}))
        return leave_out(
            normalise(customers(500, seed=1)), normalise(pd.concat(tables, ignore_index=True)),
            normalise(customers(1500, seed=2)), TASK, "roc_auc", SPEC, SweepPlan((ratio,), 8, mix, seed=3, n_jobs=1),
            batches=np.repeat([f"b-{at}" for at in range(n_batches)], n_rows), suspects=suspects, slices=slices,
        )  # fmt: skip

    return call


@pytest.fixture(scope="module")
def flipped(left_out):
    """Five batches, the third with every label flipped."""
    return left_out(1.0, slices={"young": Slice.parse("age < 40"), "nobody": Slice.parse("age < 18")})


@pytest.mark.slow
def test_flipped_labels_are_named_and_nothing_else(flipped):
    assert flipped.to_blame == ("b-2",)
    worst = flipped.effects[0]
    assert worst.batch == "b-2" and worst.overall.high < 0 < worst.overall.without - worst.overall.score
    assert worst.slices["young"].effect < 0 and worst.slices["nobody"] is None
    assert [each.overall.effect for each in flipped.effects] == sorted(each.overall.effect for each in flipped.effects)
    assert LeaveOneOutResult.from_json(flipped.to_json()) == flipped
    assert flipped.frame()["batch"].tolist()[0] == "b-2" and "slice young" in flipped.frame()


@pytest.mark.slow
def test_nobody_is_named_among_good_batches(left_out):
    found = left_out(0.0)
    assert found.to_blame == ()
    assert all(each.overall.low <= 0 <= each.overall.high and each.overall.detectable > 0 for each in found.effects)
    assert [(each.ratio, each.n_synthetic, each.n_rows) for each in found.effects] == [(0.5, 500, 100)] * 5


@pytest.mark.slow
def test_fewer_suspects_are_told_apart_better(left_out, flipped):
    one = left_out(1.0, suspects=["b-2"])
    assert [each.batch for each in one.effects] == ["b-2"]
    assert one.effects[0].overall.effect == flipped.effects[0].overall.effect
    assert one.effects[0].overall.detectable < flipped.effects[0].overall.detectable


@pytest.mark.slow
@pytest.mark.parametrize(("mix", "n_rows", "expected"), [("augment", 100, 400), ("replace", 50, 200)])
def test_where_the_others_lack_rows_both_mixes_shrink(left_out, mix, n_rows, expected):
    found = left_out(0.0, n_rows=n_rows, mix=mix, suspects=["b-1"])
    assert found.effects[0].n_synthetic == expected and found.effects[0].ratio < found.ratio


def test_a_batch_without_others_is_held_against_real_rows(left_out):
    found = left_out(0.0, n_batches=1)
    assert found.effects[0].ratio == 0.5 and found.effects[0].n_rows == found.effects[0].n_synthetic


def test_ratio_beyond_supply(left_out):
    with pytest.raises(GateError, match="needs 1,500 synthetic rows, 500 passed"):
        left_out(0.0, n_rows=100, ratio=0.75)


def test_rows_without_a_batch_are_those_of_the_others_in_the_same_order():
    batches = np.repeat(["a", "b", "c"], 50)
    whole = fit_rows(FitKey("synthetic", 0.5, 0), 60, batches, "augment", seed=1)
    key, others = FitKey("synthetic", 0.5, 0, "all but b"), np.flatnonzero(batches != "b")
    without = fit_rows(key, 60, batches, "augment", seed=1, source=others)
    assert np.array_equal(whole.real, without.real) and len(whole.added) == len(without.added)
    assert set(batches[without.added - 60]) == {"a", "c"}
    kept = whole.added[batches[whole.added - 60] != "b"]
    assert np.array_equal(without.added[: len(kept)], kept)
