"""A Delta table; the provenance is in the metadata of its commit. Needs the library `deltalake`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from synth_mlflow.data.digests import canonical_json
from synth_mlflow.data.other_libraries import library
from synth_mlflow.errors import UsageError
from synth_mlflow.publications import FACTS_KEY, Publication

ROW = "synth_mlflow_row"
"""The column that keeps the order of rows, which a Delta table does not."""


def write(what: Publication, folder: Path) -> pa.Table:
    """Write a table of one commit; gives the rows as they are read back.

    Raises
    ------
    UsageError
        If `deltalake` is not installed, or a column has a type that no Delta table has.
    """
    delta: Any = library("deltalake", "deltalake", "a Delta table")
    facts = {FACTS_KEY.decode(): canonical_json(dict(what.facts))}
    table = pa.table({name: _storable(name, what.rows.column(name)) for name in what.rows.column_names})
    delta.write_deltalake(
        str(folder),
        table.append_column(ROW, pa.array(range(table.num_rows), pa.int64())),
        name=what.title[:200],
        description=f"Approved rows of {what.title}; how they were made is in the metadata of the first commit.",
        commit_properties=delta.CommitProperties(custom_metadata=facts),
    )
    return read(folder)


def read(folder: Path) -> pa.Table:
    """The rows of such a table, in their order."""
    delta: Any = library("deltalake", "deltalake", "a Delta table")
    table = pa.table(delta.DeltaTable(str(folder)).to_pyarrow_table())
    return table.sort_by(ROW).drop_columns([ROW])


def _storable(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column in a type that Delta has."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return pc.cast(column, kind.value_type)
    if pa.types.is_timestamp(kind) and kind.unit != "us":
        return pc.cast(column, pa.timestamp("us", kind.tz), safe=False)  # as digests take them
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        raise UsageError(
            f"column {name!r} holds {'times of day' if pa.types.is_time(kind) else 'durations'}, and Delta has no such "
            "type.",
            "Publish it as `--format parquet` or `--format hugging-face`.",
        )
    if pa.types.is_unsigned_integer(kind):
        return pc.cast(column, pa.int64())
    return column
