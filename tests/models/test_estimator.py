"""Estimators beside LightGBM: what they are shown, weights, early stopping, decisions, and clear refusals."""

import sys
import types

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import LinearSVC

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.mixing import FitRows
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import UsageError
from synth_mlflow.models.base import fit
from synth_mlflow.models.stopping_rows import stopping_rows
from synth_mlflow.sweep.evaluator import Evaluator

TASK = Task("churned", "binary")
NOBODY = np.empty(0, dtype=np.int64)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Every kind of column, missing values in each, and a target that depends on a number and on a category."""
    rng = np.random.default_rng(0)
    age, region = rng.integers(18, 80, 400), rng.choice(["north", "south", "ea,st"], 400)
    frame = pd.DataFrame(
        {
            "age": age,
            "region": region,
            "member": rng.choice([True, False, None], 400),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(age, "D"),
            "notes": [f"customer of {age} years" for age in age],
            "churned": np.where(age + 20 * (region == "north") > 50, "yes", "no"),
            "weight": rng.integers(1, 4, 400),
        }
    )
    frame.loc[:20, ["region", "since"]] = None
    return normalise(frame)


@pytest.fixture
def own(monkeypatch):
    """A module of the user's; gives the path of what is put into it."""

    def put(found, name="Own"):
        module = types.ModuleType("tests_own")
        setattr(module, name, found)
        monkeypatch.setitem(sys.modules, "tests_own", module)
        return f"tests_own:{name}"

    return put


class Watched(ClassifierMixin, BaseEstimator):
    """Answers by chance, and keeps what it was shown."""

    shown: list = []  # noqa: RUF012 (shared on purpose)

    def fit(self, X, y, sample_weight=None):
        """Keep it."""
        self.classes_ = np.unique(y)
        type(self).shown.append((X, y, sample_weight))
        return self

    def predict_proba(self, X):
        """Even odds."""
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


def test_columns_arrive_as_a_named_frame_with_categories(rows, own):
    Watched.shown.clear()
    task = Task("churned", "binary", roles={"notes": "text", "weight": "weight"})
    fit(ModelSpec(own(Watched)), task, rows, seed=1)
    shown = Watched.shown[0][0]
    assert list(shown) == ["age", "region", "member", "since", "notes"]
    assert shown["region"].cat.categories.tolist() == ["ea,st", "north", "south"]
    assert [str(shown[name].dtype) for name in ("age", "notes")] == ["int64", "str"]


@pytest.mark.slow
def test_a_statement_says_how_columns_are_shown(rows, own):
    Watched.shown.clear()
    fit(ModelSpec(own(Watched), columns="encoded"), TASK, rows, seed=1)
    assert isinstance(Watched.shown[0][0], np.ndarray)
    native = ModelSpec("sklearn.ensemble:HistGradientBoostingClassifier", columns="named")
    frame = rows.drop(columns=["notes", "since", "member"])
    assert (fit(native, TASK, frame, seed=1).predict(frame).argmax(axis=1) == (frame["churned"] == "yes")).mean() > 0.9


def test_pipeline_chooses_columns_by_name(rows, own):
    def made(C=1.0):
        chosen = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["region"]), ("passthrough", ["age"]))
        return make_pipeline(chosen, LogisticRegression(C=C, max_iter=1000))

    model = fit(ModelSpec(own(made), {"C": 10.0}), TASK, rows, seed=1)
    strange = rows.assign(region="atlantis")
    assert ((model.predict(rows)[:, 1] > 0.5) == (rows["churned"] == "yes")).mean() > 0.95
    assert np.isfinite(model.predict(strange)).all()


@pytest.mark.parametrize("library", ["xgboost:XGBClassifier", "catboost:CatBoostClassifier", "lightgbm:LGBMClassifier"])
def test_boosting_libraries_learn_from_raw_columns(rows, library, tmp_path, monkeypatch):
    pytest.importorskip(library.partition(":")[0])
    monkeypatch.chdir(tmp_path)
    model = fit(ModelSpec(library, {"n_estimators": 40}), TASK, rows.drop(columns="notes"), seed=1)
    again = fit(ModelSpec(library, {"n_estimators": 40}), TASK, rows.drop(columns="notes"), seed=1)
    assert ((model.predict(rows)[:, 1] > 0.5) == (rows["churned"] == "yes")).mean() > 0.95
    assert np.array_equal(model.predict(rows), again.predict(rows))
    assert np.isfinite(model.predict(rows.assign(region="atlantis"))).all()
    assert not list(tmp_path.iterdir())  # CatBoost would leave a folder


