"""Scores over bootstrap draws of the evaluation rows, all predictions on the same draws, fast for common metrics.

A draw is a vector of counts, one a row. Its *inside* are the rows drawn, its *outside* those drawn zero times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from synth_mlflow.data.task import MEAN_SCORE, Task
from synth_mlflow.models.scoring import score_codes

DRAWS = 1_000
MIN_DRAWS = 200  # where rows are many, or scikit-learn's scorer is called once a draw: a covariance needs no more
DRAWN_CELLS = 16_000_000  # rows times draws times predictions from which on there are fewer draws
MAX_CELLS = 2_000_000  # of a block of draws: what stands in memory at a time
NOISE_DRAWS = 60  # on which every repeat is scored; their mean over repeats is what counts
NOISE_CELLS = 1_200_000  # rows times these draws from which on there are fewer of them
MIN_NOISE_DRAWS = 20
_NOISE_SEED = 17  # the same draws for every fit of a set
LINEAR_FROM = 500  # rows; from here on AUC over a draw is its first-order expansion

Vector = npt.NDArray[np.float64]
Scorer = Callable[[Vector], Vector]
"""Counts of shape (n_draws, n_rows) to scores of shape (n_draws,)."""


@dataclass(frozen=True)
class Resampled:
    """Scores of several predictions on the same draws; NaN where undefined."""

    inside: Vector
    """(n_draws, n_predictions)"""
    outside: Vector
    """(n_draws, n_outside)"""


def resample(
    metric: str,
    task: Task,
    truth: Vector,
    predictions: Sequence[Vector],
    rng: np.random.Generator,
    *,
    n_outside: int = 0,
    groups: npt.NDArray[np.int64] | None = None,
) -> Resampled:
    """Paired bootstrap of the evaluation rows.

    Parameters
    ----------
    metric : str
    task : Task
    truth : array of shape (n_rows,)
        Class codes, or numbers.
    predictions : sequence of arrays of shape (n_rows,) or (n_rows, n_classes)
    rng : numpy Generator
    n_outside : int
        How many of the predictions, from the first on, are scored on the rows outside the draws too.
    groups : array of shape (n_rows,), optional
        The group of each row; whole groups are drawn then, since rows of one group say less than as many others.

    Notes
    -----
    B. Efron, R. Tibshirani, An Introduction to the Bootstrap (1993); of groups: A. Davison, D. Hinkley, Bootstrap
    Methods and their Application (1997), section 3.8. The rows outside a draw serve the correction of
    I. Tsamardinos et al., Machine Learning 107 (2018), doi:10.1007/s10994-018-5714-4.
    """
    scorers = [weighted_scorer(metric, task, truth, prediction) for prediction in predictions]
    n_rows = len(truth)
    n_draws = int(np.clip(DRAWN_CELLS // (n_rows * len(scorers)), MIN_DRAWS, DRAWS)) if metric in FAST else MIN_DRAWS
    block = max(1, min(n_draws, MAX_CELLS // n_rows))
    inside, outside = [], []
    with threadpool_limits(limits=1):  # small products: threads would wait for each other on a busy machine
        for start in range(0, n_draws, block):
            counts = _counts(min(block, n_draws - start), n_rows, rng, groups)
            inside.append(np.column_stack([score(counts) for score in scorers]))
            left = (counts == 0).astype(np.float64)
            outside.append(np.column_stack([np.empty((len(left), 0)), *(score(left) for score in scorers[:n_outside])]))
    return Resampled(np.concatenate(inside), np.concatenate(outside))


def noise_draws(n_rows: int, groups: npt.NDArray[np.int64] | None = None) -> Vector:
    """Draws of the evaluation rows that every repeat is scored on: counts of shape (n_draws, n_rows)."""
    n_draws = int(np.clip(NOISE_CELLS // n_rows, MIN_NOISE_DRAWS, NOISE_DRAWS))
    return _counts(n_draws, n_rows, np.random.default_rng(_NOISE_SEED), groups)


def weighted_scorer(metric: str, task: Task, truth: Vector, prediction: Vector) -> Scorer:
    """The metric as a function of row weights; a fast one where there is one."""
    if metric in FAST:
        return FAST[metric](truth, prediction)

    def slow(counts: Vector) -> Vector:
        return np.array([_one_draw(metric, task, truth, prediction, row) for row in counts])

    return slow


def scores_by_weights(metric: str, task: Task, truth: Vector, prediction: Vector, weights: Vector) -> Vector:
    """The metric under weights of the rows, of shape (n_weights, n_rows), as scikit-learn computes it.

    Metrics of ranks sort the predictions once for all weights: on 10,000 rows that takes a seventieth of the time.
    """
    if metric not in _OF_RANKS:
        return np.array([score_codes(metric, task, truth, prediction, row) for row in weights])
    scorer, block = _OF_RANKS[metric](truth, prediction), max(1, MAX_CELLS // len(truth))
    return np.concatenate([scorer(weights[at : at + block]) for at in range(0, len(weights), block)])


def _one_draw(metric: str, task: Task, truth: Vector, prediction: Vector, counts: Vector) -> float:
    rows = np.repeat(np.arange(len(truth)), counts.astype(np.int64))  # some scorers take no weights
    return score_codes(metric, task, truth[rows], prediction[rows]) if len(rows) else float("nan")


def _counts(n_draws: int, n_rows: int, rng: np.random.Generator, groups: npt.NDArray[np.int64] | None = None) -> Vector:
    """How often each row is drawn; all rows of a group as often as it."""
    if groups is not None:
        _, place = np.unique(groups, return_inverse=True)
        return np.asarray(_counts(n_draws, int(place.max()) + 1, rng)[:, place])
    rows = rng.integers(0, n_rows, size=(n_draws, n_rows))
    flat = (rows + n_rows * np.arange(n_draws)[:, None]).ravel()
    counts: Vector = np.bincount(flat, minlength=n_draws * n_rows).reshape(n_draws, n_rows).astype(np.float64)
    return counts


def _mean_of(row_score: Callable[[Vector, Vector], Vector]) -> Callable[[Vector, Vector], Scorer]:
    """For metrics that are a weighted mean of a number per row."""

    def build(truth: Vector, prediction: Vector) -> Scorer:
        values: Vector = row_score(truth, prediction)
        return lambda counts: _divide(np.asarray(counts @ values), counts.sum(axis=1))

    return build


def _log_likelihood(truth: Vector, probabilities: Vector) -> Vector:
    clipped = np.clip(probabilities, np.finfo(np.float64).eps, 1 - np.finfo(np.float64).eps)  # as scikit-learn does
    chosen = clipped[np.arange(len(truth)), truth.astype(np.int64)]
    likelihood: Vector = np.log(chosen / clipped.sum(axis=1))
    return likelihood


def _hits(truth: Vector, probabilities: Vector) -> Vector:
    hits: Vector = (probabilities.argmax(axis=1) == truth).astype(np.float64)
    return hits


def _r2(truth: Vector, prediction: Vector) -> Scorer:
    error, centred = (truth - prediction) ** 2, truth - truth.mean()  # centred first: no digits are lost

    def score(counts: Vector) -> Vector:
        total = counts.sum(axis=1)
        spread = counts @ centred**2 - _divide((counts @ centred) ** 2, total)
        return 1 - _divide(counts @ error, np.where(total > 1, spread, 0.0))

    return score


def _root_mean_squared(truth: Vector, prediction: Vector) -> Scorer:
    squares = (truth - prediction) ** 2
    return lambda counts: np.asarray(-np.sqrt(_divide(counts @ squares, counts.sum(axis=1))))


def _roc_auc(truth: Vector, probabilities: Vector) -> Scorer:
    """Wins of positives over negatives, ties by half."""
    if len(truth) >= LINEAR_FROM and 0 < truth.sum() < len(truth):
        return _linear_auc(truth == 1, probabilities[:, 1])
    return _exact_auc(truth, probabilities)


def _linear_auc(positive: npt.NDArray[np.bool_], scores: Vector) -> Scorer:
    """First-order expansion of the weighted AUC: mean wins of positives plus mean wins of negatives, less the AUC.

    E. DeLong et al., Biometrics 44 (1988), doi:10.2307/2531595.
    """
    wins = np.where(positive, _share_below(scores, scores[~positive]), 1 - _share_below(scores, scores[positive]))
    auc = float(wins[positive].mean())
    columns = np.column_stack([wins * positive, positive, wins * ~positive, ~positive])

    def score(counts: Vector) -> Vector:
        won, n_positive, won_too, n_negative = (counts @ columns).T
        return _divide(won, n_positive) + _divide(won_too, n_negative) - auc

    return score


def _share_below(scores: Vector, others: Vector) -> Vector:
    """Share of ``others`` below each score, ties by half."""
    ascending = np.sort(others)
    places = np.searchsorted(ascending, scores, "left") + np.searchsorted(ascending, scores, "right")
    return np.asarray(places / (2 * len(others)))


def _exact_auc(truth: Vector, probabilities: Vector) -> Scorer:
    """Over weighted ranks."""
    order, starts = _by_score(probabilities[:, 1])
    positive = truth[order] == 1

    def score(counts: Vector) -> Vector:
        sorted_counts = counts[:, order]
        wins, losses = (_by_group(sorted_counts * side, starts) for side in (positive, ~positive))
        below = np.cumsum(losses, axis=1) - losses / 2
        return _divide((wins * below).sum(axis=1), wins.sum(axis=1) * losses.sum(axis=1))

    return score


def _average_precision(truth: Vector, probabilities: Vector) -> Scorer:
    """Precision at each threshold, weighted by the recall that it adds."""
    order, starts = _by_score(-probabilities[:, 1])
    positive = truth[order] == 1

    def score(counts: Vector) -> Vector:
        sorted_counts = counts[:, order]
        positives, taken = (_by_group(counted, starts) for counted in (sorted_counts * positive, sorted_counts))
        n_taken = np.cumsum(taken, axis=1)
        precision = np.cumsum(positives, axis=1) / np.maximum(n_taken, 1)
        return _divide((precision * positives).sum(axis=1), positives.sum(axis=1))

    return score


def _from_confusion(of_confusion: Callable[[Vector], Vector]) -> Callable[[Vector, Vector], Scorer]:
    """For metrics of predicted labels: functions of how often each class is taken for each."""

    def build(truth: Vector, probabilities: Vector) -> Scorer:
        n_classes = probabilities.shape[1]
        cell = truth.astype(np.int64) * n_classes + probabilities.argmax(axis=1)
        membership = np.eye(n_classes**2)[cell]

        def score(counts: Vector) -> Vector:
            return of_confusion((counts @ membership).reshape(len(counts), n_classes, n_classes))

        return score

    return build


def _recalls(confusion: Vector) -> Vector:
    """Of shape (n_draws, n_classes), from confusions of shape (n_draws, n_true, n_predicted)."""
    return _divide(_diagonal(confusion), confusion.sum(axis=2))


def _precisions(confusion: Vector) -> Vector:
    """As scikit-learn has it: 0 where a class is never predicted."""
    return np.nan_to_num(_divide(_diagonal(confusion), confusion.sum(axis=1)))


def _f1s(confusion: Vector) -> Vector:
    return _divide(2 * _diagonal(confusion), confusion.sum(axis=1) + confusion.sum(axis=2))


def _diagonal(confusion: Vector) -> Vector:
    return np.asarray(np.diagonal(confusion, axis1=1, axis2=2), dtype=np.float64)


def _by_score(scores: Vector) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """An ascending order, and where in it each group of equal scores starts."""
    order = np.argsort(scores, kind="stable")
    values = scores[order]
    return order, np.flatnonzero(np.r_[True, values[1:] != values[:-1]])


def _by_group(counts: Vector, starts: npt.NDArray[np.int64]) -> Vector:
    """Sums over equal scores; where all differ, there is nothing to add."""
    return counts if len(starts) == counts.shape[1] else np.add.reduceat(counts, starts, axis=1)


def _divide(above: Vector, below: Vector) -> Vector:
    """NaN where nothing was drawn that the metric needs."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0))


FAST: dict[str, Callable[[Vector, Vector], Scorer]] = {
    "roc_auc": _roc_auc,
    "average_precision": _average_precision,
    "neg_log_loss": _mean_of(_log_likelihood),
    "accuracy": _mean_of(_hits),
    "balanced_accuracy": _from_confusion(lambda c: _recalls(c).mean(axis=1)),
    "f1": _from_confusion(lambda c: _f1s(c)[:, 1]),
    "f1_macro": _from_confusion(lambda c: _f1s(c).mean(axis=1)),
    "precision": _from_confusion(lambda c: _precisions(c)[:, 1]),
    "recall": _from_confusion(lambda c: _recalls(c)[:, 1]),
    "r2": _r2,
    "neg_mean_squared_error": _mean_of(lambda truth, prediction: -((truth - prediction) ** 2)),
    "neg_mean_absolute_error": _mean_of(lambda truth, prediction: -np.abs(truth - prediction)),
    "neg_root_mean_squared_error": _root_mean_squared,
    MEAN_SCORE: _mean_of(lambda _, prediction: prediction),
}
"""Metrics of binary tasks (AUC, average precision), of all classifications, and of regression."""

_OF_RANKS = {"roc_auc": _exact_auc, "average_precision": _average_precision}
