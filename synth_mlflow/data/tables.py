"""Read and write tables: CSV (also gzipped) and Parquet in, Parquet out."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from synth_mlflow.data.columns import Schema, normalise
from synth_mlflow.data.room import refuse_larger_than_memory
from synth_mlflow.errors import UsageError

SUFFIXES = (".csv", ".csv.gz", ".parquet")
PIECE_ROWS = 100_000

ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?")


def read_table(path: Path) -> pd.DataFrame:
    """A normalised table from a file.

    Text columns of a CSV file whose every value is an ISO date become dates.

    Raises
    ------
    UsageError
        If the file is missing, empty, no table, or holds columns that no table here may have.
    """
    frame = _read(path)
    if frame.shape[1] == 0 or len(frame) == 0:
        raise _no_rows(path)
    return normalise(frame)


def table_pieces(path: Path) -> Iterator[pd.DataFrame]:
    """The normalised rows of a file in pieces: a Parquet file is never in memory as a whole, a CSV file is.

    Raises
    ------
    UsageError
        As in `read_table`.
    """
    if _suffix(path) != ".parquet":
        yield read_table(path)
        return
    n_rows = 0
    with _readable(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(PIECE_ROWS):
            piece = pa.Table.from_batches([batch]).to_pandas()
            n_rows += len(piece)
            yield normalise(piece.reset_index(drop=True))
    if not n_rows:
        raise _no_rows(path)


def read_known(path: Path, schema: Schema) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """What a file has of a schema's columns, texts as they are written, and the names of its other columns.

    The table is not normalised: the other columns may hold anything, a nameless index among them.

    Raises
    ------
    UsageError
        If the file is missing, or no table.
    """
    is_parquet = _suffix(path) == ".parquet"
    with _readable(path):
        names = [str(name) for name in pq.read_schema(path).names] if is_parquet else _checked_header(path)
        known = [name for name in names if name in schema.kinds]
        if is_parquet:
            frame = pq.read_table(path, columns=known).to_pandas(ignore_metadata=True)
        else:
            texts = {name: "str" for name in known if schema[name] == "string"}
            frame = pd.read_csv(path, encoding="utf-8-sig", low_memory=False, usecols=known, dtype=texts)
            frame = _with_dates(frame, except_for=texts)
    return frame, tuple(name for name in names if name not in schema.kinds)


def write_parquet(frame: pd.DataFrame, path: Path, metadata: Mapping[bytes, bytes] | None = None) -> None:
    """Write a normalised table, with further key-value metadata in the file itself."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    pq.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), **(metadata or {})}), path)


def file_metadata(path: Path) -> dict[bytes, bytes]:
    """The key-value metadata of a Parquet file; empty for any other kind of file."""
    if not path.name.lower().endswith(".parquet"):
        return {}
    with _readable(path):
        return dict(pq.read_schema(path).metadata or {})


def restore(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """A table read back from Parquet, with the physical types that its schema asks for."""
    return normalise(frame)[schema.columns]


def _no_rows(path: Path) -> UsageError:
    return UsageError(f"{path} holds no rows.", "Give a table with a header and at least one row.")


def _read(path: Path) -> pd.DataFrame:
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {".parquet": pd.read_parquet, ".csv": _csv, ".csv.gz": _csv}
    reader = readers[_suffix(path)]
    with _readable(path):
        refuse_larger_than_memory(path)
        return reader(path)


def _suffix(path: Path) -> str:
    if not path.is_file():
        raise UsageError(f"there is no file {path}.", f"Give the path of a table: {', '.join(SUFFIXES)}.")
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return suffix
    raise UsageError(
        f"{path} is not a kind of table that is read here.", f"Convert it to one of {', '.join(SUFFIXES)}."
    )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what the parsers raise on a damaged file into one message."""
    try:
        yield
    except (ValueError, OSError, EOFError, csv.Error, zlib.error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"{path} cannot be read: {reason}.", "Save it again as UTF-8 CSV with one header line, or as Parquet."
        ) from error


def _csv(path: Path) -> pd.DataFrame:
    _refuse_nameless(path, _checked_header(path))
    return _with_dates(pd.read_csv(path, encoding="utf-8-sig", low_memory=False))


def _with_dates(frame: pd.DataFrame, except_for: Collection[str] = ()) -> pd.DataFrame:
    for name in frame.columns[frame.dtypes.astype(str).isin(["str", "object"]) & ~frame.columns.isin(except_for)]:
        frame[name] = _as_dates(frame[name])
    return frame


def _checked_header(path: Path) -> list[str]:
    with _open_text(path) as lines:
        reader = csv.reader(lines)
        header, first = (next((row for row in reader if row), []) for _ in range(2))
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UsageError(
            f"{path}: column names must be unique; these stand more than once: {', '.join(map(repr, twice))}.",
            "Rename them in the file's header.",
        )
    if len(first) > len(header):  # pandas would silently take the first column as an index
        raise UsageError(
            f"{path}: its header names {len(header)} columns, its first row has {len(first)}.", "Name every column."
        )
    return header


def _refuse_nameless(path: Path, header: list[str]) -> None:
    if any(not name.strip() for name in header):
        raise UsageError(
            f"{path}: column {[bool(name.strip()) for name in header].index(False) + 1} has no name in the header.",
            "Name it, or leave it out; pandas writes such a column unless told `to_csv(…, index=False)`.",
        )


def _open_text(path: Path) -> IO[str]:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _as_dates(values: pd.Series) -> pd.Series:
    present = values.dropna()
    if present.empty or not present.astype(str).str.fullmatch(ISO_DATE.pattern).all():
        return values
    return pd.to_datetime(values, format="ISO8601", utc=True, errors="coerce") if _valid_dates(present) else values


def _valid_dates(present: pd.Series) -> bool:
    return not pd.to_datetime(present, format="ISO8601", utc=True, errors="coerce").isna().any()
