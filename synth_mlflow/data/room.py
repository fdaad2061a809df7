"""Room in memory: a small file may hold a table that no machine can, so it is asked how large it is first."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pyarrow.parquet as pq

from synth_mlflow.errors import UsageError

BYTES_PER_CELL = 8  # of a number; a text takes more
PIECE = 1 << 22


def refuse_larger_than_memory(path: Path, *, room: int | None = None) -> None:
    """Refuse a compressed file whose content would not fit into this machine's memory.

    Parameters
    ----------
    path : Path
        A Parquet file, or a gzipped text.
    room : int, optional
        Bytes; by default what the machine has.

    Raises
    ------
    UsageError
        With both sizes.
    """
    room = memory() if room is None else room
    name = path.name.lower()
    needed = 0
    if name.endswith(".parquet"):
        needed = _parquet_bytes(path)
    elif name.endswith(".gz"):
        needed = _text_bytes(path, room)
    if needed > room:
        raise UsageError(
            f"{path} has {path.stat().st_size:,} bytes and unfolds to {needed:,} or more; this machine has {room:,}.",
            "Give fewer rows, or use a larger machine.",
        )


def memory() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _parquet_bytes(path: Path) -> int:
    """The lower bound of a table in memory, from the file's footer alone."""
    footer = pq.read_metadata(path)
    groups = sum(footer.row_group(at).total_byte_size for at in range(footer.num_row_groups))
    return int(max(footer.num_rows * footer.num_columns * BYTES_PER_CELL, groups))


def _text_bytes(path: Path, room: int) -> int:
    """How long a gzipped text is, looked at no further than the room there is."""
    total = 0
    with gzip.open(path) as text:
        while total <= room and (piece := text.read(PIECE)):
            total += len(piece)
    return total
