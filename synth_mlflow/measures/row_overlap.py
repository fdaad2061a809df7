"""How many rows two tables share beyond what two tables of one law share by chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Digests = npt.NDArray[np.uint64]

MOSTLY = 0.5
CHANCE_SDS = 6.0  # beyond what a shared law explains; a false alarm in 10^9 where rows are drawn independently


def shared_share(rows: Digests, others: Digests) -> float:
    """The share of rows that stand in the other table too, each of whose rows counts once.

    Parameters
    ----------
    rows, others : arrays of shape (n_rows,), (n_others,)
        Digests of rows.

    Returns
    -------
    float
        1 for a copy in any order or a part of one, 0 for tables without a common row.

    Examples
    --------
    >>> shared_share(np.array([1, 1, 2, 3], dtype=np.uint64), np.array([2, 1, 1], dtype=np.uint64))
    0.75
    """
    if not len(rows):
        return 0.0
    ours, theirs = _counts(rows, others)
    return float(np.minimum(ours, theirs).sum() / len(rows))


def are_mostly_of(rows: Digests, others: Digests) -> bool:
    """Whether more than half of the rows are those of another table, and more than independent draws would share.

    Notes
    -----
    Rows of few coarse columns are equal by chance. If both tables were drawn from one law, every way to deal their
    pooled rows into two tables of these sizes is equally likely: a permutation test. Each row falls on our side with
    a probability of its own, taken as independent of the others, which makes the spread larger than it is.
    """
    share = shared_share(rows, others)
    if share <= MOSTLY:
        return False
    ours, theirs = _counts(rows, others)
    if np.array_equal(ours, theirs):
        return True
    mean, variance = _shared_by_chance(ours + theirs, len(rows) / (len(rows) + len(others)))
    return bool(share * len(rows) > mean + CHANCE_SDS * np.sqrt(variance) + 1)


def _counts(rows: Digests, others: Digests) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """How often each distinct row of both stands in either."""
    names, places = np.unique(np.concatenate([rows, others]), return_inverse=True)
    ours = np.bincount(places[: len(rows)], minlength=len(names))
    theirs = np.bincount(places[len(rows) :], minlength=len(names))
    return ours, theirs


def _shared_by_chance(together: npt.NDArray[np.int64], part: float) -> tuple[float, float]:
    """Mean and variance of the sum of ``min(k, n - k)`` over rows that stand ``n`` times in both, k binomial."""
    from scipy import stats

    mean = variance = 0.0
    for n, times in zip(*np.unique(together, return_counts=True), strict=True):
        k = np.arange(n + 1)
        weights = stats.binom.pmf(k, n, part)
        least = np.minimum(k, n - k)
        expected = float(weights @ least)
        mean += times * expected
        variance += times * (float(weights @ least**2) - expected**2)
    return mean, variance
