"""Tables larger than memory: columns in temporary files that the operating system maps into memory.

Pages of such a file are read when they are looked at, and given up when memory is needed, so that a table of any
number of rows is used like any other. What is computed from a column takes memory still, one column at a time. The
files have no name any more once they are mapped: nothing is left of them when the process ends, however it ends.

While there are such files a thread looks at how many of their pages this process holds, and gives them back beyond
`HELD_BYTES`: the system would take them only once memory is short, and a limit for the whole process is reached before.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

MAPPED_BYTES = 128 * 2**20  # of numbers, from which on a table is mapped
BYTES_PER_CELL = 8  # of a number; a text takes more
HELD_BYTES = 192 * 2**20  # of pages of files, from which on they are given back
SECONDS_BETWEEN = 0.05  # of looking at them
_RESIDENT = Path("/proc/self/statm")  # of Linux: pages of the process, the third number is of those that lie in files

_maps: dict[int, tuple[int, int, weakref.ref[mmap.mmap]]] = {}
_keeper: threading.Thread | None = None
_starting = threading.Lock()


def is_large(n_rows: int, n_columns: int) -> bool:
    """Whether a table is kept in mapped files."""
    return n_rows * n_columns * BYTES_PER_CELL > MAPPED_BYTES


def frame_of(columns: Iterable[tuple[str, pd.Series]], n_columns: int, index: pd.Index | None = None) -> pd.DataFrame:
    """A table of columns that are made one after the other; mapped where it is large.

    Parameters
    ----------
    columns : iterable of (name, Series)
        Each is asked for once the one before it has been put away.
    n_columns : int
    index : Index, optional
    """
    by_name: dict[str, pd.Series] = {}
    large = False
    for name, column in columns:
        large = is_large(len(column), n_columns)
        by_name[name] = mapped(column) if large and isinstance(column, pd.Series) else column
        if large:
            let_go()
    return pd.DataFrame(by_name, index=index, copy=not large)


def taken(rows: pd.DataFrame, positions: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> pd.DataFrame:
    """The rows at some positions under a new index; mapped where they are many."""
    if not is_large(*rows.shape):
        return rows.iloc[positions].reset_index(drop=True)
    return frame_of(_taken_one_by_one(rows, positions), rows.shape[1])


def _taken_one_by_one(rows: pd.DataFrame, positions: npt.NDArray[Any]) -> Iterator[tuple[str, pd.Series]]:
    for name in rows:
        yield str(name), rows[name].iloc[positions].reset_index(drop=True)
        let_go()  # rows at random lie on nearly every page of a column


def mapped(column: pd.Series) -> pd.Series:
    """The same column in a mapped file; one that is in such a file already, or holds Python's objects, as it is."""
    put_away = _put_away(column.array, type(column.array))
    return column if put_away is None else pd.Series(put_away, index=column.index, name=column.name, copy=False)


def _put_away(values: Any, kind: Any) -> Any:
    """The values in a mapped file, in the array type that they have; None where they stay where they are."""
    made_of: Any = kind
    if kind in {pd.arrays.IntegerArray, pd.arrays.BooleanArray}:
        parts = values._data, values._mask
        return None if any(map(_stays, parts)) else made_of(*map(_mapped_array, parts))
    if kind is pd.arrays.ArrowStringArray:
        texts = values._pa_array
        buffers = [chunk.buffers()[2] for chunk in texts.chunks if len(chunk)]
        is_done = all(each is None or _is_mapped(each.address) for each in buffers)
        return None if is_done else made_of(_mapped_texts(texts), dtype=values.dtype)
    if kind in {pd.arrays.NumpyExtensionArray, pd.arrays.DatetimeArray}:
        plain = values.to_numpy()
        return None if plain.dtype.kind not in "biufM" or _stays(plain) else _mapped_array(plain)
    return None


def _stays(values: npt.NDArray[Any]) -> bool:
    return not values.size or _is_mapped(values.__array_interface__["data"][0])


def mapped_table(pieces: Iterable[pa.Table | pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    """An Arrow table in a mapped file, of pieces that are made one after the other."""

    def write(file: IO[bytes]) -> None:
        with pa.ipc.new_file(file, schema) as writer:
            for piece in pieces:
                writer.write(piece)

    return pa.ipc.open_file(pa.py_buffer(_map(write))).read_all()


def let_go() -> None:
    """Give back the memory of all mapped files that this process has looked at; they are read again when needed."""
    unneeded = getattr(mmap, "MADV_DONTNEED", None)  # Windows has none, and decides by itself
    for _, _, reference in list(_maps.values()):
        file = reference()
        if file is not None and unneeded is not None:
            file.madvise(unneeded)


def _give_back_pages() -> None:
    """Look at the pages of files that this process holds, as long as it has mapped any."""
    limit = HELD_BYTES
    while _is_needed():
        if _held_bytes() > limit:
            let_go()
            limit = max(HELD_BYTES, _held_bytes() + HELD_BYTES // 2)  # large libraries stay, and are no reason to look
        time.sleep(SECONDS_BETWEEN)


def _is_needed() -> bool:
    """Whether files are mapped; without any the thread ends, and says so before another file is."""
    global _keeper
    with _starting:
        if not _maps:
            _keeper = None
        return bool(_maps)


def _held_bytes() -> int:
    """Of resident pages that lie in files, those of libraries among them; 0 where the system does not say."""
    try:
        return int(_RESIDENT.read_bytes().split()[2]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _keep_few_pages() -> None:
    global _keeper
    with _starting:
        if _keeper is None or not _keeper.is_alive():
            _keeper = threading.Thread(target=_give_back_pages, name="synth-mlflow pages", daemon=True)
            _keeper.start()


def _mapped_array(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    as_bytes = np.ascontiguousarray(values).view(np.uint8)
    file = _map(lambda file: file.write(as_bytes.data))
    return np.frombuffer(file, dtype=np.uint8).view(values.dtype)


def _mapped_texts(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    table = pa.table({"texts": texts})
    return mapped_table([table], table.schema).column(0)


def _map(write: Callable[[IO[bytes]], Any]) -> mmap.mmap:
    with tempfile.TemporaryFile(prefix="synth-mlflow-") as file:
        write(file)
        file.flush()
        mapping = mmap.mmap(file.fileno(), 0)
    start = np.frombuffer(mapping, dtype=np.uint8).__array_interface__["data"][0]
    _maps[id(mapping)] = (start, start + len(mapping), weakref.ref(mapping))
    weakref.finalize(mapping, _maps.pop, id(mapping), None)
    _keep_few_pages()
    return mapping


def _is_mapped(address: int) -> bool:
    return any(start <= address < stop for start, stop, _ in _maps.values())
