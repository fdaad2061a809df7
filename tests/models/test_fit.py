"""Fitting on raw rows: every kind of column, every kind of task, both kinds of estimator."""

import sys
import types

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.mixing import FitRows
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import UsageError
from synth_mlflow.models import encoded_rows
from synth_mlflow.models import lightgbm as boosted
from synth_mlflow.models.base import fit
from synth_mlflow.models.raw_columns import load
from synth_mlflow.sweep.evaluator import Evaluator

ESTIMATORS = ["lightgbm", "sklearn.linear_model:LogisticRegression", "sklearn.ensemble:RandomForestClassifier"]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """A table with every kind of column, missing values in each, and three targets that depend on it."""
    rng = np.random.default_rng(0)
    age = rng.integers(18, 80, 400)
    region = rng.choice(["north", "south", "ea,st"], 400)
    frame = pd.DataFrame(
        {
            "age": age,
            "income [EUR]": rng.normal(size=400),
            "region": region,
            "member": rng.choice([True, False, None], 400),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(age, "D"),
            "churned": np.where(age + 20 * (region == "north") > 50, "yes", "no"),
            "grade": np.clip(age // 25, 1, 3),
            "spend": age * 2.0 + (region == "north"),
        }
    )
    frame.loc[:20, ["income [EUR]", "region", "since"]] = None
    return normalise(frame)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    ("target", "kind", "classes"), [("churned", "binary", ("no", "yes")), ("grade", "multiclass", (1, 2, 3))]
)
def test_learns_classes_from_raw_columns(rows, estimator, target, kind, classes):
    model = fit(ModelSpec(estimator), Task(target, kind), rows, seed=1)
    probabilities = model.predict(rows)
    assert model.classes == classes
    assert probabilities.shape == (400, len(classes))
    assert np.allclose(probabilities.sum(axis=1), 1)
    hits = np.array(classes, dtype=object)[probabilities.argmax(axis=1)] == rows[target].astype(object)
    assert hits.mean() > 0.9


@pytest.mark.parametrize("estimator", ["lightgbm", "sklearn.linear_model:Ridge"])
def test_learns_numbers_from_raw_columns(rows, estimator):
    model = fit(ModelSpec(estimator), Task("spend", "regression"), rows, seed=1)
    assert model.classes == ()
    assert np.corrcoef(model.predict(rows), rows["spend"])[0, 1] > 0.95


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_unseen_text_is_predicted_as_missing_text_is(rows, estimator):
    model = fit(ModelSpec(estimator), Task("churned", "binary"), rows, seed=1)
    strange = model.predict(rows.assign(region="atlantis"))
    assert np.isfinite(strange).all()
    if estimator == "lightgbm":
        assert np.array_equal(strange, model.predict(rows.assign(region=pd.Series([None] * 400, dtype="str"))))


@pytest.mark.slow
def test_threads_and_repetition_change_nothing(rows):
    spec, task = ModelSpec(params={"subsample": 0.7, "subsample_freq": 1}), Task("churned", "binary")
    first, again = (fit(spec, task, rows, seed=3, n_threads=n).predict(rows) for n in (1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, fit(spec, task, rows, seed=4).predict(rows))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"bin_construct_sample_cnt": 90},
        {"max_bin": 15, "zero_as_missing": True},
        {"bin_construct_sample_cnt": 90, "random_state": 5},
        {"bin_construct_sample_cnt": 90, "data_random_seed": 3},
    ],
)
def test_rows_binned_in_blocks_have_the_bins_of_one_matrix(rows, given, monkeypatch):
    task, parts = Task("churned", "binary"), (rows[:200], rows[200:300])
    taken = FitRows(np.arange(150), np.arange(200, 300))
    monkeypatch.setattr(encoded_rows.EncodedRows, "batch_size", 37)
    monkeypatch.setattr(encoded_rows, "BLOCK_ROWS", 41)
    trainer = boosted.BoostedTrainer.build(given, task, parts, rows[300:], ("no", "yes"))
    target = boosted.target_values(rows[:300], task, ("no", "yes"))
    one_matrix = boosted.dataset(trainer.columns, rows[:300], target, trainer.settings)
    booster = boosted.train(trainer.settings, one_matrix, taken.all, taken.real, 3)
    expected = boosted.predictor(booster, trainer.columns, ("no", "yes"))
    assert trainer.model(taken, 3).predictor.booster.model_to_string() == expected.booster.model_to_string()


