"""Weights of rows in a fit: class weights, given by label in a statement, and a column with the role `weight`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError
from synth_mlflow.models.labels import Labels

WEIGHT = "synth_weight"  # the column of a sweep over weights, where no column of the rows weighs them

Vector = npt.NDArray[np.float64]

_FIX = 'Give a weight a class, or "balanced", in `model: params:` of the problem statement.'


def weights_by_code(class_weight: Any, classes: Labels) -> Any:
    """Weights by code 0, 1, …, from those that a statement gives by label; "balanced" and None as they are.

    Parameters
    ----------
    class_weight : mapping of label to float, "balanced" or None
        The keys are text once they have been recorded.
    classes : tuple
        Labels in the order of their codes; empty for regression.

    Raises
    ------
    UsageError
        If it is neither, or names no class of the task.

    Examples
    --------
    >>> weights_by_code({"2": 5.0}, (1, 2)), weights_by_code("balanced", (1, 2))
    ({1: 5.0}, 'balanced')
    """
    if class_weight is None or (class_weight == "balanced" and classes):
        return class_weight
    if not isinstance(class_weight, Mapping) or not all(isinstance(w, int | float) for w in class_weight.values()):
        raise UsageError(f"`class_weight` is {class_weight!r}, which is no weight a class.", _FIX)
    codes = {_label_text(label): code for code, label in enumerate(classes)}
    strange = [label for label in class_weight if _label_text(label) not in codes]
    if strange:
        known = f"The classes are {', '.join(map(repr, classes[:12]))}." if classes else "A regression has no classes."
        raise UsageError(f"`class_weight` names {strange[0]!r}. {known}", _FIX)
    return {codes[_label_text(label)]: float(weight) for label, weight in class_weight.items()}


def row_weights(
    target: Vector, class_weight: Any, balance: Vector, balance_weights: Vector | None = None
) -> Vector | None:
    """One weight a row; None where all count alike.

    Parameters
    ----------
    target : array of shape (n_rows,)
        Codes.
    class_weight : mapping of code to float, "balanced" or None
        What :func:`weights_by_code` gives; a class that it leaves out has weight 1.
    balance : array of shape (n_balanced,)
        Codes of the rows that "balanced" gives every class the same total weight in.
    balance_weights : array of shape (n_balanced,), optional
        What each of them counts, where they do not count alike.

    Examples
    --------
    >>> row_weights(np.array([0.0, 1.0]), "balanced", np.array([0.0, 0.0, 0.0, 1.0])).round(3).tolist()
    [0.667, 2.0]
    """
    if class_weight is None:
        return None
    if class_weight == "balanced":
        codes, places = np.unique(balance, return_inverse=True)
        counts = np.bincount(places, balance_weights)
        class_weight = dict(zip(codes, counts.sum() / (len(codes) * counts), strict=True))
    weights = np.ones(int(target.max()) + 1)
    for code, weight in class_weight.items():
        if code < len(weights):
            weights[int(code)] = weight
    return weights[target.astype(np.int64)]


def column_weights(rows: pd.DataFrame, column: str | None) -> Vector | None:
    """The weight of each row as a column gives it; None where there is no such column.

    Raises
    ------
    UsageError
        If a weight is missing, negative or no number, or all are 0.

    Examples
    --------
    >>> column_weights(pd.DataFrame({"w": [1, 3]}), "w").tolist()
    [1.0, 3.0]
    """
    if column is None or column not in rows:
        return None
    given = rows[column]
    if not pd.api.types.is_numeric_dtype(given.dtype):
        raise UsageError(f"the weights in column {column!r} are no numbers: {given.iloc[0]!r}.", _FIX_COLUMN)
    weights = given.to_numpy(dtype=np.float64, na_value=np.nan)
    n_bad = int((~(np.isfinite(weights) & (weights >= 0))).sum())
    if n_bad:
        raise UsageError(
            f"column {column!r} weighs rows, and {n_bad:,} of {len(rows):,} weights are missing, infinite or negative.",
            _FIX_COLUMN,
        )
    if not weights.any():
        raise UsageError(f"column {column!r} weighs rows, and all {len(rows):,} weights are 0.", _FIX_COLUMN)
    return weights


_FIX_COLUMN = "Correct the rows, or give the column another role: `columns: {NAME: {role: ignored}}` in problem.md."


def weighed(rows: pd.DataFrame, task: Task, weights: Vector | None) -> tuple[pd.DataFrame, Task]:
    """The rows with these weights as a column, or times the column that weighs them already.

    Parameters
    ----------
    rows : DataFrame
    task : Task
    weights : array of shape (n_rows,), optional
        None leaves both as they are.

    Returns
    -------
    (DataFrame, Task)
        The task knows the column.
    """
    if weights is None:
        return rows, task
    name, given = task.weight or WEIGHT, column_weights(rows, task.weight)
    column = weights if given is None else weights * given
    return rows.assign(**{name: column}), replace(task, roles={**task.roles, name: "weight"})


def product(by_column: Vector | None, by_class: Vector | None) -> Vector | None:
    """The product of both weights of each row; None where all count alike."""
    if by_column is None or by_class is None:
        return by_class if by_column is None else by_column
    return by_column * by_class


def _label_text(label: Any) -> str:
    """As JSON has it for a key: 1 and 1.0 are one label."""
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    return str(label).lower() if isinstance(label, bool) else str(label)
