"""The axes of a sweep: which rows a point takes, what they weigh, and which mix of batches leads."""

import json

import lightgbm
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.mixing import FitRows, draw_order, read_shares, read_weights, shares_text
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import UsageError
from synth_mlflow.models import lightgbm as boosted
from synth_mlflow.models.estimator import check_weights
from synth_mlflow.sweep.axes import Axis
from synth_mlflow.sweep.curve import Curve
from synth_mlflow.sweep.evaluator import Evaluator
from synth_mlflow.sweep.inference import Searched, Uncertainty, max_t
from synth_mlflow.sweep.mix_search import first_mixes, lead, n_mixes
from synth_mlflow.sweep.plan import ALL_ROWS, Fit, FitKey, SweepPlan, fit_rows
from synth_mlflow.sweep.runner import final_of, run_sweep

TASK = Task("bought", "binary")
SPEC = ModelSpec(params={"num_leaves": 4, "min_data_in_leaf": 5, "n_estimators": 20, "learning_rate": 0.1})
LINE = ModelSpec("sklearn.linear_model:LogisticRegression", {"C": 1.0})
SLICES = {"north": Slice.parse('region == "north"')}


def people(n_rows, seed, *, inverted=False):
    """Rows whose label depends on all columns; ``inverted`` ones say the opposite."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4))
    region = rng.choice(["north", "south"], n_rows)
    hidden = X.sum(axis=1) + (region == "north") + rng.normal(scale=0.5, size=n_rows)
    bought = np.where((hidden > 0) != inverted, "yes", "no")
    return normalise(pd.DataFrame(X, columns=list("abcd")).assign(region=region, bought=bought))


# ------------------------------------------------------------------------------------------------------------ the rows


@pytest.mark.parametrize(("mix", "kept"), [("augment", 40), ("replace", 20)])
def test_a_slice_takes_synthetic_rows_for_itself_alone(mix, kept):
    inside = np.arange(100) < 40
    axis, made = Axis("slice", slice="young"), np.arange(50, 200)

    def rows(arm):
        key = FitKey(arm, 0.5, ALL_ROWS)
        return fit_rows(key, 100, np.zeros(300), mix, 5, source=made, axis=axis, inside=inside)

    found = rows("synthetic")
    assert set(np.flatnonzero(~inside)) < set(found.real) and len(found.real) == 60 + kept
    assert len(found.added) == kept and set(found.added - 100) <= set(made)
    assert set(rows("placebo").added) <= set(np.flatnonzero(inside))


def test_every_weight_takes_as_many_rows():
    axis = Axis("weight", rows=150)
    plan = SweepPlan((0.25, 1.0), axis=axis)
    assert plan.ratios == (0.0, 0.25, 1.0)
    sizes = {}
    for weight in plan.ratios:
        found = fit_rows(FitKey("synthetic", weight, ALL_ROWS), 100, np.zeros(300), "augment", 5, axis=axis)
        sizes[weight] = (len(found.real), len(found.added))
    assert sizes == {0.0: (100, 0), 0.25: (100, 150), 1.0: (100, 150)}
    part = fit_rows(FitKey("synthetic", 0.25, 0), 100, np.zeros(300), "augment", 5, axis=axis)
    assert (len(part.real), len(part.added)) == (80, 120)  # as many for each real row


def test_weights_stand_in_the_order_of_the_rows():
    rows = FitRows(np.arange(2), np.array([7, 8, 9]), 0.25)
    assert rows.weights.tolist() == [1, 1, 0.25, 0.25, 0.25]
    assert FitRows(np.arange(2), np.array([7])).weights is None


@pytest.mark.parametrize("weights", [(-0.1, 1), (np.nan,), (np.inf,), (0,), ()])
def test_what_is_no_weight_is_refused(weights):
    with pytest.raises(UsageError, match="weight"):
        read_weights(weights)


def test_every_beginning_holds_the_shares_of_a_mix():
    batches = np.repeat(["a", "b", "c"], [300, 100, 50])
    order = draw_order(batches, np.random.default_rng(1), {"a": 0.75, "b": 0.25})
    assert len(order) == len(set(order)) == 400
    for n in (4, 40, 200):
        assert abs(np.sum(batches[order[:n]] == "a") - 0.75 * n) <= 1
    assert not (batches[order] == "c").any()
    text = shares_text({"b": 0.25, "a": 0.75})
    assert read_shares(text) == {"a": 0.75, "b": 0.25}


# ---------------------------------------------------------------------------------------------------------- the models


def bench(spec, task=TASK):
    return Evaluator.build(people(80, 1), people(200, 3), task, "roc_auc", spec, synthetic=people(40, 2))


TWICE = FitRows(np.arange(80), np.arange(80, 120), 2.0)
STACKED = FitRows(np.arange(80), np.tile(np.arange(80, 120), 2))


def test_a_row_of_weight_two_is_a_row_that_stands_twice_to_scikit_learn():
    found, wanted = (bench(LINE).trainer.model(rows, 0).pipeline[-1] for rows in (TWICE, STACKED))
    assert isinstance(found, LogisticRegression)
    assert found.n_features_in_ == wanted.n_features_in_
    plain = bench(LINE).trainer.model(FitRows(TWICE.real, TWICE.added), 0).pipeline[-1]
    assert not np.allclose(found.coef_, plain.coef_)


@pytest.mark.parametrize("fresh", [20_000, 0], ids=["bins of the fit", "shared bins"])
@pytest.mark.parametrize("class_weight", [None, {"yes": 3.0}])
def test_a_row_of_weight_two_is_a_row_that_stands_twice_to_lightgbm(fresh, class_weight, monkeypatch):
    monkeypatch.setattr("synth_mlflow.sweep.evaluator.FRESH_BINS_MAX", fresh)
    params = {"num_leaves": 4, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 1e-9, "n_estimators": 5}
    trainer = bench(ModelSpec(params=params | ({"class_weight": class_weight} if class_weight else {}))).trainer
    found, wanted = trainer.predictions(TWICE, 0), trainer.predictions(STACKED, 0)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert not np.allclose(found, trainer.predictions(FitRows(TWICE.real, TWICE.added), 0))


def test_a_subset_has_both_weights():
    data = lightgbm.Dataset(
        np.arange(40.0).reshape(20, 2), np.zeros(20), weight=np.arange(20.0), params={"verbose": -1}
    )
    part = boosted._subset(data.construct(), np.array([5, 3, 5]), np.array([2.0, 1.0, 0.5]))
    assert part.get_weight().tolist() == [3.0, 10.0, 2.5]


def test_balanced_classes_count_weights():
    weights = boosted.row_weights(np.array([0.0, 1, 1]), "balanced", np.array([0.0, 1, 1]), np.array([1.0, 0.25, 0.25]))
    assert weights == pytest.approx([0.75, 1.5, 1.5])  # totals 0.75 and 2 · 0.25 · 1.5


def test_an_estimator_without_weights_is_refused():
    check_weights(LINE)
    with pytest.raises(UsageError, match=r"KNeighborsClassifier .* takes no `sample_weight`"):
        check_weights(ModelSpec("sklearn.neighbors:KNeighborsClassifier", {}))


# ------------------------------------------------------------------------------------------------------------- the mix


def test_a_search_compares_each_batch_alone_and_all_but_one():
    sizes = {"a": 100, "b": 100, "c": 200}
    mixes = first_mixes(sizes, 80)
    assert [read_shares(mix) for mix in mixes] == [
        {"a": 0.25, "b": 0.25, "c": 0.5},
        {"a": 1.0},
        {"b": 1.0},
        {"c": 1.0},
        {"b": pytest.approx(0.3333), "c": pytest.approx(0.6667)},
        {"a": pytest.approx(0.3333), "c": pytest.approx(0.6667)},
        {"a": 0.5, "b": 0.5},
    ]
    assert n_mixes(sizes, 80) == 9
    assert len(first_mixes(sizes, 150)) == 5  # neither a nor b has 150 rows


def test_the_best_mix_leads_at_the_ratios_that_it_has_rows_for():
    truth = {"a": 1.0, "b": 0.0}

    def fit(keys):
        scores = {key: sum(s * truth[b] for b, s in read_shares(key.source).items()) for key in keys}
        return {key: Fit(key, score, np.empty(0), 100, 100, 0.0) for key, score in scores.items()}

    plan = SweepPlan((0.25, 0.5, 0.75), repeats=3, axis=Axis("mix"))
    found = lead(plan, {"a": 150, "b": 300}, 100, fit)
    assert [round(read_shares(mix).get("a", 0), 2) for mix in found.sources] == [1, 0.67, 0.5, 0.33, 0]
    assert found.ratios == (0.0, 0.25, 0.5) and found.axis.screened == 0.5
    assert found.cells == [(0.25, "a=1"), *((0.5, mix) for mix in found.sources)]


def test_the_test_of_a_search_covers_every_kind_at_every_ratio():
    """Two kinds, each at two ratios, all independent: the greatest of four; of one kind, the greatest of two."""
    uncertain = Uncertainty(np.diag([1e-9, 1.0, 1.0, 1.0]), np.zeros((4, 4)), 6)
    contrasts = np.eye(4)[1:]  # the leading kind at two ratios, the other at the first
    both = max_t(np.zeros(4), contrasts, uncertain, searched=Searched((0, 2), (0, 1)))
    assert both.critical == pytest.approx(np.full(3, 2.234), abs=0.04)  # of 4 independent normal numbers at 5 %
    one = max_t(np.zeros(4), contrasts[:2], uncertain, searched=Searched((0,), (0, 1)))
    assert one.critical == pytest.approx(np.full(2, 1.955), abs=0.04)


# ----------------------------------------------------------------------------------------------------------- the curve


@pytest.fixture(scope="module")
def tables():
    """60 real rows, 120 good synthetic ones and 120 that say the opposite, 500 evaluation rows."""
    made = pd.concat([people(120, 2), people(120, 4, inverted=True)], ignore_index=True)
    return people(60, 1), made, people(500, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("axis", "points", "words"),
    [
        (Axis("weight", rows=100), (0.1, 1), "weight"),
        (Axis("slice", slice="north"), (0.5,), "of slice north"),
        (Axis("mix"), (0.25, 0.5), "good"),
    ],
    ids=lambda value: value.name if isinstance(value, Axis) else "",
)
def test_a_curve_knows_its_axis(tables, axis, points, words):
    real, made, evaluation = tables
    plan = SweepPlan(points, repeats=3, n_jobs=1, axis=axis)
    sources = {"": np.flatnonzero(SLICES["north"].mask(made))} if axis.name == "slice" else None
    batches = np.repeat(["good", "bad"], 120)
    outcome = run_sweep(
        real, made, evaluation, TASK, "roc_auc", SPEC, plan, slices=SLICES, batches=batches, sources=sources
    )
    curve = outcome.curve
    assert words in curve.decision
    assert axis.name != "weight" or "ratio" not in curve.decision
    assert Curve.from_json(json.loads(json.dumps(curve.to_json()))) == curve
    assert curve.figure().axes
    final = final_of(outcome, curve.points[-1].ratio)
    assert len(final.synthetic_rows) == curve.points[-1].n_synthetic
    if axis.name == "mix":
        assert read_shares(curve.source) == {"good": 1.0}
        assert len(curve.rivals) == 3 and all(len(points) == 2 for points in curve.rivals.values())
        assert (final.synthetic_rows < 120).all()
