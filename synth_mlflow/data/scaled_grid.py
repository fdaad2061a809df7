"""Columns of decimals that were shifted and scaled: standardised ages are whole numbers still.

Their values keep to a grid whose step is no power of ten. Without it a redrawn value would lie between the real ones,
and a batch would lack every value that many rows share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DUST = 1024.0  # units in the last place of the widest value: what shifting and scaling, and our own divisions, leave
OFF_GRID = 0.01  # of a step: how far a value may lie from the grid
MAX_PLACES = 1_000_000  # in the column's range: the dust of more could look like a grid
MIN_VALUES = 12  # distinct ones


@dataclass(frozen=True)
class ScaledUnit:
    """An evenly spaced grid from one value, in steps of any size.

    Examples
    --------
    >>> unit = ScaledUnit.of(np.sqrt(2) * np.arange(20), np.array([2, *[1] * 19]))
    >>> unit.places(np.array([0.0, 3 * np.sqrt(2)])).tolist(), unit.values(np.array([3.0])) == 3 * np.sqrt(2)
    ([0.0, 3.0], array([ True]))
    """

    origin: float
    """The most frequent value: what is round is counted from there."""
    step: float
    known: Floats
    """The real values, ascending: places that have one give it bit by bit."""

    @classmethod
    def of(cls, distinct: Floats, counts: Ints) -> ScaledUnit | None:
        """The grid of distinct values, ascending; None if they keep to none, or each occurs once."""
        if len(distinct) < MIN_VALUES or counts.max() < 2:
            return None
        dust = DUST * float(np.spacing(np.abs(distinct).max()))
        step = _common_step(np.diff(distinct), dust)
        places = (distinct - distinct[0]) / step
        if step < dust / OFF_GRID or places[-1] > MAX_PLACES or np.abs(places - np.round(places)).max() > OFF_GRID:
            return None
        return cls(float(distinct[np.argmax(counts)]), step, distinct)

    def places(self, values: Floats) -> Floats:
        """Whole steps from the origin, NaN where missing; shape (n_values,)."""
        return np.asarray(np.round((values - self.origin) / self.step))

    def values(self, places: Floats) -> Floats:
        """The inverse of :meth:`places`."""
        numbers = self.origin + np.round(places) * self.step
        above = np.clip(np.searchsorted(self.known, numbers), 1, len(self.known) - 1)
        low, high = self.known[above - 1], self.known[above]
        nearest = np.where(numbers - low < high - numbers, low, high)
        return np.where(np.abs(nearest - numbers) < 0.5 * self.step, nearest, numbers)

    def without_dust(self, values: Floats) -> Floats:
        """Values that lie on the grid but for dust as the same number for the same place; others as they are."""
        exact = self.origin + self.places(values) * self.step
        return np.where(np.abs(exact - values) <= OFF_GRID * self.step, exact, values)


def _common_step(gaps: Floats, dust: float) -> float:
    """The largest number that all gaps are multiples of, but for dust: Euclid's algorithm, the smallest ones first."""
    step = 0.0
    for gap in np.unique(gaps):
        one, other = float(gap), step
        while other > dust:
            one, other = other, abs(one - other * round(one / other))
        step = one
        if step <= dust:
            break
    return step