def test_early_stopping_ends_before_the_last_round(rows):
    noise = rows.assign(churned=np.random.default_rng(1).choice(["yes", "no"], 400))
    model = fit(
        ModelSpec(params={"early_stopping_rounds": 3, "n_estimators": 200}), Task("churned", "binary"), noise, seed=1
    )
    assert model.predictor.booster.best_iteration < 50


def test_early_stopping_sees_no_evaluation_row(rows):
    """Whatever the evaluation rows say of the target, the model is the same."""
    task = Task("churned", "binary")
    spec = ModelSpec(params={"early_stopping_rounds": 2, "n_estimators": 200, "class_weight": "balanced"})
    real, made, evaluation = rows[:200], rows[200:300], rows[300:]
    other = evaluation.assign(churned=evaluation["churned"].map({"yes": "no", "no": "yes"}))
    taken = FitRows(np.arange(150), np.arange(200, 300))
    said = [
        Evaluator.build(real, table, task, "roc_auc", spec, synthetic=made).trainer.predictions(taken, 5)
        for table in (evaluation, other)
    ]
    assert np.array_equal(*said)


@pytest.mark.parametrize("added", [np.arange(200, 300), np.tile(np.arange(150), 2)])  # synthetic rows, duplicates
def test_early_stopping_decides_on_real_rows_that_are_not_fitted_on(rows, added, monkeypatch):
    taken, subset = [], boosted._subset

    def noted(data, chosen, *weights):
        taken.append(chosen)
        return subset(data, chosen, *weights)

    monkeypatch.setattr(boosted, "_subset", noted)
    monkeypatch.setattr("synth_mlflow.sweep.evaluator.FRESH_BINS_MAX", 0)
    spec = ModelSpec(params={"early_stopping_rounds": 2})
    bench = Evaluator.build(rows[:200], rows[300:], Task("churned", "binary"), "roc_auc", spec, synthetic=rows[200:300])
    bench.trainer.model(FitRows(np.arange(150), added), 1)
    fitted, deciding = taken
    assert not set(fitted) & set(deciding)
    assert set(deciding) < set(range(150)) and len(deciding) == 30


def test_own_estimator_is_never_shown_an_evaluation_row(rows, monkeypatch):
    shown = []

    class Watcher(LogisticRegression):
        def fit(self, X, y, **given):
            shown.append(len(X))
            assert not given  # no evaluation set, whatever it is called
            return super().fit(X, y)

    module = types.ModuleType("tests_watcher")
    module.Watcher = Watcher
    monkeypatch.setitem(sys.modules, "tests_watcher", module)
    bench = Evaluator.build(
        rows[:200], rows[300:], Task("churned", "binary"), "roc_auc", ModelSpec("tests_watcher:Watcher")
    )
    bench.trainer.predictions(FitRows(np.arange(150), np.empty(0, dtype=np.int64)), 1)
    assert shown == [150]


def test_class_weight_raises_the_rare_class(rows):
    task, rare = Task("churned", "binary"), rows.assign(churned=np.where(np.arange(400) % 20 == 0, "yes", "no"))
    plain, weighted = (
        fit(ModelSpec(params=p), task, rare, seed=1).predict(rare)[:, 1].mean()
        for p in ({"n_estimators": 3}, {"n_estimators": 3, "class_weight": "balanced"})
    )
    assert weighted > plain + 0.1


@pytest.mark.parametrize("keys", [(1, 2), ("1", "2"), (1.0, 2.0)])  # as given, and as the server gives them back
def test_class_weights_are_given_by_label(rows, keys):
    task, numbered = Task("churned", "multiclass"), rows.assign(churned=np.arange(400) % 3 + 1)
    by_label, plain = (
        fit(ModelSpec(params={"n_estimators": 3, **more}), task, numbered, seed=1).predict(numbered).mean(axis=0)
        for more in ({"class_weight": dict(zip(keys, (1, 50), strict=True))}, {})
    )
    assert by_label[1] > plain[1] + 0.1  # label 2 stands at place 1


