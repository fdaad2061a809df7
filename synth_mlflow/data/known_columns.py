"""Any table, as far as it has the columns of a schema: what else it holds is left out, what cannot be read is marked.

`conform` refuses a table that differs from the real one; here a table that somebody has saved again, extended or
damaged in places is still to be understood.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.columns import Kind, Schema, conform
from synth_mlflow.errors import UsageError

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class KnownColumns:
    """A table in the columns and physical types of a schema."""

    rows: pd.DataFrame
    readable: Flags
    """Which rows hold values of the schema's kinds throughout, shape (n_rows,)."""


def missing_columns(frame: pd.DataFrame, schema: Schema) -> tuple[str, ...]:
    """The schema's columns that a table lacks."""
    return tuple(name for name in schema if name not in {str(column) for column in frame.columns})


def known_columns(frame: pd.DataFrame, schema: Schema) -> KnownColumns:
    """Bring a table that has every column of ``schema`` into its kinds, value by value where a column has others.

    Raises
    ------
    UsageError
        If one of the columns stands in the table twice.
    """
    table = frame.set_axis([str(name) for name in frame.columns], axis=1)
    columns: dict[str, pd.Series] = {}
    readable = np.ones(len(table), dtype=np.bool_)
    for name in schema:
        values = _only(table, name)
        try:
            columns[name] = conform(values.to_frame(), Schema({name: schema[name]}))[name]
        except UsageError:
            columns[name] = _value_by_value(values, schema[name])
            readable &= (columns[name].notna() | values.reset_index(drop=True).isna()).to_numpy(dtype=np.bool_)
    return KnownColumns(pd.DataFrame(columns), readable)


def _only(table: pd.DataFrame, name: str) -> pd.Series:
    found = table.loc[:, table.columns == name]
    if found.shape[1] > 1:
        raise UsageError(f"column {name!r} stands in the table {found.shape[1]} times.", "Keep one of them.")
    return found.iloc[:, 0]


def _value_by_value(values: pd.Series, kind: Kind) -> pd.Series:
    read = _READERS[kind](values.reset_index(drop=True).astype(object))
    return conform(read.to_frame(), Schema({str(values.name): kind}))[str(values.name)]


def _as_number(values: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    return numbers.where(np.isfinite(numbers))


def _as_integer(values: pd.Series) -> pd.Series:
    numbers = _as_number(values)
    return numbers.where(numbers == numbers.round())


def _as_boolean(values: pd.Series) -> pd.Series:
    words = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
    return values.map(lambda value: words.get(str(value).lower())).astype("boolean")


def _as_text(values: pd.Series) -> pd.Series:
    return values.map(lambda value: None if pd.isna(value) else str(value))


def _as_datetime(values: pd.Series) -> pd.Series:
    return pd.to_datetime(_as_text(values), errors="coerce", utc=True, format="ISO8601")


_READERS: Mapping[Kind, Callable[[pd.Series], pd.Series]] = {
    "number": _as_number,
    "integer": _as_integer,
    "boolean": _as_boolean,
    "string": _as_text,
    "datetime": _as_datetime,
}
