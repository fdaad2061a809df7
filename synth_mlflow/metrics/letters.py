"""How strange the letters of a text are beside those of others: other alphabets, or other languages in the same one."""

from __future__ import annotations

import functools
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.feature_extraction.text import HashingVectorizer

from synth_mlflow.data.hashed_counts import Matrix, hashed_counts

MAX_LETTERS = 2_000  # of a text that are looked at
PLACES = 2**18  # that pieces of letters are hashed to
ADDED = 0.5  # to each count: what was never seen is strange, and not impossible

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Letters:
    """What is usual among some texts."""

    alphabets: Mapping[str, int]
    """How many letters are of each alphabet."""
    pieces: Floats
    """Of shape (2^18,): the negative logarithm of how frequent each piece of two or three letters is."""

    @classmethod
    def learn(cls, texts: pd.Series) -> Letters:
        """From texts without missing ones."""
        counts = np.asarray(_counted(texts).sum(axis=0), dtype=np.float64).ravel()
        alphabets = sum((alphabets_in(text) for text in texts), Counter[str]())
        return cls(alphabets, -np.log((counts + ADDED) / (counts.sum() + ADDED * PLACES)))

    def strange(self, texts: pd.Series) -> Floats:
        """The mean surprise of each text's alphabets, and of its pieces; of shape (2, n_texts), greater is stranger.

        Notes
        -----
        The negative mean log-likelihood under letter n-grams, as T. Dunning identifies languages by it: Statistical
        Identification of Language, New Mexico State University MCCS 94-273 (1994).

        Examples
        --------
        >>> known = Letters.learn(pd.Series(["the cat sat on the mat", "the dog sat on the rug"] * 9))
        >>> other = known.strange(pd.Series(["the cat sat on the rug", "der Hund lag quer", "кот лежал там"]))
        >>> [[int(place) for place in np.argsort(each, kind="stable")] for each in other]
        [[0, 1, 2], [0, 1, 2]]
        """
        total = sum(self.alphabets.values()) + ADDED
        alphabets = [
            sum(-n * np.log((self.alphabets.get(name, 0) + ADDED) / total) for name, n in counts_by_alphabet.items())
            / max(sum(counts_by_alphabet.values()), 1)
            for counts_by_alphabet in map(alphabets_in, texts)
        ]
        counts = _counted(texts)
        lengths = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1)
        return np.stack([np.array(alphabets, dtype=np.float64), np.asarray(counts @ self.pieces).ravel() / lengths])


def alphabets_in(text: str) -> Counter[str]:
    """How many letters of a text are of each alphabet.

    Examples
    --------
    >>> sorted(alphabets_in("Ein кот, 3 猫").items())
    [('CJK', 1), ('CYRILLIC', 3), ('LATIN', 3)]
    """
    counts = Counter[str]()
    for letter, n in Counter(text[:MAX_LETTERS]).items():
        if letter.isalpha():
            counts[_alphabet(letter)] += n
    return counts


@functools.cache
def _alphabet(letter: str) -> str:
    return unicodedata.name(letter, "UNKNOWN").partition(" ")[0]


def _counted(texts: pd.Series) -> Matrix:
    vectorizer = HashingVectorizer(
        analyzer="char", ngram_range=(2, 3), n_features=PLACES, norm=None, alternate_sign=False
    )
    return hashed_counts(vectorizer, texts.str.slice(0, MAX_LETTERS).tolist())
