"""Probes of the grid of a column: month ends, weekdays, times of day, last digits, the width of floats.

They are made only where real rows have such a structure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from synth_mlflow.checks import Metric
from synth_mlflow.data.columns import Kind
from synth_mlflow.data.grids import (
    DAY_US,
    EXACT,
    Chain,
    ClockNumbers,
    DateNumbers,
    Lattice,
    MomentNumbers,
    Monthly,
    Weekdays,
    YearDayNumbers,
    are_multiples,
    are_of_width,
    float_width,
    grid_step,
    moments_grid,
    whole_numbers_grid,
)
from synth_mlflow.metrics.distances import (
    Bools,
    Counts,
    Statistic,
    Tallied,
    ValueCounts,
    counted_tv_distance,
    homogeneity_p_value,
    marks_gap,
    share_p_value,
)

Ints = npt.NDArray[np.int64]

MIN_DIGIT_VALUES = 100  # distinct ones; the digits of fewer are those of the values that many rows share
UNEVEN = 0.10  # how far from even parts must lie to be a structure, beyond what chance gives
CHANCE_DEVIATIONS = 3.0  # how much more than the mean chance may give
_DIGIT_PARTS = np.array([0, 1, 2, 3, 4, 0, 5, 6, 7, 8])  # 0 and 5 are one: `heaping_gap` compares how round values are
_EVEN_DIGITS = (0.2, *(0.1,) * 8)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_UNITS = {DAY_US: "whole days", 3_600_000_000: "whole hours", 60_000_000: "whole minutes", 1_000_000: "whole seconds"}


@dataclass(frozen=True)
class OffGrid:
    """The values of a column that are not on the grid of the real ones."""

    marks: Bools
    """Shape (n_values,)."""
    words: str


@dataclass(frozen=True)
class Parts:
    """One part of every value, such as its weekday."""

    name: str
    """weekday, day_of_month, hour or last_digit"""
    codes: Ints
    """From 0; shape (n_values,)."""
    labels: tuple[str, ...]
    even: tuple[float, ...] = ()
    """Shares that are no structure; all the same by default."""

    def counts(self, of_values: Counts) -> Counts:
        """How often each part occurs."""
        return np.bincount(self.codes, weights=of_values, minlength=len(self.labels)).astype(np.int64)


def grid_probes(
    name: str, kind: Kind, counted: Tallied, policy: Mapping[str, float]
) -> Iterator[tuple[Statistic, Metric]]:
    """Each statistic of a column's grid, and the probe of what it says about the batch."""
    tally = counted.tally
    n_real, n_batch = tally.present
    off = off_grid(counted, kind)
    if off is not None:
        gap, (k_real, k_batch) = marks_gap(off.marks), tally.marked(off.marks)
        p_value = share_p_value(k_real, n_real, k_batch, n_batch)
        shares = f"{k_batch / n_batch:.1%} of the batch, {k_real / n_real:.1%} of real rows"
        note = f"{shares} lie off the grid of the real values: {off.words}"
        yield gap, Metric("off_grid", gap(tally), policy["off_grid"], column=name, p_value=p_value, note=note)
    for parts in uneven_parts(counted, kind):
        yield _part_probe(name, parts, tally, policy["part_distance"])


def off_grid(counted: Tallied, kind: Kind) -> OffGrid | None:
    """What does not lie on the grid that all real values lie on; None if they lie on none."""
    values = np.asarray(counted.values)
    is_real = counted.tally.real > 0
    if not is_real.any():
        return None
    if kind == "datetime":
        grid = moments_grid(values[is_real].astype(np.int64), counted.tally.real[is_real])
        words = _words_of_moments(grid)
        return OffGrid(~grid.holds(values.astype(np.int64)), words) if words else None
    off = _off_numbers(values, counted.tally.real, is_real)
    return None if off is not None and kind == "integer" and off.words == "multiples of 1" else off


def uneven_parts(counted: Tallied, kind: Kind) -> Iterator[Parts]:
    """The parts of values that are far from even among real rows."""
    values, real = np.asarray(counted.values), counted.tally.real
    for parts in _moment_parts(values.astype(np.int64)) if kind == "datetime" else _digits(values, real):
        counts = parts.counts(real)
        shares = counts / max(counts.sum(), 1)
        by_chance = CHANCE_DEVIATIONS * np.sqrt(len(shares) / (2 * np.pi * max(real.sum(), 1)))
        even = np.asarray(parts.even or (1 / len(shares),) * len(shares))
        if (counts > 0).sum() > 1 and np.abs(shares - even).sum() / 2 > UNEVEN + by_chance:
            yield parts