@pytest.mark.parametrize(
    ("library", "params"),
    [
        ("xgboost:XGBClassifier", {"early_stopping_rounds": 3}),
        ("catboost:CatBoostClassifier", {"early_stopping_rounds": 3}),
        ("lightgbm:LGBMClassifier", {"early_stopping_round": 3, "verbosity": -1}),
    ],
)
def test_early_stopping_ends_before_the_last_round(rows, library, params, capfd):
    pytest.importorskip(library.partition(":")[0])
    noise = rows.assign(churned=np.random.default_rng(1).choice(["yes", "no"], 400)).drop(columns="notes")
    weighted = Task("churned", "binary", roles={"weight": "weight"})
    model = fit(ModelSpec(library, {"n_estimators": 200, **params}), weighted, noise, seed=1)
    last = model.pipeline.steps[-1][1]
    rounds = next(getattr(last, name) for name in ("best_iteration", "best_iteration_") if hasattr(last, name))
    assert rounds < 100
    assert not capfd.readouterr().out


@pytest.mark.parametrize("library", ["xgboost:XGBRegressor", "catboost:CatBoostRegressor"])
def test_numbers_are_stopped_on_rows_whose_values_were_not_fitted(rows, library):
    pytest.importorskip(library.partition(":")[0])
    rng = np.random.default_rng(2)
    table = rows.drop(columns="notes").assign(churned=rows["age"] * 2 + rng.normal(0, 5, 400))
    spec = ModelSpec(library, {"n_estimators": 150, "early_stopping_rounds": 10})
    grouped = Task("churned", "regression", group="weight", roles={"weight": "group key"})
    for task in (Task("churned", "regression"), grouped):
        model = fit(spec, task, table, seed=1)
        assert np.corrcoef(model.predict(table), table["churned"])[0, 1] > 0.95


def test_booster_at_the_end_of_a_pipeline_stops_early_on_transformed_rows(rows, own):
    xgboost = pytest.importorskip("xgboost")

    def made():
        chosen = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["region"]), ("passthrough", ["age"]))
        return make_pipeline(chosen, xgboost.XGBClassifier(n_estimators=200, early_stopping_rounds=3))

    model = fit(ModelSpec(own(made)), TASK, rows, seed=1)
    booster = model.pipeline.steps[-1][1].steps[-1][1]
    assert booster.best_iteration < 150 and booster.n_features_in_ == 5
    assert ((model.predict(rows)[:, 1] > 0.5) == (rows["churned"] == "yes")).mean() > 0.95


class Stopping(Watched):
    """Asks for early stopping."""

    def __init__(self, early_stopping_rounds=5):
        self.early_stopping_rounds = early_stopping_rounds

    def fit(self, X, y, sample_weight=None, eval_set=None):
        """Keep it."""
        self.classes_ = np.unique(y)
        Watched.shown.append((X["age"].tolist(), eval_set[0][0]["age"].tolist()))
        return self


def test_rows_that_decide_are_real_and_the_same_at_every_ratio(rows, own):
    Watched.shown.clear()
    real, made, evaluation = rows[:200], rows[200:300], rows[300:]
    marked = [table.assign(age=np.arange(len(table)) + at) for table, at in ((real, 0), (made, 1000))]
    bench = Evaluator.build(marked[0], evaluation, TASK, "roc_auc", ModelSpec(own(Stopping)), synthetic=marked[1])
    for added in (NOBODY, np.arange(200, 220), np.arange(200, 300), np.tile(np.arange(150), 2)):
        bench.trainer.predictions(FitRows(np.arange(150), added), 7)
    held = [ages for _, ages in Watched.shown]
    assert all(sorted(ages) == sorted(held[0]) for ages in held)
    assert len(held[0]) == 30 and max(held[0]) < 150
    assert not any(set(fitted) & set(ages) for fitted, ages in Watched.shown)  # duplicates neither


def test_whole_groups_decide():
    groups = np.repeat(np.arange(10), 10)
    held = stopping_rows(np.arange(100), np.zeros(100), 3, classes=True, groups=groups)
    assert len(held) == 20
    assert not set(groups[held]) & set(np.delete(groups, held))


def test_a_class_of_one_group_is_fitted_on(rows):
    pytest.importorskip("xgboost")
    groups = np.arange(400) // 80
    alone = rows.drop(columns="notes").assign(weight=groups, churned=np.where(groups == 0, 2, np.arange(400) % 2))
    task = Task("churned", "multiclass", group="weight", roles={"weight": "group key"})
    spec = ModelSpec("xgboost:XGBClassifier", {"n_estimators": 20, "early_stopping_rounds": 3})
    for seed in range(6):  # in some of them the group of class 2 decides
        assert fit(spec, task, alone, seed=seed).known_classes == (0, 1, 2)


