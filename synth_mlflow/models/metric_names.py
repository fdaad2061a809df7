"""What people call a metric, and scikit-learn's name for it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from synth_mlflow.data.task import MEAN_SCORE, TaskKind

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
