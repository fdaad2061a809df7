"""What :class:`~sklearn.feature_extraction.text.HashingVectorizer` counts in texts, with each piece hashed once.

Texts repeat their words and runs of letters. So pieces are numbered first, and only distinct ones become strings and
are hashed, by scikit-learn itself: the counts are equal, in about a tenth of the time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.preprocessing import normalize
from sklearn.utils import murmurhash3_32

Ints = npt.NDArray[np.int64]
Strings = npt.NDArray[np.object_]
Matrix = Any  # a sparse matrix of shape (n_texts, n_features)

SPACES = re.compile(r"\s\s+")  # which scikit-learn takes for one space
MOST_LETTERS = 4_000_000  # that are looked at at once, which bounds the memory


def hashed_counts(vectorizer: HashingVectorizer, texts: Sequence[str]) -> Matrix:
    """The counts that ``vectorizer.transform(texts)`` gives, in ascending order of the places of each row.

    Parameters
    ----------
    vectorizer : HashingVectorizer
        With one of the three analyzers that have a name, and no words left out. With alternating signs, places whose
        counts cancel out may be left out.
    texts : sequence of str

    Examples
    --------
    >>> vectorizer = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 3), norm=None, alternate_sign=False)
    >>> texts = ["Zwei Worte", "zwei  andere", ""]
    >>> int(abs(hashed_counts(vectorizer, texts) - vectorizer.transform(texts)).sum())
    0
    """
    blocks = [_of_block(vectorizer, texts[start:stop]) for start, stop in parts([*map(len, texts)], MOST_LETTERS)]
    if not blocks:
        return sparse.csr_matrix((0, vectorizer.n_features), dtype=vectorizer.dtype)
    counts = blocks[0] if len(blocks) == 1 else sparse.vstack(blocks, format="csr")
    if vectorizer.binary:
        counts.data.fill(1)
    return counts if vectorizer.norm is None else normalize(counts, norm=vectorizer.norm, copy=False)


def parts(sizes: Sequence[int] | Ints, most: int) -> Iterator[tuple[int, int]]:
    """Cuts rows of some sizes into runs of about as much as is looked at at once.

    Examples
    --------
    >>> list(parts([3, 1, 5, 9, 1], 5)), list(parts([], 5))
    ([(0, 2), (2, 3), (3, 5)], [])
    """
    at = np.cumsum(np.asarray(sizes, np.int64)) // most
    yield from pairwise([0, *(np.flatnonzero(np.diff(at)) + 1).tolist(), len(at)] if len(at) else [])


def _of_block(vectorizer: HashingVectorizer, texts: Sequence[str]) -> Matrix:
    plain = [vectorizer.build_preprocessor()(text) for text in texts]
    if vectorizer.analyzer == "char_wb":
        counts = _within_words(vectorizer, plain)
    elif vectorizer.analyzer == "char":
        counts = _counts(vectorizer, _Units.letters([SPACES.sub(" ", text) for text in plain]))
    else:
        counts = _counts(vectorizer, _Units.of(map(vectorizer.build_tokenizer(), plain), " "))
    counts.sort_indices()
    return counts


def _within_words(vectorizer: HashingVectorizer, texts: Sequence[str]) -> Matrix:
    """The words of each text times the pieces of each word."""
    words = _Units.of((text.split() for text in texts), "")
    padded = [f" {word} " for word in words.names]
    pieces = _counts(vectorizer, _Units.letters(padded))
    short = [at for at, word in enumerate(padded) if len(word) < vectorizer.ngram_range[0]]
    if short:  # such a word is one piece
        whole = HashingVectorizer(**vectorizer.get_params() | {"lowercase": False, "norm": None, "binary": False})
        alone = whole.transform([words.names[at] for at in short])
        places = sparse.csr_matrix(
            (np.ones(len(short), vectorizer.dtype), (short, range(len(short)))), (len(padded), len(short))
        )
        pieces = pieces + places @ alone
    there = (np.ones(len(words.codes), vectorizer.dtype), (words.row_of_each(), words.codes))
    return sparse.csr_matrix(there, (len(texts), len(padded))) @ pieces


@dataclass(frozen=True)
class _Units:
    """Rows of words or letters, numbered."""

    codes: Ints
    """Of all rows, one after another."""
    sizes: Ints
    """How many each row has."""
    names: Strings
    between: str
    """What stands between two units of a piece."""

    @classmethod
    def of(cls, rows: Iterable[Sequence[str]], between: str) -> _Units:
        """From rows of words."""
        every = list(rows)
        flat = np.array([*chain.from_iterable(every), ""], dtype=object)[:-1]
        codes, names = pd.factorize(flat)
        return cls(codes.astype(np.int64), np.array([len(row) for row in every], np.int64), names, between)

    @classmethod
    def letters(cls, texts: Sequence[str]) -> _Units:
        """From the letters of texts."""
        points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        codes, names = pd.factorize(points)
        sizes = np.array([len(text) for text in texts], np.int64)
        return cls(codes.astype(np.int64), sizes, np.array([chr(name) for name in names], dtype=object), "")

    def row_of_each(self) -> Ints:
        """The row of each unit."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes)


def _counts(vectorizer: HashingVectorizer, units: _Units) -> Matrix:
    """How often each row has each piece of as many units as the vectorizer says."""
    rows, places, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for row, codes, names in _runs(units, *vectorizer.ngram_range):
        if len(names):
            hashed = np.array([murmurhash3_32(name) for name in names], dtype=np.int64)
            rows.append(row)
            places.append(_places(hashed, vectorizer.n_features)[codes])
            signs = np.where(hashed < 0, -1, 1) if vectorizer.alternate_sign else np.ones_like(hashed)
            counts.append(signs[codes])
    there = (np.concatenate(counts), (np.concatenate(rows), np.concatenate(places)))
    matrix = sparse.csr_matrix(there, (len(units.sizes), vectorizer.n_features), dtype=vectorizer.dtype)
    matrix.sum_duplicates()  # SciPy 1.13 leaves them
    return matrix


def _places(hashed: Ints, n: int) -> Ints:
    """Where :class:`~sklearn.feature_extraction.FeatureHasher` counts a piece of this hash."""
    smallest = np.int64(-(2**31))  # has no absolute value among 32 bits
    return np.where(hashed == smallest, -smallest - n, np.abs(hashed)) % n


def _runs(units: _Units, shortest: int, longest: int) -> Iterator[tuple[Ints, Ints, Strings]]:
    """For each length, the row and the number of each run of units, and the distinct runs as strings."""
    rows = units.row_of_each()
    left = np.repeat(np.cumsum(units.sizes), units.sizes) - np.arange(len(rows))  # units from here to the row's end
    starts, codes, names = np.arange(len(rows)), units.codes, units.names
    for length in range(1, longest + 1):
        if length > 1:
            longer = left[starts] >= length
            starts = starts[longer]
            pairs = codes[longer] * len(units.names) + units.codes[starts + length - 1]
            codes, known = pd.factorize(pairs)
            before, last = np.divmod(known, max(len(units.names), 1))
            names = names[before] + units.between + units.names[last]
        if length >= shortest:
            yield rows[starts], codes, names
