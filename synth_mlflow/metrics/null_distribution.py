"""The noise floor: what real rows against real rows give, measured by splitting them at random again and again.

A statistic of two samples of one distribution is measured on random halves and carried over to other sizes by the
square root of the effective number of rows, n₁ n₂ / (n₁ + n₂), as the spread of every distance, gap and correlation
here goes. What shrinks faster, such as the share outside a range, is floored too high by that: never a false alarm.
Rows that come in groups are split by whole groups: two samples of other groups differ by more than two samples of
rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]

N_SPLITS = 32
STREAMED_CELLS = 2_000_000  # of one split; a thousand columns have as many pairs
TINY = 1e-12
CONFIDENCE = 0.99  # of draws of real rows that stay below a floor


@dataclass(frozen=True)
class NullDistribution:
    """Mean and spread of statistics under one distribution, for one effective row: divide by its root to use them."""

    mean: Floats
    spread: Floats
    n_splits: int
    two_sided: bool = False

    def expected(self, n_first: int, n_second: int) -> Floats:
        """What real samples of these sizes give on average."""
        return np.asarray(self.mean / effective_root(n_first, n_second))

    def upper(self, n_first: int, n_second: int) -> Floats:
        """What 99 of 100 real samples of these sizes stay below."""
        reach = float(stats.t.ppf(CONFIDENCE, self.n_splits - 1)) * self.spread
        return np.asarray((self.mean + reach) / effective_root(n_first, n_second))

    def p_values(self, values: Floats, n_first: int, n_second: int) -> Floats:
        """How often real samples of these sizes give more; by Student's law, since the spread is measured.

        Two-sided where the floor is symmetric.
        """
        scaled = np.abs(values) * effective_root(n_first, n_second)
        deviations = (scaled - self.mean) / np.maximum(self.spread, TINY)
        tail = stats.t.sf(deviations, self.n_splits - 1)
        return np.asarray(np.minimum(2 * tail, 1) if self.two_sided else tail)

    def symmetric(self) -> NullDistribution:
        """The same floor for differences, whose mean is zero since either half could have been the first."""
        return NullDistribution(
            np.zeros_like(self.mean), np.hypot(self.spread, self.mean), self.n_splits, two_sided=True
        )


def split_floor(
    statistic: Callable[[Places, Places], Floats],
    n_rows: int,
    rng: np.random.Generator,
    *,
    n_splits: int = N_SPLITS,
    n_all: int | None = None,
    groups: Places | None = None,
) -> NullDistribution:
    """Measure a statistic between random halves.

    Parameters
    ----------
    statistic : callable
        Takes the row places of two halves, gives an array of any shape.
    n_rows : int
        How many real rows a split takes.
    n_all : int, optional
        How many there are to draw them from [``n_rows``].
    groups : array of shape (n_all,), optional
        The group of each row, 0, 1, …; rows of one group then lie in one half.
    """
    if groups is not None:
        return _grouped_floor(statistic, n_rows, rng, n_splits, groups)
    half = n_rows // 2
    orders = (rng.choice(n_all or n_rows, 2 * half, replace=False) for _ in range(n_splits))
    return _floor_of((statistic(order[:half], order[half:]) * effective_root(half, half) for order in orders), n_splits)


def group_halves(groups: Places, n_rows: int, rng: np.random.Generator) -> tuple[Places, Places]:
    """Row places of two random halves of about ``n_rows`` rows in all, no group in both.

    Parameters
    ----------
    groups : array of shape (n_all,)
        Codes 0, 1, …; two different ones at least.

    Examples
    --------
    >>> first, second = group_halves(np.array([0, 0, 1, 1]), 4, np.random.default_rng(0))
    >>> sorted([first.tolist(), second.tolist()])
    [[0, 1], [2, 3]]
    """
    order = rng.permutation(int(groups.max()) + 1)
    sizes = np.cumsum(np.bincount(groups)[order])
    n_taken = max(int(np.searchsorted(sizes, n_rows, "right")), 2)
    ends = sizes[: n_taken - 1]
    n_first = int(np.abs(ends - sizes[n_taken - 1] / 2).argmin()) + 1
    return tuple(np.flatnonzero(np.isin(groups, part)) for part in (order[:n_first], order[n_first:n_taken]))  # type: ignore[return-value]


def _grouped_floor(
    statistic: Callable[[Places, Places], Floats], n_rows: int, rng: np.random.Generator, n_splits: int, groups: Places
) -> NullDistribution:
    splits = (group_halves(groups, n_rows, rng) for _ in range(n_splits))
    return _floor_of((statistic(*halves) * effective_root(*map(len, halves)) for halves in splits), n_splits)


def _floor_of(draws: Iterator[Floats], n_splits: int) -> NullDistribution:
    """Mean and spread of what splits give; of large arrays one at a time (B. P. Welford, Technometrics 4 (1962))."""
    first = next(draws)
    if first.size < STREAMED_CELLS:
        together = np.stack([first, *draws])
        return NullDistribution(together.mean(axis=0), together.std(axis=0, ddof=1), n_splits)
    mean, squares = first.copy(), np.zeros_like(first)
    for n, one in enumerate(draws, start=2):
        gap = one - mean
        mean += gap / n
        squares += gap * (one - mean)
    return NullDistribution(mean, np.sqrt(squares / (n_splits - 1)), n_splits)


def effective_root(n_first: int, n_second: int) -> float:
    """Square root of the effective number of rows of a comparison.

    Examples
    --------
    >>> effective_root(200, 200)
    10.0
    """
    return float(np.sqrt(n_first * n_second / (n_first + n_second)))
