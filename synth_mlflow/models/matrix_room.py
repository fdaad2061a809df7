"""Room for matrices of texts: fits that run at the same time wait for each other where theirs are large.

A matrix of 80,000 conversations takes about 1 GiB, and fits run on every core. What a fit gives does not depend on when
it runs.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import pandas as pd

MAX_BYTES = 2**30  # of matrices at the same time; a larger one is alone
LARGE_BYTES = 2**27  # of a matrix, before and after which memory is given back
BYTES_A_LETTER = 36  # at most: three pieces of words begin at a letter, each a place of 4 bytes with a value of 8


class MatrixRoom:
    """How many bytes are left, for fits in several threads."""

    def __init__(self, n_bytes: int) -> None:
        self._n_bytes = n_bytes
        self._n_taken = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, n_bytes: int) -> Iterator[None]:
        """Wait until so many bytes are left, or nobody else has any, and give them back at the end.

        Examples
        --------
        >>> room = MatrixRoom(100)
        >>> with room.taken(60), room.taken(40):
        ...     pass
        >>> with room.taken(1_000):
        ...     pass
        """
        needed = min(n_bytes, self._n_bytes)
        with self._changed:
            self._changed.wait_for(lambda: self._n_taken + needed <= self._n_bytes)
            self._n_taken += needed
        try:
            yield
        finally:
            with self._changed:
                self._n_taken -= needed
                self._changed.notify_all()


ROOM = MatrixRoom(MAX_BYTES)


def matrix_bytes(texts: pd.DataFrame) -> int:
    """At most how large the matrix of some columns of texts is.

    >>> matrix_bytes(pd.DataFrame({"said": ["abc", None], "heard": ["", "d"]}))
    144
    """
    return BYTES_A_LETTER * int(letters_of(texts).sum())


def letters_of(texts: pd.DataFrame) -> npt.NDArray[np.int64]:
    """How many letters the texts of each row have, of shape (n_rows,).

    >>> letters_of(pd.DataFrame({"said": ["abc", None], "heard": ["", "d"]})).tolist()
    [3, 1]
    """
    n_letters = np.zeros(len(texts), np.int64)
    for name in texts:
        n_letters += texts[name].map(len, na_action="ignore").fillna(0).to_numpy(np.int64)
    return n_letters


def give_back_memory() -> None:
    """Give freed memory back to the system, of which the allocator of glibc keeps much for each thread."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another allocator, or another system
        return
    trim(0)
