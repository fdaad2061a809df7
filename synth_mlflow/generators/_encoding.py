"""Tables as arrays: numbers in their own unit with NaN for missing, categories as codes with one more for missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.columns import CATEGORICAL_KINDS, NUMERIC_KINDS, Kind
from synth_mlflow.data.slices import Mask
from synth_mlflow.generators._numbers import Floats, Ints, Numbers, Smoothing

Codes = dict[str, npt.NDArray[Any]]
"""Encoded columns by name, each of shape (n_rows,)."""

_TIME_UNITS_US = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000, 1)  # day … microsecond


@dataclass(frozen=True)
class NumberColumn:
    """An integer, number or datetime column."""

    name: str
    kind: Kind
    numbers: Numbers
    unit_us: int
    """What 1.0 stands for in a datetime column, in microseconds."""

    def encode(self, column: pd.Series) -> Floats:
        """Values as floats, NaN where missing; shape (n_rows,)."""
        return _as_floats(column, self.kind, self.unit_us)

    def decode(self, values: Floats) -> pd.Series:
        """The physical type that a normalised table has for these values."""
        if self.kind == "datetime":
            return _as_datetimes(values, self.unit_us, self.name)
        if self.kind == "integer":
            return pd.Series(values, name=self.name).astype("int64")
        return pd.Series(values, name=self.name, dtype="float64")


@dataclass(frozen=True)
class CategoryColumn:
    """A string or boolean column, or a class label of numbers; code ``n_levels`` stands for missing."""

    name: str
    kind: Kind
    levels: pd.Index

    @property
    def n_levels(self) -> int:
        """How many distinct present values there are."""
        return len(self.levels)

    def encode(self, column: pd.Series) -> Ints:
        """Codes of shape (n_rows,)."""
        codes = self.levels.get_indexer(pd.Index(column.to_numpy(dtype=object)))
        return np.where(codes < 0, self.n_levels, codes).astype(np.int64)

    def decode(self, codes: Ints) -> pd.Series:
        """The physical type that a normalised table has for these values."""
        missing = codes == self.n_levels
        if self.kind == "boolean":
            present = self.levels.to_numpy(dtype=bool)[np.where(missing, 0, codes)]
            values = pd.Series(present, name=self.name)
            return values.astype("boolean").mask(missing) if missing.any() else values
        if self.kind != "string":
            numbers = np.append(self.levels.to_numpy(dtype=np.float64), np.nan)[codes]
            return pd.Series(numbers, name=self.name).astype("int64" if self.kind == "integer" else "float64")
        texts = np.append(self.levels.to_numpy(), np.nan)
        return pd.Series(texts[codes], name=self.name).astype("str")


Column = NumberColumn | CategoryColumn


@dataclass(frozen=True)
class Encoded:
    """The modelled columns of the members."""

    columns: Mapping[str, Column]
    codes: Codes
    n_rows: int
    target: str
    is_classification: bool
    leading: tuple[str, ...]
    """Columns that the slice looks at; they are drawn first."""
    in_slice: Mask | None

    def decode(self, codes: Codes) -> pd.DataFrame:
        """A table of those columns that ``codes`` holds."""
        return pd.DataFrame({name: decode(self.columns[name], values) for name, values in codes.items()})


def encode(
    members: pd.DataFrame, kinds: Mapping[str, Kind], smoothing: Smoothing, label: str | None
) -> tuple[dict[str, Column], Codes]:
    """The columns of a normalised table, and their values as arrays; ``label`` names the classes' column, if any."""
    columns = {
        name: _categories(members[name], kind)
        if name == label and kind in NUMERIC_KINDS
        else _column(members[name], kind, smoothing)
        for name, kind in kinds.items()
    }
    columns |= _fewer_atoms(members, columns, smoothing)
    return columns, {name: column.encode(members[name]) for name, column in columns.items()}


def decode(column: Column, values: Floats | Ints) -> pd.Series:
    """Values of one column as a normalised table holds them."""
    if isinstance(column, NumberColumn):
        return column.decode(values.astype(np.float64))
    return column.decode(values.astype(np.int64))


def time_unit_us(ticks: Ints) -> int:
    """The longest of day, hour, minute … microsecond that all moments or spans are multiples of, in microseconds."""
    return next(unit for unit in _TIME_UNITS_US if not np.any(ticks % unit))


def _column(values: pd.Series, kind: Kind, smoothing: Smoothing) -> Column:
    return _categories(values, kind) if kind in CATEGORICAL_KINDS else _number_column(values, kind, smoothing)


def _number_column(values: pd.Series, kind: Kind, smoothing: Smoothing) -> NumberColumn:
    unit_us = time_unit_us(_ticks(values.dropna())) if kind == "datetime" else 1
    floats = _as_floats(values, kind, unit_us)
    return NumberColumn(str(values.name), kind, Numbers.of(floats[~np.isnan(floats)], smoothing), unit_us)


def _fewer_atoms(members: pd.DataFrame, columns: Mapping[str, Column], smoothing: Smoothing) -> dict[str, NumberColumn]:
    """The columns with atoms, made stricter until all of them together have few for so many members."""
    found = {name: one for name, one in columns.items() if isinstance(one, NumberColumn) and one.numbers.n_atoms}
    while sum(one.numbers.n_atoms for one in found.values()) > smoothing.atoms_per_member * len(members):
        smoothing = smoothing.stricter()
        found = {name: _number_column(members[name], one.kind, smoothing) for name, one in found.items()}
    return found


def _categories(values: pd.Series, kind: Kind) -> CategoryColumn:
    present = values.dropna().to_numpy(dtype=object)
    return CategoryColumn(str(values.name), kind, pd.Index(present, dtype=object).unique().sort_values())


def _ticks(present: pd.Series) -> Ints:
    return present.to_numpy(dtype="datetime64[us]").astype(np.int64)


def _as_floats(column: pd.Series, kind: Kind, unit_us: int) -> Floats:
    if kind != "datetime":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    missing = column.isna().to_numpy(dtype=bool)
    ticks = _ticks(column) // unit_us
    return np.where(missing, np.nan, ticks.astype(np.float64))


def _as_datetimes(values: Floats, unit_us: int, name: str) -> pd.Series:
    missing = np.isnan(values)
    ticks = np.round(np.where(missing, 0.0, values)).astype(np.int64) * unit_us
    moments = ticks.astype("datetime64[us]")
    moments[missing] = np.datetime64("NaT")
    return pd.Series(moments, name=name)