def test_too_few_rows_to_stop_on_are_refused(rows):
    pytest.importorskip("xgboost")
    spec = ModelSpec("xgboost:XGBClassifier", {"early_stopping_rounds": 3})
    few = rows.drop(columns="notes").iloc[:4].assign(churned=["no", "no", "yes", "yes"])
    with pytest.raises(UsageError, match="4 rows leave none that could decide when to stop"):
        fit(spec, TASK, few, seed=1)


def test_every_class_keeps_a_row_to_fit_on():
    target = np.array([0.0] * 20 + [1.0])
    assert 20 not in stopping_rows(np.arange(21), target, 3, classes=True)


def test_class_weights_by_label_in_the_estimators_own_form_or_by_row(rows, own):
    Watched.shown.clear()
    spec = ModelSpec("sklearn.linear_model:LogisticRegression", {"class_weight": {"no": 1, "yes": 5}})
    own_form = fit(spec, TASK, rows, seed=1)
    assert own_form.pipeline.steps[-1][1].class_weight == {0: 1.0, 1: 5.0}
    fit(ModelSpec(own(Watched), {"class_weight": {"yes": 5}}), TASK, rows, seed=1)
    _, target, weight = Watched.shown[0]
    assert set(weight[target == 1]) == {5.0} and set(weight[target == 0]) == {1.0}
    with pytest.raises(UsageError, match=r"`class_weight` names 'maybe'. The classes are 'no', 'yes'"):
        fit(ModelSpec(own(Watched), {"class_weight": {"maybe": 5}}), TASK, rows, seed=1)


def test_class_weights_reach_catboost_by_label(rows):
    pytest.importorskip("catboost")
    plain, weighted = (
        fit(ModelSpec("catboost:CatBoostClassifier", {"n_estimators": 2, **more}), TASK, rows, seed=1)
        for more in ({}, {"class_weights": {"yes": 50}})
    )
    assert weighted.predict(rows)[:, 1].mean() > plain.predict(rows)[:, 1].mean() + 0.1


def test_column_of_weights_weighs_rows(rows, own):
    Watched.shown.clear()
    task = Task("churned", "binary", roles={"weight": "weight"})
    fit(ModelSpec(own(Watched), {"class_weight": {"yes": 5}}), task, rows, seed=1)
    expected = rows["weight"] * np.where(rows["churned"] == "yes", 5.0, 1.0)
    assert np.array_equal(Watched.shown[0][2], expected)
    for spec in (ModelSpec(params={"n_estimators": 3}), ModelSpec("sklearn.linear_model:LogisticRegression")):
        heavy = rows.assign(weight=np.where(rows["churned"] == "yes", 50, 1))
        said = [fit(spec, task, table, seed=1).predict(rows)[:, 1].mean() for table in (rows, heavy)]
        assert said[1] > said[0] + 0.05


@pytest.mark.parametrize("shared", [True, False])
def test_lightgbm_weighs_rows_on_every_bench(rows, shared, monkeypatch):
    monkeypatch.setattr("synth_mlflow.sweep.evaluator.FRESH_BINS_MAX", 0 if shared else 10_000)
    heavy = rows.assign(weight=np.where(rows["churned"] == "yes", 50, 1))
    task, spec = Task("churned", "binary", roles={"weight": "weight"}), ModelSpec(params={"n_estimators": 3})
    said = [
        Evaluator.build(real, rows[300:], task, "roc_auc", spec).trainer.predictions(FitRows(np.arange(300), NOBODY), 1)
        for real in (rows[:300], heavy[:300])
    ]
    assert said[1][:, 1].mean() > said[0][:, 1].mean() + 0.05


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (-1.0, "missing, infinite or negative"),
        (np.nan, "400 of 400 weights"),
        (0.0, "weights are 0"),
        ("x", "no numbers"),
    ],
)
def test_weights_that_weigh_nothing_are_refused(rows, weights, message):
    task = Task("churned", "binary", roles={"weight": "weight"})
    with pytest.raises(UsageError, match=message):
        fit(ModelSpec(), task, rows.assign(weight=weights), seed=1)


def test_estimator_without_sample_weight_refuses_weights(rows):
    task = Task("churned", "binary", roles={"weight": "weight"})
    with pytest.raises(UsageError, match=r"KNeighborsClassifier.fit takes no `sample_weight`"):
        fit(ModelSpec("sklearn.neighbors:KNeighborsClassifier"), task, rows, seed=1)


