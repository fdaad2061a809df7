"""Which of many sets of row digests hold each row of a table: one sorted pass a set, whatever the number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synth_mlflow.data.digests import Hashes

WORD = 64  # sets that one unsigned integer remembers


@dataclass(frozen=True)
class Matches:
    """Where rows were found; rows that were found in the same sets share a pattern."""

    pattern: npt.NDArray[np.int64]
    """The pattern of each row, shape (n_rows,)."""
    holds: npt.NDArray[np.bool_]
    """Whether a set belongs to a pattern, shape (n_patterns, n_sets)."""


def match(rows: Hashes, sets: Sequence[Hashes]) -> Matches:
    """Look every row up in every set.

    Parameters
    ----------
    rows : array of shape (n_rows,)
        Row digests; may repeat.
    sets : sequence of arrays
        Row digests made with the same salt; may repeat and overlap.

    Examples
    --------
    >>> found = match(np.array([7, 8, 7], dtype=np.uint64), [np.array([7, 9], dtype=np.uint64)])
    >>> found.holds[found.pattern].tolist()
    [[True], [False], [True]]
    """
    distinct, place = np.unique(rows, return_inverse=True)
    words = np.zeros((len(distinct), max(1, -(-len(sets) // WORD))), dtype=np.uint64)
    for at, digests in enumerate(sets):
        words[_places(distinct, digests), at // WORD] |= np.uint64(1) << np.uint64(at % WORD)
    patterns, of_distinct = np.unique(words, axis=0, return_inverse=True)
    bits = np.unpackbits(patterns.astype("<u8").view(np.uint8), axis=1, bitorder="little")
    return Matches(of_distinct.reshape(-1)[place], bits[:, : len(sets)].astype(np.bool_))


def _places(distinct: Hashes, digests: Hashes) -> npt.NDArray[np.int64]:
    """Where in the sorted rows the digests of one set stand; each place once."""
    if not len(distinct):
        return np.empty(0, dtype=np.int64)
    wanted = np.unique(digests)
    places = np.minimum(np.searchsorted(distinct, wanted), len(distinct) - 1)
    found: npt.NDArray[np.int64] = places[distinct[places] == wanted]
    return found
