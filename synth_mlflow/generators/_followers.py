"""A column that follows from others: taken away, and computed from them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_mlflow.data.grids import float_width, floats_of, grid_step, on_grid, time_unit_us
from synth_mlflow.data.slices import Mask
from synth_mlflow.generators._encoding import NumberColumn, scale_of
from synth_mlflow.generators._numeric import Floats, Ints

PARTS = ("month", "quarter", "day of the week", "day", "hour", "year", "month of the year")
"""Of a date, which other columns may follow from."""
_OWN = {"day of the week": "day_of_week"}
DUST = 1e-9
MAX_DENOMINATOR = 1_000


@dataclass(frozen=True)
class Lookup:
    """A column whose value is known for each value of another, or for the nearest that is known."""

    column: str
    source: str
    part: str
    keys: pd.Index
    """The source's known values; of numbers and dates ascending floats."""
    values: pd.Series
    """The column's value for each key, and last for a missing source."""
    is_ordered: bool

    @classmethod
    def of(cls, column: str, source: str, part: str, rows: pd.DataFrame, *, is_ordered: bool) -> Lookup:
        """As real rows have it."""
        whole = part_of(rows[source], part) if part else rows[source]
        key = pd.Series(floats_of(whole) if is_ordered else _texts(whole), index=rows.index)
        first = key.drop_duplicates()
        known = first.dropna().sort_values() if is_ordered else first.dropna()
        missing = first.index[first.isna()]
        at = [*known.index, missing[0] if len(missing) else known.index[0]]
        return cls(column, source, part, pd.Index(known), rows[column].loc[at].reset_index(drop=True), is_ordered)

    @property
    def text(self) -> str:
        """For the record."""
        return f"{self.column} follows from {f'the {self.part} of ' if self.part else ''}{self.source}"

    def take_apart(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Without the column."""
        return frame.drop(columns=self.column)

    def put_together(self, frame: pd.DataFrame) -> pd.DataFrame:
        """With the column."""
        source = part_of(frame[self.source], self.part) if self.part else frame[self.source]
        if self.is_ordered:
            at = _nearest(self.keys.to_numpy(dtype=np.float64), floats_of(source))
        else:
            at = self.keys.get_indexer(_texts(source))
        return frame.assign(**{self.column: self.values.iloc[at].set_axis(frame.index)})

    def is_out_of_range(self, apart: pd.DataFrame, together: pd.DataFrame) -> Mask:  # noqa: ARG002 (as of others)
        """None: every value is a known one."""
        return np.zeros(len(apart), dtype=np.bool_)


@dataclass(frozen=True)
class Curve:
    """A number or date that rises or falls with another; between two known points it lies on the line.

    The line runs from place to place of their grids, so that dates written as whole numbers stay dates.
    """

    column: str
    source: str
    known: Floats
    """Codes of the source, ascending."""
    values: Floats
    """Codes of the column."""
    scales: tuple[NumberColumn, NumberColumn]
    """Of source and column."""
    step: float | None
    dtype: str

    @classmethod
    def of(cls, column: str, source: str, rows: pd.DataFrame) -> Curve:
        """As real rows have it."""
        scales = (_scale(rows[source]), _scale(rows[column]))
        known, first = np.unique(scales[0].encode(rows[source]), return_index=True)
        first = first[~np.isnan(known)]
        values, real = scales[1].encode(rows[column])[first], rows[column]
        return cls(column, source, known[: len(first)], values, scales, _step(real), _dtype(real))

    @property
    def text(self) -> str:
        """For the record."""
        return f"{self.column} follows from {self.source}"

    def take_apart(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Without the column."""
        return frame.drop(columns=self.column)

    def put_together(self, frame: pd.DataFrame) -> pd.DataFrame:
        """With the column."""
        source, column = self.scales
        values = column.decode(np.interp(source.encode(frame[self.source]), self.known, self.values))
        return frame.assign(**{self.column: _typed(floats_of(values), self.step, self.dtype)})

    def is_out_of_range(self, apart: pd.DataFrame, together: pd.DataFrame) -> Mask:  # noqa: ARG002 (as of others)
        """None: no value lies beyond the known ones."""
        return np.zeros(len(apart), dtype=np.bool_)


@dataclass(frozen=True)
class Line:
    """A number that is a sum of others, each times a factor."""

    column: str
    terms: tuple[tuple[float, str], ...]
    constant: float
    step: float | None
    dtype: str
    low: float
    high: float

    @classmethod
    def of(cls, column: str, weights: Mapping[str, float], rows: pd.DataFrame) -> Line:
        """With these weights; the constant is that of real rows."""
        values = floats_of(rows[column])
        rounded = {name: _round(weight) for name, weight in weights.items()}
        rest = values - _sum(rows, tuple((weight, name) for name, weight in rounded.items()))
        terms = tuple((weight, name) for name, weight in rounded.items())
        constant = _round(float(np.nanmedian(rest)))
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        return cls(column, terms, constant, _step(rows[column]), _dtype(rows[column]), low, high)

    @property
    def text(self) -> str:
        """For the record."""
        words = f"{self.column} ="
        for weight, name in self.terms:
            words += f" {'-' if weight < 0 else '+'} {'' if abs(weight) == 1 else f'{abs(weight):.6g} · '}{name}"
        if self.constant:
            words += f" {'-' if self.constant < 0 else '+'} {abs(self.constant):.6g}"
        return words.replace("= + ", "= ", 1)

    def holds(self, rows: pd.DataFrame) -> bool:
        """Whether every row keeps it, and misses the column exactly where it misses another."""
        fitted, real = self._values(rows), floats_of(rows[self.column])
        gaps = np.abs(fitted - real)
        return bool((np.isnan(fitted) == np.isnan(real)).all() and np.nanmax(gaps) <= DUST * np.nanmax(np.abs(real)))

    def take_apart(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Without the column."""
        return frame.drop(columns=self.column)

    def put_together(self, frame: pd.DataFrame) -> pd.DataFrame:
        """With the column."""
        return frame.assign(**{self.column: _typed(self._values(frame), self.step, self.dtype)})

    def is_out_of_range(self, apart: pd.DataFrame, together: pd.DataFrame) -> Mask:  # noqa: ARG002 (as of others)
        """Rows whose sum no real row comes near."""
        values = floats_of(together[self.column])
        return np.asarray((values < self.low) | (values > self.high))

    def _values(self, frame: pd.DataFrame) -> Floats:
        values = _sum(frame, self.terms) + self.constant
        return values if self.step is None else on_grid(values, self.step)


Follower = Lookup | Curve | Line


def part_of(column: pd.Series, part: str) -> pd.Series:
    """A part of each date as a number, NaN where it is missing."""
    date_part = column.dt.year * 12 + column.dt.month if part == PARTS[-1] else getattr(column.dt, _OWN.get(part, part))
    return pd.Series(date_part, dtype="float64", name=str(column.name))


def _texts(column: pd.Series) -> pd.Index:
    texts: pd.Index = pd.Index(column.to_numpy(dtype=object))
    return texts


def _nearest(known: Floats, values: Floats) -> Ints:
    """Position of the nearest known value; after the last where missing."""
    beyond = np.searchsorted((known[1:] + known[:-1]) / 2, values, side="right")
    return np.where(np.isnan(values), len(known), beyond)


def _sum(frame: pd.DataFrame, terms: tuple[tuple[float, str], ...]) -> Floats:
    return np.asarray(np.sum([weight * floats_of(frame[name]) for weight, name in terms], axis=0))


def _round(weight: float) -> float:
    """The nearest simple fraction, if it is so near that rounding explains the difference."""
    whole = round(weight * MAX_DENOMINATOR) / MAX_DENOMINATOR
    return whole if abs(whole - weight) <= 1e-6 * max(abs(weight), 1.0) else weight


def _scale(column: pd.Series) -> NumberColumn:
    return scale_of(column, "datetime" if pd.api.types.is_datetime64_any_dtype(column.dtype) else "number")


def _step(column: pd.Series) -> float | None:
    present = np.unique(floats_of(column.dropna()))
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return float(time_unit_us(present.astype(np.int64)))
    return grid_step(present)


def _dtype(column: pd.Series) -> str:
    """The type of a column; of floats, the narrowest that holds them."""
    if column.dtype != "float64":
        return str(column.dtype)
    return np.dtype(float_width(floats_of(column.dropna()), _step(column))).name


def _typed(values: Floats, step: float | None, dtype: str) -> pd.Series:
    missing = np.isnan(values)
    values = np.where(missing, 0.0, values if step is None else on_grid(values, step))
    if dtype.startswith("datetime"):
        moments = values.astype(np.int64).astype("datetime64[us]")
        moments[missing] = np.datetime64("NaT")
        return pd.Series(moments)
    if dtype == "int64" and not missing.any():
        return pd.Series(values.astype(np.int64))
    narrow = np.dtype(dtype if dtype.startswith("float") else "float64")
    typed = pd.Series(np.where(missing, np.nan, values).astype(narrow).astype(np.float64))
    return typed.astype("Int64") if dtype == "Int64" else typed
