"""How a column is written outside the product, and how fine its values can be there."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_mlflow.data.duration_format import DurationText
from synth_mlflow.data.value_formats import ClockText, ValueFormat, over_distinct


@dataclass(frozen=True)
class Form:
    """How the values of a column are written outside the product."""

    format: ValueFormat | None = None
    """Of texts that are values."""
    dtype: str = ""
    """The pandas type, ``date`` or ``time`` where it is not that of a normalised table."""
    categories: tuple[str | int | float | bool, ...] = ()
    """Of the type ``category``."""
    ordered: bool = False
    words: tuple[str, ...] = ()
    """Texts that stand for missing values."""

    @property
    def text_format(self) -> ValueFormat | None:
        """How its values stand in a file that has only texts."""
        if self.dtype == "time":
            return ClockText("%H:%M:%S")
        return DurationText("days") if self.dtype.startswith("timedelta") else self.format


PLAIN = Form()
_RESOLUTION = re.compile(r"date$|datetime64\[(s|ms)[,\]]")  # coarser than the microseconds that are kept here


def as_fine(values: pd.Series, form: Form) -> pd.Series:
    """The same values, rounded to what the form writes."""
    if form.format is not None and values.dtype.kind in "ifM":
        written = form.format
        return over_distinct(values, lambda levels: written.parse(written.write(levels))).astype(values.dtype)
    if form.dtype in {"float32", "Float32", "float16"}:
        return pd.Series(values.to_numpy(dtype=form.dtype.lower()).astype("float64"), values.index, name=values.name)
    unit = _RESOLUTION.match(form.dtype)
    if unit is not None:
        coarse: pd.Series = values.dt.floor(unit.group(1) or "D")
        return coarse
    return _small(values, form)


def _small(values: pd.Series, form: Form) -> pd.Series:
    if form.ordered and (new := [value for value in values.dropna().unique() if value not in form.categories]):
        raise ValueError(f"holds {new[0]!r}, which has no place in the order {', '.join(map(str, form.categories))}")
    width = form.dtype.lower()
    if width.startswith(("int", "uint")) and values.notna().any():
        limits = np.iinfo(width)
        if values.min() < limits.min or values.max() > limits.max:
            raise ValueError(f"holds whole numbers from {values.min()} to {values.max()}, {form.dtype} holds fewer")
    return values
