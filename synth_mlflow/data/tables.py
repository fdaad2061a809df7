"""Read and write tables: the files of :mod:`synth_mlflow.data.table_files` and all addresses in, Parquet out.

Room in memory: a small file may hold a table that no machine can, so it is asked how large it is first.
"""

from __future__ import annotations

import csv
import lzma
import shutil
import tempfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from synth_mlflow.data.addresses import Place
from synth_mlflow.data.columns import Schema, as_kind, check_names, conform, normalise
from synth_mlflow.data.conversation_text import canonical, looks_like_conversation, without_gaps
from synth_mlflow.data.csv_format import CsvFormat, copy_command, csv_format, read_texts
from synth_mlflow.data.json_lines import is_long, json_lines, line_style, open_bytes
from synth_mlflow.data.mapped import BYTES_PER_CELL, frame_of, is_large, let_go, mapped
from synth_mlflow.data.schema import TableSchema, Wishes
from synth_mlflow.data.schema_inference import RawTable, infer_table
from synth_mlflow.data.sources.copies import opened
from synth_mlflow.data.table_files import (
    FEATHER_SUFFIXES,
    JSON_SUFFIXES,
    PARQUET,
    PIECE_ROWS,
    exact_pandas,
    is_packed,
    is_typed,
    parquet_files,
    parquet_shape,
    read_column,
    read_typed,
    suffix_of,
    typed_columns,
    typed_names,
    typed_pieces,
)
from synth_mlflow.errors import UsageError


def read_table(place: Place) -> pd.DataFrame:
    """A normalised table from a file; what is ambiguous in it stays text.

    Raises
    ------
    UsageError
        If the file is missing, empty, no table, or holds columns that no table here may have.
    """
    return infer_table(raw_table(place), Wishes()).rows


def raw_table(
    place: Place, *, separator: str | None = None, encoding: str | None = None, quote: str | None = None
) -> RawTable:
    """A table as its file holds it: the texts of a CSV file, the types of one that has types.

    Raises
    ------
    UsageError
        If the file is missing, empty, or no table.
    """
    with opened(place) as path:
        return _raw_table(path, separator=separator, encoding=encoding, quote=quote)


def _raw_table(path: Path, **told: str | None) -> RawTable:
    typed = is_typed(path)
    with _readable(path):
        refuse_larger_than_memory(path)
        if typed:
            lines = line_style(path) if suffix_of(path) in JSON_SUFFIXES else None
            raw = RawTable(_typed_columns(path), lines=lines)
        else:
            form = csv_format(path, **told)
            texts = read_texts(path, form)
            _refuse_nameless(path, form, texts.column_names)
            raw = RawTable(dict(zip(texts.column_names, texts.columns, strict=True)), form)
    n_rows = len(next(iter(raw.columns.values()))) if raw.columns else 0
    if not n_rows:
        raise _no_rows(path)
    if suffix_of(path) != PARQUET and is_large(n_rows, len(raw.columns)):
        _refuse_many_rows(path, (n_rows, len(raw.columns)), memory())  # known only once the file was read
    return raw


def read_as(
    place: Place, schema: Schema, *, csv: CsvFormat | None = None, ignored: Collection[str] = ()
) -> pd.DataFrame:
    """A table from a file, read by a schema that is known; with exactly its columns.

    Parameters
    ----------
    place : Path or Address
    schema : Schema
    csv : CsvFormat, optional
        How a CSV file is written; found out where it is not given.
    ignored : collection of str
        Columns that the file may have besides.

    Raises
    ------
    UsageError
        If the file cannot be read, or does not have the columns and kinds of the schema; all are named at once.
    """
    style = {} if csv is None else {"separator": csv.separator, "encoding": csv.encoding, "quote": csv.quote}
    rows = given_rows(raw_table(place, **style))
    return conform(rows.drop(columns=[name for name in ignored if name in rows]), schema, str(place))


