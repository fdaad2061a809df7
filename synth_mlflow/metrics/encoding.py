"""Tables as numbers: one encoding, learned from real rows, that every table of a comparison goes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.columns import Schema, schema_of
from synth_mlflow.data.grids import floats_of

Matrix = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

Scale = Literal["ranks", "deviations"]

MAX_LEVELS = 64  # more levels than this share the code "other": rare ones teach a classifier nothing but names
MISSING = "\x00missing"
LEVEL_DIMENSIONS = 8  # a unit vector of this many random signs stands for a level once there are more levels than that


def labels(column: pd.Series) -> npt.NDArray[np.object_]:
    """A column of labels as text, missing values as a label of their own."""
    return column.astype(object).where(column.notna(), MISSING).astype(str).to_numpy(dtype=object)


def coded_labels(column: pd.Series) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.object_]]:
    """The different labels of a column in the order in which they appear, and the place of each row's among them.

    A text for each row would take ten times the memory of the column.

    >>> codes, texts = coded_labels(pd.Series(["red", None, "blue", "red"]))
    >>> codes.tolist(), texts.tolist()
    ([0, 1, 2, 0], ['red', '\\x00missing', 'blue'])
    """
    codes, values = pd.factorize(column, use_na_sentinel=False)
    return codes.astype(np.int64), labels(pd.Series(values))


@dataclass(frozen=True)
class Encoding:
    """How the columns of one schema become numbers; two encodings of the same real rows are equal.

    Examples
    --------
    >>> rows = pd.DataFrame({"size": [1.0, 2.0, 4.0], "colour": ["red", "blue", "red"]})
    >>> Encoding.learn(rows).features(rows).tolist()
    [[1.0, 0.0], [2.0, 1.0], [4.0, 0.0]]
    """

    schema: Schema
    levels: dict[str, npt.NDArray[np.object_]]
    quantiles: dict[str, Floats]
    gaps: dict[str, bool]

    @classmethod
    def learn(cls, real: pd.DataFrame) -> Encoding:
        """Read levels and quantiles from real rows."""
        schema = schema_of(real)
        categorical = schema.of_kind("string", "boolean")
        return cls(
            schema,
            {name: _common_levels(real[name]) for name in categorical},
            {name: np.sort(_present(real[name])) for name in schema if name not in categorical},
            {name: bool(real[name].isna().any()) for name in schema},
        )

    @property
    def categorical(self) -> list[int]:
        """Positions of the label columns in :meth:`features`."""
        return [place for place, name in enumerate(self.schema) if name in self.levels]

    def features(self, rows: pd.DataFrame) -> Floats:
        """One number a column, for tree models: shape (n_rows, n_columns), NaN where missing."""
        return np.column_stack([self._feature(rows, name) for name in self.schema])

    def points(self, rows: pd.DataFrame, scale: Scale = "ranks") -> Matrix:
        """Coordinates whose squared Euclidean distance adds up what differs: shape (n_rows, n_dimensions).

        A number counts with its rank among the real values, so that no unit and no tail outweighs the rest; or in
        standard deviations, so that a little noise on a heap of equal values stays little. Two labels are 1 apart; a
        missing value is 1 apart from every present one.
        """
        parts = (self._coordinates(rows, name, scale).astype(np.float32) for name in self.schema)
        return np.hstack(list(parts))

    def _feature(self, rows: pd.DataFrame, name: str) -> Floats:
        if name not in self.levels:
            return floats_of(rows[name])
        return self._level_codes(rows[name], name).astype(np.float64)

    def _level_codes(self, column: pd.Series, name: str) -> npt.NDArray[np.int64]:
        known, (codes, texts) = pd.Index(self.levels[name]), coded_labels(column)
        places = known.get_indexer(pd.Index(texts, dtype=object)).astype(np.int64)
        return np.asarray(np.where(places < 0, len(known), places)[codes])

    def _coordinates(self, rows: pd.DataFrame, name: str, scale: Scale) -> Floats:
        if name in self.levels:
            codes = self._level_codes(rows[name], name)
            return np.asarray(_level_vectors(len(self.levels[name]) + 1)[codes])
        values = floats_of(rows[name])
        missing = np.isnan(values)
        place = self._rank if scale == "ranks" else self._deviations
        middle = 0.5 if scale == "ranks" else 0.0
        placed = np.where(missing, middle, place(np.where(missing, 0.0, values), name))
        return np.column_stack([placed, missing]) if self.gaps[name] else placed[:, None]

    def _deviations(self, values: Floats, name: str) -> Floats:
        ordered = self.quantiles[name]
        spread = float(ordered.std()) if len(ordered) else 0.0
        return (values - ordered.mean()) / spread if spread > 0 else np.zeros(len(values))

    def _rank(self, values: Floats, name: str) -> Floats:
        ordered = self.quantiles[name]
        if not len(ordered):
            return np.zeros(len(values))
        knots = ordered[np.append(True, np.diff(ordered) > 0)]
        middle = (np.searchsorted(ordered, knots, "left") + np.searchsorted(ordered, knots, "right")) / 2
        return np.asarray(np.interp(values, knots, middle / len(ordered)))


def _common_levels(column: pd.Series) -> npt.NDArray[np.object_]:
    codes, texts = coded_labels(column)
    counts = pd.Series(codes).value_counts()
    return np.sort(texts[counts[counts >= 2].index[:MAX_LEVELS]])


def _present(column: pd.Series) -> Floats:
    values = floats_of(column)
    return values[~np.isnan(values)]


def _level_vectors(n_levels: int) -> Floats:
    if n_levels <= LEVEL_DIMENSIONS:
        return np.asarray(np.eye(n_levels) / np.sqrt(2))
    signs = np.random.default_rng(n_levels).choice([-1.0, 1.0], size=(n_levels, LEVEL_DIMENSIONS))
    return np.asarray(signs / np.sqrt(2 * LEVEL_DIMENSIONS))
