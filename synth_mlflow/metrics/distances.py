"""How far two samples of one column are apart, and how significant that is.

Every ``*_distance`` is 0 for identical samples; the ``*_p_value`` functions say how often two samples of one
distribution would be as far apart.

Tallies: how often each value of one column stands in two tables, and what can be read off that alone.

A tally is small and cheap to draw again, so that the noise floor of every statistic here is measured and not assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from synth_mlflow.data.grids import floats_of
from synth_mlflow.metrics.null_distribution import Places, split_floor

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SPLIT_ROWS = 20_000  # the noise floor needs fewer rows than there may be


@dataclass(frozen=True)
class ValueCounts:
    """Counts of the same values, in one order, in real rows and in a batch; missing values apart."""

    real: Counts
    batch: Counts
    missing: tuple[int, int]
    """Of real rows and batch."""

    @property
    def present(self) -> tuple[int, int]:
        """Values there are, of real rows and batch."""
        return int(self.real.sum()), int(self.batch.sum())

    @property
    def rows(self) -> tuple[int, int]:
        """Rows, of real rows and batch."""
        return self.present[0] + self.missing[0], self.present[1] + self.missing[1]

    def marked(self, marks: Bools) -> tuple[int, int]:
        """Rows with one of the marked values, of real rows and batch."""
        return int(self.real[marks].sum()), int(self.batch[marks].sum())


@dataclass(frozen=True)
class Tallied:
    """One column of both tables: its values, their tally, and which value each real row has."""

    values: npt.NDArray[np.generic]
    """Sorted where they are numbers or dates."""
    tally: ValueCounts
    real_codes: Places
    """Places in ``values``; -1 for missing."""

    def between(self, first: Places, second: Places) -> ValueCounts:
        """The tally of two sets of real rows, as if the second were the batch."""
        return _tally(self.real_codes[first], self.real_codes[second], len(self.values))


Statistic = Callable[[ValueCounts], float]


def tallied(real: pd.Series, batch: pd.Series, *, ordered: bool) -> Tallied:
    """Count the values of a column, numbers and dates in their order."""
    pooled = pd.concat([real, batch], ignore_index=True)
    codes_and_values = pd.factorize(floats_of(pooled), sort=True) if ordered else pd.factorize(pooled)
    codes, values = codes_and_values[0].astype(np.int64), np.asarray(codes_and_values[1])
    sides = codes[: len(real)], codes[len(real) :]
    return Tallied(values, _tally(*sides, len(values)), sides[0])


class Measured(NamedTuple):
    """What real rows give in one statistic of a column."""

    floor: float
    """What 99 of 100 draws of real rows keep to, at the sizes of both tables."""
    p_value: float
    """How often as many real rows, split as the floor was, lie as far out as the batch."""


def measured_floors(
    column: Tallied,
    statistics: Mapping[str, Statistic],
    higher: Sequence[str],
    rng: np.random.Generator,
    groups: Places | None = None,
) -> dict[str, Measured]:
    """What 99 of 100 draws of real rows keep to in each statistic, at the sizes of both tables.

    Parameters
    ----------
    column : Tallied
    statistics : mapping of str to callable
    higher : sequence of str
        The statistics that are ratios around 1 and better high: their floor is a lower one.
    rng : numpy Generator
    groups : array of shape (n_real,), optional
        The group of each real row, where rows come in groups.
    """
    shift = np.array([1.0 if name in higher else 0.0 for name in statistics])

    def between(first: Places, second: Places) -> Floats:
        drawn = column.between(first, second)
        return np.asarray([statistic(drawn) for statistic in statistics.values()] - shift)

    sizes, n_all = column.tally.rows, len(column.real_codes)
    floor = split_floor(between, min(n_all, SPLIT_ROWS), rng, n_all=n_all, groups=groups)
    upper, symmetric = floor.upper(*sizes), floor.symmetric().upper(*sizes)
    beyond = np.asarray([statistic(column.tally) for statistic in statistics.values()] - shift)
    above, apart = floor.p_values(beyond, *sizes), floor.symmetric().p_values(beyond, *sizes)
    return {
        name: Measured(float(1 - symmetric[at]), float(apart[at]) if beyond[at] < 0 else 1.0)
        if name in higher
        else Measured(float(upper[at]), float(above[at]))
        for at, name in enumerate(statistics)
    }


def missing_gap(tally: ValueCounts) -> float:
    """Difference of the shares of missing values."""
    (k_real, k_batch), (n_real, n_batch) = tally.missing, tally.rows
    return abs(k_real / max(n_real, 1) - k_batch / max(n_batch, 1))


def missing_kept(tally: ValueCounts) -> float:
    """How much of the share of missing values the batch keeps."""
    return share_kept(tally.missing, tally.rows)


def ks_of_tally(tally: ValueCounts) -> float:
    """Kolmogorov–Smirnov distance of values in their order; 0 where a side is empty."""
    if not all(tally.present):
        return 0.0
    gaps = np.cumsum(tally.real) / tally.present[0] - np.cumsum(tally.batch) / tally.present[1]
    return float(np.abs(gaps).max())


def tv_of_tally(tally: ValueCounts) -> float:
    """Total variation of labels, those too rare to be compared alone put together; 0 where a side is empty."""
    return counted_tv_distance(*pool_rare(tally.real, tally.batch)) if all(tally.present) else 0.0


def marks_kept(marks: Bools) -> Statistic:
    """How much of the share of marked values the batch keeps."""
    return lambda tally: share_kept(tally.marked(marks), tally.rows)


def marks_gap(marks: Bools) -> Statistic:
    """Difference of the shares of marked values among those present."""

    def gap(tally: ValueCounts) -> float:
        shares = np.array(tally.marked(marks)) / np.maximum(tally.present, 1)
        return float(abs(shares[0] - shares[1]))

    return gap


def outside_range(tally: ValueCounts) -> float:
    """Share of the batch's values below the least or above the largest real one."""
    seen = np.flatnonzero(tally.real)
    if not len(seen):
        return 0.0
    outside = tally.batch[: seen[0]].sum() + tally.batch[seen[-1] + 1 :].sum()
    return float(outside / max(tally.present[1], 1))


