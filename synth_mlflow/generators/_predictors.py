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
class Predictors:
    """How to make the matrix from encoded columns."""

    names: tuple[str, ...]
    tables: tuple[Floats | None, ...]
    """For a category, the number of each level in each of its axes, shape (n_levels + 1, n_axes); None for numbers."""

    @classmethod
    def of(cls, encoded: Encoded, names: Sequence[str], outcome: Floats, rows: Ints) -> Predictors:
        """Learn the order of levels; ``outcome`` has shape (n_rows, n_outcomes) for the members at ``rows``."""
        centred = outcome - outcome.mean(axis=0)
        tables = [_table(encoded, name, centred, rows) for name in names]
        return cls(tuple(names), tuple(tables))

    def matrix(self, codes: Codes) -> Matrix:
        """Shape (n_rows, n_features); NaN for missing numbers."""
        parts = [
            codes[name][:, None] if table is None else table[codes[name]]
            for name, table in zip(self.names, self.tables, strict=True)
        ]
        return np.hstack(parts).astype(np.float32)


def _table(encoded: Encoded, name: str, centred: Floats, rows: Ints) -> Floats | None:
    column = encoded.columns[name]
    if not isinstance(column, CategoryColumn):
        return None
    levels = encoded.codes[name][rows]
    n_levels = column.n_levels + 1
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
