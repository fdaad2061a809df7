"""SMOTE-NC: rows between a member and one of its nearest neighbours of the same class; an oversampler, and leaky."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError
from synth_mlflow.generators._encoding import CategoryColumn, Codes, Encoded, NumberColumn
from synth_mlflow.generators._numeric import Floats, Ints, Smoothing
from synth_mlflow.generators._table_sampler import TableSampler, TextPolicy, fit_table

MAX_LEVELS = 20  # of a category that count in distances; the rarer ones are all alike


@dataclass(frozen=True)
class Smote:
    """Interpolate between members and their neighbours (N. V. Chawla et al., doi:10.1613/jair.953, mixed tables).

    Numbers lie on the line between two members of one class, categories are one of the two's. Distances count numbers
    in standard deviations, and a differing category as one of them.

    Parameters
    ----------
    neighbours : int
        How many nearest members a partner is chosen from.
    text : "refuse" or "resample"
        Free text is refused, or copied from one of the two.
    """

    neighbours: int = 5
    text: TextPolicy = "refuse"

    summary: ClassVar[str] = "Interpolation between neighbouring members: an oversampler (leaky)"
    version: ClassVar[str] = "4"
    leaky: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not (isinstance(self.neighbours, int) and self.neighbours >= 1):
            raise UsageError(f"neighbours is {self.neighbours!r}, needed a whole number of at least 1.", "Try 5.")

    def fit(
        self,
        members: pd.DataFrame,
        task: Task,
        rng: np.random.Generator,
        *,
        slice: Slice | None = None,  # noqa: A002 (the contract's name)
    ) -> TableSampler:
        """Find the neighbours of every member, within the slice if there is one."""
        return fit_table(members, task, rng, self._learn, slice=slice, smoothing=Smoothing(), text=self.text)

    def _learn(self, encoded: Encoded, rng: np.random.Generator) -> _Segments:  # noqa: ARG002 (nothing here is random)
        pool = np.arange(encoded.n_rows) if encoded.in_slice is None else np.flatnonzero(encoded.in_slice)
        points = _points(encoded)
        partners = np.empty((len(pool), self.neighbours), dtype=np.int64)
        for group in _classes(encoded, pool):
            partners[group] = _neighbours(points, pool[group], self.neighbours)
        return _Segments(encoded, pool, partners)


@dataclass(frozen=True)
class _Segments:
    """Members and their neighbours; keeps the Core contract."""

    encoded: Encoded
    pool: Ints
    partners: Ints
    """Positions of each pool row's neighbours among the members; shape (n_pool, n_neighbours)."""

    def draw(self, codes: Codes, names: Sequence[str], n_rows: int, rng: np.random.Generator) -> Codes:  # noqa: ARG002
        """Whole rows at the first call, whichever columns are asked for."""
        if codes:
            return codes
        at = rng.integers(len(self.pool), size=n_rows)
        one = self.pool[at]
        other = self.partners[at, rng.integers(self.partners.shape[1], size=n_rows)]
        way = rng.random(n_rows)
        return {
            name: _between(column, self.encoded.codes[name][one], self.encoded.codes[name][other], way)
            if isinstance(column, NumberColumn)
            else np.where(way < 0.5, self.encoded.codes[name][one], self.encoded.codes[name][other])
            for name, column in self.encoded.columns.items()
        }


def _between(column: NumberColumn, one: Floats, other: Floats, way: Floats) -> Floats:
    """Numbers on the line between two, or the nearer one's where either is missing."""
    mixed = column.numbers.round(one + way * (other - one))
    return np.asarray(np.where(np.isnan(mixed), np.where(way < 0.5, one, other), mixed))


def _points(encoded: Encoded) -> Floats:
    parts = [_coordinates(column, encoded.codes[name]) for name, column in encoded.columns.items()]
    return np.column_stack(parts) if parts else np.zeros((encoded.n_rows, 1))


def _coordinates(column: NumberColumn | CategoryColumn, values: Floats | Ints) -> Floats:
    if isinstance(column, NumberColumn):
        spread = float(np.nanstd(values)) or 1.0
        return np.nan_to_num((values - np.nanmean(values)) / spread)[:, None]
    frequent = np.argsort(-np.bincount(values), kind="stable")[:MAX_LEVELS]
    return np.asarray((values[:, None] == frequent) / np.sqrt(2.0))


def _classes(encoded: Encoded, pool: Ints) -> list[Ints]:
    """Positions in the pool, by the target's class."""
    if not encoded.is_classification or encoded.target not in encoded.columns:
        return [np.arange(len(pool))]
    labels = encoded.codes[encoded.target][pool]
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _neighbours(points: Floats, rows: Ints, n_neighbours: int) -> Ints:
    """The nearest other rows of each; a row alone is its own neighbour, fewer than asked are repeated."""
    from sklearn.neighbors import NearestNeighbors

    if len(rows) == 1:
        return np.tile(rows[:, None], (1, n_neighbours))
    n_near = min(n_neighbours, len(rows) - 1)
    near = NearestNeighbors(n_neighbors=n_near).fit(points[rows]).kneighbors(return_distance=False)
    return np.asarray(rows[near][:, np.arange(n_neighbours) % n_near])


plugin = Smote
