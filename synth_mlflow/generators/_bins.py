"""Columns as a few counted values: categories as they are, numbers in bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synth_mlflow.generators._encoding import CategoryColumn, Column
from synth_mlflow.generators._numbers import Floats, Ints, Numbers

N_QUANTILE_BINS = 20
N_EQUAL_BINS = 16


@dataclass(frozen=True)
class Levels:
    """A category: its codes, with one for missing where that occurs."""

    n_values: int

    def count(self, values: Ints) -> Ints:
        """Codes of shape (n_rows,)."""
        return values.astype(np.int64)

    def draw(self, codes: Ints, rng: np.random.Generator) -> Ints:  # noqa: ARG002 (as numbers are drawn)
        """Values of shape (n_rows,)."""
        return codes


@dataclass(frozen=True)
class Bins:
    """A number: intervals, and one value more for missing where that occurs."""

    edges: Floats
    """Ascending; shape (n_bins + 1,)."""
    numbers: Numbers
    present: Floats
    """The members' values, ascending, that bins are filled from; empty if bins are filled evenly."""
    may_be_missing: bool

    @property
    def n_values(self) -> int:
        """Bins, and one more if numbers may be missing."""
        return len(self.edges) - 1 + self.may_be_missing

    def count(self, values: Floats) -> Ints:
        """The bin of each value; shape (n_rows,)."""
        at = np.searchsorted(self.edges[1:-1], values, side="right")
        return np.where(np.isnan(values), len(self.edges) - 1, at).astype(np.int64)

    def draw(self, codes: Ints, rng: np.random.Generator) -> Floats:
        """Numbers from each bin, NaN for missing."""
        known = np.minimum(codes, len(self.edges) - 2)
        share = rng.random(len(codes))
        if len(self.present):
            starts = np.searchsorted(self.count(self.present), np.arange(len(self.edges)))
            at = starts[known] + (share * np.diff(starts)[known]).astype(np.int64)
            drawn = self.numbers.redraw(self.present[np.minimum(at, len(self.present) - 1)], rng)
        else:
            drawn = self.numbers.round(self.edges[known] + share * np.diff(self.edges)[known])
        return np.where(codes == len(self.edges) - 1, np.nan, drawn)


def bins_of(column: Column, values: Floats | Ints, *, evenly: bool) -> Levels | Bins:
    """Counted values of a column: ``evenly`` cuts and fills the range of numbers without looking at where they lie."""
    if isinstance(column, CategoryColumn):
        return Levels(column.n_levels + int((values == column.n_levels).any()))
    missing = np.isnan(values)
    may_be_missing = bool(missing.any())
    present = np.sort(values[~missing]).astype(np.float64)
    if evenly:
        edges = np.linspace(present[0], present[-1], N_EQUAL_BINS + 1)
        return Bins(edges, column.numbers, np.empty(0), may_be_missing)
    edges = np.unique(np.quantile(present, np.linspace(0.0, 1.0, N_QUANTILE_BINS + 1)))
    return Bins(edges if len(edges) > 1 else np.repeat(edges, 2), column.numbers, present, may_be_missing)
