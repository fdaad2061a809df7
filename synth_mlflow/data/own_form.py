"""Tables in their own form: the texts and types that the project's data came with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from synth_mlflow.data.column_form import Form
from synth_mlflow.data.columns import Schema, all_missing
from synth_mlflow.data.value_formats import over_distinct


def present(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """A normalised table as its owner knows it: the columns of ``schema.forms`` as they are written outside.

    What comes back through `columns.conform` with the same schema is the normalised table.
    """
    if not schema.forms:
        return frame
    columns = {name: _own(frame[name], schema.forms.get(str(name))) for name in frame.columns}
    return pd.DataFrame(columns, index=frame.index)


def arrow_schema(schema: Schema) -> pa.Schema:
    """The Arrow types of a table in its own form, with what pandas needs to give its types back."""
    empty = pd.DataFrame({name: all_missing(0, kind) for name, kind in schema.kinds.items()})
    whole = [name for name, kind in schema.kinds.items() if kind == "boolean" and name not in schema.forms]
    empty = empty.astype(dict.fromkeys(whole, bool))  # of a column that may have gaps, the form says so
    found = pa.Schema.from_pandas(present(empty, schema), preserve_index=False)
    for at, name in enumerate(schema):
        special = {"date": pa.date32(), "time": pa.time64("us")}.get(schema.forms.get(name, Form()).dtype)
        if special is not None:
            found = found.set(at, pa.field(name, special))
    return found


def _own(values: Any, form: Form | None) -> Any:
    if form is None:
        return values
    if form.format is not None:
        return over_distinct(values, form.format.write).astype("str")
    if form.dtype == "category":
        return values.astype(_category(values, form))
    if form.dtype.startswith("datetime64") and "," in form.dtype:
        return values.dt.tz_localize("UTC").astype(form.dtype)
    if form.dtype.startswith("timedelta64"):
        return pd.to_timedelta(values.round(6), unit="s").astype(form.dtype)
    if form.dtype == "date":
        return values.dt.date.astype(object)
    if form.dtype == "time":
        return values.map(_time).astype(object)
    return values.astype(form.dtype) if form.dtype else values


def _category(values: pd.Series, form: Form) -> pd.CategoricalDtype:
    """Its categories, and those that only these values have."""
    new = [value for value in values.dropna().unique() if value not in form.categories]
    return pd.CategoricalDtype([*form.categories, *new], ordered=form.ordered)


def _time(seconds: float) -> object:
    return None if pd.isna(seconds) else datetime.fromtimestamp(float(seconds) % 86_400, UTC).time()
