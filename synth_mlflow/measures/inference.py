"""Attribute inference: does the batch reveal a value of its members better than that of people it never saw?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from synth_mlflow.data.columns import CATEGORICAL_KINDS
from synth_mlflow.measures.encoding import Encoding, labels, numbers

Floats = npt.NDArray[np.float64]


def inference_scores(targets: pd.DataFrame, batch: pd.DataFrame, column: str, *, n_neighbours: int = 1) -> Floats:
    """How well the batch rows most like a target in all other columns give its value of one column.

    Parameters
    ----------
    targets, batch : DataFrame
        The attacker knows every column of a target but ``column``.
    column : str
    n_neighbours : int

    Returns
    -------
    array of shape (n_targets,)
        Share of the neighbours with the right label; for numbers and dates minus the mean error in ranks. Members score
        like controls where the batch tells only what holds for everybody, which is no leak.

    Notes
    -----
    The nearest-neighbour attack of M. Giomi et al., "A unified framework for quantifying privacy risk in synthetic
    data", arXiv 2211.10459, with controls in place of its residual risk.
    """
    known = [name for name in targets if name != column]
    encoding = Encoding.learn(targets[known])
    search = NearestNeighbors(n_neighbors=min(n_neighbours, len(batch)), algorithm="brute")
    nearest = search.fit(encoding.points(batch)).kneighbors(encoding.points(targets), return_distance=False)
    whole = Encoding.learn(targets)
    if whole.schema[column] in CATEGORICAL_KINDS:
        return np.asarray((labels(batch[column])[nearest] == labels(targets[column])[:, None]).mean(axis=1))
    return -_rank_error(numbers(targets[column]), numbers(batch[column])[nearest])


def _rank_error(truth: Floats, guesses: Floats) -> Floats:
    ordered = np.sort(truth[~np.isnan(truth)])
    at = np.searchsorted(ordered, truth) / max(len(ordered), 1)
    guessed = np.searchsorted(ordered, guesses) / max(len(ordered), 1)
    error = np.abs(guessed - at[:, None])
    both_missing = np.isnan(truth)[:, None] & np.isnan(guesses)
    one_missing = np.isnan(truth)[:, None] ^ np.isnan(guesses)
    return np.asarray(np.where(both_missing, 0.0, np.where(one_missing, 1.0, error)).mean(axis=1))
