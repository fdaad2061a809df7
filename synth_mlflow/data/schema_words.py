"""What the values of a column keep to, in a few words: range, decimals, grid, categories."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd

from synth_mlflow.data.column_form import Form
from synth_mlflow.data.columns import Kind
from synth_mlflow.data.identifier_forms import known_form
from synth_mlflow.data.roles import Role, is_constant

MAX_DECIMALS = 6


def detail_of(values: pd.Series, kind: Kind, role: Role, form: Form) -> str:
    """A few words on a column's values, and on the words that were taken for missing ones."""
    present = values.dropna()
    parts = []
    if form.format is not None:
        parts.append(form.format.words)
    if present.empty:
        parts.append("no value at all")
    elif role == "constant" or is_constant(values):
        parts.append(f"always {str(present.iloc[0])[:40]}")
    elif kind == "string":
        parts += _texts(present, role)
    elif kind == "datetime":
        parts += _moments(present)
    elif kind in {"integer", "number"}:
        parts += _numbers(present, kind, form)
    if form.words:
        parts.append(f"missing where it says {', '.join(map(repr, form.words))}")
    return ", ".join(parts)


def _texts(present: pd.Series, role: Role) -> list[str]:
    if role in {"identifier", "group key"}:
        share = present.nunique() / len(present)
        name = known_form(present)
        return [*([name] if name else []), "unique" if share == 1 else f"{share:.0%} distinct"]
    return [f"{present.nunique():,} categories"] if role != "text" else []


def _moments(present: pd.Series) -> list[str]:
    days = present.dt.normalize()
    found = []
    if (days == present).all():
        found.append("days")
    if (present.dt.day == 1).all():
        found = ["starts of months"]
    elif present.dt.is_month_end.all():
        found = ["ends of months"]
    elif (present.dt.day_of_week < 5).all():
        found.append("weekdays only")
    first, last = present.min().year, present.max().year
    return [*found, f"{first}" if first == last else f"{first} to {last}"]


def _outward(value: float, rounded: Callable[[float], int]) -> float:
    """The value to one digit, away from the others: the exact one is that of a single row."""
    if abs(value) < sys.float_info.min or not math.isfinite(value):  # next to zero no power of ten divides it
        return float(value)
    unit = 10.0 ** math.floor(math.log10(abs(value)))
    return float(rounded(float(value) / unit) * unit)


def _numbers(present: pd.Series, kind: Kind, form: Form) -> list[str]:
    span = f"{_outward(present.min(), math.floor):,g} to {_outward(present.max(), math.ceil):,g}"
    if form.format is not None:
        return [span]
    if kind == "integer":
        return [f"whole numbers, {span}"]
    values = present.to_numpy(dtype="float64")
    decimals = next((n for n in range(MAX_DECIMALS + 1) if np.array_equal(np.round(values, n), values)), None)
    return [f"{decimals} decimals, {span}" if decimals is not None else span]