def unseen_levels(tally: ValueCounts) -> float:
    """Share of the batch's labels that no real row has, beyond what further real rows would show.

    Notes
    -----
    I. J. Good, Biometrika 40 (1953): a further real row has a new label with the chance of one that stands once.
    """
    return max(float(tally.batch[tally.real == 0].sum() / max(tally.present[1], 1)) - new_label_share(tally), 0.0)


def new_label_share(tally: ValueCounts) -> float:
    """How often a further real row has a label that no real row had."""
    return float((tally.real == 1).sum() / max(tally.present[0], 1))


def absent_levels(min_expected: float) -> Statistic:
    """Share of real rows whose label the batch lacks, though it should show ``min_expected`` times or more."""

    def absent(tally: ValueCounts) -> float:
        return float(tally.real[absent_marks(tally, min_expected)].sum() / max(tally.present[0], 1))

    return absent


def absent_marks(tally: ValueCounts, min_expected: float) -> Bools:
    """The labels that :func:`absent_levels` counts."""
    return np.asarray(expected_marks(tally, min_expected) & (tally.batch == 0))


def expected_marks(tally: ValueCounts, min_expected: float) -> Bools:
    """The labels of which the batch should have ``min_expected`` rows or more."""
    n_real, n_batch = tally.present
    return np.asarray(tally.real * (n_batch / max(n_real, 1)) >= min_expected, dtype=np.bool_)


def share_kept(counts: tuple[int, int], sizes: tuple[int, int]) -> float:
    """A share in the batch over the same share in real rows; 1 where real rows have none."""
    (k_real, k_batch), (n_real, n_batch) = counts, sizes
    return (k_batch / max(n_batch, 1)) / (k_real / n_real) if k_real else 1.0


def _tally(real: Places, batch: Places, n_values: int) -> ValueCounts:
    counts = [np.bincount(side[side >= 0], minlength=n_values) for side in (real, batch)]
    return ValueCounts(counts[0], counts[1], (int((real < 0).sum()), int((batch < 0).sum())))


Counts = npt.NDArray[np.int64]

Alternative = Literal["two-sided", "less", "greater"]

MIN_EXPECTED = 5.0  # W. G. Cochran, Annals of Mathematical Statistics 23 (1952): below it the chi-squared law is off


def ks_distance(real: pd.Series, synthetic: pd.Series) -> float:
    """Largest gap between two empirical distribution functions.

    Parameters
    ----------
    real, synthetic : Series of shape (n_real,), (n_synthetic,)
        Numbers or dates in the same unit; missing values are left out.

    Returns
    -------
    float
        0 for identical samples, 1 for disjoint ones; NaN if either side is empty.

    Notes
    -----
    F. J. Massey, JASA 46 (1951). Ties are handled as in ``scipy.stats.ks_2samp``.

    Examples
    --------
    >>> ks_distance(pd.Series([1, 2, 3]), pd.Series([1, 2, 3]))
    0.0
    >>> ks_distance(pd.Series([1, 2]), pd.Series([1, 9]))
    0.5
    """
    return sorted_ks_distance(np.sort(_present(real)), np.sort(_present(synthetic)))