def _part_probe(name: str, parts: Parts, tally: ValueCounts, limit: float) -> tuple[Statistic, Metric]:
    def distance(tally: ValueCounts) -> float:
        return counted_tv_distance(*map(parts.counts, (tally.real, tally.batch))) if all(tally.present) else 0.0

    real, batch = map(parts.counts, (tally.real, tally.batch))
    n_real, n_batch = tally.present
    widest = int(np.argmax(np.abs(real / n_real - batch / n_batch)))
    shares = f"{batch[widest] / n_batch:.1%} of the batch, {real[widest] / n_real:.1%} of real rows"
    note = f"widest gap: {parts.labels[widest]} has {shares}"
    p_value = homogeneity_p_value(real, batch)
    return distance, Metric(f"{parts.name}_distance", distance(tally), limit, column=name, p_value=p_value, note=note)


def _off_numbers(values: npt.NDArray[Any], counts: Counts, is_real: Bools) -> OffGrid | None:
    real = values[is_real]
    step = grid_step(real)
    width = float_width(real, step)
    if width is not np.float64:
        return OffGrid(~are_of_width(values, width), f"{np.finfo(width).bits}-bit floats")
    if step is None or np.abs(values).max() / step > EXACT:
        return None
    off = ~are_multiples(values, step)
    words = f"multiples of {step:g}"
    whole = np.round(values / step).astype(np.int64)
    grid = whole_numbers_grid(whole[is_real], counts[is_real])
    if grid is not None:
        off, words = off | ~grid.holds(whole), _words_of_numbers(grid, step)
    return OffGrid(off, words)


def _words_of_moments(grid: Chain) -> str:
    clock = grid.grids[0]
    if not isinstance(clock, Lattice):
        return ""
    at = f"{np.timedelta64(clock.offset // 1_000_000, 's').astype('timedelta64[s]').item()} of a day"
    first = at if clock.offset else _UNITS.get(clock.step, "")
    return ", ".join(words for words in (first, *(_words(one) for one in grid.grids[1:])) if words)


def _words_of_numbers(grid: Chain, step: float) -> str:
    lattice = grid.grids[-1]
    if isinstance(lattice, Lattice) and len(grid.grids) == 1:
        return f"{lattice.offset * step:g} and multiples of {lattice.step * step:g} more"
    return ", ".join(map(_words, grid.grids))


def _words(grid: object) -> str:
    if isinstance(grid, Monthly):
        return f"day {grid.day} of a month" if grid.day else "the last day of a month"
    if isinstance(grid, Weekdays):
        return " or ".join(_DAYS[day] for day in grid.weekdays)
    if isinstance(grid, DateNumbers):
        return "dates written as numbers" if grid.has_day else "months written as numbers"
    if isinstance(grid, MomentNumbers):
        return "moments written as numbers"
    if isinstance(grid, YearDayNumbers):
        return "days of years written as numbers"
    if isinstance(grid, ClockNumbers):
        return "times written as numbers"
    return f"one of every {grid.step:,} of them" if isinstance(grid, Lattice) else ""


def _moment_parts(ticks: Ints) -> Iterator[Parts]:
    days, within = np.divmod(ticks, DAY_US)
    yield Parts("weekday", (days + 3) % 7, _DAYS)
    moments = days.astype("datetime64[D]")
    of_month = (moments - moments.astype("datetime64[M]")).astype(np.int64)
    yield Parts("day_of_month", of_month, tuple(f"day {day}" for day in range(1, 32)))
    yield Parts("hour", within // 3_600_000_000, tuple(f"{hour:02d}:00" for hour in range(24)))


def _digits(values: npt.NDArray[Any], real: Counts) -> Iterator[Parts]:
    present = values[real > 0]
    step = grid_step(present) if len(present) >= MIN_DIGIT_VALUES else None
    if step is not None and np.abs(values).max() / step <= EXACT:
        digits = np.abs(np.round(values / step).astype(np.int64)) % 10
        labels = ("last digit 0 or 5", *(f"last digit {digit}" for digit in (1, 2, 3, 4, 6, 7, 8, 9)))
        yield Parts("last_digit", _DIGIT_PARTS[digits], labels, even=_EVEN_DIGITS)
