"""Columns in which several rows of a batch equal real rows, and not in the others: parts of rows that were copied.

Rows of which the same columns were kept, and the others replaced or moved, share with their originals what no other
two rows share: but only in these columns, which are one set of very many. So the sets are not tried one after another
but read off the pairs of rows that are most alike, without looking at which real rows are evaluation rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from synth_mlflow.checks._tables import thinned
from synth_mlflow.metrics.intervals import rate_p_value
from synth_mlflow.metrics.shared_keys import ColumnSet, Hashes, KeyCounts, KeyedRows, is_key

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]

N_COMMON = 2  # sets that are tested
MAX_ASKED = 1_500  # rows of the batch
MAX_REAL = 6_000
MAX_CELLS, MIN_ASKED = 400_000_000, 100  # of the comparison; wide tables ask fewer rows
N_KNOWN = 20  # columns that tell most, beside which the others are looked at
N_ALIKE = 300  # pairs of rows from which sets are read
N_COUNTED = 40  # sets whose matches are counted
N_KEPT, N_ROUNDS = 100, 5
MIN_SUPPORT = 3
ENTROPY_ROWS = 2_000
BLOCK_CELLS = 200_000  # of a comparison that stays in the cache


def common_columns(rows: KeyedRows, rng: np.random.Generator) -> list[ColumnSet]:
    """At most `N_COMMON` sets of columns in which the batch equals more real rows than these equal one another.

    Training and evaluation rows are one table here, so that the split remains a fair lottery for the sets chosen.
    """
    if min(rows.sizes.batch, rows.sizes.real) < MIN_SUPPORT or rows.cells.shape[1] < 3:
        return []
    collisions = rows.collisions()
    counted = [one for one in _sets(*_most_alike(rows, rng)) if not is_key(rows, one, collisions)][:N_COUNTED]
    judged = sorted((_p_value(rows.counts(one)), len(one), one) for one in counted)
    return [one for *_, one in judged[:N_COMMON]]


def _sets(batch: Bools, real: Bools) -> list[ColumnSet]:
    """What pairs of rows have in common, the sets that stand out most first.

    Parameters
    ----------
    batch, real : bool arrays of shape (n_pairs, n_columns)
        Where a row of the batch, and as many real rows, equal the real row that they are paired with.

    Notes
    -----
    Sets grow smaller as they are intersected with further pairs, as long as the log-likelihood ratio of the number of
    pairs that are equal in them, beside that of real rows, grows.
    """
    sets = np.unique(batch, axis=0)
    ratio = np.zeros(0)
    for _ in range(N_ROUNDS):
        smaller = (sets[:, None] & batch[None]).reshape(-1, batch.shape[1])
        packed = np.unique(np.packbits(smaller, axis=1), axis=0)
        sets = np.unpackbits(packed, axis=1)[:, : batch.shape[1]].astype(np.bool_)
        sets = sets[sets.sum(axis=1) > 1]
        support, expected = _support(sets, batch), _support(sets, real) + 0.5
        ratio = np.where(support > expected, support * np.log(support / expected) - support + expected, 0.0)
        best = np.argsort(-ratio, kind="stable")[:N_KEPT]
        supported = best[(support[best] >= MIN_SUPPORT) & (ratio[best] > 0)]
        sets, ratio = sets[supported], ratio[supported]
    return [tuple(np.flatnonzero(one).tolist()) for one in sets]


def _support(sets: Bools, pairs: Bools) -> Floats:
    """How many pairs are equal in all columns of each set."""
    lacking = sets.astype(np.float32) @ (~pairs).astype(np.float32).T
    return np.asarray((lacking == 0).sum(axis=1), dtype=np.float64)


def _most_alike(rows: KeyedRows, rng: np.random.Generator) -> tuple[Bools, Bools]:
    """Columns that are equal in the pairs of rows that share most: of the batch, and of real rows with others."""
    n = rows.sizes.real
    real = rows.cells[thinned(n, MAX_REAL, rng)]
    affordable = max(MAX_CELLS // real.size, MIN_ASKED)
    n_asked = min(MAX_ASKED, affordable, rows.sizes.batch, len(real))
    own = _own_information(rows.cells[thinned(n, ENTROPY_ROWS, rng)])
    weights = np.column_stack([_weights(real[:, at], own[at]) for at in range(real.shape[1])])
    queries = (rows.cells[n + thinned(rows.sizes.batch, n_asked, rng)], real[thinned(len(real), n_asked, rng)])
    batch, others = (_equal_columns(one, real, weights) for one in queries)
    return batch, others


def _equal_columns(queries: Hashes, real: Hashes, weights: npt.NDArray[np.float32]) -> Bools:
    """Where each row asked equals the real row that it shares most with; each real row is paired once."""
    partners, scores = np.empty(len(queries), dtype=np.int64), np.empty(len(queries), dtype=np.float32)
    columns = list(zip(_small_codes(queries, real), np.ascontiguousarray(weights.T), strict=True))
    block = max(BLOCK_CELLS // len(real), 1)
    for start in range(0, len(queries), block):
        some = slice(start, start + block)
        score, n_equal = (np.zeros((len(queries[some]), len(real)), kind) for kind in (np.float32, np.int16))
        for (asked, known), weight in columns:
            equal = asked[some, None] == known
            score += equal * weight
            n_equal += equal
        score[n_equal == real.shape[1]] = -1.0  # equal rows have a test of their own
        partners[some] = score.argmax(axis=1)
        scores[some] = score.max(axis=1)
    order = np.argsort(-scores, kind="stable")
    once = order[np.sort(np.unique(partners[order], return_index=True)[1])][:N_ALIKE]
    return np.asarray(queries[once] == real[partners[once]])


def _small_codes(queries: Hashes, real: Hashes) -> Iterator[tuple[Codes, Codes]]:
    """The values of each column on both sides as codes of half the size, which are compared in half the time."""
    for column in np.concatenate([queries, real]).T:
        codes = np.unique(column, return_inverse=True)[1].astype(np.int32)
        yield codes[: len(queries)], codes[len(queries) :]


def _weights(values: Hashes, own: float) -> npt.NDArray[np.float32]:
    """The information in each real row's value, scaled to what it tells beside the other columns."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    information = -np.log(counts / len(values))
    mean = float(-np.log(np.square(counts / len(values)).sum()))
    scaled = (information * (own / mean if mean > 0 else 0.0)).astype(np.float32)
    return np.asarray(scaled[places], dtype=np.float32)


