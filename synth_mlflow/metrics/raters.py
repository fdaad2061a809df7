"""What the answers of people or models about a blind sheet show: how well each tells real rows from synthetic ones,
and how well they agree.

An answer is a number: 1 for real, 0 for synthetic, one half for "cannot say". Half of the rows of a sheet are real.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from synth_mlflow.metrics.intervals import clopper_pearson

Floats = npt.NDArray[np.float64]
REAL, CANNOT_SAY, SYNTHETIC = 1.0, 0.5, 0.0


@dataclass(frozen=True)
class Rating:
    """The answers of one rater to one sheet."""

    rater: str
    by_model: bool
    sheet: str
    answers: tuple[float, ...]
    is_real: tuple[bool, ...]
    own: bool
    """Whether the sheet is of the batch that is judged."""
    run_id: str = ""

    @property
    def auc(self) -> float:
        """See :func:`rater_auc`."""
        return rater_auc(self.answers, self.is_real)

    @property
    def says_something(self) -> bool:
        """Whether not all answers are the same: one answer for every row needs no look at any."""
        return len(set(self.answers)) > 1

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """See :func:`rater_auc_interval`."""
        return rater_auc_interval(self.answers, self.is_real, confidence=confidence)


def rater_auc(answers: Sequence[float], is_real: Sequence[bool]) -> float:
    """How often a real row gets a higher answer than a synthetic one, ties counted half.

    Parameters
    ----------
    answers : sequence of float, of length n_rows
    is_real : sequence of bool, of length n_rows
        Both kinds occur.

    Returns
    -------
    float
        0.5 for guesses, 1 where every row was recognised, below 0.5 where real rows look synthetic. Where half of the
        rows are real and nobody said "cannot say", it is the share of right answers.

    Notes
    -----
    H. B. Mann, D. R. Whitney, Annals of Mathematical Statistics 18 (1947).

    Examples
    --------
    >>> rater_auc([1, 1, 0, 0], [True, False, True, False])
    0.5
    >>> rater_auc([1, 0.5, 0.5, 0], [True, True, False, False])
    0.875
    """
    values, real = np.asarray(answers, dtype=float), np.asarray(is_real, dtype=bool)
    gaps = values[real][:, None] - values[~real][None, :]
    return float(np.mean((gaps > 0) + 0.5 * (gaps == 0)))


def rater_auc_interval(
    answers: Sequence[float], is_real: Sequence[bool], *, confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of :func:`rater_auc` on a sheet of which half is real; for small numbers too wide, never too narrow.

    Notes
    -----
    Without "cannot say" the AUC is the share of right answers among all rows, a mean of independent right and wrong
    answers: the interval of C. J. Clopper, E. S. Pearson, Biometrika 26 (1934), which stays valid where single rows
    have different chances (W. Hoeffding, Annals of Mathematical Statistics 27 (1956)). With "cannot say" the AUC is a
    mean over pairs of a real and a synthetic row, and varies no more than the mean of as many disjoint pairs as there
    are rows on a side (W. Hoeffding, Journal of the American Statistical Association 58 (1963), section 5): the same
    interval for so many pairs, rounded outwards to whole numbers of them.

    Examples
    --------
    >>> low, high = rater_auc_interval([1, 0] * 20, [True, True, False, False] * 10)
    >>> round(low, 3), round(high, 3)
    (0.338, 0.662)
    """
    value, n_sided = rater_auc(answers, is_real), int(np.sum(is_real))
    if CANNOT_SAY not in answers:
        right = round(2 * n_sided * value)
        return clopper_pearson(right, 2 * n_sided, confidence=confidence)
    pairs = n_sided * value
    low = clopper_pearson(int(np.floor(pairs + 1e-9)), n_sided, confidence=confidence)[0]
    high = clopper_pearson(int(np.ceil(pairs - 1e-9)), n_sided, confidence=confidence)[1]
    return low, high


def most_right_to_pass(n_rows: int, limit: float, *, confidence: float = 0.95) -> int:
    """The most right answers among ``n_rows`` whose upper bound lies below a limit; -1 where no number does.

    Examples
    --------
    >>> most_right_to_pass(100, 0.7), most_right_to_pass(4, 0.5)
    (60, -1)
    """

    def too_many(k: int) -> bool:
        return clopper_pearson(k, n_rows, confidence=confidence)[1] >= limit

    return bisect.bisect_left(range(n_rows + 1), True, key=too_many) - 1


