"""Texts that are nearly equal: how much of the pieces of one stands in another, and where the nearest ones are.

A text is the set of its pieces of five letters within words, each weighed by how few real texts have it. An edit, a
typing error or another order of the clauses leaves most pieces as they are; two texts that people wrote on one subject
share few that are rare.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer

from synth_mlflow.data.kept_counts import kept_counts

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Pieces = Any  # a sparse matrix of shape (n_texts, 2^20), or an array of vectors of unit length

LENGTH = 5  # letters of a piece
PLACES = 2**20  # that pieces are hashed to
COMMON = 0.1  # of the real texts: pieces that more of them have name no text
MAX_LETTERS = 20_000  # of a text that is looked at
BLOCK_ROWS = 500
NATURAL_SHARES = (0.05, 0.01, 0.002)  # of real texts that have as near a vector among other real texts


@dataclass(frozen=True)
class TextPieces:
    """The weights of pieces, learned from real texts."""

    weights: Floats
    """Of shape (2^20,): the inverse document frequency."""
    rare: npt.NDArray[np.float32]
    """Of shape (2^20,): 1 for pieces that few real texts have, else 0."""

    @classmethod
    def learn(cls, texts: pd.Series) -> TextPieces:
        """From real texts.

        Notes
        -----
        K. Spärck Jones, Journal of Documentation 28 (1972): the logarithm of how many texts there are for one that has
        the piece.
        """
        return cls.of_counts(counted(texts))

    @classmethod
    def of_counts(cls, *tables: Pieces) -> TextPieces:
        """From what :func:`counted` says of real texts."""
        totals = np.sum([np.asarray(counts.sum(axis=0)).ravel() for counts in tables], axis=0)
        n_texts = sum(counts.shape[0] for counts in tables)
        weights = np.log((1 + n_texts) / (1 + np.maximum(totals, 1)))  # a new piece weighs as much as one seen once
        return cls(weights, (totals <= max(COMMON * n_texts, 2)).astype(np.float32))

    def pieces(self, texts: pd.Series) -> Pieces:
        """Texts as rows of unit length; common pieces count for the length, and are left out after it."""
        return self.weighed(counted(texts))

    def weighed(self, counts: Pieces) -> Pieces:
        """The same from what :func:`counted` says of the texts."""
        weights = self.weights.astype(np.float32)[counts.indices]
        weighed = sparse.csr_matrix((weights, counts.indices, counts.indptr), counts.shape)
        length = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
        weighed.data *= self.rare[counts.indices] / np.repeat(np.where(length > 0, length, 1), np.diff(counts.indptr))
        weighed.eliminate_zeros()
        return weighed


def counted(texts: pd.Series) -> Pieces:
    """Which pieces each text has; a missing text has none."""
    vectorizer = HashingVectorizer(
        analyzer="char_wb",
        ngram_range=(LENGTH, LENGTH),
        n_features=PLACES,
        binary=True,
        norm=None,
        alternate_sign=False,
        dtype=np.float32,
    )
    return kept_counts(vectorizer, texts.fillna("").astype(str).str.slice(0, MAX_LETTERS).tolist())


@dataclass(frozen=True)
class Nearest:
    """Of each text, the nearest one among others."""

    similarity: Floats
    """Of shape (n_texts,): the cosine, 1 for equal texts; 0 where none shares a rare piece."""
    place: Places
    """Of shape (n_texts,): where among the others it stands."""


def nearest_texts(texts: Pieces, others: Pieces, *, own: Places | None = None) -> Nearest:
    """The nearest of ``others`` for each text.

    Parameters
    ----------
    texts, others : sparse matrix of shape (n_texts, 2^20), or array of shape (n_texts, n_dimensions)
        As :meth:`TextPieces.pieces` gives them, or vectors of unit length by an embedding.
    own : array of shape (n_texts,), optional
        Where each text stands among the others itself; it does not count.

    Examples
    --------
    >>> real = pd.Series(["the cat sat on the mat", "dogs bark loudly at strangers", "rain fell on the roof all night"])
    >>> known = TextPieces.learn(real)
    >>> edited = known.pieces(pd.Series(["dogs bark quietly at strangers"]))
    >>> found = nearest_texts(edited, known.pieces(real))
    >>> int(found.place[0]), bool(found.similarity[0] > 0.5)
    (1, True)
    """
    blocks = list(_blocks(texts, others, own))
    if not blocks:
        return Nearest(np.zeros(0), np.zeros(0, dtype=np.int64))
    similarity, place = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return Nearest(similarity, place)


def _blocks(texts: Pieces, others: Pieces, own: Places | None) -> Iterator[tuple[Floats, Places]]:
    if isinstance(texts, np.ndarray):
        yield from _blocks_of_vectors(texts, others, own)
        return
    turned = others.T.tocsc()
    for start in range(0, texts.shape[0], BLOCK_ROWS):
        shared = (texts[start : start + BLOCK_ROWS] @ turned).tocsr()
        if own is not None:
            pairs = shared.tocoo()
            apart = own[start + pairs.row] != pairs.col
            shared = sparse.csr_matrix((pairs.data[apart], (pairs.row[apart], pairs.col[apart])), shared.shape)
        best = np.asarray(shared.max(axis=1).todense(), dtype=np.float64).ravel()
        yield best, np.asarray(shared.argmax(axis=1), dtype=np.int64).ravel()


def _blocks_of_vectors(texts: Pieces, others: Pieces, own: Places | None) -> Iterator[tuple[Floats, Places]]:
    for start in range(0, len(texts), BLOCK_ROWS):
        shared = texts[start : start + BLOCK_ROWS] @ others.T
        if own is not None:
            shared[np.arange(len(shared)), own[start : start + BLOCK_ROWS]] = -1
        yield shared.max(axis=1).astype(np.float64), shared.argmax(axis=1)


def rare_similarities(by_nature: Floats) -> list[float]:
    """The cosines that some shares of real texts reach with their nearest other real text: vectors have no scale."""
    return [float(np.quantile(by_nature, 1 - share)) for share in NATURAL_SHARES]
