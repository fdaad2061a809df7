"""Scores by scikit-learn's own scorers, from predictions that were made before. Greater is better, always.

What people call a metric, and scikit-learn's name for it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import get_scorer, get_scorer_names, log_loss

from synth_mlflow.data.task import MEAN_SCORE, SCORED, Task, TaskKind
from synth_mlflow.errors import UsageError, closest
from synth_mlflow.models.labels import Labels

Vector = npt.NDArray[np.float64]


def score(
    metric: str,
    task: Task,
    truth: Any,
    predictions: Vector,
    classes: Labels,
    sample_weight: Vector | None = None,
) -> float:
    """One score, as scikit-learn's scorer of that name gives it.

    Parameters
    ----------
    metric : str
        A scikit-learn scorer name.
    task : Task
    truth : array-like of shape (n_rows,)
        Labels out of ``classes``, or numbers for regression.
    predictions : array of shape (n_rows,) or (n_rows, n_classes)
        What :meth:`synth_mlflow.models.base.Model.predict` gives.
    classes : tuple
        Labels in the order of the probabilities; empty for regression.
    sample_weight : array of shape (n_rows,), optional

    Returns
    -------
    float
        NaN where the metric is undefined on these rows, as AUC is where only one class is present.

    Raises
    ------
    UsageError
        If no scorer has that name.

    Examples
    --------
    >>> task = Task("churned", "binary")
    >>> score("accuracy", task, ["no", "yes"], np.array([[0.9, 0.1], [0.6, 0.4]]), ("no", "yes"))
    0.5
    """
    return score_codes(metric, task, truth_codes(truth, classes), predictions, sample_weight)


def score_codes(
    metric: str, task: Task, truth: npt.NDArray[Any], predictions: Vector, sample_weight: Vector | None = None
) -> float:
    """As :func:`score`, for labels that are given as codes 0, 1, … already; the mean of what a program has scored."""
    if metric == MEAN_SCORE:
        return float(np.average(predictions, weights=sample_weight)) if len(predictions) else float("nan")
    scorer = _scorer(metric)
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an undefined score is returned as NaN, not warned about
        try:
            return float(scorer(_echo(predictions, task), predictions, truth, **weights))
        except ValueError:
            if not _is_degenerate(truth, task, predictions):
                raise
            if metric == "neg_log_loss" and len(truth):  # defined without a class, which the scorer cannot be told
                return -float(log_loss(truth, predictions, labels=np.arange(predictions.shape[1]), **weights))
            return float("nan")


def check_metric(metric: str, task: Task) -> None:
    """Refuse a metric that scikit-learn does not know or that does not fit the task.

    Raises
    ------
    UsageError
        With the nearest metric that does fit.
    """
    if (metric == MEAN_SCORE) != (task.kind == SCORED):
        raise UsageError(
            f"metric {metric!r} does not fit a {task.kind} task.",
            f"A scored task has `metric: {MEAN_SCORE}`, the mean of what the predict command writes, and no other has.",
        )
    if metric == MEAN_SCORE:
        return
    known = get_scorer_names()
    if metric in known and _fits(metric, task):
        return
    wrong = f"does not fit a {task.kind} task" if metric in known else "is no name of a scorer of scikit-learn"
    meant = scorer_called(metric, task.kind)
    if meant is not None:
        raise UsageError(f"metric {metric!r} {wrong}.", f"Write `metric: {meant}`; a greater value is better.")
    fitting = [name for name in known if _fits(name, task)]
    near = get_close_matches(metric.lower(), fitting, n=1)
    raise UsageError(
        f"metric {metric!r} {wrong}.{f' Did you mean {near[0]!r}?' if near else ''}",
        f"Usual ones that fit: {', '.join(USUAL[task.kind])}. All that fit: {', '.join(fitting)}.",
    )


def floor(metric: str) -> float:
    """The least value that a metric can take on any rows; minus infinity where there is none.

    Examples
    --------
    >>> floor("roc_auc"), floor("matthews_corrcoef"), floor("r2"), floor("neg_log_loss")
    (0.0, -1.0, -inf, -inf)
    """
    if metric in ("matthews_corrcoef", "adjusted_rand_score", "adjusted_mutual_info_score"):
        return -1.0
    open_below = metric.startswith(("neg_", "d2_")) or metric in ("r2", "explained_variance", MEAN_SCORE)
    return float("-inf") if open_below else 0.0


def needs_probabilities(metric: str, task: Task) -> bool:
    """Whether a score changes when probabilities do, though neither their order nor the likeliest class does.

    Examples
    --------
    >>> task = Task("churned", "binary")
    >>> [needs_probabilities(name, task) for name in ("roc_auc", "accuracy", "neg_log_loss")]
    [False, False, True]
    """
    rng = np.random.default_rng(0)
    n_classes = 2 if task.kind == "binary" else 3
    truth, predicted = np.arange(60) % n_classes, rng.dirichlet(np.ones(n_classes), 60)
    sharp = predicted**3 / (predicted**3).sum(axis=1, keepdims=True)
    return score_codes(metric, task, truth, predicted) != score_codes(metric, task, truth, sharp)


def ceiling(metric: str) -> float:
    """The greatest value that a metric can take on any rows; infinite where there is none.

    Examples
    --------
    >>> ceiling("roc_auc"), ceiling("neg_log_loss"), ceiling("mutual_info_score")
    (1.0, 0.0, inf)
    """
    if metric == MEAN_SCORE:
        return float("inf")
    if metric.startswith("neg_"):
        return 0.0
    return float("inf") if metric in _UNBOUNDED else 1.0


_UNBOUNDED = ("mutual_info_score", "positive_likelihood_ratio")


def best_score(metric: str, task: Task, truth: Vector) -> float:
    """The score of predictions that are all right: no interval reaches beyond.

    Parameters
    ----------
    truth : array of shape (n_rows,)
        Class codes, or numbers.
    """
    if metric == MEAN_SCORE:
        return float("inf")
    perfect = np.eye(int(truth.max()) + 1)[truth.astype(np.int64)] if task.is_classification else truth
    return score_codes(metric, task, truth, perfect)


def truth_codes(truth: Any, classes: Labels) -> npt.NDArray[Any]:
    """Labels as codes 0, 1, … (scikit-learn takes 1 as the positive class), numbers as they are."""
    if not classes:
        return np.asarray(truth, dtype=np.float64)
    places = {label: code for code, label in enumerate(classes)}
    return np.array([places[label] for label in np.asarray(truth, dtype=object).tolist()], dtype=np.int64)


def _scorer(metric: str) -> Any:
    try:
        return get_scorer(metric)
    except ValueError:
        raise UsageError(
            f"scikit-learn has no metric {metric!r}. {closest(metric, get_scorer_names())}",
            "Any name of `sklearn.metrics.get_scorer_names()` that fits the task will do.",
        ) from None


class _EchoClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Its input is its prediction."""

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes
        self.classes_ = np.arange(n_classes)

    def predict_proba(self, X: Vector) -> Vector:
        return X

    def predict(self, X: Vector) -> npt.NDArray[np.int64]:
        return np.asarray(X.argmax(axis=1), dtype=np.int64)


