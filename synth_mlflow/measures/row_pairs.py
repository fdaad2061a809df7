"""Each row beside the few real rows that are closest to it, and what their likeness is like.

A row copied and altered is told from one that is close by nature by the kind of likeness: all columns nearly equal, or
all but one equal, or half of them equal in values that few rows have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synth_mlflow.measures.row_closeness import FAR, Closeness

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

N_CLOSEST = 4
NEAR = 0.15  # standard deviations
SMALLEST = 3e-4  # of a difference, in standard deviations: below it two values count as equal


@dataclass(frozen=True)
class Pairs:
    """Queries and their closest real rows."""

    places: Ints
    """Of shape (n_queries, n_closest)."""
    features: Floats
    """Of shape (n_queries, n_closest, n_features)."""
    usable: Bools
    """False where fewer real rows are close to a query, as no row is paired with itself."""

    def part(self, which: slice) -> Pairs:
        """Those of some queries."""
        return Pairs(self.places[which], self.features[which], self.usable[which])


def closest_pairs(closeness: Closeness, queries: Ints) -> Pairs:
    """The closest real rows of each query on both sides together, but itself."""
    proposed = np.sort(closeness.proposed(queries), axis=1)
    repeated = np.repeat(queries, proposed.shape[1])
    close = closeness.by_column(repeated, proposed.ravel()).sum(axis=1).reshape(proposed.shape)
    close[proposed == queries[:, None]] = -1.0
    close[:, 1:][proposed[:, 1:] == proposed[:, :-1]] = -1.0  # proposed by several searches
    order = np.argsort(-close, axis=1, kind="stable")[:, :N_CLOSEST]
    places, close = np.take_along_axis(proposed, order, axis=1), np.take_along_axis(close, order, axis=1)
    features = _features(closeness, np.repeat(queries, places.shape[1]), places.ravel())
    others = np.maximum(np.where(np.arange(places.shape[1]) == 0, close[:, 1:2], close[:, :1]), 0.0)
    lead = close - others
    with_lead = np.dstack([features.reshape(*places.shape, -1), lead, np.maximum(lead, 0.0)])
    return Pairs(places, with_lead, close >= 0)


def _features(closeness: Closeness, queries: Ints, partners: Ints) -> Floats:
    """What describes the likeness of two rows, of shape (n_pairs, n_features)."""
    close, differences = closeness.by_column(queries, partners), closeness.differences(queries, partners)
    total, own = close.sum(axis=1), closeness.own(partners).sum(axis=1)
    equal, near = differences == 0, (differences > 0) & (differences < NEAR)
    ordered = np.log(np.sort(differences, axis=1) + SMALLEST)
    n = ordered.shape[1]
    return np.column_stack(
        [
            total,
            own,
            total / np.maximum(own, 1e-9),
            equal.mean(axis=1),
            near.mean(axis=1),
            (differences >= FAR).mean(axis=1),
            np.log1p((~equal).sum(axis=1)),
            (close * equal).sum(axis=1),
            (close * near).sum(axis=1),
            ordered[:, [n // 2, 3 * n // 4, max(n - 2, 0), n - 1]],
            ordered.mean(axis=1),
        ]
    )
