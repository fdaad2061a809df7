"""Kinds of files that hold a table: what they are called, how they are opened, and the cells of those that have types.

Typed are Parquet (a file, a folder of files or a pattern such as ``rows/*.parquet``), Feather and JSON lines; the cells
of CSV and TSV are texts, see :mod:`synth_mlflow.data.csv_format`.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pyarrow.feather as pa_feather
import pyarrow.parquet as pq

from synth_mlflow.data.json_lines import OPENERS, json_lines
from synth_mlflow.data.mapped import frame_of, is_large
from synth_mlflow.errors import UsageError

TEXT_SUFFIXES = tuple(f".{kind}{packed}" for kind in ("csv", "tsv") for packed in ("", *OPENERS))
JSON_SUFFIXES = tuple(f".{kind}{packed}" for kind in ("jsonl", "ndjson") for packed in ("", *OPENERS))
FEATHER_SUFFIXES = (".feather", ".arrow")
PARQUET = ".parquet"
SUFFIXES = (*TEXT_SUFFIXES, PARQUET, *FEATHER_SUFFIXES, *JSON_SUFFIXES)
USUAL = ".csv, .tsv (also .gz, .bz2, .xz), .parquet (also a folder of such files), .feather, .jsonl"
PIECE_ROWS = 100_000
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_INDEX = re.compile(r"__index_level_\d+__")  # by pandas, in place of an index without a name


def suffix_of(path: Path) -> str:
    """What kind of table a path names, by its ending; a folder and a pattern hold Parquet files.

    Raises
    ------
    UsageError
        If nothing is there, or no table.
    """
    if path.is_dir() or _is_pattern(path):
        parquet_files(path)
        return PARQUET
    if not path.is_file():
        raise UsageError(f"there is no file {path}.", f"Give the path of a table: {USUAL}.")
    name = path.name.lower()
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.endswith(suffix):
            return suffix
    raise UsageError(f"{path} is not a kind of table that is read here.", f"Convert it to one of {USUAL}.")


def is_typed(path: Path) -> bool:
    """Whether the cells of a table have types, and are not all texts."""
    return suffix_of(path) not in TEXT_SUFFIXES


def is_packed(path: Path) -> bool:
    """Whether a file unfolds to more than it has."""
    return path.suffix.lower() in OPENERS


def parquet_files(path: Path) -> list[Path]:
    """The Parquet files that a path names, in the order of their names; hidden ones and those of Spark are left out.

    Raises
    ------
    UsageError
        If there is none.
    """
    if path.is_file():
        return [path]
    base, paths = _base(path), path.rglob(f"*{PARQUET}")
    if _is_pattern(path):
        paths = (Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 - an absolute pattern
    files = sorted(each for each in paths if each.is_file() and not _is_hidden(each, base))
    if not files:
        what = "no file has this pattern" if _is_pattern(path) else "the folder holds no Parquet file"
        raise UsageError(f"{path}: {what}.", f"Give the path of a table: {USUAL}.")
    other = [each for each in files if not each.name.lower().endswith(PARQUET)]
    if other:
        raise UsageError(
            f"{path} names {other[0].name}, and of several files only Parquet is read.",
            f"Name one file, or a pattern that ends in {PARQUET}.",
        )
    return files


def _is_pattern(path: Path) -> bool:
    return not path.exists() and any(mark in str(path) for mark in "*?[")


def _base(path: Path) -> Path:
    """The folder that names of partitions are relative to."""
    if not _is_pattern(path):
        return path
    plain = [part for part in path.parents if not any(mark in str(part) for mark in "*?[")]
    return plain[0]


def _is_hidden(path: Path, base: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.relative_to(base).parts)


def read_typed(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A typed table as pandas reads it, but with exact whole numbers beside missing values, and decimals by type."""
    if path.is_file() and path.name.lower().endswith(PARQUET) and columns is None:
        return read_parquet(path)
    parts = [exact_pandas(piece, ignore_metadata=True) for piece in typed_pieces(path, columns)]
    if len(parts) == 1:
        return parts[0]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=typed_names(path))


def parquet_shape(path: Path) -> tuple[int, int]:
    """Rows and columns of what a path names, from the footers of its Parquet files."""
    footers = [pq.read_metadata(each) for each in parquet_files(path)]
    return sum(footer.num_rows for footer in footers), max(footer.num_columns for footer in footers)


def typed_columns(path: Path) -> list[str]:
    """The columns that `read_typed` gives for Parquet files."""
    if not path.is_file():
        return typed_names(path)
    return [str(name) for name in pq.read_schema(path).empty_table().to_pandas().columns]


