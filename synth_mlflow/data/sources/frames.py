"""Tables in memory, of any library that narwhals knows, where a table is named."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synth_mlflow.data.addresses import Address
from synth_mlflow.data.chunks import FIX, as_pandas, kind_of
from synth_mlflow.data.sources.copies import Copy
from synth_mlflow.errors import UsageError


@dataclass(frozen=True, eq=False)
class Frame(Address):
    """A table in memory; its address says of what kind it is."""

    table: Any = field(default=None, repr=False)

    __eq__ = object.__eq__  # two tables of one kind have the same address
    __hash__ = object.__hash__

    @classmethod
    def of(cls, table: Any) -> Frame:
        """The place that a table in memory is.

        Raises
        ------
        UsageError
            If it is no table.
        """
        known = isinstance(table, pd.DataFrame | dict) or nw.from_native(table, pass_through=True) is not table
        if not known:
            raise UsageError(f"a table was needed, and a {kind_of(table)} was given.", f"{FIX} Or name a file.")
        return cls(f"frame:{kind_of(table)}", table)

    @property
    def is_recordable(self) -> bool:
        """It is gone when its process ends."""
        return False


def fetch(address: Frame, folder: Path) -> Copy:
    """Write the table as Parquet, its types as Arrow has them."""
    path = folder / "frame.parquet"
    try:
        pq.write_table(_as_arrow(address.table), path)
    except (pa.ArrowException, ValueError, TypeError) as error:
        reason = error.args[1] if len(error.args) > 1 else type(error).__name__  # what else they say may hold values
        raise UsageError(f"the table in memory ({address}) cannot be read: {reason}.", FIX) from None
    return Copy(path, folder, address)


def _as_arrow(table: Any) -> pa.Table:
    known: Any = nw.from_native(table, pass_through=True)
    if isinstance(table, pd.DataFrame | dict) or not isinstance(known, nw.DataFrame | nw.LazyFrame):
        return pa.Table.from_pandas(as_pandas(table), preserve_index=False)
    collected = known.collect("pyarrow") if isinstance(known, nw.LazyFrame) else known
    return collected.to_arrow()
