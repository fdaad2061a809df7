"""The places of the rows that are closest to others: exact searches over all pairs, in blocks.

The candidates of a search are found in single precision, and decided in double precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synth_mlflow.metrics.boxes import Boxes

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float32]

GROUP_ROWS = 1_024  # partners whose distances from a query are bounded together
ASKED = 2_048  # queries that are looked at together; their products with a group stay in the cache
DECIDED = 512  # queries that are decided together
BLOCK_PARTNERS = 4_096  # whose sums with one query stay in the fastest cache
BLOCK_QUERIES = 128
MAX_JOINT = 320  # combinations of codes whose sums are computed once a block
FEW = 64  # partners of a query that are decided together with those of other queries
UNIT = float(np.finfo(np.float32).eps)


def nearest_places(queries: Matrix, partners: Matrix, k: int) -> Ints:
    """Places of the ``k`` partners with the smallest Euclidean distance to each query.

    Parameters
    ----------
    queries, partners : float32 arrays of shape (n_queries, n_dimensions), (n_partners, n_dimensions)
    k : int
        At most ``n_partners``.

    Returns
    -------
    int array of shape (n_queries, k)
        From the nearest on; of equal distances the lower place first.

    Notes
    -----
    A product in single precision is off by at most ``(n + 2) * eps * |x| * |y|`` (N. J. Higham, Accuracy and Stability
    of Numerical Algorithms (2002), section 3.5). Every partner that may be among the ``k`` within that error is
    compared again in double precision.

    Examples
    --------
    >>> nearest_places(np.zeros((1, 1), np.float32), np.array([[3.0], [1.0], [-1.0]], np.float32), 2).tolist()
    [[1, 2]]
    """
    squares = np.einsum("ij,ij->i", partners, partners)
    boxes = Boxes.of(partners, GROUP_ROWS)
    widened = np.column_stack([-2 * partners, squares]).astype(np.float32)[boxes.order]
    longest = float(np.sqrt(squares.max(initial=0.0)))
    places_of_nearest = np.empty((len(queries), k), dtype=np.int64)
    for at in range(0, len(queries), ASKED):
        some_queries = queries[at : at + ASKED]
        lengths = np.sqrt(np.einsum("ij,ij->i", some_queries, some_queries))
        error = (queries.shape[1] + 4) * UNIT * np.square(lengths + longest)  # of a squared distance
        rows, places = _candidates(some_queries, widened, boxes, k, 2 * error)
        _decide_in_parts(some_queries, partners, rows, places, places_of_nearest[at : at + ASKED])
    return places_of_nearest


def nearest_distances(queries: Matrix, partners: Matrix, k: int) -> Floats:
    """Euclidean distances of the ``k`` nearest partners, the nearest first; shape (n_queries, k).

    Examples
    --------
    >>> nearest_distances(np.zeros((1, 1), np.float32), np.array([[3.0], [1.0], [-1.0]], np.float32), 2).tolist()
    [[1.0, 1.0]]
    """
    places = nearest_places(queries, partners, k)
    squares = [_squares(queries, partners[places[:, rank]]) for rank in range(k)]
    return np.sqrt(np.column_stack(squares).astype(np.float32)).astype(np.float64)  # as fine as the coordinates are


def _candidates(queries: Matrix, widened: Matrix, boxes: Boxes, k: int, margins: Matrix) -> tuple[Ints, Ints]:
    """Queries, sorted, and for each in order the partners whose distance may be among the ``k`` smallest.

    ``widened`` are partners times -2, with their squared length beside them, in the order of ``boxes``. Squared
    distances here are less the squared length of the query.
    """
    widened_queries = np.column_stack([queries, np.ones(len(queries), np.float32)])
    least = boxes.least_squares(queries) - np.einsum("ij,ij->i", queries, queries) - 2 * margins
    limits = _first_limits(widened_queries, widened, boxes, least.argmin(axis=0), k)
    smallest = np.full((len(queries), k), np.inf, dtype=np.float32)
    room = np.empty(len(queries) * GROUP_ROWS, np.float32)  # once: new memory takes longer than a product
    parts = []
    for group, own in enumerate(boxes.slices()):
        asked = np.flatnonzero(least[group] <= limits)
        close = _products(widened_queries[asked], widened[own], room)
        rows, places = np.divmod(np.flatnonzero(close <= (limits + margins)[asked, None]), close.shape[1])
        if not len(rows):
            continue
        apart = close[rows, places]
        parts.append((asked[rows], boxes.order[own][places], apart))
        changed, at = np.unique(rows, return_inverse=True)
        known = np.hstack([smallest[asked[changed]], _least_of_each(at, apart, len(changed), k)])
        smallest[asked[changed]] = np.sort(known, axis=1)[:, :k]
        limits[asked[changed]] = np.minimum(limits[asked[changed]], smallest[asked[changed], -1])
    rows, places, apart = (np.concatenate(each) for each in zip(*parts, strict=True))
    are_candidates = apart <= (smallest[:, -1] + margins)[rows]
    rows, places = rows[are_candidates], places[are_candidates]
    order = np.lexsort((places, rows))
    return rows[order], places[order]


def _first_limits(queries: Matrix, partners: Matrix, boxes: Boxes, nearest: Ints, k: int) -> Matrix:
    """The ``k``-th smallest distance of each query in the group that is nearest to it; infinite where it has fewer."""
    limits = np.full(len(queries), np.inf, dtype=np.float32)
    for group, own in enumerate(boxes.slices()):
        asked = np.flatnonzero(nearest == group)
        if len(asked) and own.stop - own.start >= k:
            limits[asked] = np.partition(queries[asked] @ partners[own].T, k - 1, axis=1)[:, k - 1]
    return limits


def _products(queries: Matrix, partners: Matrix, room: Matrix) -> Matrix:
    n_cells = len(queries) * len(partners)
    return np.matmul(queries, partners.T, out=room[:n_cells].reshape(len(queries), len(partners)))


def _least_of_each(rows: Ints, values: Matrix, n_rows: int, k: int) -> Matrix:
    """The ``k`` smallest values of each row, infinite where it has fewer; shape (n_rows, k)."""
    order = np.lexsort((values, rows))
    sorted_rows = rows[order]
    rank = np.arange(len(rows)) - np.searchsorted(sorted_rows, np.arange(n_rows))[sorted_rows]
    are_least = rank < k
    least = np.full((n_rows, k), np.inf, dtype=np.float32)
    least[sorted_rows[are_least], rank[are_least]] = values[order[are_least]]
    return least


def _decide_in_parts(queries: Matrix, partners: Matrix, rows: Ints, places: Ints, result: Ints) -> None:
    """Write the nearest of each query's candidates, few queries at a time so that little memory is taken."""
    for at in range(0, len(queries), DECIDED):
        stop = min(at + DECIDED, len(queries))
        stops = np.searchsorted(rows, np.arange(at, stop + 1))
        own = places[stops[0] : stops[-1]]
        _decide(queries[at:stop], partners, own, stops - stops[0], result[at:stop])


