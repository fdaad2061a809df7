"""The grid of a column: its resolution, the days or steps that it keeps to, and its width in memory.

How fine the numbers of a column are: their decimals, and the width of their floats.

Grids: the dates and numbers that all real values of a column keep to, such as month starts or multiples of 25.

A grid counts its points. Generators are shown these places instead of the values and draw places, so that whatever they
draw is a point of the grid again, between the first and the last real one. A grid is taken for one only where values
that keep to none would hardly look like it (``CHANCE``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

MAX_DECIMALS = 6
WIDTHS = (np.float16, np.float32)


def grid_step(values: Floats) -> float | None:
    """The largest power of ten, at most 1, that all values are multiples of; None if there is none down to 10⁻⁶.

    Examples
    --------
    >>> grid_step(np.array([0.25, 3.0])), grid_step(np.array([10.0, 20.0])), grid_step(np.array([np.pi]))
    (0.01, 1.0, None)
    >>> grid_step(np.array([8.8, 0.1], dtype=np.float32).astype(np.float64))
    0.1
    """
    steps = (float(10.0**-decimals) for decimals in range(MAX_DECIMALS + 1))
    return next((step for step in steps if are_multiples(values, step).all()), None)


def are_multiples(values: Floats, step: float) -> Bools:
    """Which values are multiples of a power of ten, but for the dust of binary fractions and of 32-bit floats."""
    decimals = round(-np.log10(step))
    dust, decimal = 4.0 * np.spacing(np.abs(values)), np.round(values, decimals)
    return np.asarray((np.abs(decimal - values) <= dust + 1e-6 * step) | (decimal.astype(np.float32) == values))


def on_grid(values: Floats, step: float) -> Floats:
    """The nearest multiples of ``step``, free of binary dust for steps like 0.01."""
    decimals = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    return np.asarray(np.round(np.round(values / step) * step, decimals))


def float_width(values: Floats, step: float | None) -> type[np.floating[Any]]:
    """The narrowest type that holds all values, unless they are the decimals that they look like.

    Examples
    --------
    >>> float_width(np.array([np.float32(0.1), 3.0]), 0.1).__name__, float_width(np.array([0.5]), 0.1).__name__
    ('float32', 'float64')
    """
    if step is not None and np.array_equal(on_grid(values, step), values):
        return np.float64
    return next((width for width in WIDTHS if are_of_width(values, width).all()), np.float64)


def are_of_width(values: Floats, width: type[np.floating[Any]]) -> Bools:
    """Which values a narrower type of floats holds exactly."""
    with np.errstate(over="ignore"):
        return np.asarray(values.astype(width) == values)


Ints = npt.NDArray[np.int64]

CHANCE = 1e-4  # that distinct values which keep to no grid look as if they kept to this one
TOLERANCE = 0.005  # share of rows whose dates may lie off a calendar's grid; they count as the point before them
EXACT = 2**53  # whole numbers up to here are exact as floats
DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
MONTH_DAYS = 28  # every month has them
DATE_YEARS = (1600, 2400)  # of whole numbers that are read as dates
MONTH_YEARS = (1850, 2150)  # of whole numbers that are read as months: six digits are more often something else
MIN_DATE_NUMBERS = 10  # distinct ones
_UNITS_US = (DAY_US, HOUR_US, 60_000_000, 1_000_000, 1_000, 1)  # day … microsecond


class Grid(Protocol):
    """Whole numbers that keep to something, and their places."""

    def places(self, values: Ints) -> Ints:
        """Where each value stands; shape (n_values,)."""
        ...

    def values(self, places: Ints) -> Ints:
        """The inverse of :meth:`places`."""
        ...


@dataclass(frozen=True)
class Lattice:
    """Every ``step``-th whole number.

    Examples
    --------
    >>> Lattice(25, 10).places(np.array([10, 35])).tolist(), Lattice(25, 10).values(np.array([2])).tolist()
    ([0, 1], [60])
    """

    step: int
    offset: int

    def places(self, values: Ints) -> Ints:
        return (values - self.offset) // self.step

    def values(self, places: Ints) -> Ints:
        return places * self.step + self.offset


@dataclass(frozen=True)
class Monthly:
    """One day of each month, as days since 1970; the places are months since 1970."""

    day: int
    """From 1 to 28; 0 for the last day."""

    def places(self, values: Ints) -> Ints:
        return _months(values)

    def values(self, places: Ints) -> Ints:
        if self.day == 0:
            return _first_days(places + 1) - 1
        return _first_days(places) + self.day - 1


@dataclass(frozen=True)
class Weekdays:
    """Some days of each week, as days since 1970; a day that is not among them has the place of the last one before.

    Examples
    --------
    >>> grid = Weekdays((0, 1, 2, 3, 4))
    >>> grid.values(grid.places(np.array([0, 1, 2, 3, 4]))).tolist()  # Thursday, Friday, Saturday, Sunday, Monday
    [0, 1, 1, 1, 4]
    """

    weekdays: tuple[int, ...]
    """0 for Monday to 6, ascending."""

    def places(self, values: Ints) -> Ints:
        week, weekday = np.divmod(values + 3, 7)  # 1970 began on a Thursday
        return week * len(self.weekdays) + np.searchsorted(self.weekdays, weekday, side="right") - 1

    def values(self, places: Ints) -> Ints:
        week, at = np.divmod(places, len(self.weekdays))
        return week * 7 + np.asarray(self.weekdays, dtype=np.int64)[at] - 3


@dataclass(frozen=True)
class DateNumbers:
    """Dates written as numbers such as 20240229, or months such as 202402; the places are days or months since 1970."""

    has_day: bool

    def places(self, values: Ints) -> Ints:
        year, month, day = self.parts(values)
        months = (year - 1970) * 12 + month - 1
        return _first_days(months) + day - 1 if self.has_day else months

    def values(self, places: Ints) -> Ints:
        months = _months(places) if self.has_day else places
        written = (months // 12 + 1970) * 100 + months % 12 + 1
        return written * 100 + places - _first_days(months) + 1 if self.has_day else written

    def parts(self, values: Ints) -> tuple[Ints, Ints, Ints]:
        """Year, month and day; the day is 1 where none is written."""
        if not self.has_day:
            return values // 100, values % 100, np.ones_like(values)
        return values // 10_000, values // 100 % 100, values % 100

    def holds(self, values: Ints) -> bool:
        """Whether all values are dates."""
        year, month, _ = self.parts(values)
        first, last = DATE_YEARS if self.has_day else MONTH_YEARS
        if not np.all((year >= first) & (year < last) & (month >= 1) & (month <= 12)):
            return False
        return bool(np.array_equal(self.values(self.places(values)), values))


@dataclass(frozen=True)
class ShortDateNumbers:
    """Dates with years of two digits as numbers such as 240229; the places are days since 1970.

    Examples
    --------
    >>> grid = ShortDateNumbers()
    >>> grid.values(grid.places(np.array([240229, 991231])) + 1).tolist()
    [240301, 101]
    """

    def places(self, values: Ints) -> Ints:
        return DateNumbers(has_day=True).places(self._long(values))

    def values(self, places: Ints) -> Ints:
        return DateNumbers(has_day=True).values(places) % 1_000_000

    def holds(self, values: Ints) -> bool:
        """Whether all values are such dates."""
        is_short = np.all((values > 0) & (values < 1_000_000)) and len(np.unique(values // 100)) > 1
        return bool(is_short and DateNumbers(has_day=True).holds(self._long(values)))

    def _long(self, values: Ints) -> Ints:
        return np.asarray(values + np.where(values >= 690_000, 19_000_000, 20_000_000))


@dataclass(frozen=True)
class MomentNumbers:
    """Moments written as numbers such as 20240229134500; the places are hours, minutes or seconds since 1970.

    Examples
    --------
    >>> grid = MomentNumbers(4)
    >>> grid.values(grid.places(np.array([202402292359])) + 1).tolist()
    [202403010000]
    """

    n_digits: int
    """Behind the day: 2 for hours, 4 with minutes, 6 with seconds."""

    def places(self, values: Ints) -> Ints:
        places, clock = DateNumbers(has_day=True).places(values // 10**self.n_digits), self._clock(values)
        for part, size in zip(clock, (24, 60, 60), strict=False):
            places = places * size + part
        return places

    def values(self, places: Ints) -> Ints:
        clock = np.zeros_like(places)
        for at in reversed(range(self.n_digits // 2)):
            places, part = np.divmod(places, (24, 60, 60)[at])
            clock += part * 10 ** (self.n_digits - 2 - 2 * at)
        return np.asarray(DateNumbers(has_day=True).values(places) * 10**self.n_digits + clock)

    def holds(self, values: Ints) -> bool:
        """Whether all values are moments, of more than one hour."""
        hours, *others = self._clock(values)
        is_clock = np.all(hours < 24) and all(np.all(part < 60) for part in others)
        return bool(is_clock and np.ptp(hours) and DateNumbers(has_day=True).holds(values // 10**self.n_digits))

    def _clock(self, values: Ints) -> list[Ints]:
        return [values // 10 ** (self.n_digits - 2 - 2 * at) % 100 for at in range(self.n_digits // 2)]


@dataclass(frozen=True)
class YearDayNumbers:
    """Years and days of the year as numbers such as 2024060; the places are days since 1970."""

    def places(self, values: Ints) -> Ints:
        return np.asarray(_first_days((values // 1000 - 1970) * 12) + values % 1000 - 1)

    def values(self, places: Ints) -> Ints:
        years = places.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
        return (years + 1970) * 1000 + places - _first_days(years * 12) + 1

    def holds(self, values: Ints) -> bool:
        """Whether all values are such days."""
        years = values // 1000
        if not np.all((years >= MONTH_YEARS[0]) & (years < MONTH_YEARS[1])):
            return False
        return bool(np.array_equal(self.values(self.places(values)), values))


@dataclass(frozen=True)
class ClockNumbers:
    """Times written as numbers such as 1359 or 135959; the places are minutes or seconds."""

    has_seconds: bool = False

    def places(self, values: Ints) -> Ints:
        minutes = values // 100 if self.has_seconds else values
        whole = minutes // 100 * 60 + minutes % 100
        return whole * 60 + values % 100 if self.has_seconds else whole

    def values(self, places: Ints) -> Ints:
        minutes = places // 60 if self.has_seconds else places
        whole = minutes // 60 * 100 + minutes % 60
        return whole * 100 + places % 60 if self.has_seconds else whole

    def holds(self, values: Ints) -> bool:
        """Whether all values are times of a day."""
        minutes = values // 100 if self.has_seconds else values
        n_hours = len(np.unique(minutes // 100))
        is_time = (values >= 0) & (minutes <= 2400) & (minutes % 100 < 60)
        return bool(np.all(is_time & (values % 100 < 60)) and n_hours > 1)


@dataclass(frozen=True)
class Wide:
    """Whole numbers too far apart for places that are exact as floats: a place stands for ``2**shift`` neighbours.

    The numbers of a place are all alike; which one is handed out follows from the place, and is no real value but by
    chance. ``known`` are the places whose value many rows share.
    """

    low: int
    high: int
    shift: int
    known: tuple[tuple[int, int], ...] = ()

    def places(self, values: Ints) -> Ints:
        beyond = values.astype(np.uint64) - np.uint64(self.low % 2**64)  # wraps round as it should
        return (beyond >> np.uint64(self.shift)).astype(np.int64)

    def values(self, places: Ints) -> Ints:
        within = _scrambled(places) & np.uint64(2**self.shift - 1)
        beyond = (places.astype(np.uint64) << np.uint64(self.shift)) + within
        most = np.uint64(self.high - self.low)
        numbers = (np.minimum(beyond, most) + np.uint64(self.low % 2**64)).astype(np.int64)
        for place, value in self.known:
            numbers[places == place] = value
        return numbers


@dataclass(frozen=True)
class Chain:
    """Grids one after the other, from the values to the places, between the first and the last place of real rows."""

    grids: tuple[Grid, ...]
    first: int
    last: int

    @classmethod
    def of(cls, grids: tuple[Grid, ...], distinct: Ints) -> Chain:
        """Of the distinct values of real rows; the ends are those of the values that lie on the grid."""
        open_ended = cls(grids, 0, 0)
        places = open_ended._places(distinct)
        on_grid = places[open_ended.values(places) == distinct]
        return cls(grids, int(on_grid.min()), int(on_grid.max()))

    def places(self, values: Ints) -> Ints:
        return np.clip(self._places(values), self.first, self.last)

    def values(self, places: Ints) -> Ints:
        for grid in reversed(self.grids):
            places = grid.values(places)
        return places

    def holds(self, values: Ints) -> Bools:
        """Which values are points of the grid, be they beyond the real ones or not."""
        return np.asarray(self.values(self._places(values)) == values)

    def _places(self, values: Ints) -> Ints:
        for grid in self.grids:
            values = grid.places(values)
        return values


def ticks_of(present: pd.Series) -> Ints:
    """Microseconds since 1970 of moments of which none is missing."""
    return present.to_numpy(dtype="datetime64[us]").astype(np.int64)


def floats_of(column: pd.Series) -> Floats:
    """Numbers and booleans as they are, moments in microseconds since 1970, NaN where missing.

    >>> floats_of(pd.Series([pd.Timestamp("1970-01-02"), None])).tolist()
    [86400000000.0, nan]
    """
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(column.isna().to_numpy(dtype=bool), np.nan, ticks_of(column).astype(np.float64))


def time_unit_us(ticks: Ints) -> int:
    """The longest of day, hour, minute … microsecond that all moments or spans are multiples of, in microseconds."""
    return next(unit for unit in _UNITS_US if not np.any(ticks % unit))


def moments_grid(distinct: Ints, counts: Ints) -> Chain:
    """The grid of moments in microseconds since 1970: of the calendar, of the clock, or of the unit that they need."""
    grids = list(_moments(distinct, counts))
    return Chain.of(tuple(grids), distinct) if len(distinct) else Chain(tuple(grids), 0, 0)


def whole_numbers_grid(distinct: Ints, counts: Ints) -> Chain | None:
    """The grid of whole numbers: dates, months or times written as numbers, multiples; None if they keep to none."""
    if not len(distinct):
        return None
    if len(distinct) >= MIN_DATE_NUMBERS and (dates := _dates_as_numbers(distinct, counts)) is not None:
        return dates
    low, high = int(distinct.min()), int(distinct.max())
    lattice = tuple(_lattice(distinct)) if high - low < 2**63 else ()
    step = lattice[0].step if lattice else 1
    if (high - low) // step >= EXACT:
        wide = Wide(low, high, ((high - low) // EXACT).bit_length())
        return Chain((wide,), 0, int(wide.places(np.array([high]))[0]))
    if max(abs(low), abs(high)) > EXACT:
        return Chain.of((Lattice(step, low),), distinct)
    return Chain.of(lattice, distinct) if lattice else None


def _dates_as_numbers(distinct: Ints, counts: Ints) -> Chain | None:
    """The grid of dates, months, moments or times that are written as numbers."""
    for dates in (DateNumbers(has_day=True), DateNumbers(has_day=False), ShortDateNumbers()):
        if dates.holds(distinct):
            places = dates.places(distinct)
            return Chain.of((dates, *(_lattice(places) if _are_months(dates) else _days(places, counts))), distinct)
    for moments in (MomentNumbers(2), MomentNumbers(4), MomentNumbers(6), YearDayNumbers()):
        if moments.holds(distinct):
            return Chain.of((moments, *_lattice(moments.places(distinct))), distinct)
    for times in (ClockNumbers(), ClockNumbers(has_seconds=True)):
        if 0.6 ** len(distinct) < CHANCE and times.holds(distinct):
            return Chain.of((times, *_lattice(times.places(distinct))), distinct)
    return None


def _are_months(dates: DateNumbers | ShortDateNumbers) -> bool:
    return isinstance(dates, DateNumbers) and not dates.has_day


def _moments(distinct: Ints, counts: Ints) -> Iterator[Grid]:
    clock, at = np.unique(distinct % DAY_US, return_inverse=True)
    rows = np.bincount(at, weights=counts)
    if len(clock) and rows.max() >= (1.0 - TOLERANCE) * rows.sum():  # the same time of every day
        by_day = Lattice(DAY_US, int(clock[np.argmax(rows)]))
        yield by_day
        places, at = np.unique(by_day.places(distinct), return_inverse=True)
        yield from _days(places, np.bincount(at, weights=counts))
        return
    unit = Lattice(time_unit_us(distinct), 0)
    yield unit
    yield from _lattice(unit.places(distinct))


def _days(distinct: Ints, counts: npt.NDArray[Any]) -> Iterator[Grid]:
    """The grid of days since 1970, given how many rows have each."""
    for grid in (_monthly(distinct, counts), _weekdays(distinct, counts)):
        if grid is not None:
            yield grid
            distinct = np.unique(grid.places(distinct))
            break
    yield from _lattice(distinct)


def _monthly(distinct: Ints, counts: npt.NDArray[Any]) -> Monthly | None:
    if (1.0 / MONTH_DAYS) ** (len(distinct) - 1) > CHANCE:
        return None
    day = distinct - _first_days(_months(distinct)) + 1
    is_last = _months(distinct + 1) != _months(distinct)
    usual = int(np.argmax(np.bincount(day, weights=counts)))
    for grid, on_grid in ((Monthly(0), is_last), (Monthly(usual), day == usual)):
        if counts[~on_grid].sum() <= TOLERANCE * counts.sum() and grid.day <= MONTH_DAYS and on_grid.sum() > 1:
            return grid
    return None


def _weekdays(distinct: Ints, counts: npt.NDArray[Any]) -> Weekdays | None:
    rows = np.bincount((distinct + 3) % 7, weights=counts, minlength=7)
    order = np.argsort(rows, kind="stable")
    n_left_out = int((np.cumsum(rows[order]) <= TOLERANCE * rows.sum()).sum())
    n_kept = 7 - n_left_out
    if n_kept == 7 or comb(7, n_kept) * (n_kept / 7) ** len(distinct) > CHANCE:
        return None
    return Weekdays(tuple(sorted(int(one) for one in order[n_left_out:])))


def _lattice(distinct: Ints) -> Iterator[Lattice]:
    """The step that all distinct whole numbers are apart by, if it is more than 1 and no chance."""
    step = int(np.gcd.reduce(distinct - distinct[0])) if len(distinct) > 1 else 0
    if step > 1 and (1.0 / step) ** (len(distinct) - 1) < CHANCE:
        yield Lattice(step, int(distinct[0]) % step)


def _months(days: Ints) -> Ints:
    return np.asarray(days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64))


def _first_days(months: Ints) -> Ints:
    return np.asarray(months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64))


def _scrambled(places: Ints) -> npt.NDArray[np.uint64]:
    """Bits that follow from each place and look random: the finaliser of S. Vigna's SplitMix64."""
    mixed = places.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))
