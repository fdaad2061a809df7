"""Intervals of scores and differences that hold on small sets and near the ends of a metric's range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from synth_mlflow.data.task import Task
from synth_mlflow.sweep.inference import ALPHA, Vector
from synth_mlflow.sweep.plan import DESIGN

LABEL_METRICS = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "f1_macro", "f1_micro", "f1_weighted")
"""Of predicted labels: a score in [0, 1] that many rows leave as it is."""
SHARE_METRICS = (*LABEL_METRICS, "roc_auc", "average_precision")
"""A score in [0, 1]."""
LOGARITHMIC = 3  # the first design whose intervals of errors are logarithmic
MAX_EXPONENT = 700.0  # of a factor that is a finite number


@dataclass(frozen=True)
class Sizes:
    """How much the evaluation rows can show."""

    n_units: int
    """Rows, or groups where rows of one group are dependent."""
    n_least: int
    """The same within the smallest class; of a regression, all."""

    @classmethod
    def of(cls, task: Task, truth: Vector, groups: npt.NDArray[np.int64] | None = None) -> Sizes:
        """Count rows, or groups.

        Parameters
        ----------
        truth : array of shape (n_rows,)
            Class codes, or numbers.
        groups : array of shape (n_rows,), optional
        """
        units = np.arange(len(truth)) if groups is None else groups
        if not task.is_classification:
            return cls(len(np.unique(units)), len(np.unique(units)))
        within = [len(np.unique(units[truth == code])) for code in np.unique(truth)]
        return cls(len(np.unique(units)), min(within))


def score_interval(
    metric: str,
    score: float,
    error: float,
    sizes: Sizes,
    freedom: float = math.inf,
    best: float = math.inf,
    *,
    design: int = DESIGN,
) -> tuple[float, float]:
    """95 % interval of a score.

    Parameters
    ----------
    metric : str
    score : float
    error : float
        Its standard error.
    sizes : Sizes
    freedom : float
        Degrees of freedom of the error.
    best : float
        What predictions that are all right would score.
    design : int
        Version of the sweep: errors have had the interval of their logarithm from 3 on.

    Notes
    -----
    For a score in [0, 1] Wilson's interval with the number of rows that would give this error: E. Wilson, JASA 22
    (1927), doi:10.1080/01621459.1927.10502953; for AUC: R. Newcombe, Statistics in Medicine 25 (2006),
    doi:10.1002/sim.2324. Where no row is wrong the error says nothing, and the rows themselves count. Means of errors
    (``neg_…``) have t intervals on the scale of their logarithm: they cannot be negative, and are skew on few rows.
    Other scores have t intervals on their own. All have at most as many degrees of freedom as rows less one.

    Examples
    --------
    >>> low, high = score_interval("accuracy", 1.0, 0.0, Sizes(60, 30))
    >>> round(low, 3), high
    (0.937, 1.0)
    """
    quantile = _quantile(metric, sizes, freedom)
    if design >= LOGARITHMIC and metric.startswith("neg_") and score < 0:
        factor = math.exp(min(quantile * error / -score, MAX_EXPONENT))
        return score * factor, score / factor
    if metric not in SHARE_METRICS or not 0 <= score <= 1:
        return score - quantile * error, min(score + quantile * error, best)
    n = _rows_that_give(metric, score, error, sizes)
    middle = (score + quantile**2 / (2 * n)) / (1 + quantile**2 / n)
    half = quantile * math.sqrt(score * (1 - score) / n + quantile**2 / (4 * n**2)) / (1 + quantile**2 / n)
    return max(0.0, middle - half), min(1.0, max(middle + half, score))


def difference_half_width(metric: str, error: float, sizes: Sizes, freedom: float = math.inf) -> float:
    """Half of the 95 % interval of the difference between two scores on the same rows.

    Rows on which two models agree all say that they differ on less than ``1 - (alpha / 2) ** (1 / n)`` of further rows
    (C. Clopper, E. Pearson, Biometrika 26 (1934), doi:10.1093/biomet/26.4.404): no spread is no proof.

    Examples
    --------
    >>> round(difference_half_width("accuracy", 0.0, Sizes(60, 30)), 3)
    0.06
    """
    half = _quantile(metric, sizes, freedom) * error
    if metric not in SHARE_METRICS:
        return half
    n = _n_counted(metric, sizes)
    least = 1 - (ALPHA / 2) ** (1 / n) if metric in LABEL_METRICS or error == 0 else 0.0
    return max(half, least)


def _quantile(metric: str, sizes: Sizes, freedom: float) -> float:
    return float(stats.t.ppf(1 - ALPHA / 2, max(1.0, min(freedom, _n_counted(metric, sizes) - 1))))


def _n_counted(metric: str, sizes: Sizes) -> int:
    """The rows that a metric leans on: the smallest class, but for those that count every row alike."""
    return sizes.n_least if metric in SHARE_METRICS and metric != "accuracy" else sizes.n_units


def _rows_that_give(metric: str, score: float, error: float, sizes: Sizes) -> float:
    """The rows of which a share with this score would have this error."""
    n = _n_counted(metric, sizes)
    variance = score * (1 - score)
    return variance / error**2 if error > 0 and variance > 0 else n
