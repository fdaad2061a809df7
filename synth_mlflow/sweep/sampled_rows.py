"""The real rows that the fits of a large project take: a random sample, the same for the baseline and for every sweep.

Where a score on 100,000 rows lies so little below that on all of them that it does not matter, fits take so many,
however large the table is. `freeze` measures that and records it. Rare classes and slices never get too few rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from synth_mlflow.data.mixing import Places
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.splits import Positions, group_codes
from synth_mlflow.data.task import BOOSTED, ModelSpec, Task
from synth_mlflow.models.text import is_linear

MAX_ROWS = 100_000  # real rows that a fit takes by default
MIN_PART_ROWS = 1_000  # of the rarest class and of every slice, as far as there are so many
_SEED = 8


def sampled_rows(real: pd.DataFrame, task: Task, spec: ModelSpec, slices: Mapping[str, Slice]) -> Places | None:
    """Places of the rows to fit on, ascending; None where fits take every row.

    Only LightGBM's fits take a sample, since for other models nobody has measured what it loses. The sample is larger
    than ``MAX_ROWS`` where the rarest class or a slice would have fewer than ``MIN_PART_ROWS`` rows. Of a set that was
    split by group it holds whole groups.

    Parameters
    ----------
    real : DataFrame
        The real training rows.
    slices : mapping of str to Slice
        Of the problem statement.
    """
    if spec.estimator != BOOSTED or is_linear(spec):
        return None
    share = max([MAX_ROWS / len(real), *(MIN_PART_ROWS / size for size in _part_sizes(real, task, slices) if size)])
    if share >= 1:
        return None
    order = np.random.default_rng(_SEED).permutation(len(real))
    return np.sort(_first(order, math.ceil(share * len(real)), group_codes(real, task)))


def sampled_added(origin: pd.Series, share: float) -> Places:
    """Places of as large a share of every batch, ascending: what a ratio needs of all rows, it has among these.

    Parameters
    ----------
    origin : Series of shape (n_synthetic,)
        The batch of each row.
    share : float
        Of the real rows that was sampled.
    """
    rng = np.random.default_rng([_SEED, 1])
    parts = [np.flatnonzero((origin == batch).to_numpy()) for batch in origin.unique()]
    taken = [rng.permutation(part)[: math.ceil(share * len(part)) + 1] for part in parts]
    return np.sort(np.concatenate(taken)) if taken else np.empty(0, dtype=np.int64)


def sample_words(n_rows: int, n_whole: int) -> str:
    """What is said of a score that was measured on a sample.

    >>> sample_words(100_000, 800_000)
    'Measured by fits on a random sample of 100,000 of the 800,000 real training rows.'
    """
    return f"Measured by fits on a random sample of {n_rows:,} of the {n_whole:,} real training rows."


def _part_sizes(real: pd.DataFrame, task: Task, slices: Mapping[str, Slice]) -> list[int]:
    classes = real[task.target].value_counts().tolist() if task.is_classification else []
    return [*classes, *(int(part.mask(real).sum()) for part in slices.values())]


def _first(order: Positions, n_rows: int, groups: Positions | None) -> Positions:
    """The first rows of an order, and with them all others of their groups."""
    if groups is None:
        return order[:n_rows]
    sizes = np.bincount(groups)
    distinct, first = np.unique(groups[order], return_index=True)
    drawn = distinct[np.argsort(first)]
    whole_groups = drawn[: int(np.searchsorted(np.cumsum(sizes[drawn]), n_rows)) + 1]
    return np.flatnonzero(np.isin(groups, whole_groups))
