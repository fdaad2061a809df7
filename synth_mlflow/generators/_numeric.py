"""Numbers on their grid: how fine a column's values are, which of them are habits, and draws that reuse neither.

A value that many members share (an *atom*: zero gain, forty hours) reveals nobody and is kept. A value that few share
is *loose*: handed out as it is, it would point at its owner. A loose value is redrawn between its neighbours in rank,
among values of the same roundness, and rounded as they are. So heaps, rounding habits, gaps and bounds survive while
exact values do not. Where the counts of neighbouring values differ by no more than chance, as those of ages do, values
are loose however many share them: their exact counts are the members' own, and tell nothing of anybody else. Atoms
hand out their counts, and many exact counts of few members give the members away: a table may have only so many.

Cycles: hours of a day, days of a week, last digits or last two, where they are far from equally frequent.

A value that is redrawn then keeps the hour, the weekday or the last digit of its donor.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from synth_mlflow.data.grids import grid_step, on_grid
from synth_mlflow.generators._smooth_quantiles import smooth_quantiles

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

HEAP_EXCESS = 0.5  # of its share by chance, times the share of the others: how much commoner a rounder value must be
MIN_HEAP_ROWS = 30
COARSE_VALUES = 150  # a column with more distinct values is fine: sharing one may be chance
MIN_REACH = 8.0  # ranks; with fewer members between two knots each would show
REACH_SHARE = 0.004  # of the members: more would blur the distribution
SPIKE_RATIO = 10.0  # how much more frequent than the cells around it a value must be
SPIKE_NEIGHBOURS = 5  # distinct values on each side that say how frequent
EVEN_NEIGHBOURS = 2  # distinct values on each side whose mean count a count is compared with
STRICTER = 1.25  # how many times the members an atom needs where there are too many atoms
MIN_EVEN_VALUES = 12  # fewer do not show an even step
MIN_EVEN_COUNT = 5.0  # rarer neighbourhoods tell nothing
MAX_EVEN_SQUARE = 1.35  # median squared deviation of even counts, in units of what chance gives
MAX_UNEVEN_SHARE = 0.05  # of the values may stand out
STANDS_OUT = 3.5  # standard deviations
EVEN_REACH = 1.0  # how many times its own count a loose value moves by, in ranks, at the default
_MEDIAN_SQUARE = 0.4549  # of a standard normal variable
LADDER = (1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Smoothing:
    """How far drawn numbers stay from the members' own.

    A value is an atom if ``atom_rows`` members share it and the column has few values whose counts do not go evenly,
    or if ``spike_rows`` members share it and its neighbours on the grid are much rarer. Other values are redrawn within
    ``reach`` ranks (fewer in small tables, more where many members share each value).

    The share of every atom is handed out as it is among the members, and says a little about each of them. Together
    the columns have at most ``atoms_per_member`` of them: more of these little things add up to a leak.

    So do the knots of the loose values. Where all columns together would have more than ``knots_per_member``,
    ``is_smooth`` is set: each column then has a curve with as few bends as fit its values.
    """

    atom_rows: int = 20
    spike_rows: int = 10
    reach: float = 32.0
    atoms_per_member: float = 0.09
    knots_per_member: float = 2.0
    is_smooth: bool = False

    @classmethod
    def at(cls, privacy: float) -> Smoothing:
        """From none at 0 over the default at 0.5 to twice as much at 1."""
        atoms, knots = (0.045 / privacy, 1.0 / privacy) if privacy else (np.inf, np.inf)
        return cls(1 + round(38 * privacy), 1 + round(18 * privacy), 64.0 * privacy, atoms, knots)

    def stricter(self) -> Smoothing:
        """The same, with fewer atoms."""
        atom_rows, spike_rows = (int(np.ceil(STRICTER * one)) for one in (self.atom_rows, self.spike_rows))
        return replace(self, atom_rows=atom_rows, spike_rows=spike_rows)


@dataclass(frozen=True)
class InterpolatedValues:
    """The loose values of one roundness, as a quantile function with a knot every few members."""

    values: Floats
    """Distinct values, ascending; shape (n_values,)."""
    starts: Floats
    """Rank at which each value's repetitions begin; shape (n_values,)."""
    counts: Floats
    knots: Floats
    """Ranks, ascending."""
    quantiles: Floats
    """The value at each knot."""
    reach: Floats
    """How many ranks each value may move by; shape (n_values,)."""

    @classmethod
    def of(cls, values: Floats, repetitions: Ints, reach: float) -> InterpolatedValues:
        """Distinct values with how often each occurs; ``reach`` members lie between two knots.

        A knot at every member would hand out small gaps, and with them the members' values, too often. A value that
        more members share than lie between two knots keeps their ranks: a line from its middle to that of the next one
        would give a part of them to a value that may be far off.
        """
        counts, apart = repetitions.astype(np.float64), max(reach, 1.0)
        starts = np.cumsum(counts) - counts
        middles = starts + 0.5 * counts
        fewer = np.minimum(counts[:-1], counts[1:])  # of two neighbours
        left, right = np.append(counts[:1], fewer), np.append(fewer, counts[-1:])
        own = EVEN_REACH * np.minimum(left, right) * min(reach, 1.0)  # as many move from a neighbour as to it
        first = starts + np.minimum(0.5 * left, apart)  # lines between two values end as far from their border
        last = starts + counts - np.minimum(0.5 * right, apart)
        is_heavy = counts > 2.0 * apart
        n_knots = max(2, round((middles[-1] - middles[0]) / apart) + 1)
        evenly = np.linspace(middles[0], middles[-1], n_knots)
        knots = np.unique(np.concatenate([evenly, first[is_heavy], last[is_heavy]]))
        ranks = np.ravel(np.column_stack([first, last]))
        quantiles = np.interp(knots, ranks, np.repeat(values, 2))
        return cls(values, starts, counts, knots, quantiles, np.maximum(reach, own))

    def smooth(self, width: float) -> InterpolatedValues:
        """The same with a curve of few bends, for values that are ``width`` apart; of a single value, as it is."""
        if len(self.values) == 1:
            return self
        knots, quantiles = smooth_quantiles(self.values, self.counts, width)
        return replace(self, knots=knots, quantiles=quantiles)

    def nearby(self, donors: Floats, rng: np.random.Generator) -> Floats:
        """Values within about their reach of the donors."""
        at = np.searchsorted(self.values, donors)
        rank = self.starts[at] + rng.random(len(donors)) * self.counts[at]
        rank += rng.uniform(-1.0, 1.0, len(donors)) * self.reach[at]
        within = _reflect(rank, float(self.knots[0]), float(self.knots[-1]))
        return np.asarray(np.interp(within, self.knots, self.quantiles))


