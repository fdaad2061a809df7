"""Labels that few real rows have, which stay with the rows where these are kept by reference.

Checks get them under other names, since they never ask what a label says, only where it stands and how often. Models
get them as missing values, which is what a label that a model does not know is to it, also when it is served.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.task import Task

FEWEST_ROWS = 10
"""Real rows that share a label before anything but a batch may hold it."""
_FORMED = frozenset({"identifier", "group key", "text"})  # checks compare the form of their values, and show none

Rare = Mapping[str, tuple[str, ...]]
"""Rare labels in order, by column."""


def rare_labels(real: Iterable[pd.DataFrame], task: Task, told: str) -> Rare:
    """The labels of fewer real rows than `FEWEST_ROWS`, of columns that hold categories.

    Parameters
    ----------
    real : iterable of DataFrame
        All real rows, in parts.
    task : Task
        What each column is; the target and the column of groups keep their labels.
    told : str
        The problem statement: a label that its author wrote down is no secret, and stands in its conditions.

    Examples
    --------
    >>> rows = pd.DataFrame({"town": ["Bonn"] * 12 + ["Ulm", "Trier"]})
    >>> rare_labels([rows], Task("sold", "binary"), "slices: trier, Trier")
    {'town': ('Ulm',)}
    """
    rows = pd.concat(list(real), ignore_index=True)
    found = {}
    for column, kind in schema_of(rows).kinds.items():
        if kind == "string" and column not in {task.target, task.group} and task.roles.get(column) not in _FORMED:
            counts = rows[column].value_counts()
            found[column] = tuple(sorted(x for x in counts[counts < FEWEST_ROWS].index if x not in told))
    return {column: labels for column, labels in found.items() if labels}


def renamed(rows: pd.DataFrame, rare: Rare) -> pd.DataFrame:
    """The rows with ``rare label 1``, ``rare label 2``, … for rare labels: no number of a check changes by it."""
    names = {column: {x: f"rare label {at}" for at, x in enumerate(rare[column], start=1)} for column in rare}
    return _with(rows, names)


def as_missing(rows: pd.DataFrame, rare: Rare) -> pd.DataFrame:
    """The rows with missing values for rare labels."""
    return _with(rows, {column: dict.fromkeys(labels) for column, labels in rare.items()})


def _with(rows: pd.DataFrame, names: Mapping[str, Mapping[str, str | None]]) -> pd.DataFrame:
    return rows.assign(**{column: _changed(rows[column], new) for column, new in names.items()}) if names else rows


def _changed(values: pd.Series, new: Mapping[str, str | None]) -> pd.Series:
    return values.map(lambda value: new.get(value, value), na_action="ignore").astype(values.dtype)