def fewest_right_to_fail(n_rows: int, limit: float, *, confidence: float = 0.95) -> int:
    """The fewest right answers among ``n_rows`` whose lower bound exceeds a limit; ``n_rows + 1`` where no number does.

    Examples
    --------
    >>> fewest_right_to_fail(100, 0.7), fewest_right_to_fail(4, 0.7)
    (80, 5)
    """

    def enough(k: int) -> bool:
        return clopper_pearson(k, n_rows, confidence=confidence)[0] > limit

    return bisect.bisect_left(range(n_rows + 1), True, key=enough)


def chance_to_pass(n_rows: int, limit: float, *, confidence: float = 0.95) -> float:
    """How often somebody who only guesses lets a sheet of so many rows pass.

    Examples
    --------
    >>> round(chance_to_pass(100, 0.7), 3), chance_to_pass(10, 0.6)
    (0.982, 0.055)
    """
    most = most_right_to_pass(n_rows, limit, confidence=confidence)
    return round(float(stats.binom.cdf(most, n_rows, 0.5)), 3)


def rows_to_pass(limit: float, *, confidence: float = 0.95, power: float = 0.8, most: int = 10_000) -> int | None:
    """The smallest even number of rows on which a guesser passes with the given power; None where ``most`` are too few.

    Examples
    --------
    >>> rows_to_pass(0.7), rows_to_pass(0.5)
    (52, None)
    """
    if limit <= 0.5:
        return None
    tried = range(2, most + 1, 2)
    return next((n for n in tried if chance_to_pass(n, limit, confidence=confidence) >= power), None)


def fleiss_kappa(answers: Sequence[Sequence[float]]) -> float | None:
    """Agreement of several raters beyond chance, on the same rows.

    Parameters
    ----------
    answers : sequence of shape (n_raters, n_rows)

    Returns
    -------
    float or None
        1 for raters who always agree, 0 for the agreement that chance gives; None where there is one rater, or
        everybody gave one answer alone.

    Notes
    -----
    J. L. Fleiss, Psychological Bulletin 76 (1971).

    Examples
    --------
    >>> fleiss_kappa([[1, 1, 0, 0], [1, 1, 0, 0]]), fleiss_kappa([[1, 1, 0, 0], [1, 0, 1, 0]])
    (1.0, 0.0)
    """
    table = np.asarray(answers, dtype=float)
    n_raters = len(table)
    if n_raters < 2:
        return None
    counts = np.stack([(table == kind).sum(axis=0) for kind in np.unique(table)])
    by_chance = float((((counts.sum(axis=1)) / table.size) ** 2).sum())
    if by_chance == 1.0:
        return None
    agreed = float(((counts**2).sum(axis=0) - n_raters).mean() / (n_raters * (n_raters - 1)))
    return round((agreed - by_chance) / (1 - by_chance), 12)


def cohen_kappa(
    one: Sequence[float], other: Sequence[float], *, confidence: float = 0.95
) -> tuple[float, float, float] | None:
    """Agreement of two raters beyond chance, with an interval; None where there is no row, or one answer alone.

    Notes
    -----
    J. Cohen, Educational and Psychological Measurement 20 (1960). The interval is the exact one of the share of equal
    answers, with the agreement that chance gives held at what both raters' own answers say of it.

    Examples
    --------
    >>> value, low, high = cohen_kappa([1, 1, 0, 0] * 10, [1, 1, 0, 1] * 10)
    >>> round(value, 3), round(low, 3), round(high, 3)
    (0.5, 0.176, 0.746)
    """
    first, second = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    kinds = np.union1d(first, second)
    by_chance = sum(float((first == kind).mean() * (second == kind).mean()) for kind in kinds)
    if len(kinds) < 2:
        return None
    n_equal = int((first == second).sum())
    shares = (n_equal / len(first), *clopper_pearson(n_equal, len(first), confidence=confidence))
    value, low, high = ((share - by_chance) / (1 - by_chance) for share in shares)
    return value, low, high


def majority(answers: Sequence[Sequence[float]]) -> list[float]:
    """What most of several raters say of each row; "cannot say" where two answers are given equally often.

    Examples
    --------
    >>> majority([[1, 1, 0], [1, 0, 0], [0, 0.5, 0]])
    [1.0, 0.5, 0.0]
    """
    shares = []
    for column in np.asarray(answers, dtype=float).T:
        kinds, counts = np.unique(column, return_counts=True)
        most = kinds[counts == counts.max()]
        shares.append(float(most[0]) if len(most) == 1 else CANNOT_SAY)
    return shares
