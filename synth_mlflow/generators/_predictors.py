"""The columns that a model looks at, as a matrix; categories become numbers in the order that fits its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synth_mlflow.generators._encoding import CategoryColumn, Codes, Encoded
from synth_mlflow.generators._numbers import Floats, Ints

Matrix = npt.NDArray[np.float32]

MIN_LEVEL_ROWS = 20  # rarer levels share one number: their own would be their rows' outcomes


@dataclass(frozen=True)
class Scale:
    """A number's centre and range: trees see 32 bits, too few for dates in microseconds as they are."""

    centre: float
    range: float

    @classmethod
    def of(cls, values: Floats) -> Scale:
        """The middle of the present values, and how far the farthest lies from it."""
        centre = float(np.nanmedian(values))
        return cls(centre, float(np.nanmax(np.abs(values - centre))) or 1.0)

    def apply(self, values: Floats) -> Floats:
        """Values between about -1 and 1."""
        return (values - self.centre) / self.range


@dataclass(frozen=True)
class Predictors:
    """How to make the matrix from encoded columns."""

    names: tuple[str, ...]
    scales: tuple[Floats | Scale, ...]
    """For a category, the number of each level in each of its axes, shape (n_levels + 1, n_axes)."""

    @classmethod
    def of(cls, encoded: Encoded, names: Sequence[str], outcome: Floats, rows: Ints) -> Predictors:
        """Learn the order of levels; ``outcome`` has shape (n_rows, n_outcomes) for the members at ``rows``."""
        centred = outcome - outcome.mean(axis=0)
        scales = [
            _levels(column.n_levels + 1, encoded.codes[name][rows], centred)
            if isinstance(column := encoded.columns[name], CategoryColumn)
            else Scale.of(encoded.codes[name])
            for name in names
        ]
        return cls(tuple(names), tuple(scales))

    def matrix(self, codes: Codes) -> Matrix:
        """Shape (n_rows, n_features); NaN for missing numbers."""
        parts = [
            scale.apply(codes[name])[:, None] if isinstance(scale, Scale) else scale[codes[name]]
            for name, scale in zip(self.names, self.scales, strict=True)
        ]
        return np.hstack(parts).astype(np.float32)


def _levels(n_levels: int, levels: Ints, centred: Floats) -> Floats:
    counts = np.bincount(levels, minlength=n_levels)
    sums = np.column_stack([np.bincount(levels, weights=part, minlength=n_levels) for part in centred.T])
    is_rare = counts < MIN_LEVEL_ROWS
    sums[is_rare] = sums[is_rare].sum(axis=0)
    sizes = np.where(is_rare, max(int(counts[is_rare].sum()), 1), counts)
    return _axes(sums / np.sqrt(sizes)[:, None], n_axes=1 if centred.shape[1] == 1 else 2) / np.sqrt(sizes)[:, None]


def _axes(weighted_means: Floats, n_axes: int) -> Floats:
    """Coordinates of levels along the axes that hold most of their differences (correspondence analysis)."""
    if weighted_means.shape[1] == 1:
        return weighted_means
    _, _, axes = np.linalg.svd(weighted_means, full_matrices=False)
    return np.asarray(weighted_means @ axes[:n_axes].T)