def read_column(path: Path, name: str) -> pd.Series:
    """One column of Parquet files, as `read_typed` gives it in the whole table."""
    frame = read_parquet(path, [name]) if path.is_file() else read_typed(path, [name])
    return frame[name]


def typed_names(path: Path) -> list[str]:
    """The columns of a typed table."""
    if suffix_of(path) == PARQUET:
        return [name for name in _dataset(path).schema.names if path.is_file() or not _INDEX.fullmatch(name)]
    return list(_whole(path).column_names)


def typed_pieces(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """A typed table in pieces, as Arrow holds it; Parquet is never in memory as a whole."""
    if suffix_of(path) == PARQUET:
        columns = typed_names(path) if columns is None else list(columns)
        for batch in _dataset(path).to_batches(columns=columns, batch_size=PIECE_ROWS, use_threads=False):
            if batch.num_rows:
                yield pa.Table.from_batches([batch])
        return
    table = _whole(path)
    yield table if columns is None else table.select(list(columns))


def _dataset(path: Path) -> pa_dataset.Dataset:
    """Several Parquet files as one table, with the columns that names of folders such as ``year=2024`` give."""
    files = parquet_files(path)
    base = _base(path) if not path.is_file() else path.parent
    hive = None if path.is_file() else _partitioning(files, base)
    return pa_dataset.dataset(
        [str(each) for each in files], format="parquet", partitioning=hive, partition_base_dir=str(base)
    )


def _partitioning(files: Sequence[Path], base: Path) -> pa_dataset.Partitioning:
    """The columns that names of folders give: whole numbers, else texts; ``zip=01067`` is a text and keeps its zero."""
    values: dict[str, set[str]] = {}
    for part in dict.fromkeys(part for each in files for part in each.relative_to(base).parts[:-1] if "=" in part):
        name, _, value = part.partition("=")
        values.setdefault(unquote(name), set()).add(value)
    kinds = {name: pa.int64() if all(map(_is_whole, texts)) else pa.string() for name, texts in values.items()}
    return pa_dataset.partitioning(pa.schema(list(kinds.items())), flavor="hive")


def _is_whole(text: str) -> bool:
    """Whether a value is a number that is written back as the same text, or missing."""
    return text == _NO_VALUE or (re.fullmatch(r"0|-?[1-9]\d{0,17}", text) is not None)


def _whole(path: Path) -> pa.Table:
    if suffix_of(path) in FEATHER_SUFFIXES:
        return pa_feather.read_table(path, memory_map=False)
    return json_lines(path)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A Parquet file as pandas reads it, but with exact whole numbers beside missing values, and decimals by type."""
    if columns is None and is_large(*parquet_shape(path)):
        names = typed_columns(path)
        return frame_of(((name, read_column(path, name)) for name in names), len(names))
    frame = pd.read_parquet(path, columns=None if columns is None else list(columns))
    for place in [at for at, dtype in enumerate(frame.dtypes) if isinstance(dtype, pd.StringDtype)]:
        pa.array(frame.iloc[:, place]).validate(full=True)  # texts of a damaged file may be no UTF-8
    return keep_exact(frame, pq.read_schema(path), lambda name: pq.read_table(path, columns=[name]).column(0))


def keep_exact(frame: pd.DataFrame, schema: pa.Schema, column: Callable[[str], pa.ChunkedArray]) -> pd.DataFrame:
    """The frame, with whole numbers that pandas has read as floats, beside missing values, and decimals, put in exact.

    ``schema`` has the types of the file, and ``column`` gives its values by the name of a column.
    """
    for name in [each for each in frame.columns if str(each) in schema.names]:
        kind = schema.field(str(name)).type
        if (frame[name].dtype == "float64" and pa.types.is_integer(kind)) or pa.types.is_decimal(kind):
            frame[name] = _exact(column(str(name))).set_axis(frame.index).rename(name)
    return frame


def _exact(column: pa.ChunkedArray) -> pd.Series:
    """Whole numbers that may be missing, and decimals, in a type of pandas that has each."""
    if pa.types.is_decimal(column.type):
        return pd.Series(column.to_pandas(types_mapper=pd.ArrowDtype))
    return pd.Series(column.to_pandas(types_mapper=_NULLABLE.get))


_NULLABLE = {
    pa.int8(): pd.Int8Dtype(), pa.int16(): pd.Int16Dtype(), pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(), pa.uint16(): pd.UInt16Dtype(), pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}  # fmt: skip


def exact_pandas(table: pa.Table, *, ignore_metadata: bool = False) -> pd.DataFrame:
    """An Arrow table in pandas, whole numbers beside missing values exact."""
    table.validate(full=True)  # texts of a damaged file may be no UTF-8
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=ignore_metadata)
    return keep_exact(frame, table.schema, table.column)
