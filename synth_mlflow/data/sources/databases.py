"""The rows of a query, read once into Parquet; the URL of the database is read from the environment alone.

Rows come in the order of their values: a database gives none that lasts, and the same rows shall have one digest.
"""

from __future__ import annotations

import datetime
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy
import sqlparse
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from synth_mlflow.data.addresses import Address, from_environment, query_of
from synth_mlflow.data.sources.copies import Copy
from synth_mlflow.data.table_files import PIECE_ROWS
from synth_mlflow.errors import UsageError

READ_ONLY = {
    "postgresql": "SET TRANSACTION READ ONLY",
    "mysql": "SET TRANSACTION READ ONLY",
    "mariadb": "SET TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}
"""What makes a transaction read-only; DuckDB is opened so, and others know no such thing."""
_DRIVERS = {
    "psycopg2": "psycopg2-binary",
    "psycopg": "psycopg[binary]",
    "MySQLdb": "mysqlclient",
    "pymysql": "PyMySQL",
    "oracledb": "oracledb",
    "cx_Oracle": "oracledb",
    "pyodbc": "pyodbc",
    "duckdb": "duckdb-engine",
    "snowflake": "snowflake-sqlalchemy",
    "bigquery": "sqlalchemy-bigquery",
    "databricks": "databricks-sqlalchemy",
    "redshift": "sqlalchemy-redshift",
}
EXACT_DIGITS = 18  # of a decimal that is a whole number of 64 bits


def fetch(address: Address, folder: Path) -> Copy:
    """Run the query, and keep its rows.

    Raises
    ------
    UsageError
        If it is no single SELECT, the variable is not set, a library is missing, or the database refuses it.
    """
    variable, query = query_of(address)
    refuse_writing(query)
    url = from_environment(variable, "the URL of the database")
    with _explained(variable, url) as engine:
        table = _table(engine, query)
    pq.write_table(table, path := folder / "query.parquet")
    return Copy(path, folder, address, {"database": engine.dialect.name, "rows": table.num_rows})


def refuse_writing(query: str) -> None:
    """A UsageError for what is not a single SELECT.

    The database is asked for a transaction that only reads as well, where it knows such.

    Examples
    --------
    >>> refuse_writing("with late as (select 1 as n) select * from late")
    """
    statements: list[Any] = [each for each in sqlparse.parse(query) if str(each).strip(" ;\n\t")]
    begins = sqlparse.format(query, strip_comments=True).lstrip("( \n\t")[:6].upper()
    if len(statements) != 1 or not begins.startswith(("SELECT", "WITH")):
        what = f"{len(statements)} statements" if len(statements) != 1 else repr(begins)
        raise UsageError(f"one SELECT was needed, and the query holds {what}.", "Only rows that it selects are read.")
    for token in statements[0].flatten():
        word = token.normalized.upper()
        kind = str(token.ttype)
        writes = ("DML" in kind or "DDL" in kind) and word not in {"SELECT", "REPLACE"}
        if writes or ("Keyword" in kind and word == "INTO"):
            raise UsageError(f"the query holds {word}, and one that only reads was needed.", "Select rows alone.")


def _table(engine: sqlalchemy.Engine, query: str) -> pa.Table:
    with engine.connect() as connection:
        begin = READ_ONLY.get(engine.dialect.name)
        if begin:
            connection.exec_driver_sql(begin)
        # without parameters: in some drivers a percent sign would begin one
        options = {"stream_results": True, "no_parameters": True}
        rows = connection.execution_options(**options).exec_driver_sql(query.rstrip(" ;\n\t"))
        names = list(rows.keys())
        _refuse_twice(names)
        pieces = [_piece(names, piece) for piece in rows.partitions(PIECE_ROWS)]
        connection.rollback()
    return _in_order(_joined(names, pieces))


def _refuse_twice(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(
            f"the query gives more than one column of the name {', '.join(map(repr, twice))}.",
            "Give each its own name: `select a.id as a_id, b.id as b_id …`.",
        )


def _piece(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> pa.Table:
    columns = zip(*rows, strict=True)
    return pa.table({name: _column(name, column) for name, column in zip(names, columns, strict=True)})


def _column(name: str, values: Sequence[Any]) -> pa.Array:
    try:
        array = pa.array([_plain(value) for value in values])
    except (pa.ArrowException, TypeError, OverflowError):
        kinds = sorted({type(value).__name__ for value in values if value is not None})
        raise UsageError(
            f"the query's column {name!r} mixes types or has one that is not read ({', '.join(kinds)}).",
            f"Cast it in the query: `cast({name} as text)`.",
        ) from None
    return pc.cast(array, pa.timestamp("us", "UTC")) if getattr(array.type, "tz", None) else array


def _plain(value: Any) -> Any:
    """A value of a database as Arrow knows it."""
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if isinstance(value, str | int | float | Decimal | bytes | datetime.date | datetime.time | datetime.timedelta):
        return None if isinstance(value, Decimal) and value.is_nan() else value
    return value if value is None else str(value) if isinstance(value, uuid.UUID) else _other(value)


def _other(value: Any) -> Any:
    """An address of a network, a range and the like: as text, where they are no collection."""
    return value if hasattr(value, "__len__") else str(value)


def _joined(names: Sequence[str], pieces: Sequence[pa.Table]) -> pa.Table:
    if not pieces:
        return pa.table({name: pa.array([], pa.string()) for name in names})
    try:
        table = pa.concat_tables(pieces, promote_options="permissive")
    except pa.ArrowException as error:
        raise UsageError(f"a column of the query mixes types: {error}.", "Cast it in the query.") from None
    for at, field in enumerate(table.schema):
        table = table.set_column(at, field.name, _narrowed(table.column(at)))
    return table


def _narrowed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole decimals as whole numbers, which NUMERIC columns of some databases are; a column of NULLs as texts."""
    kind = column.type
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if not pa.types.is_decimal(kind) or kind.scale > 0 or kind.precision > EXACT_DIGITS:
        return column
    return column.cast(pa.int64())


def _in_order(table: pa.Table) -> pa.Table:
    keys = [(name, "ascending") for name in table.column_names]
    return table.take(pc.sort_indices(table, sort_keys=keys)) if table.num_rows and keys else table


@contextmanager
def _explained(variable: str, url: str) -> Iterator[sqlalchemy.Engine]:
    """The database, and one message for what goes wrong; its URL is never shown."""
    try:
        engine = sqlalchemy.create_engine(_parsed(variable, url), **_options(url))
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        name = getattr(error, "name", None) or str(error).rpartition(":")[2]
        package = next((package for key, package in _DRIVERS.items() if key in name), name)
        raise UsageError(
            f"the database of {variable} needs {package}, which is not installed here.",
            f"Install it: `pip install {package}`.",
        ) from None
    try:
        yield engine
    except SQLAlchemyError as error:
        raise UsageError(
            f"the database of {variable} ({engine.dialect.name}) refuses: {_words(error, engine.url)}.",
            f"Correct the query, or the URL in {variable}.",
        ) from None
    finally:
        engine.dispose()


def _parsed(variable: str, url: str) -> sqlalchemy.URL:
    try:
        parsed = sqlalchemy.make_url(url)
    except ArgumentError:
        raise UsageError(
            f"{variable} holds no URL of a database.",
            "Set it to one, such as `postgresql+psycopg://USER:PASSWORD@HOST/NAME`.",
        ) from None
    is_file = parsed.get_backend_name() in {"sqlite", "duckdb"} and parsed.database not in (None, "", ":memory:")
    if is_file and not (parsed.database or "").startswith("file:") and not Path(parsed.database or "").is_file():
        raise UsageError(f"there is no database file {parsed.database}.", f"Correct the URL in {variable}.")
    return parsed


def _options(url: str) -> dict[str, Any]:
    is_duckdb = url.startswith("duckdb")
    return {"connect_args": {"read_only": True}} if is_duckdb else {}


def _words(error: SQLAlchemyError, url: sqlalchemy.URL) -> str:
    """The first line of what the database says; what SQLAlchemy adds shows values."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    text = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    for secret in filter(None, [url.password, os.environ.get("PGPASSWORD")]):
        text = text.replace(str(secret), "***")
    return text.rstrip(".")