def test_class_weight_of_no_class_is_refused(rows):
    with pytest.raises(UsageError, match=r"`class_weight` names 'maybe'. The classes are 'no', 'yes'"):
        fit(ModelSpec(params={"class_weight": {"maybe": 2}}), Task("churned", "binary"), rows, seed=1)
    with pytest.raises(UsageError, match="'balance', which is no weight a class"):
        fit(ModelSpec(params={"class_weight": "balance"}), Task("churned", "binary"), rows, seed=1)
    with pytest.raises(UsageError, match="A regression has no classes"):
        fit(ModelSpec(params={"class_weight": {"yes": 2}}), Task("spend", "regression"), rows, seed=1)


def test_balanced_weights_balance_the_rows_of_each_fit(rows, monkeypatch):
    from synth_mlflow.sweep import evaluator as benches

    monkeypatch.setattr(benches, "FRESH_BINS_MAX", 100)  # the tables would be binned together, but for the weights
    task, spec = Task("churned", "binary"), ModelSpec(params={"n_estimators": 3, "class_weight": "balanced"})
    real = rows[:300]
    tables = (real, rows[300:], task, "roc_auc", spec)
    alone, beside = (
        Evaluator.build(*tables, synthetic=s).trainer.predictions(
            FitRows(np.arange(300), np.empty(0, dtype=np.int64)), 1
        )
        for s in (None, rows.assign(churned="yes"))
    )
    assert np.array_equal(alone, beside)


def test_own_pipeline_gets_raw_rows(rows):
    model = fit(ModelSpec("tests_own_pipeline:only_age"), Task("spend", "regression"), rows, seed=1)
    assert np.corrcoef(model.predict(rows), rows["spend"])[0, 1] > 0.99


@pytest.fixture(autouse=True)
def own_pipeline(monkeypatch):
    """A module of the user's that gives a finished pipeline."""
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline

    module = types.ModuleType("tests_own_pipeline")
    module.only_age = lambda: make_pipeline(make_column_transformer(("passthrough", ["age"])), LinearRegression())
    monkeypatch.setitem(sys.modules, "tests_own_pipeline", module)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        ("sklearn.ensemble:RandomForest", "cannot be loaded"),
        ("no_such_module:Model", "cannot be loaded"),
        ("LogisticRegression", "cannot be loaded"),
        ("sklearn.cluster:KMeans", "without a method `predict_proba` or `decision_function`"),
    ],
)
def test_unusable_estimator_is_refused(rows, estimator, message):
    with pytest.raises(UsageError, match=message):
        fit(ModelSpec(estimator), Task("churned", "binary"), rows, seed=1)


def test_missing_target_and_single_class_are_refused(rows):
    with pytest.raises(UsageError, match=r"missing in 1 of 400 rows"):
        fit(ModelSpec(), Task("churned", "binary"), rows.assign(churned=rows["churned"].where(rows.index > 0)), seed=1)
    with pytest.raises(UsageError, match="has 1 classes"):
        fit(ModelSpec(), Task("churned", "binary"), rows.assign(churned="yes"), seed=1)
    with pytest.raises(UsageError, match="labels that no real training row has: 'maybe'"):
        fit(ModelSpec(), Task("churned", "binary"), rows.assign(churned="maybe"), seed=1, classes=("no", "yes"))


@pytest.mark.parametrize(
    ("params", "message"),
    [({"num_leavs": 7}, "Did you mean 'num_leaves'"), ({"num_leaves": -3}, "LightGBM refuses 400 rows")],
)
def test_senseless_settings_are_refused(rows, params, message):
    with pytest.raises(UsageError, match=message):
        fit(ModelSpec(params=params), Task("churned", "binary"), rows, seed=1)


def test_objective_may_be_given_by_any_of_its_names(rows):
    counts = rows.assign(spend=rows["spend"].round())
    models = [
        fit(ModelSpec(params={n: "poisson"}), Task("spend", "regression"), counts, seed=1) for n in ("loss", "app")
    ]
    assert all("objective=poisson" in model.predictor.booster.model_to_string() for model in models)


def test_text_cannot_be_regressed_on(rows):
    with pytest.raises(UsageError, match="a regression task needs numbers"):
        fit(ModelSpec(), Task("churned", "regression"), rows, seed=1)


def test_early_stopped_model_survives_being_saved(rows, tmp_path):
    spec = ModelSpec(params={"early_stopping_rounds": 3, "learning_rate": 0.5})
    model = fit(spec, Task("churned", "binary"), rows, seed=1)
    model.predictor.save(tmp_path)
    assert np.array_equal(load(tmp_path).scores(rows), model.predict(rows))
