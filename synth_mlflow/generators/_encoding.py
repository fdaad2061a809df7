"""Tables as arrays: numbers in their own unit with NaN for missing, categories as codes with one more for missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.columns import CATEGORICAL_KINDS, NUMERIC_KINDS, Kind
from synth_mlflow.data.grids import (
    DAY_US,
    EXACT,
    HOUR_US,
    Chain,
    DateNumbers,
    Lattice,
    ShortDateNumbers,
    Weekdays,
    Wide,
    float_width,
    grid_step,
    moments_grid,
    on_grid,
    ticks_of,
    whole_numbers_grid,
)
from synth_mlflow.data.scaled_grid import ScaledUnit
from synth_mlflow.data.slices import Mask
from synth_mlflow.generators._numeric import LADDER, Cycle, Floats, Ints, Numbers, Smoothing

Codes = dict[str, npt.NDArray[Any]]
"""Encoded columns by name, each of shape (n_rows,)."""

_NOTHING = Numbers(None, np.empty(0), np.empty(0, dtype=np.int64), {})  # of a column that is still being read


@dataclass(frozen=True)
class NumberColumn:
    """An integer, number or datetime column; on a grid the codes are places."""

    name: str
    kind: Kind
    numbers: Numbers
    grid: Chain | None
    step: float
    """What 1 of the grid stands for: 1, or a power of ten below it."""
    width: type[np.floating[Any]]
    """The narrowest type of floats that holds the real values."""
    scaled: ScaledUnit | None = None
    """The grid of decimals that keep to no power of ten."""

    def encode(self, column: pd.Series) -> Floats:
        """Values as floats, NaN where missing; shape (n_rows,)."""
        if self.scaled is not None:
            return self.scaled.places(column.to_numpy(dtype=np.float64, na_value=np.nan))
        return _codes(column, self.grid, self.step)

    def decode(self, values: Floats) -> pd.Series:
        """The physical type that a normalised table has for these values."""
        missing = np.isnan(values)
        if self.scaled is not None:
            return pd.Series(self.scaled.values(values), name=self.name, dtype="float64")
        if self.grid is None:
            numbers: npt.NDArray[Any] = values
        else:
            numbers = self.grid.values(np.round(np.where(missing, self.grid.first, values)).astype(np.int64))
        if self.kind == "datetime":
            moments = numbers.astype("datetime64[us]")
            moments[missing] = np.datetime64("NaT")
            return pd.Series(moments, name=self.name)
        if self.kind == "integer":
            return pd.Series(numbers, name=self.name).astype("int64")
        if self.grid is not None:
            numbers = np.where(missing, np.nan, on_grid(numbers * self.step, self.step))
        return pd.Series(numbers.astype(self.width), name=self.name, dtype="float64")


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
        if self.kind == "integer" and not missing.any():
            return pd.Series(self.levels.to_numpy(dtype=np.int64)[codes], name=self.name)
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
    if _n_knots(columns) > smoothing.knots_per_member * len(members):
        smoothing = replace(smoothing, is_smooth=True)
        columns |= _again(members, columns, smoothing)
    columns |= _fewer_atoms(members, columns, smoothing)
    return columns, {name: column.encode(members[name]) for name, column in columns.items()}


def decode(column: Column, values: Floats | Ints) -> pd.Series:
    """Values of one column as a normalised table holds them."""
    if isinstance(column, NumberColumn):
        return column.decode(values.astype(np.float64))
    return column.decode(values.astype(np.int64))


def _column(values: pd.Series, kind: Kind, smoothing: Smoothing) -> Column:
    return _categories(values, kind) if kind in CATEGORICAL_KINDS else _number_column(values, kind, smoothing)


def _number_column(values: pd.Series, kind: Kind, smoothing: Smoothing) -> NumberColumn:
    return _on_grid(scale_of(values, kind), values.dropna(), smoothing)


def scale_of(values: pd.Series, kind: Kind) -> NumberColumn:
    """The grid and the width of a number or date column, without what its codes look like."""
    name, present = str(values.name), values.dropna()
    if kind == "datetime":
        grid: Chain | None = moments_grid(*np.unique(ticks_of(present), return_counts=True))
        return NumberColumn(name, kind, _NOTHING, grid, 1.0, np.float64)
    floats = present.to_numpy(dtype=np.float64)
    distinct, counts = np.unique(floats, return_counts=True)
    step = 1.0 if kind == "integer" else grid_step(distinct)
    grid = None if step is None else _grid_of(present, step)
    width = float_width(distinct, step)
    scaled = ScaledUnit.of(distinct, counts) if step is None and width is np.float64 else None
    return NumberColumn(name, kind, _NOTHING, grid, step or 1.0, width, scaled)


def _on_grid(column: NumberColumn, present: pd.Series, smoothing: Smoothing) -> NumberColumn:
    """The column with what its codes look like, and with the values that may be handed out as they are."""
    codes = column.encode(present)
    on_grid = replace(column, numbers=Numbers.of(codes, smoothing, _cycle(column), _ladder(column)))
    if column.grid is None or not isinstance(column.grid.grids[0], Wide):
        return on_grid
    shared = set(on_grid.numbers.values[on_grid.numbers.roundness == 0].tolist())
    known = {code: value for code, value in zip(codes, present.to_numpy(), strict=True) if code in shared}
    wide = replace(column.grid.grids[0], known=tuple((int(at), int(value)) for at, value in known.items()))
    return replace(on_grid, grid=replace(column.grid, grids=(wide,)))


def _cycle(column: NumberColumn) -> Cycle | None:
    """Hours of a day, days of a week, or last digits; columns on a coarser grid have none."""
    if column.grid is None:
        return Cycle(10, 1, 0, is_of_time=False)
    unit, *finer = column.grid.grids
    is_day = unit in (DateNumbers(has_day=True), ShortDateNumbers())
    is_day |= column.kind == "datetime" and isinstance(unit, Lattice) and unit.step == DAY_US
    if is_day and len(finer) == 1 and isinstance(finer[0], Weekdays):
        return Cycle(len(finer[0].weekdays), 1, 0, is_of_time=True)
    if is_day and not finer:
        return Cycle(7, 1, 3, is_of_time=True)
    if column.kind != "datetime" or finer or not isinstance(unit, Lattice):
        return None
    return Cycle(DAY_US // unit.step, max(1, HOUR_US // unit.step), 0, is_of_time=True)


def _ladder(column: NumberColumn) -> tuple[int, ...]:
    """What counts as round, in places: multiples of 10 among multiples of 5 are every second one."""
    lattice = column.grid.grids[0] if column.grid is not None and column.kind != "datetime" else None
    if not isinstance(lattice, Lattice) or lattice.step == 1:
        return LADDER
    if lattice.offset:
        return (1,)
    coarser = (multiple for multiple in LADDER if multiple > lattice.step and multiple % lattice.step == 0)
    return (1, *(multiple // lattice.step for multiple in coarser))


def _grid_of(present: pd.Series, step: float) -> Chain | None:
    if present.dtype != "int64":
        steps = present.to_numpy(dtype=np.float64) / step
        if not len(steps) or np.abs(steps).max() > EXACT:
            return None
        return whole_numbers_grid(*np.unique(np.round(steps).astype(np.int64), return_counts=True))
    return whole_numbers_grid(*np.unique(present.to_numpy(), return_counts=True))


def _n_knots(columns: Mapping[str, Column]) -> int:
    return sum(one.numbers.n_knots for one in columns.values() if isinstance(one, NumberColumn))


def _again(members: pd.DataFrame, columns: Mapping[str, Column], smoothing: Smoothing) -> dict[str, NumberColumn]:
    """The columns of numbers, smoothed otherwise."""
    numeric = {name: one for name, one in columns.items() if isinstance(one, NumberColumn)}
    return {name: _number_column(members[name], one.kind, smoothing) for name, one in numeric.items()}


def _fewer_atoms(members: pd.DataFrame, columns: Mapping[str, Column], smoothing: Smoothing) -> dict[str, NumberColumn]:
    """The columns with atoms, made stricter until all of them together have few for so many members."""
    numeric = {name: one for name, one in columns.items() if isinstance(one, NumberColumn) and one.numbers.n_atoms}
    while sum(one.numbers.n_atoms for one in numeric.values()) > smoothing.atoms_per_member * len(members):
        smoothing = smoothing.stricter()
        numeric = _again(members, numeric, smoothing)
    return numeric


def _categories(values: pd.Series, kind: Kind) -> CategoryColumn:
    present = values.dropna().to_numpy(dtype=object)
    return CategoryColumn(str(values.name), kind, pd.Index(present, dtype=object).unique().sort_values())


def _codes(column: pd.Series, grid: Chain | None, step: float) -> Floats:
    if grid is None:
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    missing = column.isna().to_numpy(dtype=bool)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        values = ticks_of(column)
    elif column.dtype == "int64":
        values = column.to_numpy()
    else:
        values = np.round(np.where(missing, 0.0, column.to_numpy(dtype=np.float64)) / step).astype(np.int64)
    return np.where(missing, np.nan, grid.places(np.where(missing, 0, values)).astype(np.float64))
