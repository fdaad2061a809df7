"""Texts as values of a kind whose texts have no form of their own: whole numbers, numbers, booleans, ISO dates."""

from __future__ import annotations

import re
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synth_mlflow.data.value_formats import ValueFormat, over_distinct

Wanted = Literal["integer", "number", "boolean", "datetime"]
CELLS_SHOWN = 3
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?")
MISSING_WORDS = frozenset(
    {"#N/A", "#N/A N/A", "#NA", "-NaN", "-nan", "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "NaT", "None", "n/a",
     "nan", "null"}
)  # fmt: skip
"""Words that nobody takes for a value among numbers or dates; in a column of texts they stay texts."""
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}


def parse_texts(texts: pd.Series, kind: str, format_: ValueFormat | None) -> pd.Series:
    """The values that texts say, in the physical type of their kind.

    Raises
    ------
    ValueError
        If some say none, with the first of them.
    """
    found = read_texts_as(texts, kind, format_)
    bad = texts[found.isna() & texts.notna() & ~texts.isin(MISSING_WORDS)]
    if len(bad):
        shown = ", ".join(repr(text) for text in bad.unique()[:CELLS_SHOWN])
        form = "" if format_ is None else f" {format_.words}"
        raise ValueError(f"holds string values such as {shown} in {len(bad):,} cells, {kind} values{form} were needed")
    return found


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
    is_number = numbers.str.fullmatch(r"-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|-?inf(?:inity)?").fillna(False)
    exact = pc.cast(pa.array(numbers.where(is_number), type=pa.large_string(), from_pandas=True), pa.float64())
    return pd.Series(exact.to_pandas(), name=texts.name).astype("float64").set_axis(texts.index)


def _whole_texts(texts: pd.Series) -> pd.Series:
    """Exact to 2^63; numbers such as ``5.0`` are whole as well."""
    numbers = texts.str.strip().str.removeprefix("+")
    is_whole = numbers.str.fullmatch(r"-?\d{1,18}").fillna(False)
    found = pc.cast(pa.array(numbers.where(is_whole), type=pa.large_string(), from_pandas=True), pa.int64())
    values = pd.Series(found.to_pandas(integer_object_nulls=True), index=texts.index, name=texts.name).astype("Int64")
    others = texts.notna() & ~is_whole
    if others.any():
        values = values.where(~others, _others(numbers.where(others)))
    return values


def _others(numbers: pd.Series) -> pd.Series:
    found = [None if pd.isna(text) else _whole_number(str(text)) for text in numbers]
    return pd.Series(found, index=numbers.index, dtype="Int64")


def _whole_number(text: str) -> int | None:
    try:
        value = int(text) if re.fullmatch(r"-?\d+", text) else float(text)
    except ValueError:
        return None
    return int(value) if abs(value) < 2**63 and value == int(value) else None
