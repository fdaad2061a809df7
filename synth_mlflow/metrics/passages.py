"""Passages that texts have in common: runs of so many tokens, looked up by their hashes.

Notes
-----
Runs of 13 tokens are how T. Brown et al., NeurIPS 2020 (appendix C), looked for benchmarks in training texts; runs of 8
are those of A. Chowdhery et al., JMLR 24 (2023).
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.integer[Any]]
Bools = npt.NDArray[np.bool_]
Tokenizer = Callable[[str], Sequence[object]]
"""The tokens of a text; anything that has a text of its own."""

LENGTHS = (8, 13)  # tokens of a passage
TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]"  # written without spaces
    r"|[^\W\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\u0e00-\u0e7f]+|[^\w\s]"
)
_FACTOR = 0x9E3779B97F4A7C15  # odd, so that products keep what they are made of


def tokens(text: str) -> list[str]:
    """Words, punctuation marks, and each letter of languages that are written without spaces; in lower case.

    Examples
    --------
    >>> tokens("Don't say 東京!")
    ['don', "'", 't', 'say', '東', '京', '!']
    """
    return TOKEN.findall(text.lower())


@dataclass(frozen=True)
class Passages:
    """The passages of a column of texts, each once a text."""

    hashes: Hashes
    """Of shape (n_passages,), in ascending order."""
    text: Places
    """Of shape (n_passages,): the text that a passage stands in."""
    n_texts: int

    def without(self, known: Hashes) -> Passages:
        """Those that do not stand among others, which are in ascending order."""
        places = np.searchsorted(known, self.hashes)
        return self._only(np.append(known, 0)[places] != self.hashes if len(known) else np.ones_like(places, np.bool_))

    def of_one_text(self) -> Passages:
        """Those that one text alone has."""
        first = np.r_[True, np.diff(self.hashes) != 0] if len(self.hashes) else np.zeros(0, dtype=np.bool_)
        last = np.r_[first[1:], True] if len(self.hashes) else first
        return self._only(first & last)

    def _only(self, mask: Bools) -> Passages:
        return Passages(self.hashes[mask], self.text[mask], self.n_texts)


@dataclass(frozen=True)
class Shared:
    """Pairs of texts that have a passage in common."""

    known: Places
    """Of shape (n_pairs,): the texts that are looked for, each pair once."""
    made: Places
    """Of shape (n_pairs,): the text that has a passage of it."""

    @classmethod
    def of(cls, known: Passages, made: Passages) -> Shared:
        """Of the first ``MOST_PAIRS`` texts that have a passage, each is a pair with each text that it stands in."""
        first = np.searchsorted(made.hashes, known.hashes, side="left")
        last = np.searchsorted(made.hashes, known.hashes, side="right")
        sizes = np.minimum(last - first, MOST_PAIRS)
        starts = np.repeat(first - np.r_[0, np.cumsum(sizes)[:-1]] if len(sizes) else first, sizes)
        places = starts + np.arange(sizes.sum())
        pairs = np.unique(np.column_stack([np.repeat(known.text, sizes), made.text[places]]), axis=0)
        return cls(pairs[:, 0], pairs[:, 1])

    @property
    def n_known(self) -> int:
        """How many texts that are looked for have a passage in common with any other."""
        return len(np.unique(self.known))

    @property
    def n_made(self) -> int:
        """How many texts have a passage of any of them."""
        return len(np.unique(self.made))

    def expected(self, n_drawn: int, n_texts: int) -> float:
        """How many would be found by ``n_drawn`` of the ``n_texts`` texts, drawn at random.

        Notes
        -----
        Rarefaction: S. H. Hurlbert, Ecology 52 (1971). Beyond all texts the number grows by proportion, which is more
        than it would be.

        Examples
        --------
        >>> found = Shared(np.array([0, 0, 1]), np.array([4, 5, 5]))
        >>> round(found.expected(5, 10), 4)  # 1 - C(8, 5) / C(10, 5), and 5 / 10
        1.2778
        """
        matches = np.unique(self.known, return_counts=True)[1]
        n_expected = sum(1 - _none_drawn(int(each), min(n_drawn, n_texts), n_texts) for each in matches)
        return n_expected * max(n_drawn / max(n_texts, 1), 1.0)


def _none_drawn(n_marked: int, n_drawn: int, n_texts: int) -> float:
    """The chance that none of so many marked texts is among those drawn."""
    left = n_texts - n_marked - n_drawn
    if left < 0:
        return 0.0
    logs = (math.lgamma(n + 1) for n in (n_texts - n_marked, n_texts - n_drawn, left, n_texts))
    without, others, both, every = logs
    return math.exp(without + others - both - every)


MOST_PAIRS = 1_000  # texts in which one passage is looked up


def passages_of(texts: pd.Series, tokenize: Tokenizer = tokens) -> dict[int, Passages]:
    """The passages of each of the `LENGTHS`; a missing text has none.

    Examples
    --------
    >>> texts = pd.Series(["a b c d e f g h i", "a b c"])
    >>> {length: len(found.hashes) for length, found in passages_of(texts).items()}
    {8: 2, 13: 0}
    """
    words = [[] if pd.isna(text) else tokenize(str(text)) for text in texts]
    codes, sizes = _codes(words), np.array([len(each) for each in words], dtype=np.int64)
    del words
    return {length: _of_length(codes, sizes, length) for length in LENGTHS}  # one at a time: they take the most memory


def _codes(words: Sequence[Sequence[object]]) -> Hashes:
    """A number of 64 bits for each token of all texts, the same in every process."""
    flat = np.array([*map(str, chain.from_iterable(words)), ""], dtype=object)[:-1]
    places, names = pd.factorize(flat)
    return np.array([_code(name) for name in names], dtype=np.uint64)[places]


def _code(word: str) -> int:
    data = word.encode("utf-8", "surrogatepass")
    return (zlib.crc32(data) << 32) | zlib.crc32(data[::-1], len(data))


def _of_length(words: Hashes, sizes: Places, length: int) -> Passages:
    left = np.repeat(np.cumsum(sizes), sizes) - np.arange(len(words))  # tokens from here to the end of the text
    whole = left[: max(len(words) - length + 1, 0)] >= length
    hashes = _runs(words, length)[whole]
    text = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[: len(whole)][whole]
    order = np.argsort(hashes, kind="stable")
    hashes, text = hashes[order], text[order]
    first = np.r_[True, (np.diff(hashes) != 0) | (np.diff(text) != 0)][: len(hashes)]  # once a text
    return Passages(hashes[first], text[first], len(sizes))


def _runs(words: Hashes, length: int) -> Hashes:
    """The hash of each run of tokens."""
    n = len(words) - length + 1
    if n <= 0:
        return words[:0]
    total = np.zeros(n, dtype=np.uint64)
    for at in range(length):
        total = total * np.uint64(_FACTOR) + words[at : at + n]
    total ^= total >> np.uint64(29)
    return total * np.uint64(_FACTOR)
