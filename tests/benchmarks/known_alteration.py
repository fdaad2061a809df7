"""What a test could find that knew how the evaluation rows of a batch were altered: the limit for one that does not.

It counts the evaluation rows that a batch row matches as closely as every altered row matches its original: in each
column no further apart, and in no more columns unequal. The references are those of the check: how often real rows
match one another so, and training rows by which the batch would be as near.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from synth_mlflow.data.grids import floats_of
from synth_mlflow.metrics.encoding import labels
from synth_mlflow.metrics.intervals import rate_p_value

Floats = npt.NDArray[np.float64]
BLOCK = 200  # rows that are compared with all others at once


def is_possible(
    altered: pd.DataFrame, originals: pd.DataFrame, real: pd.DataFrame, n_batch: int, n_evaluation: int, alpha: float
) -> bool:
    """Whether as many altered rows would be significant beside natural matches.

    Parameters
    ----------
    altered, originals : DataFrame of shape (n_altered, n_columns)
        Row by row.
    real : DataFrame of shape (n_real, n_columns)
        Training and evaluation rows.
    n_batch, n_evaluation : int
        Rows of the batch, the altered ones among them, and evaluation rows among the real ones.
    alpha : float
    """
    together = pd.concat([altered, originals, real], ignore_index=True)
    points = np.column_stack([_codes(together[name]) for name in together])
    n = len(altered)
    first, second, every = points[:n], points[n : 2 * n], points[2 * n :]
    apart = np.abs(first - second)
    reach, n_unequal = apart.max(axis=0) + 1e-12, int((apart > 0).sum(axis=1).max())
    pairs = sum(
        int(_within(every[at : at + BLOCK], every, reach, n_unequal).sum()) for at in range(0, len(every), BLOCK)
    )
    natural = (pairs - len(every)) // 2
    exposures = float(n_batch * n_evaluation), len(every) ** 2 / 2
    expected = natural * exposures[0] / exposures[1]
    k = int(n + expected)
    share = n_evaluation / len(every)
    by_side = float(stats.binom.sf(k - 1, k + int(expected * (1 - share) / share), share))
    return max(rate_p_value(k, exposures[0], natural, exposures[1]), by_side) <= alpha


def _codes(values: pd.Series) -> Floats:
    """Numbers as they are, missing ones far from all others; labels by number, so that unequal ones are far apart."""
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_bool_dtype(values.dtype):
        found = floats_of(values)
        return np.where(np.isnan(found), 1e12, found)
    return pd.factorize(labels(values))[0] * 1e6


def _within(some: Floats, every: Floats, reach: Floats, n_unequal: int) -> npt.NDArray[np.bool_]:
    found = np.ones((len(some), len(every)), dtype=bool)
    unequal = np.zeros((len(some), len(every)), dtype=np.int16)
    for at, far in enumerate(reach):
        apart = np.abs(some[:, at, None] - every[:, at])
        found &= apart <= far
        unequal += apart > 0
    return found & (unequal <= n_unequal)
