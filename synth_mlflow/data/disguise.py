"""Columns that are the target under another name: a model that sees them needs nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synth_mlflow.data.columns import NUMERIC_KINDS, schema_of
from synth_mlflow.data.schema import Wishes
from synth_mlflow.data.text_inference import Question

MIN_ROWS = 50
MAX_LEVELS = 10
MIN_LEVEL_ROWS = 5
EQUAL = 1e-9  # of the correlation's distance from 1: rounding alone


def disguised_targets(rows: pd.DataFrame, wishes: Wishes) -> list[Question]:
    """Questions about columns that say the target of every row; those that a person gave a role are left out."""
    if wishes.target not in rows or len(rows) < MIN_ROWS:
        return []
    target = rows[wishes.target]
    others = [name for name in rows.columns if name != wishes.target and not _answered(str(name), wishes)]
    same = _same_class if wishes.is_classification else _same_number
    return [_question(str(name), str(wishes.target), rows[name], target) for name in others if same(rows[name], target)]


def _answered(name: str, wishes: Wishes) -> bool:
    return name in wishes.rules and wishes.rules[name].role is not None


def _same_class(column: pd.Series, target: pd.Series) -> bool:
    """Whether each of a column's few values stands beside one class only, and each class beside one value at least."""
    if target.nunique() < 2 or column.nunique(dropna=False) > MAX_LEVELS or column.nunique(dropna=False) < 2:
        return False
    counts = pd.crosstab(column.astype("str").fillna("(missing)"), target.astype("str")).to_numpy()
    return bool(((counts > 0).sum(axis=1) == 1).all() and (counts.sum(axis=1) >= MIN_LEVEL_ROWS).all())


def _same_number(column: pd.Series, target: pd.Series) -> bool:
    """Whether a column is the target in another unit."""
    kinds = schema_of(pd.DataFrame({"column": column, "target": target}))
    if {kinds["column"], kinds["target"]} - NUMERIC_KINDS or column.isna().any():
        return False
    x, y = (side.to_numpy(dtype="float64") for side in (column, target))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return False
    return bool(1 - abs(float(np.corrcoef(x, y)[0, 1])) < EQUAL)


def _question(name: str, target: str, column: pd.Series, values: pd.Series) -> Question:
    pairs = pd.DataFrame({"a": column, "b": values}).dropna().drop_duplicates("a").head(3)
    shown = ", ".join(f"{a!s} where it is {b!s}" for a, b in pairs.itertuples(index=False))
    found = f"it says the target {target!r} of every row ({shown}): is it known before the target is?"
    return Question(name, found, ("role: ignored", f"role: {'category' if column.dtype == 'str' else 'number'}"))
