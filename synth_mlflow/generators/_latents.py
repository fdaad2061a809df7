"""Standard normal variables behind a table's columns: a number by its rank, a category as an interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from synth_mlflow.generators._encoding import CategoryColumn, Encoded, NumberColumn
from synth_mlflow.generators._numeric import Floats, Ints, Numbers

_EDGE = 1e-9  # keeps quantiles finite


@dataclass(frozen=True)
class ValueLatent:
    """Behind a number: its normal score."""

    column: str
    present: Floats
    """The members' present values, ascending."""
    numbers: Numbers

    def scores(self, values: Floats) -> Floats:
        """Normal scores with ties at their mean rank, of variance 1; NaN where missing."""
        low, high = self._ranks(values)
        scores = ndtri((low + high) / (2.0 * len(self.present)))
        return np.where(np.isnan(values), np.nan, scores)

    def latent(self, values: Floats, rng: np.random.Generator) -> Floats:
        """A draw of the variable given the value; the prior where it is missing."""
        low, high = self._ranks(values)
        share = (low + rng.random(len(values)) * (high - low)) / len(self.present)
        share = np.where(np.isnan(values), rng.random(len(values)), share)
        return np.asarray(ndtri(np.clip(share, _EDGE, 1.0 - _EDGE)))

    def value(self, latent: Floats, rng: np.random.Generator) -> Floats:
        """A number of this rank that reuses no member's fine value."""
        at = np.minimum((ndtr(latent) * len(self.present)).astype(np.int64), len(self.present) - 1)
        return self.numbers.redraw(self.present[at], rng)

    def _ranks(self, values: Floats) -> tuple[Floats, Floats]:
        known = np.where(np.isnan(values), self.present[0], values)
        low = np.searchsorted(self.present, known, side="left").astype(np.float64)
        high = np.searchsorted(self.present, known, side="right").astype(np.float64)
        beside = low == high  # a redrawn value between two of the members'
        return low - 0.5 * beside, high + 0.5 * beside


@dataclass(frozen=True)
class LevelLatent:
    """Behind a category, or behind whether a number is missing: the interval that belongs to each level."""

    column: str
    is_missingness: bool
    rank: Ints
    """Position of each level in the order of the intervals; shape (n_levels,)."""
    edges: Floats
    """Ends of the intervals as probabilities, ascending from 0 to 1; shape (n_levels + 1,)."""

    @classmethod
    def of(cls, column: str, levels: Ints, position: Floats, *, is_missingness: bool = False) -> LevelLatent:
        """Intervals as long as the levels are frequent, in the order of ``position``, shape (n_levels,)."""
        order = np.argsort(position, kind="stable")
        counts = np.bincount(levels, minlength=len(position))[order]
        return cls(column, is_missingness, np.argsort(order), np.append(0.0, np.cumsum(counts) / counts.sum()))

    def scores(self, values: Floats | Ints) -> Floats:
        """The mean of the variable within each value's interval."""
        density = np.exp(-0.5 * ndtri(self.edges) ** 2) / np.sqrt(2.0 * np.pi)
        lengths = np.diff(self.edges)
        means = -np.diff(density) / np.where(lengths > 0, lengths, 1.0)
        return np.asarray(means[self.rank[self._levels(values)]])

    def latent(self, values: Floats | Ints, rng: np.random.Generator) -> Floats:
        """A draw of the variable given the level."""
        rank = self.rank[self._levels(values)]
        share = self.edges[rank] + rng.random(len(rank)) * np.diff(self.edges)[rank]
        return np.asarray(ndtri(np.clip(share, _EDGE, 1.0 - _EDGE)))

    def level(self, latent: Floats) -> Ints:
        """The level whose interval holds the variable."""
        at = np.searchsorted(self.edges[1:-1], ndtr(latent), side="right")
        return np.asarray(np.argsort(self.rank)[at], dtype=np.int64)

    def _levels(self, values: Floats | Ints) -> Ints:
        return np.isnan(values).astype(np.int64) if self.is_missingness else values.astype(np.int64)


Latent = ValueLatent | LevelLatent


def latents_of(encoded: Encoded) -> tuple[Latent, ...]:
    """The variables behind the modelled columns; levels are ordered by how they go with the target."""
    outcome = _outcome(encoded)
    latents: list[Latent] = []
    for name, column in encoded.columns.items():
        values = encoded.codes[name]
        if isinstance(column, CategoryColumn):
            position = _mean_outcome(values.astype(np.int64), outcome, column.n_levels + 1)
            latents.append(LevelLatent.of(name, values.astype(np.int64), position))
            continue
        missing = np.isnan(values)
        latents.append(ValueLatent(name, np.sort(values[~missing]).astype(np.float64), column.numbers))
        if missing.any():
            absent = missing.astype(np.int64)
            latents.append(LevelLatent.of(name, absent, np.array([0.0, 1.0]), is_missingness=True))
    return tuple(latents)


def _outcome(encoded: Encoded) -> Floats:
    """The target's normal scores, or zeros where it is constant; shape (n_rows,)."""
    if encoded.target not in encoded.columns:
        return np.zeros(encoded.n_rows)
    values, column = encoded.codes[encoded.target], encoded.columns[encoded.target]
    if isinstance(column, NumberColumn):
        present = np.sort(values[~np.isnan(values)]).astype(np.float64)
        return np.nan_to_num(ValueLatent(encoded.target, present, column.numbers).scores(values.astype(np.float64)))
    return values.astype(np.float64)


def _mean_outcome(levels: Ints, outcome: Floats, n_levels: int) -> Floats:
    counts = np.bincount(levels, minlength=n_levels)
    return np.bincount(levels, weights=outcome, minlength=n_levels) / np.maximum(counts, 1)
