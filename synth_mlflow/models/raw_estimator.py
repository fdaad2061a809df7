"""What an estimator is shown and what its answers mean; copied into the saved model's code folder.

Like ``raw_columns`` it imports nothing else of the package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

MISSING = "(missing)"  # the category of missing values, for estimators that refuse them

Matrix = npt.NDArray[np.float64]


def named(
    features: pd.DataFrame,
    categories: Mapping[str, Sequence[str]],
    *,
    as_numbers: bool = False,
    name_missing: bool = False,
) -> pd.DataFrame:
    """Features under their names, categories as pandas categories in the order of training.

    Parameters
    ----------
    features : DataFrame
        Columns in the types of training.
    categories : mapping of str to sequence of str
        The categories of each column that holds some; other values become missing.
    as_numbers : bool
        Whether moments become seconds since 1970, and booleans 0 and 1.
    name_missing : bool
        Whether missing and unknown categories become a category of their own.

    Examples
    --------
    >>> named(pd.DataFrame({"x": ["b", "c"]}), {"x": ["a", "b"]})["x"].cat.codes.tolist()
    [1, -1]
    """
    shown = {}
    for name in features.columns:
        values = features[name]
        if name in categories:
            known = [*categories[name], MISSING] if name_missing else list(categories[name])
            known_values = values.astype(object).where(values.isin(known), None)
            values = pd.Series(pd.Categorical(known_values, categories=known), index=values.index)
            values = values.fillna(MISSING) if name_missing else values
        elif as_numbers:
            values = _number(values)
        shown[name] = values
    return pd.DataFrame(shown, index=features.index)


def gives_probabilities(estimator: Any) -> bool:
    """Whether a classifier has ``predict_proba``; what has not is read by its ``decision_function``."""
    return hasattr(estimator, "predict_proba")


def class_scores(estimator: Any, features: Any, n_classes: int) -> Matrix:
    """A number in [0, 1] for each class, of shape (n_rows, n_classes): probabilities, or decisions mapped there.

    Decisions keep their order, and 0 becomes one half; they are no probabilities.

    Raises
    ------
    ValueError
        If the answer has another shape, is missing or infinite, or a probability lies outside of [0, 1].
    """
    n_rows = len(features)
    if gives_probabilities(estimator):
        scores = np.asarray(estimator.predict_proba(features), dtype=np.float64)
        _refuse_strange(scores, (n_rows, len(estimator.classes_)), "predict_proba")
        if ((scores < 0) | (scores > 1 + 1e-6)).any():
            raise ValueError(f"predict_proba gave {scores.min():g} to {scores.max():g}; probabilities lie in 0 to 1")
        probabilities = np.zeros((n_rows, n_classes))
        probabilities[:, np.asarray(estimator.classes_).astype(np.intp)] = scores  # a resample may lack a rare class
        return probabilities
    return decision_scores(np.asarray(estimator.decision_function(features), dtype=np.float64), n_rows, n_classes)


def decision_scores(decisions: Matrix, n_rows: int, n_classes: int) -> Matrix:
    """Decisions in [0, 1], in their order: x / (1 + |x|) grows without a step where a logistic curve rounds to 1.

    Examples
    --------
    >>> decision_scores(np.array([-1.0, 0.0, 3.0]), 3, 2)[:, 1].tolist()
    [0.25, 0.5, 0.875]
    """
    _refuse_strange(decisions, (n_rows,) if n_classes == 2 else (n_rows, n_classes), "decision_function")
    within = 0.5 + 0.5 * decisions / (1.0 + np.abs(decisions))
    return np.column_stack([1.0 - within, within]) if n_classes == 2 else within


def number_scores(estimator: Any, features: Any) -> Matrix:
    """What a regression says, of shape (n_rows,); a ValueError if it is missing, infinite or of another shape."""
    scores = np.asarray(estimator.predict(features), dtype=np.float64)
    scores = scores.ravel() if scores.shape == (len(features), 1) else scores
    _refuse_strange(scores, (len(features),), "predict")
    return scores


def answer(scores: Matrix, classes: Sequence[Any], index: pd.Index, kind: str = "probability") -> pd.DataFrame:
    """What a served model answers: ``prediction``, and a column of that kind for each class."""
    if not classes:
        return pd.DataFrame({"prediction": scores}, index=index)
    labels = pd.Series(classes).to_numpy()[scores.argmax(axis=1)]
    of_classes = {f"{kind}_{label}": scores[:, code] for code, label in enumerate(classes)}
    return pd.DataFrame({"prediction": labels, **of_classes}, index=index)


def _refuse_strange(scores: Matrix, shape: tuple[int, ...], method: str) -> None:
    if scores.shape != shape:
        raise ValueError(f"{method} gave an array of shape {scores.shape}, {shape} was needed")
    n_bad = int((~np.isfinite(scores)).sum())
    if n_bad:
        raise ValueError(f"{method} gave {n_bad:,} missing or infinite values among {scores.size:,}")


def _number(values: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return (values - pd.Timestamp(0)) / pd.Timedelta(seconds=1)
    return values.astype("float64") if pd.api.types.is_bool_dtype(values.dtype) else values
