"""Reused values: a generator that hands out its members' own values betrays them, though no distance shows it.

Cheapest and strongest against generators that resample leaves: on the credit world's memorising trees the count of
exact values alone reaches AUC 0.91 where the distance to the closest record reaches 0.52.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]

BACKGROUND = 0.3  # members' worth of a value that the batch may show by smoothing alone


@dataclass(frozen=True)
class ValueCounts:
    """How often each target's value of each column stands in each table: shape (n_targets, n_columns)."""

    columns: list[str]
    among_targets: Counts
    in_batch: Counts
    in_others: Counts
    present: Bools
    n_batch: int
    n_others: int

    @property
    def reused(self) -> Bools:
        """Where a value is one target's own and yet stands in the batch; heaps and labels betray nobody."""
        return np.asarray(self.present & (self.among_targets == 1) & (self.in_batch > 0))


def count_values(targets: pd.DataFrame, batch: pd.DataFrame, others: pd.DataFrame) -> ValueCounts:
    """Count exact values.

    Parameters
    ----------
    targets : DataFrame of shape (n_targets, n_columns)
        Members and controls.
    batch : DataFrame
    others : DataFrame
        Further members that are no targets; may be empty.

    Examples
    --------
    >>> rows = pd.DataFrame({"a": [1.5, 2.0, 2.0]})
    >>> count_values(rows, pd.DataFrame({"a": [1.5, 2.0]}), rows[:0]).reused[:, 0].tolist()
    [True, False, False]
    """
    counted = [_count(targets[name], batch[name], others[name]) for name in targets]
    among, in_batch, in_others = (np.column_stack(side) for side in zip(*counted, strict=True))
    names = [str(name) for name in targets]
    return ValueCounts(names, among, in_batch, in_others, targets.notna().to_numpy(), len(batch), len(others))


def exact_values(counts: ValueCounts) -> Floats:
    """Columns in which a target's own value stands in the batch, each weighed by how rarely that happens."""
    marks = counts.reused.astype(np.float64)
    rate = (marks.sum(axis=0) + 1) / (len(marks) + 2)
    return np.asarray(marks @ -np.log(rate))


def surplus_by_column(counts: ValueCounts) -> Floats:
    """How much likelier the batch's count of a target's value of each column is if it is one member more.

    Returns
    -------
    array of shape (n_targets, n_columns)
        Their sum over the columns is the attack.

    Notes
    -----
    Log-likelihood ratio of Poisson counts: a member adds its share of the batch to what the other
    members give. Where there are too few other members, the other targets stand in for them.
    """
    n_targets = len(counts.in_batch)
    if counts.n_others >= n_targets:
        elsewhere = counts.in_others * (counts.n_batch / counts.n_others)
    else:
        elsewhere = (counts.among_targets - 1) * (counts.n_batch / n_targets)
    own = counts.n_batch / (counts.n_others + n_targets / 2)
    surplus = counts.in_batch * np.log1p(own / (elsewhere + BACKGROUND * own)) - own
    return np.asarray(np.where(counts.present, surplus, 0.0))


def _count(targets: pd.Series, batch: pd.Series, others: pd.Series) -> tuple[Counts, Counts, Counts]:
    codes, labels = pd.factorize(pd.concat([targets, batch, others], ignore_index=True), use_na_sentinel=False)
    ends = np.cumsum([len(targets), len(batch)])
    found = codes[: ends[0]]
    sides = (found, codes[ends[0] : ends[1]], codes[ends[1] :])
    first, second, third = (np.bincount(side, minlength=len(labels))[found] for side in sides)
    return first, second, third
