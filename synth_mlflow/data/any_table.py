"""Tables as people have them in Python: pandas, Polars, PyArrow, DuckDB and whatever else narwhals knows, and dicts."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import pandas as pd

from synth_mlflow.errors import UsageError

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
    kind = f"{type(table).__module__}.{type(table).__qualname__}".removeprefix("builtins.")
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


def _from_columns(table: dict[Any, Any], what: str) -> pd.DataFrame:
    single = [str(name) for name, column in table.items() if isinstance(column, str) or not hasattr(column, "__len__")]
    if single:
        raise UsageError(f"{what} is a dict whose item {single[0]!r} is no column of values.", FIX)
    lengths = {str(name): len(column) for name, column in table.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name!r} has {length:,}" for name, length in lengths.items())
        raise UsageError(f"{what} is a dict of columns of unequal length: {told}.", FIX)
    return pd.DataFrame({name: list(column) for name, column in table.items()})
