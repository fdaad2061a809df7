"""Any table, as far as it has the columns of a schema: what else it holds is left out, what cannot be read is marked.

`conform` refuses a table that differs from the real one; here a table that somebody has saved again, extended or
damaged in places is still to be understood.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.column_form import PLAIN
from synth_mlflow.data.columns import Schema, as_kind, conform, normalise
from synth_mlflow.data.plain_texts import read_texts_as
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
            columns[name] = conform(values.to_frame(), schema.only(name))[name]
        except UsageError:
            columns[name] = _value_by_value(values, schema.only(name))
            readable &= (columns[name].notna() | values.reset_index(drop=True).isna()).to_numpy(dtype=np.bool_)
    return KnownColumns(pd.DataFrame(columns), readable)


def _only(table: pd.DataFrame, name: str) -> pd.Series:
    found = table.loc[:, table.columns == name]
    if found.shape[1] > 1:
        raise UsageError(f"column {name!r} stands in the table {found.shape[1]} times.", "Keep one of them.")
    return found.iloc[:, 0]


def _value_by_value(values: pd.Series, schema: Schema) -> pd.Series:
    (name,) = schema
    kind, form = schema[name], schema.forms.get(name, PLAIN)
    texts = values.reset_index(drop=True).astype(object).map(lambda value: None if pd.isna(value) else str(value))
    read = texts.astype("str").rename(name)
    if kind != "string":
        read = read_texts_as(read.where(~read.isin(form.words)), kind, form.text_format)
    if pd.api.types.is_float_dtype(read.dtype):
        read = read.where(np.isfinite(read))
    return as_kind(normalise(read.to_frame())[name], kind, replace(form, dtype="", ordered=False))
