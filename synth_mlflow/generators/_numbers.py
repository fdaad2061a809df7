"""Numbers on their grid: how fine a column's values are, which of them are habits, and draws that reuse neither.

A value that many members share (an *atom*: zero gain, forty hours) reveals nobody and is kept. A value that few share
is *loose*: handed out as it is, it would point at its owner. A loose value is redrawn between its neighbours in rank,
among values of the same roundness, and rounded as they are. So heaps, rounding habits, gaps and bounds survive while
exact values do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MAX_DECIMALS = 6
HEAP_RATIO = 1.5  # how much more often than chance a rounder value must occur to count as a habit
MIN_HEAP_ROWS = 30
_LADDER = (1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Smoothing:
    """How far drawn numbers stay from the members' own.

    ``atom_rows`` members must share a value before it may be handed out; others are redrawn within ``reach`` ranks.
    """

    atom_rows: int = 5
    reach: int = 3


@dataclass(frozen=True)
class Numbers:
    """The values of one numeric column, ready to be drawn again."""

    step: float | None
    """The grid that all values lie on; None if they are continuous."""
    values: Floats
    """Distinct values, ascending; shape (n_values,)."""
    roundness: Ints
    """The multiple of the step that each distinct value is rounded to; 0 for an atom."""
    loose: dict[int, Floats]
    """Loose values with their repetitions, ascending, by roundness."""
    reach: int

    @classmethod
    def of(cls, present: Floats, smoothing: Smoothing) -> Numbers:
        """Learn the grid, the atoms and the roundness of a column's present values; shape (n_present,)."""
        values, counts = np.unique(present, return_counts=True)
        step = grid_step(values)
        roundness = _roundness(present, values, step)
        is_atom = counts >= smoothing.atom_rows
        loose = {
            int(level): np.repeat(values[chosen], counts[chosen])
            for level in np.unique(roundness[~is_atom])
            if len(chosen := np.flatnonzero(~is_atom & (roundness == level)))
        }
        return cls(step, values, np.where(is_atom, 0, roundness), loose, smoothing.reach)

    def redraw(self, donors: Floats, rng: np.random.Generator) -> Floats:
        """Values like ``donors``, which must be among the column's own: atoms as they are, loose ones drawn nearby."""
        drawn = np.array(donors, dtype=np.float64)
        level = self.roundness[np.searchsorted(self.values, drawn)]
        for rounding, population in self.loose.items():
            chosen = level == rounding
            n_chosen = int(chosen.sum())
            if n_chosen:
                drawn[chosen] = self._nearby(drawn[chosen], population, rng)
                drawn[chosen] = self.round(drawn[chosen], rounding)
        return drawn

    def round(self, values: Floats, multiple: int = 1) -> Floats:
        """The nearest values on the grid, or on a coarser one."""
        if self.step is None:
            return values
        return on_grid(values, self.step * multiple)

    def _nearby(self, values: Floats, population: Floats, rng: np.random.Generator) -> Floats:
        low = np.searchsorted(population, values, side="left")
        high = np.searchsorted(population, values, side="right")
        rank = low + rng.random(len(values)) * (high - low) - 0.5
        rank += rng.uniform(-self.reach, self.reach, len(values))
        last = len(population) - 1
        rank = np.clip(_reflect(rank, last), 0, last)
        return np.asarray(np.interp(rank, np.arange(last + 1), population))


def grid_step(values: Floats) -> float | None:
    """The largest power of ten, at most 1, that all values are multiples of; None if there is none down to 10⁻⁶.

    Examples
    --------
    >>> grid_step(np.array([0.25, 3.0])), grid_step(np.array([10.0, 20.0])), grid_step(np.array([np.pi]))
    (0.01, 1.0, None)
    """
    dust = 4.0 * np.spacing(np.abs(values))
    for decimals in range(MAX_DECIMALS + 1):
        if np.all(np.abs(np.round(values, decimals) - values) <= dust + 1e-6 * 10.0**-decimals):
            return float(10.0**-decimals)
    return None


def on_grid(values: Floats, step: float) -> Floats:
    """The nearest multiples of ``step``, free of binary dust for steps like 0.01."""
    decimals = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    return np.asarray(np.round(np.round(values / step) * step, decimals))


def _roundness(present: Floats, values: Floats, step: float | None) -> Ints:
    level = np.ones(len(values), dtype=np.int64)
    if step is None:
        return level
    in_steps, all_in_steps = np.round(values / step), np.round(present / step)
    accepted = 1
    for multiple in _LADDER[1:]:
        coarser = all_in_steps[all_in_steps % accepted == 0]
        n_rounder = int((coarser % multiple == 0).sum())
        expected = len(coarser) * accepted / multiple
        if n_rounder >= MIN_HEAP_ROWS and n_rounder > HEAP_RATIO * expected + 3.0 * np.sqrt(expected):
            level[in_steps % multiple == 0] = multiple
            accepted = multiple
    return level


def _reflect(rank: Any, last: int) -> Any:
    rank = np.abs(rank)
    return np.where(rank > last, 2 * last - rank, rank)
