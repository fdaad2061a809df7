"""The constant prediction: what a model says that has learned nothing but how often each class occurs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.model.labels import Labels

Vector = npt.NDArray[np.float64]


def constant_prediction(target: pd.Series, classes: Labels, n_rows: int) -> Vector:
    """Predictions of one value: class shares, or the mean.

    Parameters
    ----------
    target : Series
        Of the training rows.
    classes : tuple
        Labels in the order of the probabilities; empty for regression.

    Returns
    -------
    array of shape (n_rows,) or (n_rows, n_classes)

    Examples
    --------
    >>> constant_prediction(pd.Series(["a", "b", "a", "a"]), ("a", "b"), 2).tolist()
    [[0.75, 0.25], [0.75, 0.25]]
    """
    if not classes:
        return np.full(n_rows, float(target.mean()))
    shares = [float((target == label).mean()) for label in classes]
    return np.tile(shares, (n_rows, 1))
