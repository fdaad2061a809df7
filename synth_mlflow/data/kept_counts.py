"""Counts of pieces that are kept between calls: models, checks and sweeps count the same texts again and again."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer

from synth_mlflow.data.hashed_counts import Matrix, hashed_counts

MAX_KEPT = 2**24  # places with their counts: 128 MB

Row = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]


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
    rows = _kept.of(vectorizer, texts)
    sizes = np.cumsum([0, *(len(places) for places, _ in rows)])
    places = np.concatenate([np.zeros(0, np.int32), *(places for places, _ in rows)])
    counts = np.concatenate([np.zeros(0, np.float32), *(counts for _, counts in rows)])
    return sparse.csr_matrix((counts.astype(vectorizer.dtype), places, sizes), (len(rows), vectorizer.n_features))


class _RowCache:
    """What was counted in texts, by how it was counted."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Row] = {}
        self._n_kept = 0
        self._lock = threading.Lock()

    def of(self, vectorizer: HashingVectorizer, texts: Sequence[str]) -> list[Row]:
        how = repr(vectorizer)
        rows = {text: self._rows.get((how, text)) for text in texts}
        new = [text for text, row in rows.items() if row is None]
        if new:
            counted = _split(hashed_counts(vectorizer, new))
            rows |= dict(zip(new, counted, strict=True))
            self._keep({(how, text): row for text, row in zip(new, counted, strict=True)})
        return [row for text in texts if (row := rows[text]) is not None]

    def _keep(self, rows: dict[tuple[str, str], Row]) -> None:
        n_new = sum(len(places) for places, _ in rows.values())
        with self._lock:  # fits run in threads
            if self._n_kept + n_new > MAX_KEPT:
                self._rows, self._n_kept = {}, 0
            if n_new <= MAX_KEPT:
                self._rows.update(rows)
                self._n_kept += n_new


_kept = _RowCache()


def _split(matrix: Matrix) -> list[Row]:
    ends = matrix.indptr[1:-1]
    places = np.split(matrix.indices.astype(np.int32), ends)
    return list(zip(places, np.split(matrix.data.astype(np.float32), ends), strict=True))
