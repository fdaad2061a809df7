"""Near copies among more texts than can be compared one by one: candidates by MinHash, whose cosines are then exact.

Notes
-----
A. Z. Broder, Compression and Complexity of Sequences (1997): two sets have the same least hash with a chance that is
their Jaccard similarity J. With bands of r such hashes, b of them, a pair becomes a candidate with the chance
1 - (1 - J^r)^b (J. Leskovec, A. Rajaraman, J. Ullman, Mining of Massive Datasets, chapter 3): for `ROWS` and `BANDS`
0.84 at J = 0.35, 0.996 at J = 0.5, and 1 in 900 at J = 0.03, which is what unrelated texts have.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from synth_mlflow.metrics.near_texts import Floats, Nearest, Pieces, Places

ROWS, BANDS = 3, 42
MOST_IN_BUCKET = 50  # texts that share a band and are looked at; where more do, the band says little
BLOCK_ROWS = 10_000
SEED = 1
_FACTOR = 0x9E3779B97F4A7C15  # odd, so that products keep what they are made of

Signatures = npt.NDArray[np.uint64]
"""Of shape (n_texts, BANDS): a number for each band, the same for equal bands."""


def signatures(pieces: Pieces) -> Signatures:
    """The bands of texts, whose pieces are the places of the rows of a sparse matrix; of one without pieces its own."""
    from datasketch import MinHash  # imported where it is needed: few tables are as large

    empty = MinHash(num_perm=ROWS * BANDS, seed=SEED, hashfunc=int)
    hashes = np.empty((pieces.shape[0], ROWS * BANDS), dtype=np.uint64)
    places = pieces.indices.astype(np.uint64) * np.uint64(_FACTOR) >> np.uint64(32)  # spread over 32 bits
    for row in range(pieces.shape[0]):
        minima = empty.copy()
        minima.update_batch(places[pieces.indptr[row] : pieces.indptr[row + 1]])
        hashes[row] = minima.hashvalues
    return _bands(hashes, np.diff(pieces.indptr) == 0)


def _bands(hashes: Signatures, is_empty: npt.NDArray[np.bool_]) -> Signatures:
    bands = np.zeros((len(hashes), BANDS), dtype=np.uint64)
    for row in range(ROWS):
        bands = bands * np.uint64(_FACTOR) + hashes[:, row::ROWS]
    bands[is_empty] = np.arange(is_empty.sum(), dtype=np.uint64)[:, None]  # near to nothing
    return bands


def nearest_by_minhash(
    texts: tuple[Pieces, Signatures], others: tuple[Pieces, Signatures], own: Places | None = None
) -> Nearest:
    """As :func:`synth_mlflow.metrics.near_texts.nearest_texts`, among the candidates of each text only.

    Parameters
    ----------
    texts, others : tuple of sparse matrix and array
        The pieces of texts, and their :func:`signatures`.
    own : array of shape (n_texts,), optional
        Where each text stands among the others itself; it does not count.
    """
    similarity = np.zeros(texts[0].shape[0])
    place = np.zeros(texts[0].shape[0], dtype=np.int64)
    for start in range(0, len(similarity), BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        first, second = _candidates(texts[1][block], others[1])
        if own is not None:
            apart = second != own[block][first]
            first, second = first[apart], second[apart]
        cosine = _cosines(texts[0][block], others[0], first, second)
        order = np.lexsort([-second, cosine])  # the last one of a text is its best
        similarity[start + first[order]], place[start + first[order]] = cosine[order], second[order]
    return Nearest(similarity, place)


def _candidates(texts: Signatures, others: Signatures) -> tuple[Places, Places]:
    """Pairs of texts that have a band in common, each once, in the order of the first."""
    codes = [np.zeros(0, dtype=np.int64), *_of_each_band(texts, others)]
    pairs = np.unique(np.concatenate(codes))
    return pairs // len(others), pairs % len(others)


def _of_each_band(texts: Signatures, others: Signatures) -> Iterator[Places]:
    for band in range(BANDS):
        order = np.argsort(others[:, band], kind="stable")
        known = others[order, band]
        first = np.searchsorted(known, texts[:, band], side="left")
        sizes = np.searchsorted(known, texts[:, band], side="right") - first
        sizes = np.minimum(sizes, MOST_IN_BUCKET)
        rows = np.repeat(np.arange(len(texts), dtype=np.int64), sizes)
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        yield rows * len(others) + order[np.repeat(first, sizes) + within]


def _cosines(texts: Pieces, others: Pieces, first: Places, second: Places) -> Floats:
    cosines = [np.zeros(0)]
    for start in range(0, len(first), BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        product = texts[first[part]].multiply(others[second[part]])
        cosines.append(np.asarray(product.sum(axis=1), dtype=np.float64).ravel())
    return np.concatenate(cosines)
