"""Counts of words and pieces of words, hashed once for each text however many fits read it.

Both classes are of use while a process fits many models on parts of one table. Copies of them, and what is pickled or
saved of them, are the plain classes of scikit-learn that they derive from, and do the same.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.feature_selection import VarianceThreshold

MAX_KEPT = 2**23  # places with their counts that are kept between calls: 64 MB
FREE = 1  # the protocol of pickle that does not compare classes

_Row = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]


class Counts(HashingVectorizer):  # type: ignore[misc]
    """A :class:`HashingVectorizer` without a norm that keeps what it has counted.

    Cross-validation, the arms of a check and the ratios of a sweep count the same texts again and again.

    Examples
    --------
    >>> import copy
    >>> counts = Counts(norm=None)
    >>> int(counts.transform(["one two two"]).max()), type(copy.copy(counts)).__name__
    (2, 'HashingVectorizer')
    """

    def transform(self, X: Iterable[str]) -> Any:
        """A sparse matrix of shape (n_texts, n_features)."""
        texts = list(X)
        if not texts or self.norm is not None:
            return super().transform(texts)
        rows = _kept.of(repr(self), texts, super().transform)
        sizes = np.cumsum([0, *(len(places) for places, _ in rows)])
        places, counts = (np.concatenate(part) for part in zip(*rows, strict=True))
        return sparse.csr_matrix((counts.astype(self.dtype), places, sizes), (len(texts), self.n_features))

    def __reduce_ex__(self, protocol: Any) -> Any:
        return HashingVectorizer(**self.get_params()).__reduce_ex__(FREE)


class Seen(VarianceThreshold):  # type: ignore[misc]
    """Leaves out the places that no text has which is learned from.

    Most of the places are such; the solver would carry a weight of zero along for each of them. Other than its base
    class it keeps what all texts have, and everything where there is nothing to keep.
    """

    def fit(self, X: Any, y: Any = None) -> Seen:  # noqa: ARG002 (scikit-learn passes it)
        """Learn from a sparse matrix of shape (n_texts, n_features)."""
        seen = X.getnnz(axis=0) > 0
        self.n_features_in_ = X.shape[1]
        self.variances_ = seen.astype(np.float64) if seen.any() else np.ones(len(seen))
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        plain = VarianceThreshold(self.threshold)
        vars(plain).update(vars(self))
        return plain.__reduce_ex__(FREE)


class _Kept:
    """What was counted in texts, by how it was counted."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], _Row] = {}
        self._n_kept = 0
        self._lock = threading.Lock()

    def of(self, how: str, texts: Sequence[str], count: Any) -> list[_Row]:
        found = {text: self._rows.get((how, text)) for text in texts}
        new = [text for text, row in found.items() if row is None]
        if new:
            counted = _split(count(new))
            found |= dict(zip(new, counted, strict=True))
            self._keep({(how, text): row for text, row in zip(new, counted, strict=True)})
        return [found[text] for text in texts]  # type: ignore[misc]

    def _keep(self, rows: dict[tuple[str, str], _Row]) -> None:
        n_new = sum(len(places) for places, _ in rows.values())
        with self._lock:  # fits run in threads
            if self._n_kept + n_new > MAX_KEPT:
                self._rows, self._n_kept = {}, 0
            if n_new <= MAX_KEPT:
                self._rows.update(rows)
                self._n_kept += n_new


_kept = _Kept()


def _split(matrix: Any) -> list[_Row]:
    ends = matrix.indptr[1:-1]
    places = np.split(matrix.indices.astype(np.int32), ends)
    return list(zip(places, np.split(matrix.data.astype(np.float32), ends), strict=True))