class _EchoRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Its input is its prediction."""

    def predict(self, X: Vector) -> Vector:
        return X


def _echo(predictions: Vector, task: Task) -> BaseEstimator:
    if predictions.ndim != 1 + task.is_classification:
        raise TypeError(f"predictions of shape {predictions.shape} were given for a {task.kind} task")
    return _EchoClassifier(predictions.shape[1]) if task.is_classification else _EchoRegressor()


def _is_degenerate(truth: npt.NDArray[Any], task: Task, predictions: Vector) -> bool:
    return len(truth) < 2 or (task.is_classification and len(np.unique(truth)) < max(predictions.shape[1], 2))


def _fits(metric: str, task: Task) -> bool:
    """Whether the scorer takes a few made-up predictions of that task.

    Metrics for regression also swallow class codes, where they mean nothing: what takes fractions is one of them.
    """
    fractions = np.linspace(0.5, 2.5, 12) ** 2
    takes_fractions = _takes(metric, Task("", "regression"), fractions, fractions[::-1].copy())
    if not task.is_classification:
        return takes_fractions
    n_classes = 2 if task.kind == "binary" else 3
    flat = np.full((12, n_classes), 1.0 / n_classes)
    return not takes_fractions and _takes(metric, task, np.arange(12) % n_classes, flat)


def _takes(metric: str, task: Task, truth: npt.NDArray[Any], predictions: Vector) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # clustering scores warn of fractions
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        try:
            value = get_scorer(metric)(_echo(predictions, task), predictions, truth)
        except (ValueError, TypeError, AttributeError, UserWarning):
            return False
    return bool(np.isfinite(value))


_BINARY: Mapping[str, str] = {
    "auc": "roc_auc", "auroc": "roc_auc", "rocauc": "roc_auc", "roc": "roc_auc", "gini": "roc_auc",
    "prauc": "average_precision", "auprc": "average_precision", "ap": "average_precision", "aucpr": "average_precision",
    "acc": "accuracy", "accuracy": "accuracy", "accuracyscore": "accuracy",
    "bacc": "balanced_accuracy", "balancedaccuracyscore": "balanced_accuracy",
    "f1": "f1", "f1score": "f1", "fscore": "f1", "precision": "precision", "recall": "recall", "sensitivity": "recall",
    "logloss": "neg_log_loss", "crossentropy": "neg_log_loss", "brier": "neg_brier_score",
    "brierscore": "neg_brier_score", "mcc": "matthews_corrcoef", "jaccard": "jaccard",
}  # fmt: skip
_MULTICLASS: Mapping[str, str] = {
    **_BINARY,
    "auc": "roc_auc_ovr", "auroc": "roc_auc_ovr", "rocauc": "roc_auc_ovr", "roc": "roc_auc_ovr", "gini": "roc_auc_ovr",
    "f1": "f1_macro", "f1score": "f1_macro", "fscore": "f1_macro", "precision": "precision_macro",
    "recall": "recall_macro", "sensitivity": "recall_macro", "jaccard": "jaccard_macro",
    "prauc": "roc_auc_ovr", "auprc": "roc_auc_ovr", "ap": "roc_auc_ovr", "aucpr": "roc_auc_ovr",
    "averageprecision": "roc_auc_ovr",
}  # fmt: skip
_REGRESSION: Mapping[str, str] = {
    "r2": "r2", "r2score": "r2", "rsquared": "r2", "rsq": "r2", "r": "r2", "variance": "explained_variance",
    "mae": "neg_mean_absolute_error", "meanabsoluteerror": "neg_mean_absolute_error", "l1": "neg_mean_absolute_error",
    "mse": "neg_mean_squared_error", "meansquarederror": "neg_mean_squared_error", "l2": "neg_mean_squared_error",
    "rmse": "neg_root_mean_squared_error", "rootmeansquarederror": "neg_root_mean_squared_error",
    "mape": "neg_mean_absolute_percentage_error", "medae": "neg_median_absolute_error",
    "msle": "neg_mean_squared_log_error", "rmsle": "neg_root_mean_squared_log_error",
}  # fmt: skip
_KNOWN: Mapping[TaskKind, Mapping[str, str]] = {
    "binary": _BINARY, "multiclass": _MULTICLASS, "regression": _REGRESSION, "scored": {},
}  # fmt: skip
USUAL: Mapping[TaskKind, Sequence[str]] = {
    "binary": ("roc_auc", "average_precision", "f1", "accuracy", "balanced_accuracy", "neg_log_loss"),
    "multiclass": ("roc_auc_ovr", "f1_macro", "accuracy", "balanced_accuracy", "neg_log_loss"),
    "regression": ("r2", "neg_mean_absolute_error", "neg_root_mean_squared_error"),
    "scored": (MEAN_SCORE,),
}
"""The scorers that are used most, by kind of task."""


def scorer_called(name: str, kind: TaskKind) -> str | None:
    """The scorer that people mean by a name; None where nobody can know.

    Examples
    --------
    >>> scorer_called("AUC", "binary"), scorer_called("F1-score", "multiclass"), scorer_called("RMSE", "regression")
    ('roc_auc', 'f1_macro', 'neg_root_mean_squared_error')
    >>> scorer_called("RMSE", "binary") is None
    True
    """
    return _KNOWN[kind].get(re.sub(r"[^a-z0-9]", "", name.lower().replace("²", "2")))