def test_decision_function_alone_ranks(rows):
    spec = ModelSpec("sklearn.svm:LinearSVC")
    model = fit(spec, TASK, rows, seed=1)
    features = rows.drop(columns="churned")
    decisions = model.pipeline.decision_function(features)
    truth = rows["churned"] == "yes"
    assert roc_auc_score(truth, model.predict(rows)[:, 1]) == roc_auc_score(truth, decisions)
    assert np.array_equal(model.predict(rows).argmax(axis=1), model.pipeline.predict(features))
    taken = FitRows(np.arange(300), NOBODY)
    for metric in ("roc_auc", "average_precision", "balanced_accuracy"):
        Evaluator.build(rows[:300], rows[300:], TASK, metric, spec).trainer.predictions(taken, 1)
    with pytest.raises(UsageError, match=r"'neg_log_loss' needs probabilities .* LinearSVC has `decision_function`"):
        Evaluator.build(rows[:300], rows[300:], TASK, "neg_log_loss", spec).trainer.predictions(taken, 1)


def test_a_class_that_a_fit_lacks_has_no_probability(rows):
    pytest.importorskip("xgboost")
    three = rows.assign(churned=np.arange(400) % 3)
    lacking = three[three["churned"] != 1]
    spec = ModelSpec("xgboost:XGBClassifier", {"n_estimators": 3})
    said = fit(spec, Task("churned", "multiclass"), lacking, seed=1, classes=(0, 1, 2)).predict(three)
    assert said.shape == (400, 3)
    assert not said[:, 1].any() and np.allclose(said.sum(axis=1), 1)


def test_rows_of_one_class_are_predicted_as_that_class(rows):
    bench = Evaluator.build(rows, rows[:50], TASK, "roc_auc", ModelSpec("sklearn.linear_model:LogisticRegression"))
    alone = FitRows(np.flatnonzero(rows["churned"] == "yes"), NOBODY)
    assert bench.trainer.predictions(alone, 1).tolist() == [[0.0, 1.0]] * 50


class Broken(Watched):
    """Answers with what is no probability."""

    def __init__(self, answer="nan"):
        self.answer = answer

    def predict_proba(self, X):
        """Of one kind or another."""
        found = super().predict_proba(X)
        return {"nan": found * np.nan, "large": found * 4, "short": found[1:], "wide": np.hstack([found, found])}[
            self.answer
        ]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("nan", r"ValueError: predict_proba gave 800 missing or infinite values among 800 \(in Broken.predict\)"),
        ("large", "predict_proba gave 2 to 2; probabilities lie in 0 to 1"),
        ("short", r"shape \(399, 2\), \(400, 2\) was needed"),
        ("wide", r"shape \(400, 4\), \(400, 2\) was needed"),
    ],
)
def test_answers_that_are_no_probabilities_are_refused(rows, own, answer, message):
    with pytest.raises(UsageError, match=message):
        fit(ModelSpec(own(Broken), {"answer": answer}), TASK, rows, seed=1).predict(rows)


def test_unknown_parameters_and_failing_fits_are_told(rows, own):
    with pytest.raises(UsageError, match=r"does not take the parameters {'no_such': 1}: TypeError"):
        fit(ModelSpec("sklearn.linear_model:LogisticRegression", {"no_such": 1}), TASK, rows, seed=1)
    with pytest.raises(UsageError, match=r"C.*\(in LogisticRegression.fit\)"):
        fit(ModelSpec("sklearn.linear_model:LogisticRegression", {"C": -1.0}), TASK, rows, seed=1)
    bare = type("Bare", (), {"fit": lambda *_: None, "predict_proba": lambda *_: None})
    with pytest.raises(UsageError, match="without `get_params`"):
        fit(ModelSpec(own(bare)), TASK, rows, seed=1)


def test_one_object_given_twice_is_fitted_apart(rows, own):
    kept = LinearSVC()
    spec = ModelSpec(own(lambda: kept))
    first, again = (fit(spec, TASK, part, seed=1) for part in (rows, rows[:100]))
    assert not hasattr(kept, "coef_")
    assert not np.array_equal(first.predict(rows), again.predict(rows))


def test_histogram_boosting_stops_on_real_rows(rows, own):
    def made():
        return HistGradientBoostingClassifier(early_stopping=True, max_iter=300, n_iter_no_change=3)

    noise = rows.assign(churned=np.random.default_rng(1).choice(["yes", "no"], 400))
    assert fit(ModelSpec(own(made)), TASK, noise, seed=1).pipeline.steps[-1][1].n_iter_ < 100