@dataclass(frozen=True)
class Numbers:
    """The values of one numeric column, ready to be drawn again."""

    step: float | None
    """The grid that all values lie on; None if they are continuous."""
    values: Floats
    """Distinct values, ascending; shape (n_values,)."""
    roundness: Ints
    """The multiple of the step that each distinct value is rounded to; 0 for an atom."""
    loose: dict[int, InterpolatedValues]
    """Loose values by roundness."""
    cycle: Cycle | None = None
    """Where its parts are uneven, the roundness of a value of the group ``g`` of parts is ``-1 - g``."""
    coarser: Mapping[int, int] = field(default_factory=dict)
    """The next roundness above each, where there is one."""

    @classmethod
    def of(
        cls,
        present: Floats,
        smoothing: Smoothing,
        cycle: Cycle | None = None,
        ladder: tuple[int, ...] = LADDER,
    ) -> Numbers:
        """Learn the grid, the atoms and the roundness of a column's present values; shape (n_present,).

        ``ladder`` are the multiples of the step that count as rounder, ascending from 1.
        """
        values, counts = np.unique(present, return_counts=True)
        step = grid_step(values)
        reach = min(smoothing.reach, max(MIN_REACH, REACH_SHARE * len(present)))
        roundness = _roundness(present, values, step, ladder)
        levels = [int(level) for level in np.unique(roundness)]
        is_atom = _atoms(values, counts, roundness, step, smoothing)
        roundness[is_atom] = 0
        if cycle is not None and step is not None:
            ends = Cycle(ENDINGS, 1, 0, is_of_time=False)
            chosen = ~is_atom & (roundness < ENDINGS)
            parts = None
            if not cycle.is_of_time and chosen.any():
                parts = ends.uneven_endings(values[chosen] / step, counts[chosen], roundness[chosen])
            if parts is not None:
                roundness[chosen], cycle = -1 - parts, ends
        if cycle is not None and step is not None and cycle.period != ENDINGS:
            chosen = ~is_atom if cycle.is_of_time else roundness == 1
            parts = cycle.uneven(values[chosen] / step, counts[chosen])
            roundness[chosen] = roundness[chosen] if parts is None else -1 - parts
        loose = {}
        for level in np.unique(roundness[~is_atom]):
            own = roundness == level
            loose[int(level)] = InterpolatedValues.of(values[own], counts[own], reach)
        if smoothing.is_smooth:
            loose = {level: one.smooth((step or 0.0) * max(level, 1)) for level, one in loose.items()}
        return cls(step, values, roundness, loose, cycle, dict(itertools.pairwise(levels)))

    @property
    def n_atoms(self) -> int:
        """Values whose share is handed out; in columns of a few values they are no more than any table of counts."""
        return int((self.roundness == 0).sum()) if len(self.values) >= MIN_EVEN_VALUES else 0

    @property
    def n_knots(self) -> int:
        """Points of the quantile functions of the loose values."""
        return sum(len(one.knots) for one in self.loose.values())

    def redraw(self, donors: Floats, rng: np.random.Generator) -> Floats:
        """Values like ``donors``, which must be among the column's own: atoms as they are, loose ones drawn nearby."""
        drawn = np.array(donors, dtype=np.float64)
        level = self.roundness[np.searchsorted(self.values, drawn)]
        for rounding, population in self.loose.items():
            chosen = level == rounding
            if chosen.any():
                nearby = population.nearby(drawn[chosen], rng)
                if rounding > 0:
                    drawn[chosen] = self._as_round(nearby, rounding, rng)
                else:
                    drawn[chosen] = self._in_parts(nearby, drawn[chosen])
        return drawn

    def _as_round(self, values: Floats, multiple: int, rng: np.random.Generator) -> Floats:
        """Values nearby of this very roundness: what is rounder has its own share already."""
        rounded, rounder = self.round(values, multiple), self.coarser.get(multiple)
        if self.step is None or rounder is None:
            return rounded
        is_rounder = np.round(rounded / self.step) % rounder == 0
        most = max(1, (rounder // multiple - 1) // 2)  # all values between two rounder ones are as likely
        away = self.step * multiple * rng.integers(1, most + 1, len(values)) * np.where(values >= rounded, 1, -1)
        beyond = (rounded + away > self.values[-1]) | (rounded + away < self.values[0])
        return on_grid(np.where(is_rounder, rounded + np.where(beyond, -away, away), rounded), self.step)

    def round(self, values: Floats, multiple: int = 1) -> Floats:
        """The nearest values on the grid, or on a coarser one."""
        if self.step is None:
            return values
        return on_grid(values, self.step * multiple)

    def _in_parts(self, values: Floats, donors: Floats) -> Floats:
        """The nearest values of the donors' parts."""
        if self.cycle is None or self.step is None:
            return values
        first, last = self.values[[0, -1]] / self.step
        parts = self.cycle.parts(donors / self.step)
        return on_grid(self.cycle.snap(values / self.step, parts, first, last) * self.step, self.step)


def _roundness(present: Floats, values: Floats, step: float | None, ladder: tuple[int, ...]) -> Ints:
    level = np.ones(len(values), dtype=np.int64)
    if step is None:
        return level
    in_steps, all_in_steps = np.round(values / step), np.round(present / step)
    accepted = 1
    for multiple in ladder[1:]:
        coarser = all_in_steps[all_in_steps % accepted == 0]
        n_rounder, chance = int((coarser % multiple == 0).sum()), accepted / multiple
        error = np.sqrt(len(coarser) * chance * (1.0 - chance))
        least = len(coarser) * chance * (1.0 + HEAP_EXCESS * (1.0 - chance)) + 3.0 * error
        if n_rounder >= MIN_HEAP_ROWS and n_rounder > least:
            level[in_steps % multiple == 0] = multiple
            accepted = multiple
    return level


def _atoms(values: Floats, counts: Ints, roundness: Ints, step: float | None, smoothing: Smoothing) -> Bools:
    is_shared = (counts >= smoothing.atom_rows) & (len(values) <= COARSE_VALUES)
    for level in np.unique(roundness):
        own = roundness == level
        is_shared[own] &= _differ(counts[own])
    return is_shared | (_spikes(values, counts, step) & (counts >= smoothing.spike_rows))


def _differ(counts: Ints) -> Bools:
    """Which counts of neighbouring values are more than chance; all, if the values do not go evenly."""
    n_values, width = len(counts), EVEN_NEIGHBOURS
    if n_values < MIN_EVEN_VALUES:
        return np.ones(n_values, dtype=np.bool_)
    padded = np.pad(counts.astype(np.float64), width, mode="reflect")
    around = (np.convolve(padded, np.ones(2 * width + 1), mode="valid") - counts) / (2 * width)
    deviation = (counts - around) / np.sqrt((1.0 + 0.5 / width) * np.maximum(around, 0.5))
    stands_out = np.abs(deviation) > STANDS_OUT
    enough = around >= MIN_EVEN_COUNT
    if enough.sum() < MIN_EVEN_VALUES:
        return np.ones(n_values, dtype=np.bool_)
    square = float(np.median(deviation[enough] ** 2)) / _MEDIAN_SQUARE
    is_even = square < MAX_EVEN_SQUARE and stands_out[enough].mean() < MAX_UNEVEN_SHARE
    return np.asarray(stands_out & (deviation > 0)) if is_even else np.ones(n_values, dtype=np.bool_)


def _spikes(values: Floats, counts: Ints, step: float | None) -> Bools:
    """Which values are much more frequent than the cells of the grid around them."""
    if step is None:
        return np.ones(len(values), dtype=bool)
    width = SPIKE_NEIGHBOURS
    padded = np.pad(counts.astype(np.float64), width)
    around = np.convolve(padded, np.ones(2 * width + 1), mode="valid") - counts
    edges = np.pad(values, width, mode="edge")
    cells = (edges[2 * width :] - edges[: -2 * width]) / step
    return np.asarray(counts * np.maximum(cells, 1.0) > SPIKE_RATIO * around)


def _reflect(rank: Floats, first: float, last: float) -> Floats:
    rank = np.where(rank < first, 2.0 * first - rank, rank)
    rank = np.where(rank > last, 2.0 * last - rank, rank)
    return np.clip(rank, first, last)


UNEVEN = 0.10  # total variation from even parts, beyond what chance gives
CHANCE_DEVIATIONS = 3.0
CHANCE = 1e-6  # of parts of time that are equally frequent
MIN_PART_ROWS = 30  # redrawn among fewer rows, a value would be one of them too often
MIN_TURNS = 4  # of the cycle
MOST_ROWS = 0.05  # that lie below or above are no part of the range that is counted in turns
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
        if not self._turns(steps, counts) or (steps[0] < 0 and not self.is_of_time):
            return None
        return self._beyond(steps, counts, np.full(self.period // self.width, self.width / self.period))

    def uneven_endings(self, steps: Floats, counts: Ints, roundness: Ints) -> Ints | None:
        """The same of endings such as 99 and 95, which are more than last digits and rounding.

        ``roundness`` is the multiple that each value is rounded to; all endings of one roundness are even otherwise.
        """
        if not self._turns(steps, counts) or steps[0] < 0:
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

    def _turns(self, steps: Floats, counts: Ints) -> bool:
        """Whether most rows lie in several turns: in fewer, the parts are the shape of the distribution itself."""
        if len(steps) < MIN_VALUES:
            return False
        shares = np.cumsum(counts) / counts.sum()
        low, high = np.searchsorted(shares, [MOST_ROWS, 1.0 - MOST_ROWS])
        return bool(steps[high] - steps[low] >= MIN_TURNS * self.period)

    def _beyond(self, steps: Floats, counts: Ints, expected: Floats) -> Ints | None:
        parts = self.parts(steps)
        rows = np.bincount(parts, weights=counts, minlength=self.period // self.width)
        by_chance = CHANCE_DEVIATIONS * np.sqrt(len(rows) / (2.0 * np.pi * rows.sum()))
        distance = np.abs(rows / rows.sum() - expected).sum() / 2.0
        if distance <= UNEVEN + by_chance and not (distance > UNEVEN and self._is_no_chance(rows.astype(np.float64))):
            return None
        is_small = rows < MIN_PART_ROWS
        group = len(rows) if rows[is_small].sum() >= MIN_PART_ROWS else int(np.argmax(rows))
        return np.where(is_small[parts], group, parts)

    def _is_no_chance(self, rows: Floats) -> bool:
        """Whether parts of time that are equally frequent would hardly ever give such rows (chi-square)."""
        even = rows.sum() / len(rows)
        return self.is_of_time and bool(chdtrc(len(rows) - 1, ((rows - even) ** 2 / even).sum()) < CHANCE)

    def snap(self, steps: Floats, parts: Ints, first: float, last: float) -> Floats:
        """The nearest values of each part that lie between ``first`` and ``last``."""
        whole = np.round(steps).astype(np.int64) + self.offset
        turn, within = np.divmod(whole, self.period)
        moved = parts * self.width + within % self.width - within
        moved += np.where(moved > self.period / 2, -self.period, 0) + np.where(moved < -self.period / 2, self.period, 0)
        snapped = turn * self.period + within + moved - self.offset
        snapped -= np.where(snapped > last, self.period, 0)
        snapped += np.where(snapped < first, self.period, 0)
        return np.asarray(np.clip(snapped.astype(np.float64), first, last))
