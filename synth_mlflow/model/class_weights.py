"""Class weights: given by label in a statement, by code in a fit, and as a weight a row to LightGBM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from synth_mlflow.errors import UsageError
from synth_mlflow.model.labels import Labels

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


def row_weights(target: Vector, class_weight: Any, balance: Vector) -> Vector | None:
    """One weight a row; None where all count alike.

    Parameters
    ----------
    target : array of shape (n_rows,)
        Codes.
    class_weight : mapping of code to float, "balanced" or None
        What :func:`weights_by_code` gives; a class that it leaves out has weight 1.
    balance : array of shape (n_balanced,)
        Codes of the rows that "balanced" gives every class the same total weight in.

    Examples
    --------
    >>> row_weights(np.array([0.0, 1.0]), "balanced", np.array([0.0, 0.0, 0.0, 1.0])).round(3).tolist()
    [0.667, 2.0]
    """
    if class_weight is None:
        return None
    if class_weight == "balanced":
        codes, counts = np.unique(balance, return_counts=True)
        class_weight = dict(zip(codes, len(balance) / (len(codes) * counts), strict=True))
    weights = np.ones(int(target.max()) + 1)
    for code, weight in class_weight.items():
        if code < len(weights):
            weights[int(code)] = weight
    return weights[target.astype(np.int64)]


def _label_text(label: Any) -> str:
    """As JSON has it for a key: 1 and 1.0 are one label."""
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    return str(label).lower() if isinstance(label, bool) else str(label)