def sorted_ks_distance(real: Floats, synthetic: Floats) -> float:
    """:func:`ks_distance` of two sorted arrays without missing values."""
    if not len(real) or not len(synthetic):
        return float("nan")
    at = np.concatenate([real, synthetic])
    below_real = np.searchsorted(real, at, side="right") / len(real)
    below_synthetic = np.searchsorted(synthetic, at, side="right") / len(synthetic)
    return float(np.abs(below_real - below_synthetic).max())


def ks_p_value(distance: float, n_real: int, n_synthetic: int) -> float:
    """How often samples of one continuous law are at least ``distance`` apart; too large, never too small, with ties.

    Notes
    -----
    The limit law with the small-sample correction of M. A. Stephens, JRSS B 32 (1970).

    Examples
    --------
    >>> round(ks_p_value(0.0608, 1000, 1000), 3)
    0.048
    """
    root = np.sqrt(n_real * n_synthetic / (n_real + n_synthetic))
    return float(stats.kstwobign.sf(distance * (root + 0.12 + 0.11 / root)))


def tv_distance(real: pd.Series, synthetic: pd.Series) -> float:
    """Total variation between two samples of labels: half the sum of the gaps between shares.

    Parameters
    ----------
    real, synthetic : Series of shape (n_real,), (n_synthetic,)
        Missing values are left out.

    Returns
    -------
    float
        0 for equal shares, 1 for no common label; NaN if either side is empty.

    Examples
    --------
    >>> tv_distance(pd.Series(["a", "a", "b", "b"]), pd.Series(["a", "b", "b", "b"]))
    0.25
    """
    counts = label_counts(real, synthetic)
    return counted_tv_distance(*counts) if all(side.sum() for side in counts) else float("nan")


def counted_tv_distance(real: Counts, synthetic: Counts) -> float:
    """:func:`tv_distance` of counts of the same labels."""
    return float(np.abs(real / real.sum() - synthetic / synthetic.sum()).sum() / 2)


def label_counts(real: pd.Series, synthetic: pd.Series) -> tuple[Counts, Counts]:
    """How often each label of either sample stands in each, in one order; missing values are left out."""
    codes, labels = pd.factorize(pd.concat([real, synthetic], ignore_index=True))
    sides = codes[: len(real)], codes[len(real) :]
    first, second = (np.bincount(side[side >= 0], minlength=len(labels)) for side in sides)
    return first, second


def pool_rare(real: Counts, synthetic: Counts) -> tuple[Counts, Counts]:
    """The same counts, labels too rare to be compared alone put together at the end.

    Examples
    --------
    >>> [side.tolist() for side in pool_rare(np.array([50, 1, 2]), np.array([50, 2, 1]))]
    [[50, 3], [50, 3]]
    """
    smaller_share = min(real.sum(), synthetic.sum()) / max(real.sum() + synthetic.sum(), 1)
    common = (real + synthetic) * smaller_share >= MIN_EXPECTED
    if common.all():
        return real, synthetic
    first, second = (np.append(side[common], side[~common].sum()) for side in (real, synthetic))
    return first, second


def homogeneity_p_value(real: Counts, synthetic: Counts) -> float:
    """Chi-squared test that two rows of counts come from one distribution; labels too rare to be tested are pooled.

    Parameters
    ----------
    real, synthetic : arrays of shape (n_labels,)

    Returns
    -------
    float
        1 where fewer than two labels are common enough to compare.

    Examples
    --------
    >>> homogeneity_p_value(np.array([50, 50]), np.array([50, 50]))
    1.0
    """
    table = np.vstack(pool_rare(real, synthetic)).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 1.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(stats.chi2.sf(statistic, table.shape[1] - 1))


def share_p_value(
    k_real: int, n_real: int, k_synthetic: int, n_synthetic: int, *, alternative: Alternative = "two-sided"
) -> float:
    """Fisher's exact test that a mark is as frequent in both samples; ``alternative`` speaks of the synthetic one.

    Examples
    --------
    >>> round(share_p_value(1, 10, 9, 10), 4)
    0.0011
    """
    if not n_real or not n_synthetic:
        return 1.0
    table = np.array([[k_synthetic, n_synthetic - k_synthetic], [k_real, n_real - k_real]])
    return float(stats.fisher_exact(table, alternative).pvalue)


def _present(values: pd.Series) -> Floats:
    as_numbers = floats_of(values)
    return as_numbers[~np.isnan(as_numbers)]
