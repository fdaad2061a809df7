"""Intervals of scores and differences that hold on small sets and near the ends of a metric's range."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from synth_mlflow.data.task import Task
from synth_mlflow.sweep.inference import ALPHA, Vector
from synth_mlflow.sweep.plan import DESIGN

LABEL_METRICS = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "f1_macro", "f1_micro", "f1_weighted")
"""Of predicted labels: a score in [0, 1] that many rows leave as it is."""
SHARE_METRICS = (*LABEL_METRICS, "roc_auc", "average_precision")
"""A score in [0, 1]."""
LOGARITHMIC = 3  # the first design whose intervals of errors are logarithmic
FEW_OF_A_CLASS = 4  # the first design whose intervals of AUC do not rest on few rows of a class alone
FORMULA_ROWS = 60  # of a class, as many as the formula of the variance of AUC counts beside the rows that there are
MAX_EXPONENT = 700.0  # of a factor that is a finite number
BY_ROW_METRICS = ("accuracy", "f1_micro", "f1_weighted")
"""Of predicted labels: every row counts alike, so that all rows stand behind the score."""
BY_CLASS_METRICS = ("balanced_accuracy", "f1_macro")
"""Of predicted labels: the mean over the classes, each with its own rows behind it."""


@dataclass(frozen=True)
class Sizes:
    """How much the evaluation rows can show."""

    n_units: int
    """Rows, or groups where rows of one group are dependent."""
    n_least: int
    """The same within the smallest class; of a regression, all."""
    by_class: tuple[int, ...] = ()
    """The same within each class; empty for a regression, and where only the smallest is known."""

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
        return cls(len(np.unique(units)), min(within), tuple(within))


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
        Version of the sweep: errors have had the interval of their logarithm from 3 on, AUC the formula from 4 on.

    Notes
    -----
    For a score in [0, 1] Wilson's interval with the number of rows that would give this error: E. Wilson, JASA 22
    (1927), doi:10.1080/01621459.1927.10502953; for AUC: R. Newcombe, Statistics in Medicine 25 (2006),
    doi:10.1002/sim.2324. Few rows of a class often look more alike than they are: beside the error of AUC stands that
    of J. Hanley, B. McNeil, Radiology 143 (1982), doi:10.1148/radiology.143.1.7063747. Where no row is wrong the error
    says nothing, and the rows themselves count. Means of errors (``neg_…``) have t intervals on the scale of their
    logarithm: they cannot be negative, and are skew on few rows. Other scores have t intervals on their own. All have
    at most as many degrees of freedom as rows less one.

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
    if metric == "roc_auc" and design >= FEW_OF_A_CLASS:
        n = _rows_beside_formula(score, n, sizes)
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
    return max(half, _unseen_difference(metric, sizes)) if metric in LABEL_METRICS or error == 0 else half


def least_error(metric: str, sizes: Sizes) -> float:
    """The smallest standard error that a difference of two scores can have on these rows; 0 where rows set none.

    That of :func:`difference_half_width` where hardly any row distinguishes two models: few rows that differ are a
    poor estimate of how many would. Tests, intervals and the gain that could be found rest on the same error.

    Examples
    --------
    >>> round(least_error("accuracy", Sizes(60, 30)), 3), least_error("roc_auc", Sizes(60, 30))
    (0.03, 0.0)
    """
    if metric not in LABEL_METRICS:
        return 0.0
    return _unseen_difference(metric, sizes) / _quantile(metric, sizes, math.inf)


def least_detectable(metric: str, sizes: Sizes, deviations: float) -> float:
    """The smallest gain that lies so many standard errors above 0, whatever the models; 0 where rows set none.

    Parameters
    ----------
    metric : str
    sizes : Sizes
    deviations : float
        The critical value of the test and the normal quantile of its power, added.

    Notes
    -----
    A model that gains ``g`` in a mean over ``n`` rows of 0 and 1 changes at least a share ``g`` of them, so that the
    variance of the gain is at least ``g (1 - g) / n``; solved for ``g = deviations * sqrt(g (1 - g) / n)``.

    Examples
    --------
    >>> round(least_detectable("accuracy", Sizes(45, 12), 2.9), 3), round(least_detectable("accuracy", Sizes(4500, 9), 2.9), 4)
    (0.157, 0.0019)
    """  # noqa: E501
    if metric not in LABEL_METRICS:
        return 0.0
    squared = deviations**2
    return squared / (_rows_behind(metric, sizes) + squared)


def _rows_behind(metric: str, sizes: Sizes) -> float:
    """Of a mean over the classes, as many rows as would give its error if all counted alike: k² / Σ 1/n."""
    if metric in BY_CLASS_METRICS and sizes.by_class:
        return len(sizes.by_class) ** 2 / sum(1 / n for n in sizes.by_class)
    return _n_counted(metric, sizes)


def _unseen_difference(metric: str, sizes: Sizes) -> float:
    """On how much of further rows two models may differ that agree on all of these, at the level of the intervals."""
    if metric in BY_CLASS_METRICS and sizes.by_class:
        return _unseen_mean(sizes.by_class)
    return float(1 - (ALPHA / 2) ** (1 / _n_counted(metric, sizes)))


def _unseen_mean(by_class: Sequence[int]) -> float:
    """The greatest mean of shares, one a class, under which no row of any class would differ by chance.

    The greatest mean of ``p`` with ``prod((1 - p) ** n) = alpha / 2``: there ``1 - p = min(1, n * t)`` with one ``t``.

    Examples
    --------
    >>> round(_unseen_mean([60]), 4), round(_unseen_mean([20, 20, 20]), 4)
    (0.0596, 0.0596)
    """
    rows, log_alpha = np.asarray(by_class, dtype=np.float64), math.log(ALPHA / 2)

    def excess(log_t: float) -> float:
        return float(rows @ np.minimum(0.0, np.log(rows) + log_t)) - log_alpha

    log_t = optimize.brentq(excess, log_alpha - math.log(rows.min()) - 1, -math.log(rows.min()))
    return float(np.mean(1 - np.minimum(1.0, rows * math.exp(log_t))))


def _quantile(metric: str, sizes: Sizes, freedom: float) -> float:
    return float(stats.t.ppf(1 - ALPHA / 2, max(1.0, min(freedom, _n_counted(metric, sizes) - 1))))


def _n_counted(metric: str, sizes: Sizes) -> int:
    """The rows that a metric leans on: the smallest class, but for those that count every row alike."""
    return sizes.n_least if metric in SHARE_METRICS and metric not in BY_ROW_METRICS else sizes.n_units


def _rows_that_give(metric: str, score: float, error: float, sizes: Sizes) -> float:
    """The rows of which a share with this score would have this error."""
    n = _n_counted(metric, sizes)
    variance = score * (1 - score)
    return variance / error**2 if error > 0 and variance > 0 else n


def _rows_beside_formula(score: float, n: float, sizes: Sizes) -> float:
    """The same for AUC, of which few rows of a class are a poor estimate.

    The variance that they show counts as many times as there are rows of the smallest class, less one, that of the
    formula `FORMULA_ROWS` times; it only widens.
    """
    variance, few = score * (1 - score), sizes.n_least
    if variance <= 0:
        return n
    many = max(sizes.n_units - few, 1)
    both_above, both_below = score / (2 - score), 2 * score**2 / (1 + score)
    apart = (few - 1) * (both_above - score**2) + (many - 1) * (both_below - score**2)
    by_formula = variance * few * many / (variance + apart)
    blended = ((few - 1) / n + FORMULA_ROWS / by_formula) / (few - 1 + FORMULA_ROWS)
    return min(n, 1 / blended)
