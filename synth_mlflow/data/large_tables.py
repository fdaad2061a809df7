"""Which rows of a table larger than memory generators learn from and checks look at: always the same random sample."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.mapped import is_large
from synth_mlflow.data.slices import Slice

SAMPLE_CELLS = 8_000_000  # rows times columns
SLICE_SHARE = 0.5  # of the sample, that rows of a slice may take
_SEED = 11


def sampled_places(rows: pd.DataFrame, part: Slice | None = None) -> npt.NDArray[np.int64] | None:
    """Places of the rows that stand for a large table, ascending; None where every row does.

    Parameters
    ----------
    rows : DataFrame
    part : Slice, optional
        Its rows are taken first, up to half of the sample, so that a rare slice keeps all that it has.
    """
    if not is_large(*rows.shape):
        return None
    n_rows, rng = SAMPLE_CELLS // rows.shape[1], np.random.default_rng(_SEED)
    if n_rows >= len(rows):
        return None
    order = rng.permutation(len(rows))
    if part is not None:
        inside = part.mask(rows)[order]
        first = order[inside][: int(SLICE_SHARE * n_rows)]
        order = np.concatenate([first, order[~np.isin(order, first)]])
    return np.sort(order[:n_rows])
