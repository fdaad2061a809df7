"""Rows put together in groups of near ones: how far the rows of a group lie from another row at least."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Matrix = npt.NDArray[np.float32]

LOOKED_AT = 1_000  # rows of a group by which it is decided how to split it
SMALLER_SIDE = 0.04  # about the least share of rows by which a dimension of two values splits a group
QUERIES_AT_ONCE = 2_048


@dataclass(frozen=True)
class Boxes:
    """Groups of rows, and the range of each group in each dimension."""

    order: Ints
    """Places of the rows, those of one group together."""
    stops: Ints
    """Where each group ends in ``order``; shape (n_groups,)."""
    low: Matrix
    """Shape (n_groups, n_dimensions)."""
    high: Matrix
    two_valued: Bools
    """The dimensions in which all rows have one of two values; shape (n_dimensions,)."""

    @classmethod
    def of(cls, rows: Matrix, n_each: int) -> Boxes:
        """Split the rows into groups of at most ``n_each``.

        Parameters
        ----------
        rows : float32 array of shape (n_rows, n_dimensions)
            One row at least.
        """
        two_valued = ((rows == rows.min(axis=0)) | (rows == rows.max(axis=0))).all(axis=0)
        groups = list(_split(rows, two_valued, n_each))
        low, high = (np.stack([getattr(rows[one], side)(axis=0) for one in groups]) for side in ("min", "max"))
        return cls(np.concatenate(groups), np.cumsum([len(one) for one in groups]), low, high, two_valued)

    def slices(self) -> list[slice]:
        """Where each group stands in ``order``."""
        return [slice(int(start), int(stop)) for start, stop in zip([0, *self.stops[:-1]], self.stops, strict=True)]

    def least_squares(self, queries: Matrix) -> Matrix:
        """The least squared distance of each query to a row of each group could be: shape (n_groups, n_queries).

        Examples
        --------
        >>> boxes = Boxes.of(np.array([[0.0], [1.0], [5.0], [7.0]], np.float32), 2)
        >>> boxes.least_squares(np.array([[2.0], [6.0]], np.float32)).tolist()
        [[1.0, 25.0], [9.0, 0.0]]
        """
        parts = range(0, len(queries), QUERIES_AT_ONCE)
        return np.hstack([self._least_squares(queries[at : at + QUERIES_AT_ONCE]) for at in parts])

    def _least_squares(self, queries: Matrix) -> Matrix:
        first, second = self.low.min(axis=0)[self.two_valued], self.high.max(axis=0)[self.two_valued]
        low, high = self.low[:, self.two_valued], self.high[:, self.two_valued]
        among = queries[:, self.two_valued]
        total = (low == high).astype(np.float32) * (low == first) @ np.square(among - first).T
        total += ((low == high) & (low != first)).astype(np.float32) @ np.square(among - second).T
        for at in np.flatnonzero(~self.two_valued):
            values = queries[:, at]
            gap = np.maximum(self.low[:, [at]] - values, values - self.high[:, [at]])
            total += np.square(np.maximum(gap, 0, out=gap), out=gap)
        return np.asarray(total)


def _split(rows: Matrix, two_valued: Bools, n_each: int) -> Iterator[Ints]:
    left = [np.arange(len(rows))]
    while left:
        places = left.pop()
        if len(places) <= n_each:
            yield places
            continue
        below = _below(rows, places, two_valued)
        left += [places[~below], places[below]]


def _below(rows: Matrix, places: Ints, two_valued: Bools) -> Bools:
    """Which rows of a group go to one side: by the widest dimension, those of two values first, which split exactly."""
    some = rows[places[:: len(places) // LOOKED_AT + 1]]
    spread = some.var(axis=0)
    width = np.square(np.ptp(some, axis=0))
    exact = two_valued & (spread > SMALLER_SIDE * width) & (width > 0)
    dimension = int(np.where(exact, spread, -1.0).argmax() if exact.any() else spread.argmax())
    values = rows[places, dimension]
    middle = np.median(some[:, dimension])
    if exact.any():
        middle = (values.min() + values.max()) / 2
    below = values < middle
    if not below.any() or below.all():  # half of the values or more are equal to the least one
        below = values <= middle
    if not below.any() or below.all():
        below = np.arange(len(places)) < len(places) // 2
    return np.asarray(below)
