"""Real rows that a fit sets aside to decide when to stop; no evaluation row and no synthetic row is among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synth_mlflow.data.mixing import Places

SHARE = 0.2  # of the real rows that a fit takes


@dataclass(frozen=True)
class Aside:
    """Which rows of a fit are set aside; both of shape (n_rows,)."""

    stopping: npt.NDArray[np.bool_]
    """Those that decide when to stop."""
    fitting: npt.NDArray[np.bool_]
    """Those that are fitted on; a duplicate of a deciding row is neither."""

    @classmethod
    def among(cls, order: Places, held: Places) -> Aside:
        """Of rows that stand in ascending order of their places, some more than once.

        >>> Aside.among(np.array([1, 2, 2, 5]), np.array([2])).stopping.tolist()
        [False, True, False, False]
        """
        inside = np.isin(order, held)
        return cls(inside & (np.diff(order, prepend=-1) > 0), ~inside)


def stopping_rows(
    real: Places, target: npt.NDArray[np.float64], seed: int, *, classes: bool, groups: Places | None = None
) -> Places:
    """Places of the rows that are set aside: the same at every ratio of a repeat, since each row has its own number.

    Parameters
    ----------
    real : array of shape (n_real,)
        Places of the real rows that the fit takes.
    target : array of shape (n_real,)
        Codes of their classes, or numbers.
    seed : int
        Of the fit; all ratios of a repeat share it.
    classes : bool
        Whether ``target`` holds classes: each gives its share, and keeps a row at least to fit on.
    groups : array of shape (n_real,), optional
        The group of each row: whole groups are set aside, as near to the share as they come.

    Examples
    --------
    >>> found = stopping_rows(np.arange(10), np.array([0.0] * 5 + [1.0] * 5), 1, classes=True)
    >>> len(found), len(set(found) & set(range(5)))
    (2, 1)
    """
    rank = np.random.default_rng([seed, 5]).random(int(real.max()) + 1)[real]
    if groups is not None:
        return real[_whole_groups(groups, rank)]
    parts = [np.flatnonzero(target == code) for code in np.unique(target)] if classes else [np.arange(len(real))]
    held = [part[np.argsort(rank[part])][: min(round(len(part) * SHARE), len(part) - 1)] for part in parts]
    return np.sort(real[np.concatenate(held)])


def _whole_groups(groups: Places, rank: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    names, place, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    first = np.full(len(names), np.inf)
    np.minimum.at(first, place, rank)
    order = np.argsort(first)
    taken = np.cumsum(sizes[order])
    n_groups = min(1 + int(np.abs(taken - SHARE * len(groups)).argmin()), len(names) - 1)
    return np.asarray(np.isin(place, order[:n_groups]))