def _decide(queries: Matrix, partners: Matrix, places: Ints, stops: Ints, result: Ints) -> None:
    """Write the nearest of each query's candidates, ``places[stops[i]:stops[i + 1]]``, which are sorted, to a row."""
    k, n_each = result.shape[1], np.diff(stops)
    many = np.flatnonzero(n_each > FEW)
    for row in many:
        own = places[stops[row] : stops[row + 1]]
        apart = _squares(queries[[row]], partners[own])
        limit = np.partition(apart, k - 1)[k - 1]
        own, apart = own[apart <= limit], apart[apart <= limit]
        result[row] = own[np.argsort(apart, kind="stable")[:k]]
    few = np.flatnonzero(n_each <= FEW)
    if not len(few):
        return
    rank = np.arange(int(n_each[few].max()))
    is_there = rank < n_each[few, None]
    own = places[np.where(is_there, stops[few, None] + rank, stops[few, None])]
    rows = np.repeat(few, is_there.shape[1])
    apart = np.where(is_there, _squares(queries[rows], partners[own.ravel()]).reshape(own.shape), np.inf)
    result[few] = np.take_along_axis(own, np.argsort(apart, axis=1, kind="stable")[:, :k], axis=1)


def _squares(first: Matrix, second: Matrix) -> Floats:
    apart = first.astype(np.float64) - second
    return np.asarray(np.einsum("ij,ij->i", apart, apart))


@dataclass(frozen=True)
class Coded:
    """A column of rows as codes, and how much it weighs that two rows share each code."""

    codes: Ints
    weights: Floats
    """Of shape (n_codes,), none below 0."""


