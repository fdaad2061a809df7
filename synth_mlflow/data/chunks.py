"""Tables of other libraries, and tables taken in pieces.

Parquet files in chunks: written, digested and read back without the whole table ever being in memory.

Tables as people have them in Python: pandas, Polars, PyArrow, DuckDB and whatever else narwhals knows, and dicts.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synth_mlflow.data.columns import Kind, Schema
from synth_mlflow.data.digests import BLOCK_ROWS, TableDigest, cell_hashes
from synth_mlflow.data.schema import arrow_schema, present
from synth_mlflow.data.table_files import exact_pandas
from synth_mlflow.data.tables import restore
from synth_mlflow.errors import UsageError

_TYPES: Mapping[Kind, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "string": pa.large_string(),
    "datetime": pa.timestamp("us"),
}


class ChunkWriter:
    """Writes a table that comes in pieces of any length; what is written depends on the rows alone.

    Parameters
    ----------
    path : Path
        Of the Parquet file.
    schema : Schema
        The columns of every piece.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        self.n_rows = 0
        self.digest = TableDigest(schema)
        self._schema = schema
        own = arrow_schema(schema) if schema.forms else pa.schema([])
        self._metadata = dict(own.metadata or {})
        types = {name: own.field(name).type if name in schema.forms else _TYPES[schema[name]] for name in schema}
        self._types = pa.schema(types)
        self._file = pq.ParquetWriter(path, self._types, store_schema=False)  # else its metadata hides ours
        self._pending: list[pd.DataFrame] = []

    def add(self, rows: pd.DataFrame) -> None:
        """Take in further rows of a normalised table; they are written in their own form, once a block is full."""
        self.n_rows += len(rows)
        self._pending.append(_whole_as_one_type(rows, self._schema))
        n_pending = sum(map(len, self._pending))
        if n_pending >= BLOCK_ROWS:
            together = pd.concat(self._pending, ignore_index=True)
            n_full = n_pending - n_pending % BLOCK_ROWS
            for at in range(0, n_full, BLOCK_ROWS):
                self._write(together.iloc[at : at + BLOCK_ROWS])
            self._pending = [together.iloc[n_full:].copy()]  # a view would keep the whole

    def finish(self) -> str:
        """Write what is left; returns the content digest of the table."""
        left = pd.concat(self._pending, ignore_index=True) if self._pending else pd.DataFrame()
        if len(left):
            self._write(left)
        self._pending = []
        return self.digest.hexdigest()

    def close(self, metadata: Mapping[bytes, bytes] | None = None) -> None:
        """Close the file, with key-value metadata in it."""
        if self._file.is_open:
            self._file.add_key_value_metadata(self._whole_metadata(metadata or {}))
            self._file.close()

    def _write(self, block: pd.DataFrame) -> None:
        self.digest.update(block)
        own = present(block, self._schema)
        self._file.write_table(pa.Table.from_pandas(own, schema=self._types, preserve_index=False, safe=False))

    def _whole_metadata(self, metadata: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Ours, and what gives pandas its own types back where columns have any."""
        if not self._metadata:
            return dict(metadata)
        together = {**self._metadata, **metadata}
        stored = self._types.with_metadata(together).serialize().to_pybytes()
        return {**together, b"ARROW:schema": base64.b64encode(stored)}


def _whole_as_one_type(rows: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Pieces with and without missing values together: floats would make whole numbers beyond 2^53 inexact."""
    whole = [name for name in schema.of_kind("integer") if rows[name].dtype != "Int64"]
    return rows.astype(dict.fromkeys(whole, "Int64"))


def read_chunks(path: Path, schema: Schema) -> Iterator[pd.DataFrame]:
    """The rows of a Parquet file in normalised blocks of `BLOCK_ROWS`, as they stand."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BLOCK_ROWS, columns=schema.columns):
            yield restore(exact_pandas(pa.Table.from_batches([batch]), ignore_metadata=True), schema)


def file_table_digest(path: Path, schema: Schema) -> str:
    """The content digest of the table in a Parquet file."""
    digest = TableDigest(schema)
    for block in read_chunks(path, schema):
        digest.update(block)
    return digest.hexdigest()


LONG_TEXT = 40  # letters; at a bit a letter (C. E. Shannon, 1951) as rare as two numbers of six digits
FORMULAIC = 0.01  # of the long texts of a column: where more repeat, texts are chosen from a list


def distinctive_rows(path: Path, schema: Schema) -> npt.NDArray[np.bool_]:
    """Which rows of a Parquet file are hardly equal to another by chance; shape (n_rows,).

    Such a row holds two values that occur nowhere else in their column, or one such text of `LONG_TEXT` letters where
    such texts hardly ever repeat. One column is held at a time, as hashes.
    """
    alone: npt.NDArray[np.uint8] | None = None
    for name in schema:
        here = _alone(path, schema.only(name))
        alone = here if alone is None else alone + here
    return np.zeros(0, dtype=bool) if alone is None else alone >= 2


def _alone(path: Path, column: Schema) -> npt.NDArray[np.uint8]:
    """1 for each present value that occurs once, 2 for a long text."""
    (name,) = column
    pairs = [(cell_hashes(block[name]), _weights(block[name], column)) for block in read_chunks(path, column)]
    hashes, weights = (np.concatenate([pair[at] for pair in pairs]) for at in (0, 1))
    order = np.argsort(hashes)
    same = np.diff(hashes[order]) == 0
    repeated = np.zeros(len(hashes), dtype=bool)
    repeated[order[1:]] |= same
    repeated[order[:-1]] |= same
    if repeated[weights == 2].sum() > FORMULAIC * (weights == 2).sum():
        weights = np.minimum(weights, 1)
    return np.where(repeated, np.uint8(0), weights)


def _weights(values: pd.Series, column: Schema) -> npt.NDArray[np.uint8]:
    """2 for a long text, 1 for any other value, 0 for a missing one."""
    present = values.notna().to_numpy().astype(np.uint8)
    if not column.of_kind("string"):
        return present
    is_long = values.astype("str").str.len().ge(LONG_TEXT).fillna(value=False).to_numpy(dtype=np.bool_)
    return present * np.where(is_long, np.uint8(2), np.uint8(1))


FIX = "Give a table of pandas, Polars, PyArrow or DuckDB, or a dict of columns; every column as long as the others."


def as_pandas(table: Any, what: str = "the table") -> pd.DataFrame:
    """A table as a pandas one; rows of other libraries are copied.

    Parameters
    ----------
    table : DataFrame, Table, relation or dict
        Of any library that narwhals knows; lazy ones are collected. A dict holds columns by name.
    what : str
        How the messages call it.

    Raises
    ------
    UsageError
        If it is no table; names its type, and never a value in it.

    Examples
    --------
    >>> as_pandas({"age": [31, 44]}).shape
    (2, 1)
    """
    if isinstance(table, pd.DataFrame):
        return table
    kind = kind_of(table)
    if isinstance(table, dict):
        return _from_columns(table, what)
    known: Any = nw.from_native(table, pass_through=True)
    if not isinstance(known, nw.DataFrame | nw.LazyFrame):
        raise UsageError(f"{what} is a {kind}, which is no table.", FIX)
    try:
        collected = known.collect() if isinstance(known, nw.LazyFrame) else known
        return pd.DataFrame(collected.to_pandas())
    except Exception as error:  # noqa: BLE001 - of whatever library it is; what it says may hold values
        raise UsageError(
            f"{what}, a {kind}, cannot be turned into a pandas table: {type(error).__name__}.", FIX
        ) from None


def kind_of(table: Any) -> str:
    """What an object is, by its type's name.

    >>> kind_of({}), kind_of(pd.Series([1]))
    ('dict', 'pandas.Series')
    """
    return f"{type(table).__module__}.{type(table).__qualname__}".removeprefix("builtins.")


def _from_columns(table: dict[Any, Any], what: str) -> pd.DataFrame:
    single = [str(name) for name, column in table.items() if isinstance(column, str) or not hasattr(column, "__len__")]
    if single:
        raise UsageError(f"{what} is a dict whose item {single[0]!r} is no column of values.", FIX)
    lengths = {str(name): len(column) for name, column in table.items()}
    if len(set(lengths.values())) > 1:
        lengths_text = ", ".join(f"{name!r} has {length:,}" for name, length in lengths.items())
        raise UsageError(f"{what} is a dict of columns of unequal length: {lengths_text}.", FIX)
    return pd.DataFrame({name: list(column) for name, column in table.items()})
