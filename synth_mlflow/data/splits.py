"""Split an evaluation set off the real rows: random, stratified, by group, by time, or by both.

Exact duplicates stay on one side of a random split unless the plan says otherwise, and rows of one group never part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.digests import row_hashes
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.statement import BOTH_SIDES, Evaluation
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError, closest

Positions = npt.NDArray[np.int64]

GROUP_ORDERS = 20  # random orders of groups, of which the best is taken; one may begin with a giant


@dataclass(frozen=True)
class Split:
    """Which rows are held out, and how they were chosen."""

    evaluation: Positions
    """Sorted row positions of the evaluation set."""
    training: Positions
    """Sorted row positions of the rest."""
    how: str
    """In words."""
    n_duplicates: int
    """Rows that are exact copies of another row."""
    unused: Positions = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Sorted row positions on neither side: of a split by group and time alone."""


def cut(rows: pd.DataFrame, task: Task, plan: Evaluation, slices: Mapping[str, Slice], seed: int) -> Split:
    """Choose the evaluation rows.

    Parameters
    ----------
    rows : DataFrame
        Normalised real rows.
    task : Task
        Its target is stratified by default when it is a class.
    plan : Evaluation
        The share to hold out, and the way.
    slices : mapping of str to Slice
        Every slice is held out in the same share, as far as its rows allow.
    seed : int
        Of the random ways; a cut by time has no randomness.

    Raises
    ------
    UsageError
        If a column is missing, or one of both sides would be empty.
    """
    units = np.asarray(pd.factorize(row_hashes(rows))[0], dtype=np.int64)
    n_duplicates = len(rows) - int(units.max() + 1)
    if plan.time and plan.group:
        return _refuse_empty(_later_of_other_groups(rows, plan, seed, n_duplicates), len(rows))
    if plan.time:
        evaluation, how = _latest(rows, plan)
    elif plan.group:
        evaluation = _held_out_groups(_column(rows, plan.group), plan.share, seed)
        how = f"whole groups of {plan.group!r} up to {100 * plan.share:.4g}% of the rows, at random with seed {seed}"
    else:
        strata, by = _strata(rows, task, plan, slices)
        alone = plan.equal_rows == BOTH_SIDES
        evaluation = _held_out(np.arange(len(rows)) if alone else units, strata, plan.share, seed)
        how = f"{100 * plan.share:.4g}% of the rows, at random with seed {seed}{by}"
        how += ", equal rows on both sides" if alone else ""
    held_out = np.isin(np.arange(len(rows)), evaluation)
    split = Split(np.flatnonzero(held_out), np.flatnonzero(~held_out), how, n_duplicates)
    return _refuse_empty(split, len(rows))


def group_codes(rows: pd.DataFrame, task: Task) -> Positions | None:
    """The group of each row, for a set that was split by group; None where every row stands for itself.

    Parameters
    ----------
    rows : DataFrame
        Real rows; for codes that agree between several tables, those tables one under the other.
    task : Task
        Names the column of groups, if there is one.

    Returns
    -------
    array of int64 of shape (n_rows,), or None
        Codes 0, 1, …; rows whose group is missing are one group, as they were when the set was split.

    Examples
    --------
    >>> group_codes(pd.DataFrame({"patient": ["b", "a", "b"]}), Task("y", "binary", group="patient")).tolist()
    [0, 1, 0]
    """
    if task.group is None:
        return None
    return np.asarray(pd.factorize(_column(rows, task.group), use_na_sentinel=False)[0], dtype=np.int64)


def _later_of_other_groups(rows: pd.DataFrame, plan: Evaluation, seed: int, n_duplicates: int) -> Split:
    """Evaluation rows of other groups and of later times than all training rows.

    A share of the groups and a time divide the rows into four parts. Later rows of the drawn groups are held out, and
    earlier rows of the other groups are training rows. The two parts between are used by neither side: each shares
    groups with one side, and times with the other. Where the share of groups and the share of times are alike, these
    parts are smallest.
    """
    column = _time_column(rows, plan)
    odds = np.sqrt(plan.share / (1 - plan.share))
    held_out = np.zeros(len(rows), dtype=np.bool_)
    held_out[_held_out_groups(_column(rows, str(plan.group)), odds / (1 + odds), seed)] = True
    times, place = np.unique(column.to_numpy(), return_inverse=True)
    per_time = [np.bincount(place[side], minlength=len(times)) for side in (held_out, ~held_out)]
    n_later = per_time[0].sum() - np.cumsum(per_time[0]) + per_time[0]
    n_earlier = np.cumsum(per_time[1]) - per_time[1]
    shares = n_later / np.maximum(n_later + n_earlier, 1)
    distances = np.where((n_later > 0) & (n_earlier > 0), np.abs(shares - plan.share), 2.0)
    first = int(np.argmin(distances))
    is_later = place >= first
    evaluation, training = np.flatnonzero(held_out & is_later), np.flatnonzero(~held_out & ~is_later)
    unused = np.flatnonzero(held_out != is_later)
    n_groups = rows[str(plan.group)][held_out].nunique(dropna=False)
    how = (
        f"rows of {n_groups:,} groups of {plan.group!r}, drawn at random with seed {seed}, from {plan.time} = "
        f"{column[place == first].iloc[0]} on; training rows are of other groups and earlier; {len(unused):,} of "
        f"{len(rows):,} rows lie between (earlier rows of these groups, later rows of the others) and are used by "
        "neither side"
    )
    return Split(evaluation, training, how, n_duplicates, unused)


