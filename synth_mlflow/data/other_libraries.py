"""A table for other libraries: Polars, `datasets` of Hugging Face, PyTorch; each is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from synth_mlflow.errors import UsageError

Columns = dict[str, npt.NDArray[Any]]


def library(module: str, package: str, what: str) -> Any:
    """A library that may not be installed.

    Raises
    ------
    UsageError
        If it is not; says what to install.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{what} needs {package}, which is not installed here.", f"Install it: `pip install {package}`."
        ) from error


def as_polars(table: pa.Table) -> Any:
    """A ``polars.DataFrame``."""
    return library("polars", "polars", "a Polars table").from_arrow(table)


def as_hugging_face(table: pa.Table) -> Any:
    """A ``datasets.Dataset``."""
    return library("datasets", "datasets", "a dataset of Hugging Face").Dataset(table.replace_schema_metadata(None))


def torch_batches(table: pa.Table, n_rows: int, seed: int | None = None) -> Iterator[dict[str, Any]]:
    """Batches for PyTorch: a tensor for each column of numbers, booleans or times, a list for any other."""
    torch = library("torch", "torch", "an iteration for PyTorch")
    for columns in numpy_batches(table, n_rows, seed):
        yield {
            name: torch.from_numpy(values) if values.dtype.kind in "biuf" else values.tolist()
            for name, values in columns.items()
        }


def numpy_batches(table: pa.Table, n_rows: int, seed: int | None = None) -> Iterator[Columns]:
    """Batches of NumPy arrays by column.

    Parameters
    ----------
    table : Table
    n_rows : int
        Of a batch; the last one may have fewer.
    seed : int, optional
        Shuffles the rows; left out, they come in their order.

    Yields
    ------
    dict of array
        Whole numbers as int64, as float64 where some are missing (NaN); dates and times as microseconds since 1970 in
        int64, missing ones as its least value; texts and all else as objects.

    Examples
    --------
    >>> [batch["age"].tolist() for batch in numpy_batches(pa.table({"age": [31, 44, 52]}), 2)]
    [[31, 44], [52]]
    """
    if n_rows < 1:
        raise UsageError(f"batches of {n_rows} rows were asked for, at least 1 is needed.")
    columns = {name: _array(table.column(name)) for name in table.column_names}
    order = np.arange(table.num_rows) if seed is None else np.random.default_rng(seed).permutation(table.num_rows)
    for at in range(0, table.num_rows, n_rows):
        places = order[at : at + n_rows]
        yield {name: values[places] for name, values in columns.items()}


def _array(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        ticks = pc.cast(pc.cast(column, pa.timestamp("us", getattr(kind, "tz", None)), safe=False), pa.int64())
        return _numbers(pc.fill_null(ticks, np.iinfo(np.int64).min), np.int64)
    if pa.types.is_boolean(kind) and not column.null_count:
        return _numbers(column, np.bool_)
    if pa.types.is_integer(kind) and not column.null_count:
        return _numbers(column, np.int64)
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _numbers(pc.cast(column, pa.float64(), safe=False), np.float64)
    return np.array(column.to_pylist(), dtype=object)


def _numbers(column: pa.ChunkedArray, kind: type) -> npt.NDArray[Any]:
    return np.array(column.to_numpy(), dtype=kind)