def most_shared_places(columns: Sequence[Coded], queries: Ints, partners: slice, k: int) -> Ints:
    """Places of the ``k`` partners that share most with each query: the largest sums of the weights of shared codes.

    Parameters
    ----------
    columns : sequence of Coded
        Queries and partners are rows of them.
    queries : int array of shape (n_queries,)
    partners : slice
    k : int
        Fewer are given where there are no more.

    Returns
    -------
    int array of shape (n_queries, k)
        Relative to the first partner, from the largest sum on; of equal sums the lower place first.

    Examples
    --------
    >>> column = Coded(np.array([0, 1, 0, 1]), np.array([1.0, 2.0]))
    >>> most_shared_places([column], np.array([3]), slice(0, 3), 2).tolist()
    [[1, 0]]
    """
    groups = _groups([len(column.weights) for column in columns])
    codes = [_joint_codes([columns[at] for at in group], queries) for group in groups]
    start, stop = partners.start, partners.stop
    k = min(k, stop - start)
    sums = np.full((len(queries), k), -np.inf, dtype=np.float32)
    result = np.zeros((len(queries), k), dtype=np.int64)
    room = np.empty(BLOCK_QUERIES * BLOCK_PARTNERS, dtype=np.float32)
    for at in range(start, stop, BLOCK_PARTNERS):
        block = slice(at, min(at + BLOCK_PARTNERS, stop))
        shared = [_joint_sums([columns[one] for one in group], block) for group in groups]
        for first in range(0, len(queries), BLOCK_QUERIES):
            queries_block = slice(first, first + BLOCK_QUERIES)
            total = _added(shared, [one[queries_block] for one in codes], room)
            _keep_largest(total, at - start, sums[queries_block], result[queries_block])
    return result


def _groups(sizes: Sequence[int]) -> list[list[int]]:
    """Columns put together, as long as their combinations stay few: one sum then stands for several."""
    groups: list[list[int]] = []
    products: list[int] = []
    for column in np.argsort(sizes, kind="stable")[::-1].tolist():
        fitting = [at for at, product in enumerate(products) if product * sizes[column] <= MAX_JOINT]
        if fitting:
            best = max(fitting, key=lambda at: products[at])
            groups[best].append(column)
            products[best] *= sizes[column]
        else:
            groups.append([column])
            products.append(sizes[column])
    return groups


def _joint_codes(columns: Sequence[Coded], rows: Ints) -> list[int]:
    joint = np.zeros(len(rows), dtype=np.int64)
    for column in columns:
        joint = joint * len(column.weights) + column.codes[rows]
    return [int(one) for one in joint]


def _joint_sums(columns: Sequence[Coded], block: slice) -> Matrix:
    """What each combination of codes shares with each partner of a block: shape (n_combinations, n_partners)."""
    total = np.zeros((1, block.stop - block.start), dtype=np.float32)
    for column in columns:
        codes = column.codes[block]
        one = np.zeros((len(column.weights), len(codes)), dtype=np.float32)
        one[codes, np.arange(len(codes))] = column.weights[codes]
        total = (total[:, None] + one[None]).reshape(-1, len(codes))
    return total


def _added(shared: Sequence[Matrix], codes: Sequence[Sequence[int]], room: Matrix) -> Matrix:
    total = room[: len(codes[0]) * shared[0].shape[1]].reshape(len(codes[0]), -1)
    np.take(shared[0], codes[0], axis=0, out=total, mode="clip")  # other modes make a copy of what they write to
    for sums, own in zip(shared[1:], codes[1:], strict=True):
        for row, code in zip(total, own, strict=True):
            np.add(row, sums[code], out=row)
    return total


def _keep_largest(total: Matrix, offset: int, sums: Matrix, result: Ints) -> None:
    """Put what is larger than the smallest of the sums that are kept in its place."""
    rows = np.flatnonzero(total.max(axis=1) > sums[:, -1])
    own, k = total[rows], min(sums.shape[1], total.shape[1])
    if not len(rows):
        return
    values, places = np.empty((len(rows), k), np.float32), np.empty((len(rows), k), np.int64)
    for rank in range(k):
        best = own.argmax(axis=1)
        values[:, rank], places[:, rank] = own[np.arange(len(rows)), best], best + offset
        own[np.arange(len(rows)), best] = -np.inf
    values, places = np.hstack([sums[rows], values]), np.hstack([result[rows], places])
    order = np.argsort(-values, axis=1, kind="stable")[:, : sums.shape[1]]
    sums[rows], result[rows] = np.take_along_axis(values, order, axis=1), np.take_along_axis(places, order, axis=1)