def _latest(rows: pd.DataFrame, plan: Evaluation) -> tuple[Positions, str]:
    column = _time_column(rows, plan)
    first = column.sort_values(kind="stable").iloc[min(len(column) - 1, round(len(column) * (1 - plan.share)))]
    return np.flatnonzero((column >= first).to_numpy()), f"the latest rows, from {plan.time} = {first} on"


def _time_column(rows: pd.DataFrame, plan: Evaluation) -> pd.Series:
    column = _column(rows, str(plan.time))
    if column.isna().any() or not _is_ordered(column):
        raise UsageError(
            f"column {plan.time!r} cannot order the rows by time: it holds {int(column.isna().sum()):,} missing values "
            f"and values of type {column.dtype}.",
            "Name a column of dates or numbers without missing values.",
        )
    return column


def _is_ordered(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_datetime64_any_dtype(column.dtype)


def _column(rows: pd.DataFrame, name: str) -> pd.Series:
    if name not in rows:
        raise UsageError(f"the table has no column {name!r}. {closest(name, map(str, rows.columns))}")
    return rows[name]


def _strata(
    rows: pd.DataFrame, task: Task, plan: Evaluation, slices: Mapping[str, Slice]
) -> tuple[npt.NDArray[np.int64], str]:
    stratify = task.is_classification if plan.stratify is None else plan.stratify
    keys = [*(["target"] if stratify else []), *slices]
    if not keys:
        return np.zeros(len(rows), dtype=np.int64), ""
    parts = [part.mask(rows).astype(np.int64) for part in slices.values()]
    if stratify:
        parts.insert(0, _classes(rows[task.target], task))
    _, strata = np.unique(np.column_stack(parts), axis=0, return_inverse=True)
    return strata.reshape(-1), f", stratified by {', '.join(keys)}"


def _classes(target: pd.Series, task: Task) -> npt.NDArray[np.int64]:
    if task.is_classification:
        return pd.factorize(target)[0]
    return pd.qcut(target, 10, labels=False, duplicates="drop").to_numpy(dtype=np.int64)


def _held_out(units: Positions, strata: Positions, share: float, seed: int) -> Positions:
    """Positions of whole units, taken stratum by stratum while a unit's middle row lies within the share."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(int(units.max()) + 1)[units]
    first = pd.Series(strata).groupby(units).transform("first").to_numpy()  # a unit belongs to one stratum
    by_unit = np.lexsort((order, first))
    sorted_units = order[by_unit]
    rank = pd.Series(np.arange(len(units))).groupby(first[by_unit]).cumcount() + 0.5
    middle = rank.groupby(sorted_units).transform("mean")
    quota = pd.Series(first[by_unit]).map(pd.Series(first).value_counts() * share)
    return np.sort(by_unit[(middle <= quota).to_numpy()])


def _held_out_groups(column: pd.Series, share: float, seed: int) -> Positions:
    """Positions of whole groups; of several random orders of groups, the one that comes nearest to the share."""
    groups = pd.factorize(column, use_na_sentinel=False)[0]
    sizes = np.bincount(groups)
    rng = np.random.default_rng(seed)
    tries = [_taken(rng.permutation(len(sizes)), sizes, share * len(groups)) for _ in range(GROUP_ORDERS)]
    best = min(tries, key=lambda taken: abs(sizes[taken].sum() - share * len(groups)))
    return np.flatnonzero(np.isin(groups, best))


def _taken(order: Positions, sizes: Positions, wanted: float) -> list[int]:
    """Groups in order, each taken if it brings the number of rows nearer to what is wanted; never all of them."""
    taken: list[int] = []
    for group in order[: len(order) - 1]:
        if sizes[group] / 2 <= wanted - sizes[taken].sum():
            taken.append(int(group))
    return taken


def _refuse_empty(split: Split, n_rows: int) -> Split:
    if not len(split.evaluation) or not len(split.training):
        raise UsageError(
            f"cutting {n_rows:,} rows this way leaves {len(split.training):,} for training and "
            f"{len(split.evaluation):,} for evaluation.",
            "Give more rows, another share, or another way to cut.",
        )
    return split


def refuse_negative_seed(seed: int) -> None:
    """A UsageError for a seed that no random number generator takes."""
    if seed < 0:
        raise UsageError(f"seed {seed} was given, a whole number of at least 0 is needed.")
