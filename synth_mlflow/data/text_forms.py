"""How the values of a column are written, and texts that mean the same value.

How a column is written outside the product, and how fine its values can be there.

Texts as values of a kind whose texts have no form of their own: whole numbers, numbers, booleans, ISO dates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synth_mlflow.data.value_formats import ClockText, DateText, DurationText, ValueFormat, over_distinct

_PERIODS = {"M": DateText("%Y-%m"), "Q": DateText("%YQ%q"), "Y": DateText("%Y"), "A": DateText("%Y")}
"""How pandas writes periods of a month, a quarter or a year; days are ISO dates."""


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
    width: int = 0
    """Of codes of digits, such as zip codes, that all have this length, and some of them zeros in front."""
    lead: str = ""
    """Of codes of digits of several lengths: what all begin with, ``0`` or ``+``."""
    widths: tuple[int, ...] = ()
    """Of other codes of digits, some of them with zeros in front: their lengths."""
    not_missing: tuple[str, ...] = ()
    """Texts of the column that readers of CSV take for missing, such as ``NA``."""

    @property
    def text_format(self) -> ValueFormat | None:
        """How its values stand in a file that has only texts."""
        if self.is_time:
            return ClockText("%H:%M:%S")
        if self.dtype.startswith("period["):
            return _PERIODS.get(self.dtype[7])
        return DurationText("days") if self.is_duration else self.format

    @property
    def is_time(self) -> bool:
        """Whether its type is one of times of day."""
        return re.fullmatch(r"time(?:(?:32|64)\[.*)?", self.dtype) is not None

    @property
    def is_duration(self) -> bool:
        """Whether its type is one of durations."""
        return self.dtype.startswith(("timedelta", "duration"))

    def whole_codes(self, texts: pd.Series) -> pd.Series:
        """Codes with the zeros or the plus in front that a program has left out which took them for numbers.

        >>> Form(width=5).whole_codes(pd.Series(["02116", "2116", "2116.0"])).tolist()
        ['02116', '02116', '02116']
        >>> Form(lead="+").whole_codes(pd.Series(["+49301234", "49301234"])).tolist()
        ['+49301234', '+49301234']
        """
        if not (self.width or self.lead):
            return texts
        digits = texts.str.extract(r"^([1-9][0-9]*)(?:\.0)?$", expand=False)
        return texts.where(digits.isna(), digits.str.zfill(self.width) if self.width else self.lead + digits)

    def guesses(self, texts: pd.Series) -> list[pd.Series]:
        """What else texts may have been, before a program left zeros out, or took a word for missing.

        >>> [one.tolist() for one in Form(widths=(4, 6)).guesses(pd.Series(["12"]))]
        [['0012'], ['000012']]
        """
        digits = texts.str.extract(r"^([1-9][0-9]*)(?:\.0)?$", expand=False)
        codes = [texts.where(digits.isna(), digits.str.zfill(width)) for width in self.widths]
        return [*codes, *(texts.fillna(word) for word in self.not_missing)]


PLAIN = Form()
_WIDTHS = {"float32": "float32", "Float32": "float32", "float": "float32", "float16": "float16", "halffloat": "float16"}
_DECIMAL = re.compile(r"decimal\d+\(\d+, (-?\d+)\)")
_RESOLUTION = re.compile(
    r"date(?:32|64|$)|(?:datetime64|timestamp)\[(s|ms)[,\]]"
)  # coarser than the microseconds that are kept here


def as_fine(values: pd.Series, form: Form) -> pd.Series:
    """The same values, rounded to what the form writes."""
    if form.format is not None and values.dtype.kind in "ifM":
        written = form.format
        return over_distinct(values, lambda levels: written.parse(written.write(levels))).astype(values.dtype)
    width = _WIDTHS.get(form.dtype.removesuffix("[pyarrow]"))
    if width is not None:
        return pd.Series(values.to_numpy(dtype=width).astype("float64"), values.index, name=values.name)
    scale = _DECIMAL.match(form.dtype)
    if scale is not None and values.dtype.kind == "f":
        return values.round(int(scale[1]))
    if form.dtype.startswith("period["):
        start: pd.Series = values.dt.to_period(form.dtype[7:-1]).dt.to_timestamp().astype(values.dtype)
        return start
    unit = _RESOLUTION.match(form.dtype)
    if unit is not None:
        coarse: pd.Series = values.dt.floor(unit.group(1) or "D")
        return coarse
    return _small(values, form)


def _small(values: pd.Series, form: Form) -> pd.Series:
    if form.ordered and (new := [value for value in values.dropna().unique() if value not in form.categories]):
        raise ValueError(f"holds {new[0]!r}, which has no place in the order {', '.join(map(str, form.categories))}")
    width = form.dtype.lower().removesuffix("[pyarrow]")
    if width.startswith(("int", "uint")) and values.notna().any():
        limits = np.iinfo(width)
        if values.min() < limits.min or values.max() > limits.max:
            raise ValueError(f"holds whole numbers from {values.min()} to {values.max()}, {form.dtype} holds fewer")
    return values


Wanted = Literal["integer", "number", "boolean", "datetime"]
CELLS_SHOWN = 3
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?")


MAX_WIDTHS = 8


def code_form(texts: pd.Series, form: Form) -> Form:
    """The form of texts with what another program may leave out: zeros or a plus before digits, words for missing."""
    words = tuple(sorted(texts[texts.isin(MISSING_WORDS)]))
    if words:
        form = replace(form, not_missing=words)
    if texts.empty or not texts.str.fullmatch(r"\+?[0-9]+").all():
        return form
    lengths = texts.str.len()
    has_plus, has_zero = texts.str.startswith("+"), texts.str.startswith("0")
    if has_plus.all():
        return replace(form, lead="+")
    if has_plus.any() or not has_zero.any():
        return form
    if lengths.nunique() == 1 and lengths.iloc[0] > 1:
        return replace(form, width=int(lengths.iloc[0]))
    if has_zero.all() and not texts.str.startswith("00").any():
        return replace(form, lead="0")
    return replace(form, widths=tuple(map(int, sorted(lengths.unique())))) if lengths.nunique() <= MAX_WIDTHS else form


MISSING_WORDS = frozenset(
    {"#N/A", "#N/A N/A", "#NA", "-NaN", "-nan", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "NaT", "None", "n/a",
     "nan", "null"}
)  # fmt: skip
"""Words that nobody takes for a value among numbers or dates; in a column of texts they stay texts."""
PLAIN_NUMBER = r"-?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
"""A number without a plus; the digits of other scripts are none that a reader of numbers knows."""
LONG_NUMBER = r"^\s*[0-9]{17,}\s*$"
"""Whole numbers of so many digits are names: nothing is measured to that many."""
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def parse_texts(texts: pd.Series, kind: str, format_: ValueFormat | None) -> pd.Series:
    """The values that texts say, in the physical type of their kind.

    Raises
    ------
    ValueError
        If some say none, with the first of them.
    """
    parsed = read_texts_as(texts, kind, format_)
    bad = texts[parsed.isna() & texts.notna() & ~texts.isin(MISSING_WORDS)]
    if len(bad):
        shown = ", ".join(repr(text) for text in bad.unique()[:CELLS_SHOWN])
        form = "" if format_ is None else f" {format_.words}"
        raise ValueError(f"holds string values such as {shown} in {len(bad):,} cells, {kind} values{form} were needed")
    return parsed


def read_texts_as(texts: pd.Series, kind: str, format_: ValueFormat | None) -> pd.Series:
    """The same, missing where a text is no value of the kind."""
    if format_ is not None:
        values = over_distinct(texts, format_.parse)
        plain = values.isna() & texts.notna()  # values that were written without the form, as numbers or ISO dates
        if plain.any() and kind != "datetime":
            values = values.where(~plain, read_texts_as(texts.where(plain), "number", None))
        return whole(values) if kind == "integer" else values
    if kind == "boolean":
        return texts.str.strip().str.lower().map(_BOOLEANS).astype("boolean")
    if kind == "datetime":
        iso = texts.where(texts.str.fullmatch(ISO_DATE.pattern).fillna(False))
        return (
            pd.to_datetime(iso, format="ISO8601", utc=True, errors="coerce")
            .dt.tz_localize(None)
            .astype("datetime64[us]")
        )
    return _whole_texts(texts) if kind == "integer" else _number_texts(texts)


def whole(values: pd.Series) -> pd.Series:
    """Floats that are whole numbers; missing where they are not."""
    return values.where(values == values.round())


def _number_texts(texts: pd.Series) -> pd.Series:
    numbers = texts.str.strip().str.removeprefix("+")
    is_number = numbers.str.fullmatch(rf"{PLAIN_NUMBER}|-?inf(?:inity)?").fillna(False)
    exact = pc.cast(pa.array(numbers.where(is_number), type=pa.large_string(), from_pandas=True), pa.float64())
    return pd.Series(exact.to_pandas(), name=texts.name).astype("float64").set_axis(texts.index)


def _whole_texts(texts: pd.Series) -> pd.Series:
    """Exact to 2^63; numbers such as ``5.0`` are whole as well."""
    numbers = texts.str.strip().str.removeprefix("+")
    is_whole = numbers.str.fullmatch(r"-?[0-9]{1,18}").fillna(False)
    integers = pc.cast(pa.array(numbers.where(is_whole), type=pa.large_string(), from_pandas=True), pa.int64())
    values = pd.Series(integers.to_pandas(integer_object_nulls=True), index=texts.index, name=texts.name).astype(
        "Int64"
    )
    others = texts.notna() & ~is_whole
    if others.any():
        values = values.where(~others, _others(numbers.where(others)))
    return values


def _others(numbers: pd.Series) -> pd.Series:
    integers = [None if pd.isna(text) else _whole_number(str(text)) for text in numbers]
    return pd.Series(integers, index=numbers.index, dtype="Int64")


def _whole_number(text: str) -> int | None:
    try:
        value = int(text) if re.fullmatch(r"-?[0-9]+", text) else float(text)
    except ValueError:
        return None
    return int(value) if abs(value) < 2**63 and value == int(value) else None
