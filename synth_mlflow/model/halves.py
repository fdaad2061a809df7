"""The frozen set in two fixed halves: *select* chooses, *confirm* states the promised score, once a handoff."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.slices import Mask
from synth_mlflow.data.splits import Positions, group_codes
from synth_mlflow.data.task import Task

MIN_ROWS = 2_000  # below, halving costs more precision than a fresh half is worth
MIN_CLASS_ROWS = 200
MIN_GROUPS = 200  # of a set that was split by group: its groups are what is independent, not its rows
_SEED = 20_240_229  # fixed: the halves of a frozen set are the same in every sweep of every project


@dataclass(frozen=True)
class Halves:
    """Which rows may choose and which may confirm; in a small set, all do both."""

    select: Mask
    confirm: Mask
    is_classification: bool = True
    by_group: bool = False

    @property
    def shared(self) -> bool:
        """Whether the rows that confirm are those that chose."""
        return bool((self.select & self.confirm).any())

    @property
    def words(self) -> str:
        """For the report."""
        if self.shared:
            needed = f"{MIN_ROWS:,} rows"
            needed += f" and {MIN_CLASS_ROWS} of each class" if self.is_classification else ""
            needed += f" in {MIN_GROUPS} groups" if self.by_group else ""
            return (
                f"The frozen set is small ({len(self.select):,} rows; {needed} would do): "
                "the same rows choose and confirm, and the score is corrected for the choice."
            )
        return f"{int(self.select.sum()):,} rows of the frozen set choose, {int(self.confirm.sum()):,} others confirm."


def halve(truth: npt.NDArray[np.float64], is_classification: bool, groups: Positions | None = None) -> Halves:
    """Split the frozen set, within each class; always in the same way.

    Parameters
    ----------
    truth : array of shape (n_rows,)
        Class codes, or numbers.
    is_classification : bool
    groups : array of shape (n_rows,), optional
        The group of each row where the set was split by group: whole groups then go to one half.
    """
    strata = np.unique(truth, return_inverse=True)[1] if is_classification else np.zeros(len(truth), dtype=np.int64)
    n_groups = len(truth) if groups is None else len(np.unique(groups))
    small = len(truth) < MIN_ROWS or (is_classification and np.bincount(strata).min() < MIN_CLASS_ROWS)
    if small or (groups is not None and n_groups < MIN_GROUPS):
        return _shared(len(truth), is_classification, groups is not None)
    if groups is not None:
        return _halved_groups(strata, groups, is_classification)
    position = np.random.default_rng(_SEED).permutation(len(truth))
    order = np.lexsort([position, strata])
    select = np.zeros(len(truth), dtype=bool)
    select[order[::2]] = True
    return Halves(select, ~select, is_classification)


def _shared(n_rows: int, is_classification: bool, by_group: bool) -> Halves:
    everyone = np.ones(n_rows, dtype=bool)
    return Halves(everyone, everyone, is_classification, by_group)


def _halved_groups(strata: Positions, groups: Positions, is_classification: bool) -> Halves:
    """Whole groups, the largest first, each to the half that it leaves more alike in rows of every class."""
    codes = np.unique(groups, return_inverse=True)[1]
    rows = np.zeros((codes.max() + 1, strata.max() + 1))
    np.add.at(rows, (codes, strata), 1)
    position = np.random.default_rng(_SEED).permutation(len(rows))
    ahead, selected = np.zeros(rows.shape[1]), np.zeros(len(rows), dtype=bool)
    for group in np.lexsort([position, -rows.sum(axis=1)]):
        selected[group] = ahead @ rows[group] <= 0
        ahead += rows[group] if selected[group] else -rows[group]
    if (np.abs(ahead) > rows.sum(axis=0) / 3).any():  # one half would hold more than two thirds of a class
        return _shared(len(groups), is_classification, by_group=True)
    select = selected[codes]
    return Halves(select, ~select, is_classification, by_group=True)


def halves_of(rows: pd.DataFrame, task: Task) -> Halves:
    """Split a frozen set as :func:`halve` does, where no model with an order of classes is at hand.

    Parameters
    ----------
    rows : DataFrame
        The whole frozen set with its target.
    task : Task
    """
    truth = pd.factorize(rows[task.target], sort=True)[0].astype(np.float64)
    return halve(truth, task.is_classification, group_codes(rows, task))
