"""Scores from stored predictions: equal to what scikit-learn gives the model itself."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError
from synth_mlflow.models.scoring import check_metric, score

BINARY, MULTICLASS, REGRESSION = Task("y", "binary"), Task("y", "multiclass"), Task("y", "regression")


@pytest.mark.parametrize(
    "metric", ["roc_auc", "average_precision", "neg_log_loss", "accuracy", "f1", "neg_brier_score"]
)
def test_binary_equals_scikit_learn(metric):
    X, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3)).fit(X[:, :3], y)
    labels, weight = np.array(["bad", "good"])[y], np.random.default_rng(0).uniform(size=len(y))
    ours = score(metric, BINARY, labels, model.predict_proba(X[:, :3]), ("bad", "good"), weight)
    assert ours == pytest.approx(get_scorer(metric)(model, X[:, :3], y, sample_weight=weight))


@pytest.mark.parametrize("metric", ["roc_auc_ovr", "neg_log_loss", "f1_macro", "balanced_accuracy"])
def test_multiclass_equals_scikit_learn(metric):
    X, y = load_wine(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-3)).fit(X, y)
    assert score(metric, MULTICLASS, y, model.predict_proba(X), (0, 1, 2)) == pytest.approx(
        get_scorer(metric)(model, X, y)
    )


@pytest.mark.parametrize("metric", ["r2", "neg_mean_absolute_error", "neg_root_mean_squared_error"])
def test_regression_equals_scikit_learn(metric):
    X, y = load_diabetes(return_X_y=True)
    model = LinearRegression().fit(X, y)
    assert score(metric, REGRESSION, y, model.predict(X), ()) == pytest.approx(get_scorer(metric)(model, X, y))


def test_log_loss_needs_no_row_of_every_class():
    said = np.array([[0.2, 0.5, 0.3], [0.1, 0.8, 0.1]])
    found = score("neg_log_loss", Task("y", "multiclass"), ["b", "b"], said, ("a", "b", "c"))
    assert found == pytest.approx(np.log([0.5, 0.8]).mean())
    assert score("neg_log_loss", BINARY, ["yes"], np.array([[0.2, 0.8]]), ("no", "yes")) == pytest.approx(np.log(0.8))


def test_undefined_score_is_nan():
    assert np.isnan(score("roc_auc", BINARY, ["no", "no"], np.full((2, 2), 0.5), ("no", "yes")))


@pytest.mark.parametrize(
    ("metric", "task", "hint"),
    [
        ("roc_auk", BINARY, "Did you mean 'roc_auc'"),
        ("roc_auc", MULTICLASS, "Write `metric: roc_auc_ovr`"),
        ("f1", MULTICLASS, "does not fit a multiclass task"),
        ("r2", BINARY, "does not fit a binary task"),
        ("accuracy", REGRESSION, "does not fit a regression task"),
        ("rand_score", REGRESSION, "does not fit a regression task"),
    ],
)
def test_unfit_metric_is_refused(metric, task, hint):
    with pytest.raises(UsageError, match=hint):
        check_metric(metric, task)


@pytest.mark.parametrize(
    ("metric", "task"), [("average_precision", BINARY), ("roc_auc_ovr", MULTICLASS), ("r2", REGRESSION)]
)
def test_fitting_metric_is_taken(metric, task):
    check_metric(metric, task)


def test_predictions_of_another_shape_are_a_programmers_mistake():
    with pytest.raises(TypeError, match="shape"):
        score("roc_auc", BINARY, ["no", "yes"], np.array([0.1, 0.9]), ("no", "yes"))
