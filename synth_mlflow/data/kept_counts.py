"""Counts of pieces that are kept between calls: models, checks and sweeps count the same texts again and again.

A place and its count take 12 bytes in a sparse matrix. They are kept as the distance from the place before and a small
number, which is 3 bytes, and become a matrix only as many texts at a time as somebody asks for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer

from synth_mlflow.data.hashed_counts import Matrix, hashed_counts, parts

MAX_BYTES = 2**28  # of counts that are kept
LETTERS_AT_ONCE = 1_000_000  # that are counted
PLACES_AT_ONCE = 2**18  # that are made a matrix

NARROW = np.dtype([("gap", np.uint16), ("count", np.uint8)])
WIDE = np.dtype([("gap", np.int32), ("count", np.float32)])
Row = npt.NDArray[Any]
"""The distance of each place from the one before with its count: the bytes of `NARROW`, or `WIDE` where these are few.

One array for each text, since an array takes 150 bytes beside what it holds; of bytes, which NumPy joins faster.
"""


@dataclass(frozen=True)
class TextCounts:
    """What was counted in each of some texts."""

    rows: Sequence[Row]
    n_places: int
    dtype: Any

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """The number of places of each text."""
        return np.fromiter(map(_size, self.rows), np.int64, len(self.rows))

    def blocks(self) -> Iterator[tuple[int, int]]:
        """From which text to which, as many as are made a matrix at once."""
        return parts(self.sizes, PLACES_AT_ONCE)

    def matrix(self, start: int = 0, stop: int | None = None) -> Matrix:
        """Some of the texts as a sparse matrix of shape (n_texts, n_places), in ascending order of places."""
        some = TextCounts(self.rows[start:stop], self.n_places, self.dtype)
        ends = np.concatenate([[0], np.cumsum(some.sizes)])
        places, counts = np.empty(ends[-1], np.int32), np.empty(ends[-1], self.dtype)
        for first, last in some.blocks():
            cells, part = _cells(some.rows[first:last]), slice(ends[first], ends[last])
            places[part] = _places(cells["gap"], some.sizes[first:last])
            counts[part] = cells["count"]
        return sparse.csr_matrix((counts, places, ends), (len(some), self.n_places))


def kept_counts(vectorizer: HashingVectorizer, texts: Sequence[str]) -> Matrix:
    """As :func:`~synth_mlflow.data.hashed_counts.hashed_counts`, which is asked once for each text.

    Parameters
    ----------
    vectorizer : HashingVectorizer
        Without a norm.
    texts : sequence of str

    Examples
    --------
    >>> kept_counts(HashingVectorizer(norm=None, alternate_sign=False), ["one two two"]).max()
    np.float64(2.0)
    """
    return text_counts(vectorizer, texts).matrix()


def text_counts(vectorizer: HashingVectorizer, texts: Sequence[str]) -> TextCounts:
    """The same in little memory.

    Examples
    --------
    >>> counts = text_counts(HashingVectorizer(norm=None, alternate_sign=False), ["one two two", "", "three"])
    >>> counts.sizes.tolist(), counts.matrix(1, 3).shape
    ([2, 0, 1], (2, 1048576))
    """
    return TextCounts(_kept.of(vectorizer, texts), vectorizer.n_features, vectorizer.dtype)


def _size(row: Row) -> int:
    return len(row) if row.dtype == WIDE else len(row) // NARROW.itemsize


def _cells(rows: Sequence[Row]) -> npt.NDArray[Any]:
    """Rows one after another."""
    if any(row.dtype == WIDE for row in rows):
        return np.concatenate([row if row.dtype == WIDE else row.view(NARROW) for row in rows])
    return np.concatenate(rows).view(NARROW)


def _places(gaps: npt.NDArray[Any], sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The places of rows, one after another, from their distances."""
    reached = np.concatenate([[0], np.cumsum(gaps, dtype=np.int64)])
    places: npt.NDArray[np.int64] = reached[1:] - np.repeat(reached[np.cumsum(sizes) - sizes], sizes)
    return places


class _RowCache:
    """What was counted in texts, by how it was counted."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Row] = {}
        self._n_bytes = 0
        self._counting = threading.Lock()  # fits run in threads

    def of(self, vectorizer: HashingVectorizer, texts: Sequence[str]) -> list[Row]:
        how = repr(vectorizer)
        rows = {text: self._rows.get((how, text)) for text in texts}
        new = [text for text, row in rows.items() if row is None]
        for start, stop in parts([*map(len, new)], LETTERS_AT_ONCE):
            with self._counting:  # another thread may be about to count the same texts
                rows |= self._counted(vectorizer, how, new[start:stop])
        return [row for text in texts if (row := rows[text]) is not None]

    def _counted(self, vectorizer: HashingVectorizer, how: str, texts: Sequence[str]) -> dict[str, Row]:
        known = {text: row for text in texts if (row := self._rows.get((how, text))) is not None}
        new = [text for text in texts if text not in known]
        rows = dict(zip(new, _split(hashed_counts(vectorizer, new)), strict=True)) if new else {}
        self._keep({(how, text): row for text, row in rows.items()})
        return known | rows

    def _keep(self, rows: dict[tuple[str, str], Row]) -> None:
        n_new = sum(row.nbytes for row in rows.values())
        if self._n_bytes + n_new > MAX_BYTES:
            self._rows, self._n_bytes = {}, 0
        if n_new <= MAX_BYTES:
            self._rows.update(rows)
            self._n_bytes += n_new


_kept = _RowCache()


def _split(matrix: Matrix) -> list[Row]:
    """The rows of a matrix, whose places ascend."""
    gaps = np.diff(matrix.indices, prepend=0)
    starts = matrix.indptr[:-1][np.diff(matrix.indptr) > 0]
    gaps[starts] = matrix.indices[starts]
    cells = np.empty(len(gaps), NARROW if _fits(gaps, "gap") and _fits(matrix.data, "count") else WIDE)
    cells["gap"], cells["count"] = gaps, matrix.data
    if cells.dtype == WIDE:
        return np.split(cells, matrix.indptr[1:-1])
    return np.split(cells.view(np.uint8), matrix.indptr[1:-1] * NARROW.itemsize)


def _fits(numbers: npt.NDArray[Any], name: str) -> bool:
    limits = np.iinfo(NARROW[name])
    return not numbers.size or bool(limits.min <= numbers.min() and numbers.max() <= limits.max)