def _own_information(cells: Hashes) -> Floats:
    """Of each column the collision entropy that is left once the column that tells most of it is known.

    Notes
    -----
    A. Rényi, 1961, of order two: minus the logarithm of the share of pairs of rows that are equal.
    """
    n_columns = cells.shape[1]
    alone = np.array([_entropy(cells[:, at]) for at in range(n_columns)])
    own = alone.copy()
    order = np.argsort(-alone, kind="stable")
    for rank, at in enumerate(order):
        for known in order[: min(rank, N_KNOWN)]:
            with np.errstate(over="ignore"):
                together = _entropy(cells[:, at] + cells[:, known])
            own[at] = min(own[at], max(together - alone[known], 0.0))
    return own


def _entropy(keys: Hashes) -> float:
    counts = np.unique(keys, return_counts=True)[1].astype(np.float64)
    pairs = len(keys) * (len(keys) - 1) / 2
    return float(-np.log(max((counts * (counts - 1) / 2).sum(), 0.5) / pairs))


def _p_value(counts: KeyCounts) -> float:
    """How often further real rows would equal so many real rows, whatever their side."""
    matches, sizes = counts.matches(), counts.sizes
    exposure = matches.batch_exposure * sizes.real / sizes.evaluation
    return rate_p_value(matches.evaluation + matches.training, exposure, matches.real_pairs, matches.real_exposure)
