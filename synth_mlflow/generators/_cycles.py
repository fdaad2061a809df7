"""Cycles: hours of a day, days of a week, last digits or last two, where they are far from equally frequent.

A value that is redrawn then keeps the hour, the weekday or the last digit of its donor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UNEVEN = 0.10  # total variation from even parts, beyond what chance gives
CHANCE_DEVIATIONS = 3.0
MIN_PART_ROWS = 30  # redrawn among fewer rows, a value would be one of them too often
MIN_TURNS = 4  # of the cycle; in a shorter range the parts are the shape of the distribution itself
MIN_VALUES = 30  # distinct ones


ENDINGS = 100


@dataclass(frozen=True)
class Cycle:
    """Parts that repeat, in steps of a column's grid."""

    period: int
    width: int
    """Of a part; divides the period."""
    offset: int
    is_of_time: bool

    def parts(self, steps: Floats) -> Ints:
        """The part of each value, from 0; shape (n_values,)."""
        return ((np.round(steps).astype(np.int64) + self.offset) % self.period) // self.width

    def uneven(self, steps: Floats, counts: Ints) -> Ints | None:
        """The part of each distinct value, small ones put together in a group; None where the parts are about even.

        A small group has a number beyond the parts, or that of the largest part if it is too small itself.
        """
        if len(steps) < MIN_VALUES or np.ptp(steps) < MIN_TURNS * self.period or (steps[0] < 0 and not self.is_of_time):
            return None
        return self._beyond(steps, counts, np.full(self.period // self.width, self.width / self.period))

    def uneven_endings(self, steps: Floats, counts: Ints, roundness: Ints) -> Ints | None:
        """The same of endings such as 99 and 95, which are more than last digits and rounding.

        ``roundness`` is the multiple that each value is rounded to; all endings of one roundness are even otherwise.
        """
        if len(steps) < MIN_VALUES or np.ptp(steps) < MIN_TURNS * self.period or steps[0] < 0:
            return None
        expected = np.zeros(self.period)
        endings, levels = np.arange(self.period), np.unique(roundness)
        own = np.max([np.where(endings % level == 0, level, 0) for level in levels], axis=0)
        for level in levels:
            share = counts[roundness == level].sum() / counts.sum()
            last_digits = np.bincount(self.parts(steps[roundness == level]) % 10, counts[roundness == level], 10)
            weights = np.where(own == level, last_digits[endings % 10], 0.0)
            expected += share * weights / max(weights.sum(), 1.0)
        return self._beyond(steps, counts, expected)

    def _beyond(self, steps: Floats, counts: Ints, expected: Floats) -> Ints | None:
        parts = self.parts(steps)
        rows = np.bincount(parts, weights=counts, minlength=self.period // self.width)
        by_chance = CHANCE_DEVIATIONS * np.sqrt(len(rows) / (2.0 * np.pi * rows.sum()))
        if np.abs(rows / rows.sum() - expected).sum() / 2.0 <= UNEVEN + by_chance:
            return None
        is_small = rows < MIN_PART_ROWS
        group = len(rows) if rows[is_small].sum() >= MIN_PART_ROWS else int(np.argmax(rows))
        return np.where(is_small[parts], group, parts)

    def snap(self, steps: Floats, parts: Ints, first: float, last: float) -> Floats:
        """The nearest values of each part that lie between ``first`` and ``last``."""
        whole = np.round(steps).astype(np.int64) + self.offset
        turn, within = np.divmod(whole, self.period)
        moved = parts * self.width + within % self.width - within
        moved += np.where(moved > self.period / 2, -self.period, 0) + np.where(moved < -self.period / 2, self.period, 0)
        found = turn * self.period + within + moved - self.offset
        found -= np.where(found > last, self.period, 0)
        found += np.where(found < first, self.period, 0)
        return np.asarray(np.clip(found.astype(np.float64), first, last))
