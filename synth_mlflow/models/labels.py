"""Class labels: their order, and their codes 0, 1, … in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError

Labels = tuple[Any, ...]


def classes_of(rows: pd.DataFrame, task: Task) -> Labels:
    """The labels in ascending order; empty for regression. In a binary task the second one is the positive class.

    Raises
    ------
    UsageError
        If the labels do not fit the kind of the task.
    """
    if not task.is_classification:
        return ()
    classes = tuple(sorted(rows[task.target].dropna().unique().tolist()))
    if len(classes) < 2 or (task.kind == "binary" and len(classes) != 2):
        needed = "exactly 2" if task.kind == "binary" else "at least 2"
        raise UsageError(
            f"target {task.target!r} has {len(classes):,} classes in {len(rows):,} rows, "
            f"a {task.kind} task needs {needed}.",
            "Correct `target` or `task` in the problem statement, or give rows of every class.",
        )
    return classes


def target_values(rows: pd.DataFrame, task: Task, classes: Labels) -> npt.NDArray[np.float64]:
    """The target as numbers: itself for regression, codes 0, 1, … in the order of ``classes`` otherwise.

    Raises
    ------
    UsageError
        If the target is missing in a row or has a label outside ``classes``.
    """
    target = task.targets(rows)
    n_missing = int(target.isna().sum())
    if n_missing:
        raise UsageError(
            f"target {task.target!r} is missing in {n_missing:,} of {len(rows):,} rows.", "Leave these rows out."
        )
    if not task.is_classification:
        return _numbers(target)
    codes = pd.Index(list(classes), dtype=object).get_indexer(pd.Index(target.astype(object)))
    if (codes < 0).any():
        strange = sorted({repr(label) for label in target[codes < 0]})
        raise UsageError(
            f"target {task.target!r} has labels that no real training row has: {', '.join(strange[:5])}.",
            f"Known labels: {', '.join(map(repr, classes[:12]))}.",
        )
    return np.asarray(codes, dtype=np.float64)


def certain_of(codes: npt.NDArray[np.float64], n_classes: int, n_rows: int) -> npt.NDArray[np.float64] | None:
    """Predictions that give the only class among some codes the probability 1; None where there are several.

    Many programs fit no single class, which is what a part of the rows may hold of a rare one.

    >>> certain_of(np.array([1.0, 1.0]), 2, 1), certain_of(np.array([0.0, 1.0]), 2, 1)
    (array([[0., 1.]]), None)
    """
    if not n_classes or (codes != codes[0]).any():
        return None
    return np.tile(np.eye(n_classes)[int(codes[0])], (n_rows, 1))


def _numbers(target: pd.Series) -> npt.NDArray[np.float64]:
    if not pd.api.types.is_numeric_dtype(target.dtype):
        raise UsageError(
            f"target {target.name!r} holds values like {target.iloc[0]!r}, a regression task needs numbers.",
            "Correct `target` or `task` in the problem statement.",
        )
    return target.to_numpy(dtype=np.float64)
