"""Whether rows that came later still follow the law of those that are known, column by column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_mlflow.data.columns import CATEGORICAL_KINDS, Schema
from synth_mlflow.measures.distances import (
    counted_tv_distance,
    homogeneity_p_value,
    ks_p_value,
    label_counts,
    share_p_value,
    sorted_ks_distance,
)
from synth_mlflow.measures.encoding import labels, numbers


@dataclass(frozen=True)
class ColumnDrift:
    """How far one column has moved."""

    column: str
    distance: float
    """Kolmogorov-Smirnov distance of numbers and dates, total variation of labels, or the difference of the shares that
    are missing where that is more surprising; between 0 and 1."""
    p_value: float
    """Corrected for the number of columns: how often rows of one law would look as different anywhere."""


def table_drift(known: pd.DataFrame, new: pd.DataFrame, schema: Schema) -> tuple[ColumnDrift, ...]:
    """Test every column, most surprising first.

    Parameters
    ----------
    known, new : DataFrames of shape (n_known, n_columns), (n_new, n_columns)
        With the columns and types of ``schema``.

    Notes
    -----
    Kolmogorov-Smirnov test of the values that are there and Fisher's exact test of the shares that are missing for
    numbers and dates, the smaller p-value doubled; chi-squared test of the shares of labels, missing ones a label of
    their own. Corrected over the columns by Holm's method (S. Holm, Scandinavian Journal of Statistics 6, 1979).

    Examples
    --------
    >>> known = pd.DataFrame({"size": range(100), "colour": ["red", "blue"] * 50})
    >>> found = table_drift(known, known.assign(size=range(300, 400)), Schema({"size": "integer", "colour": "string"}))
    >>> [(drift.column, drift.distance, drift.p_value < 0.001) for drift in found]
    [('size', 1.0, True), ('colour', 0.0, False)]
    """
    found = sorted((_column(known[name], new[name], name, schema) for name in schema), key=lambda drift: drift.p_value)
    corrected, largest = [], 0.0
    for rank, drift in enumerate(found):
        largest = max(largest, min(1.0, drift.p_value * (len(found) - rank)))
        corrected.append(ColumnDrift(drift.column, drift.distance, largest))
    return tuple(corrected)


def _column(known: pd.Series, new: pd.Series, name: str, schema: Schema) -> ColumnDrift:
    return (_labels if schema[name] in CATEGORICAL_KINDS else _numbers)(known, new, name)


def _labels(known: pd.Series, new: pd.Series, name: str) -> ColumnDrift:
    counts = label_counts(pd.Series(labels(known)), pd.Series(labels(new)))
    return ColumnDrift(name, counted_tv_distance(*counts), homogeneity_p_value(*counts))


def _numbers(known: pd.Series, new: pd.Series, name: str) -> ColumnDrift:
    sides = [numbers(known), numbers(new)]
    here = [np.sort(side[~np.isnan(side)]) for side in sides]
    n_missing = [len(side) - len(there) for side, there in zip(sides, here, strict=True)]
    distance, p_value = 0.0, 1.0
    if all(map(len, here)):
        distance = sorted_ks_distance(*here)
        p_value = ks_p_value(distance, *map(len, here))
    if not any(n_missing):
        return ColumnDrift(name, distance, p_value)
    p_missing = share_p_value(n_missing[0], len(known), n_missing[1], len(new))
    if p_missing < p_value:
        distance, p_value = abs(n_missing[0] / len(known) - n_missing[1] / len(new)), p_missing
    return ColumnDrift(name, distance, min(1.0, 2 * p_value))