def read_real(place: Place, table: TableSchema) -> pd.DataFrame:
    """The real rows that a schema was inferred from, or others of it; without the ignored columns."""
    ignored = [column.name for column in table.columns if column.role == "ignored"]
    with opened(place) as path:
        csv = None if is_typed(path) else table.csv
    return read_as(place, table.schema, csv=csv, ignored=ignored)


def given_rows(raw: RawTable) -> pd.DataFrame:
    """A raw table as a frame; the cells of a CSV file are texts."""
    columns = (
        (name, column if isinstance(column, pd.Series) else pd.Series(column.to_pandas()).astype("str"))
        for name, column in raw.columns.items()
    )
    return frame_of(((name, column.reset_index(drop=True)) for name, column in columns), len(raw.columns))


class _FileColumns(Mapping[str, pd.Series]):
    """The columns of Parquet files, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path, self._names = path, typed_columns(path)

    def __getitem__(self, name: str) -> pd.Series:
        if name not in self._names:
            raise KeyError(name)
        with _readable(self._path):
            return _with_turns(read_column(self._path, name))

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _ArrowColumns(Mapping[str, pd.Series]):
    """The columns of an Arrow table, each made when it is asked for."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __getitem__(self, name: str) -> pd.Series:
        if name not in self._table.column_names:
            raise KeyError(name)
        return _with_turns(exact_pandas(self._table.select([name]), ignore_metadata=True)[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.column_names)

    def __len__(self) -> int:
        return int(self._table.num_columns)


def _typed_columns(path: Path) -> Mapping[str, pd.Series]:
    """The columns of a file with types; of a long one each is made when it is asked for."""
    if suffix_of(path) in JSON_SUFFIXES and is_long(path):
        table = json_lines(path)
        check_names(table.column_names)
        return _ArrowColumns(table)
    return _column_by_column(path) or _named(read_typed(path))


def _column_by_column(path: Path) -> _FileColumns | None:
    """The columns of a Parquet table that is larger than what is held in memory; None for any other."""
    if suffix_of(path) != PARQUET or not is_large(*parquet_shape(path)):
        return None
    file_columns = _FileColumns(path)
    check_names(list(file_columns))
    return file_columns


def _named(frame: pd.DataFrame) -> dict[str, pd.Series]:
    check_names(frame.columns)
    return {str(name): _with_turns(frame[name]) for name in frame.columns}


def _with_turns(column: pd.Series) -> pd.Series:
    """Lists of turns, as Parquet holds them, as canonical texts; any other column as it is."""
    if not pd.api.types.is_object_dtype(column.dtype):
        return column
    first = next((cell for cell in column if cell is not None), None)
    if not isinstance(first, list | np.ndarray) or not looks_like_conversation(list(first)):
        return column
    return column.map(lambda cell: None if cell is None else canonical(without_gaps(list(cell)))).astype("str")


def table_pieces(place: Place) -> Iterator[pd.DataFrame]:
    """The rows of a file in pieces, as it holds them: Parquet is never in memory as a whole, other files are.

    Raises
    ------
    UsageError
        As in `read_table`.
    """
    with opened(place) as path:
        if suffix_of(path) != PARQUET:
            yield given_rows(_raw_table(path))
            return
        n_rows = 0
        with _readable(path):
            for rows in _parquet_pieces(path):
                n_rows += len(rows)
                yield rows.reset_index(drop=True)
        if not n_rows:
            raise _no_rows(path)


def _parquet_pieces(path: Path) -> Iterator[pd.DataFrame]:
    if not path.is_file():
        yield from (exact_pandas(piece, ignore_metadata=True) for piece in typed_pieces(path))
        return
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(PIECE_ROWS):
            yield exact_pandas(pa.Table.from_batches([batch]))


def read_known(place: Place, schema: Schema) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """What a file has of a schema's columns, cells as they are written, and the names of its other columns.

    The table is not normalised: the other columns may hold anything, a nameless index among them.

    Raises
    ------
    UsageError
        If the file is missing, or no table.
    """
    with opened(place) as path:
        return _read_with_schema(path, schema)


def _read_with_schema(path: Path, schema: Schema) -> tuple[pd.DataFrame, tuple[str, ...]]:
    typed = is_typed(path)
    with _readable(path):
        if typed:
            names = typed_names(path)
            known = [name for name in names if name in schema.kinds]
            frame = read_typed(path, known)
        else:
            texts = read_texts(path, csv_format(path))
            names = texts.column_names
            known = [name for name in names if name in schema.kinds]
            frame = given_rows(RawTable({name: texts.column(name) for name in known}))
    return frame, tuple(name for name in names if name not in schema.kinds)


def write_parquet(frame: pd.DataFrame, path: Path, metadata: Mapping[bytes, bytes] | None = None) -> None:
    """Write a normalised table, with further key-value metadata in the file itself."""
    schema = pa.Schema.from_pandas(frame, preserve_index=False)
    schema = schema.with_metadata({**(schema.metadata or {}), **(metadata or {})})
    with pq.ParquetWriter(path, schema) as file:
        for at in range(0, max(len(frame), 1), ROWS_A_GROUP):
            part = pa.Table.from_pandas(frame.iloc[at : at + ROWS_A_GROUP], schema, preserve_index=False)
            file.write_table(part.replace_schema_metadata(schema.metadata), ROWS_A_GROUP)
            let_go()


def file_metadata(place: Place) -> dict[bytes, bytes]:
    """The key-value metadata of a Parquet file; empty for any other kind of file."""
    with opened(place) as path:
        if path.is_dir() or not path.name.lower().endswith(PARQUET):
            return {}
        with _readable(path):
            return dict(pq.read_schema(path).metadata or {})


def restore(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """A table read back from Parquet, with the physical types that its schema asks for; what was damaged stays so."""
    table = normalise(frame)[schema.columns]
    for name, form in schema.forms.items():
        with suppress(ValueError):
            converted = as_kind(table[name], schema[name], form)
            table[name] = mapped(converted) if is_large(*table.shape) else converted
    return table


def _no_rows(path: Path) -> UsageError:
    return UsageError(f"{path} holds no rows.", "Give a table with a header and at least one row.")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turns what the parsers raise on a damaged file into one message."""
    try:
        yield
    except (ValueError, OSError, EOFError, csv.Error, zlib.error, lzma.LZMAError, pa.ArrowException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"{path} cannot be read: {reason}.", "Save it again as UTF-8 CSV with one header line, or as Parquet."
        ) from error


def _refuse_nameless(path: Path, form: CsvFormat, header: list[str]) -> None:
    if all(name.strip() for name in header):
        return
    at = [bool(name.strip()) for name in header].index(False)
    sentence = f"{path}: column {at + 1} has no name in the header"
    if at == 0:
        raise UsageError(
            f"{sentence}; pandas and R write their row numbers so.",
            f"Name it, or leave it out: {copy_command(path, form, 'index_col=0')}.",
        )
    raise UsageError(f"{sentence}.", f"Name it in the header, or as pandas does: {copy_command(path, form)}.")


ROWS_A_GROUP = 1_048_576  # of the Parquet files that are written
PIECE = 1 << 22


BYTES_PER_ROW = 130  # of memory that `freeze` takes for each row of a table that is mapped: docs/method/scale.md
BYTES_AT_LEAST = 400 * 2**20  # of the process
MAPPED_COPIES = 2.5  # of such a table in temporary files: its columns, and both sides of a split
TEXT_COPIES = 4  # of a long CSV file or one of JSON lines: its texts, and the table in mapped files
GIB = 2**30


def refuse_larger_than_memory(path: Path, *, room: int | None = None, disk: int | None = None) -> None:
    """Refuse a table that this machine's memory, or its disk for temporary files, has no room for.

    Parameters
    ----------
    path : Path
        Parquet, a file that is packed, or a long one of texts; others are no larger than they look.
    room : int, optional
        Bytes of memory; by default what the machine has.
    disk : int, optional
        Bytes for temporary files; by default those that are free.

    Raises
    ------
    UsageError
        With both sizes.
    """
    room = memory() if room is None else room
    needed = 0
    if suffix_of(path) == PARQUET:
        shape, needed = parquet_shape(path), sum(map(_parquet_bytes, parquet_files(path)))
        if is_large(*shape):
            disk = shutil.disk_usage(tempfile.gettempdir()).free if disk is None else disk
            _refuse_large(path, shape, needed, room, disk)
            return
    elif suffix_of(path) not in FEATHER_SUFFIXES and is_long(path):
        disk = shutil.disk_usage(tempfile.gettempdir()).free if disk is None else disk
        size = _text_bytes(path, disk) if is_packed(path) else path.stat().st_size
        _refuse_without_disk(f"{path} holds {size:,} bytes of text or more: its cells", TEXT_COPIES * size, disk)
    elif is_packed(path):
        needed = _text_bytes(path, room)
    if needed > room:
        raise UsageError(
            f"{path} unfolds to {needed:,} bytes or more; this machine has {room:,}.",
            "Give fewer rows, or use a larger machine.",
        )


def _refuse_large(path: Path, shape: tuple[int, int], cells: int, room: int, disk: int) -> None:
    """Refuse a table that is mapped: memory for each row, whatever its columns, and the bytes of its cells on disk."""
    _refuse_many_rows(path, shape, room)
    _refuse_without_disk(f"{_shape_words(path, shape)}: they", MAPPED_COPIES * cells, disk)


def _refuse_many_rows(path: Path, shape: tuple[int, int], room: int) -> None:
    """Refuse a table that is mapped and has more rows than memory has room for, whatever their columns."""
    needed = shape[0] * BYTES_PER_ROW + BYTES_AT_LEAST
    if needed > room:
        raise UsageError(
            f"{_shape_words(path, shape)}: they take about {needed / GIB:.1f} GiB of memory ({BYTES_PER_ROW} bytes a "
            f"row), and this machine has {room / GIB:.1f} GiB.",
            "Give fewer rows, or use a machine with more memory.",
        )


def _refuse_without_disk(what: str, needed: float, disk: int) -> None:
    if needed > disk:
        raise UsageError(
            f"{what} take about {needed / GIB:.1f} GiB of temporary files, and {tempfile.gettempdir()} has "
            f"{disk / GIB:.1f} GiB free.",
            "Name a folder on a larger disk: `export TMPDIR=/path/to/folder`.",
        )


def _shape_words(path: Path, shape: tuple[int, int]) -> str:
    return f"{path} has {shape[0]:,} rows of {shape[1]:,} columns"


LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of a container


def memory() -> int:
    """Bytes of memory that this machine has, or that the container which this process runs in may use."""
    limits = [int(psutil.virtual_memory().total)]
    for limit in map(Path, LIMITS):
        with suppress(OSError, ValueError):  # no such file, or "max"
            limits.append(int(limit.read_text(encoding="ascii")))
    return min(limits)


def _parquet_bytes(path: Path) -> int:
    """The lower bound of a table in memory, from the file's footer alone."""
    footer = pq.read_metadata(path)
    groups = sum(footer.row_group(at).total_byte_size for at in range(footer.num_row_groups))
    return int(max(footer.num_rows * footer.num_columns * BYTES_PER_CELL, groups))


def _text_bytes(path: Path, room: int) -> int:
    """How long a packed text is, looked at no further than the room there is."""
    total = 0
    with open_bytes(path) as text:
        while total <= room and (piece := text.read(PIECE)):
            total += len(piece)
    return total
