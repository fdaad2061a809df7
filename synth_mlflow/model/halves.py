"""The frozen set in two fixed halves: *select* chooses, *confirm* states the promised score, once a handoff."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.slices import Mask
from synth_mlflow.data.task import Task

MIN_ROWS = 2_000  # below, halving costs more precision than a fresh half is worth
MIN_CLASS_ROWS = 200
_SEED = 20_240_229  # fixed: the halves of a frozen set are the same in every sweep of every project


@dataclass(frozen=True)
class Halves:
    """Which rows may choose and which may confirm; in a small set, all do both."""

    select: Mask
    confirm: Mask
    is_classification: bool = True

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
            return (
                f"The frozen set is small ({len(self.select):,} rows; {needed} would do): "
                "the same rows choose and confirm, and the score is corrected for the choice."
            )
        return f"{int(self.select.sum()):,} rows of the frozen set choose, {int(self.confirm.sum()):,} others confirm."


def halve(truth: npt.NDArray[np.float64], is_classification: bool) -> Halves:
    """Cut the frozen set, within each class; always in the same way.

    Parameters
    ----------
    truth : array of shape (n_rows,)
        Class codes, or numbers.
    is_classification : bool
    """
    strata = truth if is_classification else np.zeros(len(truth))
    sizes = np.unique(strata, return_counts=True)[1]
    if len(truth) < MIN_ROWS or (is_classification and sizes.min() < MIN_CLASS_ROWS):
        everyone = np.ones(len(truth), dtype=bool)
        return Halves(everyone, everyone, is_classification)
    position = np.random.default_rng(_SEED).permutation(len(truth))
    order = np.lexsort([position, strata])
    select = np.zeros(len(truth), dtype=bool)
    select[order[::2]] = True
    return Halves(select, ~select, is_classification)


def halves_of(rows: pd.DataFrame, task: Task) -> Halves:
    """Cut a frozen set as :func:`halve` does, where no model with an order of classes is at hand.

    Parameters
    ----------
    rows : DataFrame
        The whole frozen set with its target.
    task : Task
    """
    return halve(pd.factorize(rows[task.target], sort=True)[0].astype(np.float64), task.is_classification)
