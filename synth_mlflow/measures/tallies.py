"""Tallies: how often each value of one column stands in two tables, and what can be read off that alone.

A tally is small and cheap to draw again, so that the noise floor of every statistic here is measured and not assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.measures.distances import Counts, counted_tv_distance, pool_rare
from synth_mlflow.measures.encoding import numbers
from synth_mlflow.measures.floors import Places, split_floor

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SPLIT_ROWS = 20_000  # the noise floor needs fewer rows than there may be


@dataclass(frozen=True)
class Tally:
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
    tally: Tally
    real_codes: Places
    """Places in ``values``; -1 for missing."""

    def between(self, first: Places, second: Places) -> Tally:
        """The tally of two sets of real rows, as if the second were the batch."""
        return _tally(self.real_codes[first], self.real_codes[second], len(self.values))


Statistic = Callable[[Tally], float]


def tallied(real: pd.Series, batch: pd.Series, *, ordered: bool) -> Tallied:
    """Count the values of a column, numbers and dates in their order."""
    pooled = pd.concat([real, batch], ignore_index=True)
    found = pd.factorize(numbers(pooled), sort=True) if ordered else pd.factorize(pooled)
    codes, values = found[0].astype(np.int64), np.asarray(found[1])
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


def missing_gap(tally: Tally) -> float:
    """Difference of the shares of missing values."""
    (k_real, k_batch), (n_real, n_batch) = tally.missing, tally.rows
    return abs(k_real / max(n_real, 1) - k_batch / max(n_batch, 1))


def missing_kept(tally: Tally) -> float:
    """How much of the share of missing values the batch keeps."""
    return share_kept(tally.missing, tally.rows)


def ks_of_tally(tally: Tally) -> float:
    """Kolmogorov–Smirnov distance of values in their order; 0 where a side is empty."""
    if not all(tally.present):
        return 0.0
    gaps = np.cumsum(tally.real) / tally.present[0] - np.cumsum(tally.batch) / tally.present[1]
    return float(np.abs(gaps).max())


def tv_of_tally(tally: Tally) -> float:
    """Total variation of labels, those too rare to be compared alone put together; 0 where a side is empty."""
    return counted_tv_distance(*pool_rare(tally.real, tally.batch)) if all(tally.present) else 0.0


def marks_kept(marks: Bools) -> Statistic:
    """How much of the share of marked values the batch keeps."""
    return lambda tally: share_kept(tally.marked(marks), tally.rows)


def marks_gap(marks: Bools) -> Statistic:
    """Difference of the shares of marked values among those present."""

    def gap(tally: Tally) -> float:
        shares = np.array(tally.marked(marks)) / np.maximum(tally.present, 1)
        return float(abs(shares[0] - shares[1]))

    return gap


def outside_range(tally: Tally) -> float:
    """Share of the batch's values below the least or above the largest real one."""
    seen = np.flatnonzero(tally.real)
    if not len(seen):
        return 0.0
    outside = tally.batch[: seen[0]].sum() + tally.batch[seen[-1] + 1 :].sum()
    return float(outside / max(tally.present[1], 1))


def unseen_levels(tally: Tally) -> float:
    """Share of the batch's labels that no real row has, beyond what further real rows would show.

    Notes
    -----
    I. J. Good, Biometrika 40 (1953): a further real row has a new label with the chance of one that stands once.
    """
    return max(float(tally.batch[tally.real == 0].sum() / max(tally.present[1], 1)) - new_label_share(tally), 0.0)


def new_label_share(tally: Tally) -> float:
    """How often a further real row has a label that no real row had."""
    return float((tally.real == 1).sum() / max(tally.present[0], 1))


def absent_levels(min_expected: float) -> Statistic:
    """Share of real rows whose label the batch lacks, though it should show ``min_expected`` times or more."""

    def absent(tally: Tally) -> float:
        return float(tally.real[absent_marks(tally, min_expected)].sum() / max(tally.present[0], 1))

    return absent


def absent_marks(tally: Tally, min_expected: float) -> Bools:
    """The labels that :func:`absent_levels` counts."""
    return np.asarray(expected_marks(tally, min_expected) & (tally.batch == 0))


def expected_marks(tally: Tally, min_expected: float) -> Bools:
    """The labels of which the batch should have ``min_expected`` rows or more."""
    n_real, n_batch = tally.present
    return np.asarray(tally.real * (n_batch / max(n_real, 1)) >= min_expected, dtype=np.bool_)


def share_kept(counts: tuple[int, int], sizes: tuple[int, int]) -> float:
    """A share in the batch over the same share in real rows; 1 where real rows have none."""
    (k_real, k_batch), (n_real, n_batch) = counts, sizes
    return (k_batch / max(n_batch, 1)) / (k_real / n_real) if k_real else 1.0


def _tally(real: Places, batch: Places, n_values: int) -> Tally:
    counts = [np.bincount(side[side >= 0], minlength=n_values) for side in (real, batch)]
    return Tally(counts[0], counts[1], (int((real < 0).sum()), int((batch < 0).sum())))
