"""Values of one column as training had them, from whatever carries the same values: texts, gaps, categories, zones.

This file is copied into the saved model's code folder, next to ``raw_columns``, with the formats of ``data``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import time
from typing import Any

import numpy as np
import pandas as pd

from ..data.value_formats import ClockText, DurationText, ValueFormat, over_distinct

NO_VALUE = frozenset({"", "na", "n/a", "nan", "null", "none", "nat", "<na>"})
"""Words that stand for a missing number, boolean or date, in lower case; in a text column they are texts."""
READ_AS_MISSING = frozenset(
    {
        "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
        "NULL", "NaN", "None", "n/a", "nan", "null",
    }
)  # fmt: skip
"""Words that ``pandas.read_csv`` takes for missing values unless it is told otherwise."""
BOOLEANS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}


def without_words(values: pd.Series, words: Collection[str]) -> pd.Series:
    """The values without those that stand for missing ones, be they texts or numbers."""
    is_word = values.isin(words)
    if pd.api.types.is_numeric_dtype(values.dtype):
        is_word = values.isin(pd.to_numeric(pd.Series(list(words)), errors="coerce").dropna())
        values = values.astype("float64") if is_word.any() and values.dtype.kind in "iu" else values
    return values.mask(is_word)


def texts_of(values: pd.Series, known: Collection[str], by_number: Mapping[float, str]) -> pd.Series:
    """Texts as they are; a text that a reader took for a number, such as the code 02116, is found by its number.

    Parameters
    ----------
    values : Series
    known : collection of str
        The texts that training had.
    by_number : mapping
        Those of them that are written like a number, by that number.

    Examples
    --------
    >>> texts_of(pd.Series([2116.0, None, 7.0]), {"02116"}, {2116.0: "02116"}).tolist()
    ['02116', nan, '7']
    """
    if isinstance(values.dtype, pd.StringDtype):
        return values.astype("str")
    present = values.notna().to_numpy()
    texts = {value: _text(value, known, by_number) for value in values[present].unique()}
    as_texts = np.full(len(values), np.nan, dtype=object)
    as_texts[present] = [texts[value] for value in values[present]]
    return pd.Series(as_texts, values.index).astype("str")


def numbers_of(values: pd.Series, format_: ValueFormat | None = None) -> pd.Series:
    """Numbers as float64, NaN where missing; times of day and durations are seconds.

    Numbers in a column of days and clocks, as ``timedelta`` is written, are milliseconds: so pandas writes it to JSON.
    Durations of ISO 8601, the other way in which pandas writes it there, are read in every column of durations.

    Parameters
    ----------
    values : Series
    format_ : ValueFormat, optional
        How texts say the numbers; those that are written plainly are read as well.

    Raises
    ------
    ValueError
        If a value is no number.
    """
    if pd.api.types.is_numeric_dtype(values.dtype):
        if isinstance(format_, DurationText) and format_.style == "days" and format_.with_seconds:
            values = values / 1000
        numbers = pd.Series(values.to_numpy(dtype=np.float64, na_value=np.nan), values.index)
        return _hours_and_minutes(numbers) if format_ == ClockText("%H.%M") else numbers
    if pd.api.types.is_timedelta64_dtype(values.dtype):
        seconds: pd.Series = values.dt.total_seconds()
        return seconds
    if values.dtype == object:
        values = values.map(lambda value: _seconds(value) if isinstance(value, time) else value)
    words = _words(values).replace({"true": "1", "false": "0"})
    numbers = pd.to_numeric(words, errors="coerce").astype("float64")
    if format_ is not None:
        numbers = _formatted(values, words, format_).fillna(numbers)
        if isinstance(format_, DurationText) and format_.style != "iso":
            numbers = numbers.fillna(_formatted(values, words, DurationText("iso")))
    form = "" if format_ is None else f" {format_.words}"
    _refuse(values, numbers.isna() & words.notna(), f"numbers{form} were needed")
    return numbers


def whole_numbers_of(values: pd.Series, format_: ValueFormat | None = None) -> pd.Series:
    """Numbers as int64 where the type says that they are whole and none is missing, else as :func:`numbers_of`."""
    if pd.api.types.is_integer_dtype(values.dtype) and not values.isna().any():
        return values.astype("int64")
    return numbers_of(values, format_)


def booleans_of(values: pd.Series, format_: ValueFormat | None = None) -> pd.Series:  # noqa: ARG001 (none has one)
    """Booleans, with the nullable type where one is missing; words, and 0 and 1, count as well.

    Raises
    ------
    ValueError
        If a value is neither.

    Examples
    --------
    >>> booleans_of(pd.Series(["True", None, "0"])).tolist()
    [True, <NA>, False]
    """
    if pd.api.types.is_bool_dtype(values.dtype):
        return values.astype("boolean" if values.isna().any() else bool)
    words = _words(values)
    booleans = words.map(BOOLEANS)
    _refuse(values, booleans.isna() & words.notna(), "true or false was needed")
    return booleans.astype("boolean" if booleans.isna().any() else bool)


def moments_of(values: pd.Series, format_: ValueFormat | None = None) -> pd.Series:
    """Moments in UTC, without a zone; numbers are milliseconds since 1970, as pandas writes moments to JSON.

    Parameters
    ----------
    values : Series
    format_ : ValueFormat, optional
        How texts say the moments; ISO 8601 is read as well. Numbers such as 20240314 are texts to a format of digits.

    Raises
    ------
    ValueError
        If a value is no date.

    Examples
    --------
    >>> str(moments_of(pd.Series(["2024-03-14T08:00:00+02:00"])).iloc[0])
    '2024-03-14 06:00:00'
    """
    if pd.api.types.is_numeric_dtype(values.dtype) and values.notna().any():
        values = _numbered(values, format_)
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        words = _words(values).str.upper()
        moments = pd.to_datetime(words, format="ISO8601", utc=True, errors="coerce")
        if format_ is not None:
            moments = _formatted(values, words, format_).dt.tz_localize("UTC").fillna(moments)
        form = "such as 2024-03-14T08:22:00Z" if format_ is None else f"like {format_.words}"
        _refuse(values, moments.isna() & words.notna(), f"dates {form} were needed")
        values = moments
    if values.dt.tz is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    return values.astype("datetime64[us]")


def plain(features: pd.DataFrame) -> pd.DataFrame:
    """Text as Python objects, booleans and moments (in seconds) as numbers: what scikit-learn understands."""
    return pd.DataFrame({name: _plain(features[name]) for name in features.columns})


def _text(value: Any, known: Collection[str], by_number: Mapping[float, str]) -> str:
    text = str(value)
    if text in known or isinstance(value, str | bool | np.bool_) or not isinstance(value, int | float | np.number):
        return text
    whole = str(int(value)) if float(value).is_integer() else text
    return whole if whole in known else by_number.get(float(value), whole)


def _hours_and_minutes(numbers: pd.Series) -> pd.Series:
    """Seconds since midnight of 8.15, which a reader has made of 08.15; whole minutes are such seconds already."""
    hours = np.floor(numbers + 1e-6)
    return numbers.where(numbers % 60 == 0, hours * 3600 + ((numbers - hours) * 100).round() * 60)


def _formatted(values: pd.Series, words: pd.Series, format_: ValueFormat) -> pd.Series:
    """What the texts say in their format, missing where ``words`` are or where they say nothing."""
    texts = values.astype("str").str.strip().where(words.notna())
    return over_distinct(texts, format_.parse)


def _numbered(values: pd.Series, format_: ValueFormat | None) -> pd.Series:
    if format_ is not None:
        whole = values.astype("Float64").round().astype("Int64").astype("str").where(values.notna())
        numbers = over_distinct(whole, format_.parse)
        if numbers.notna().equals(values.notna()):
            return numbers
    return pd.to_datetime(values, unit="ms", utc=True)


def _seconds(moment: time) -> float:
    return moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6


def _words(values: pd.Series) -> pd.Series:
    """Values as text in lower case, NaN for those that are missing."""
    words = values.astype("str").str.strip().str.lower()
    return words.mask(values.isna() | words.isin(NO_VALUE))


def _refuse(values: pd.Series, unread: pd.Series, needed: str) -> None:
    strange = values[unread.to_numpy(dtype=bool)]
    if len(strange):
        raise ValueError(f"holds {len(strange):,} values like {strange.iloc[0]!r}, {needed}")


def _plain(values: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return (values - pd.Timestamp(0)) / pd.Timedelta(seconds=1)
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.astype("float64")
    return values.astype(object).where(values.notna(), np.nan)
