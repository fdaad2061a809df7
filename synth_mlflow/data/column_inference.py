"""Infer one column: its values, their kind, and the form in which they were written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from synth_mlflow.data.columns import Kind, normalise, schema_of
from synth_mlflow.data.json_inference import json_column
from synth_mlflow.data.json_text import JsonText
from synth_mlflow.data.schema import ColumnRule
from synth_mlflow.data.text_forms import ISO_DATE, LONG_NUMBER, MISSING_WORDS, PLAIN, Form, code_form, read_texts_as
from synth_mlflow.data.text_inference import (
    CODE_LIKE,
    TEXT,
    Finding,
    Levels,
    Question,
    find_format,
    finer_than_microseconds,
    formats_of,
    thousands_or_decimals,
)
from synth_mlflow.data.unread_forms import of_another_calendar, unread_measure
from synth_mlflow.data.value_formats import ClockText, ValueFormat, over_distinct
from synth_mlflow.data.value_inference import date_text, number_format, number_text
from synth_mlflow.errors import UsageError

TEXT_ROLES = frozenset({"text", "category"})
NAMES = frozenset({"text", "category", "identifier", "constant"})
"""Roles of texts that are no measures."""
_PLAIN_DATE = r"^\d{4}-\d{2}-\d{2}(?: \d{2}:\d{2}:\d{2})?$"
_MOMENT = re.compile(r"%[YymdbBG]")


@dataclass(frozen=True)
class Inferred:
    """A column as it was understood."""

    values: pd.Series
    """In a physical type of a normalised table."""
    kind: Kind
    form: Form = PLAIN
    question: Question | None = None


def text_column(
    name: str,
    texts: pa.ChunkedArray,
    rule: ColumnRule,
    *,
    values_wanted: bool,
    is_csv: bool,
    lines: JsonText | None = None,
) -> Inferred:
    """A column of texts; those of a CSV file may be plain numbers, booleans and dates, and any may be conversations."""
    for shape in map(_shape_of_word, rule.missing):
        texts = pc.if_else(pc.match_substring_regex(texts, shape), pa.scalar(None, texts.type), texts)
    as_text = rule.role in TEXT_ROLES and rule.format is None
    nested = None if as_text else json_column(name, texts, rule, lines)
    if nested is not None:
        return Inferred(nested.cells, "string", Form(nested.format))
    if not as_text and rule.format is None and is_csv:
        plain = _plain(name, texts)
        if plain is not None and plain.kind in {"integer", "number"} and plain.values.notna().any():
            plain = replace(plain, form=_with_plus(name, texts, plain.form))
        if plain is not None and plain.kind == "number" and rule.role is None and plain.values.notna().any():
            plain = replace(plain, question=thousands_or_decimals(_levels(name, texts)))
        if plain is not None:
            return replace(plain, form=replace(plain.form, words=rule.missing))
    values = pd.Series(texts.to_pandas(), name=name).astype("str")
    if as_text or texts.null_count == len(texts):
        form = code_form(_levels(name, texts).texts, Form(words=rule.missing))
        return _ordered(Inferred(values, "string", form), rule)
    levels = _levels(name, texts)
    if rule.format is not None:
        return _by_format(values, levels, rule)
    finding = find_format(levels, plain_numbers=is_csv, values_wanted=values_wanted)
    return _ordered(_found(values, levels, rule, finding), rule)


def _found(values: pd.Series, levels: Levels, rule: ColumnRule, finding: Finding) -> Inferred:
    """A column whose texts were looked at; questions about what is not read of them too."""
    if finding == TEXT and rule.role not in NAMES and (question := unread_measure(levels)) is not None:
        finding = Finding(question=question)
    read = _read(values, finding, rule)
    if read.kind == "datetime" and read.question is None:
        return replace(read, question=of_another_calendar(levels, finding.format, read.values))
    if read.kind == "string" and read.form.format is None:
        return replace(read, form=code_form(levels.texts, read.form))
    return read


def _shape_of_word(word: str) -> str:
    """The texts that a word for missing values names; a whole number may have been written with decimals of zero."""
    tail = r"(?:\.0+)?" if re.fullmatch(r"-?\d+", word) else ""
    return f"^{re.escape(word)}{tail}$"


def own_column(column: pd.Series, rule: ColumnRule, *, values_wanted: bool, lines: JsonText | None = None) -> Inferred:
    """A column with a type of its own, as Parquet and pandas give it."""
    if _is_texts(column):
        texts = pa.chunked_array([pa.array(column, type=pa.large_string(), from_pandas=True)])
        inferred = text_column(str(column.name), texts, rule, values_wanted=values_wanted, is_csv=False, lines=lines)
        own = str(column.dtype) if isinstance(column.dtype, pd.StringDtype) and str(column.dtype) != "str" else ""
        return replace(inferred, form=replace(inferred.form, dtype=inferred.form.dtype or own))
    if rule.missing:
        column = _without(column, rule.missing)
    values = normalise(column.to_frame())[str(column.name)]
    kind = schema_of(values.to_frame())[str(column.name)]
    form = replace(_own_form(column, values), words=rule.missing)
    if rule.role in TEXT_ROLES and kind in {"integer", "number"} and not form.categories:
        raise UsageError(
            f"`columns` says that {column.name!r} is a {rule.role}, and the file holds {column.dtype} values.",
            "Save it as text or as the type `category`, or leave the line out.",
        )
    return _ordered(Inferred(values, kind, form), rule)


def _without(column: pd.Series, words: Sequence[str]) -> pd.Series:
    """A typed column without the values that stand for missing ones."""
    is_word = column.astype("str").isin(words)
    numbers = pd.to_numeric(pd.Series(words), errors="coerce").dropna()
    if pd.api.types.is_numeric_dtype(column.dtype):
        is_word |= column.isin(numbers)
        column = column.astype("Int64") if str(column.dtype).startswith(("int", "uint")) else column
    return column.mask(is_word)


def _is_texts(column: pd.Series) -> bool:
    if pd.api.types.is_object_dtype(column.dtype):
        return pd.api.types.infer_dtype(column, skipna=True) == "string"
    return isinstance(column.dtype, pd.StringDtype)


def _own_form(column: pd.Series, values: pd.Series) -> Form:
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        categories = tuple(value.item() if isinstance(value, np.generic) else value for value in dtype.categories)
        if all(isinstance(value, str | int | float | bool) for value in categories):
            return Form(dtype="category", categories=categories, ordered=bool(dtype.ordered))
        return PLAIN
    if pd.api.types.is_object_dtype(dtype):
        inferred = pd.api.types.infer_dtype(column, skipna=True)
        return Form(dtype=inferred) if inferred in {"date", "time"} else PLAIN
    if str(dtype) == "float64" and values.dtype == "Int64":
        return Form(dtype="Int64")
    is_plain = dtype == values.dtype and str(dtype) not in _WITH_GAPS_TYPES  # those say that values may be missing
    return PLAIN if is_plain else Form(dtype=str(dtype))


def _plain(name: str, texts: pa.ChunkedArray) -> Inferred | None:
    """Numbers, booleans and dates that need no form."""
    if texts.null_count == len(texts):
        return Inferred(pd.Series(np.full(len(texts), np.nan), name=name), "number")
    first = next(text.as_py() for text in texts if text.is_valid)
    if first.strip().lower() in {"true", "false"}:
        return _booleans(name, texts)
    if ISO_DATE.fullmatch(first) and pc.all(pc.match_substring_regex(texts, f"^{ISO_DATE.pattern}$")).as_py():
        return _dates(name, texts)
    return _numbers(name, texts)


def _booleans(name: str, texts: pa.ChunkedArray) -> Inferred | None:
    known = {"True", "TRUE", "true", "False", "FALSE", "false"}
    levels = {level for level in pc.unique(texts).to_pylist() if level is not None}
    if not levels <= known | MISSING_WORDS:
        return None
    values = pd.Series(texts.to_pandas(), name=name).astype("str")
    read = values.str.lower().map({"true": True, "false": False}).astype("boolean")
    if read.notna().all():
        return Inferred(read.astype(bool), "boolean")
    return Inferred(read, "boolean", Form(dtype="boolean"))


def _dates(name: str, texts: pa.ChunkedArray) -> Inferred | None:
    values = pd.Series(texts.to_pandas(), name=name).astype("str")
    read = over_distinct(values, lambda levels: read_texts_as(levels, "datetime", None))
    if bool((read.isna() & values.notna()).any()):
        return None
    if pc.all(pc.match_substring_regex(texts, _PLAIN_DATE)).as_py():
        return Inferred(read, "datetime", question=of_another_calendar(_levels(name, texts), None, read))
    levels = _levels(name, texts)
    form = formats_of(levels)
    if form is None:
        return Inferred(read, "datetime")
    return Inferred(read, "datetime", Form(form.format), question=finer_than_microseconds(levels, form.format))


def _numbers(name: str, texts: pa.ChunkedArray) -> Inferred | None:
    plus = pc.match_substring_regex(texts, r"^\s*\+")
    if pc.all(pc.match_substring_regex(texts, r"^\s*\+\d{9,15}\s*$")).as_py():
        return None  # telephone numbers
    if pc.any(plus).as_py():
        texts = pc.replace_substring_regex(texts, r"^\s*\+(\d|\.\d)", r"\1")
    numbers = _cast(texts, pa.int64())
    if numbers is not None:
        if pc.any(pc.match_substring_regex(texts, r"^\s*[+-]?0[0-9xX]")).as_py():
            return None
        if not numbers.null_count:
            return Inferred(pd.Series(numbers.to_numpy(), name=name), "integer")
        return Inferred(numbers.to_pandas(types_mapper=lambda _: pd.Int64Dtype()).rename(name), "integer", _WITH_GAPS)
    has_exponent = pc.any(pc.match_substring(texts, "e", ignore_case=True)).as_py()
    if has_exponent and pc.any(pc.match_substring_regex(texts, f"^{CODE_LIKE}$")).as_py():
        return None
    numbers = _cast(texts, pa.float64())
    if numbers is None or pc.any(pc.is_nan(numbers)).as_py():
        return None
    if pc.any(pc.match_substring_regex(texts, r"^\s*[+-]?0[0-9]")).as_py():
        return None
    if pc.max(pc.abs(numbers)).as_py() >= 2**63 and pc.all(pc.match_substring_regex(texts, LONG_NUMBER)).as_py():
        return None  # nothing is measured to so many digits
    _refuse_too_large(name, texts, numbers)
    return Inferred(pd.Series(numbers.to_pandas(), name=name), "number")


def _with_plus(name: str, texts: pa.ChunkedArray, form: Form) -> Form:
    """The form of plain numbers, with its plus where all above zero have one, as in ``+0.5``."""
    if not pc.any(pc.match_substring(texts, "+")).as_py():
        return form
    levels = _levels(name, texts).texts
    made, _ = number_format(levels)
    if made is None or not made.plus:
        return form
    values = made.parse(levels)
    is_same = (made.write(values) == levels) | (values == 0)  # a minus before zero is no value of its own
    return replace(form, format=made) if is_same.all() else form


_WITH_GAPS = Form(dtype="Int64")
_WITH_GAPS_TYPES = frozenset({"Int64", "boolean"})


def _cast(texts: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    for given in (texts, None):
        try:
            return pc.cast(pc.utf8_trim_whitespace(texts) if given is None else given, kind)
        except pa.ArrowInvalid:
            continue
    return None


def _refuse_too_large(name: str, texts: pa.ChunkedArray, numbers: pa.ChunkedArray) -> None:
    if pc.max(pc.abs(numbers)).as_py() < 2**63:
        return
    large = texts.filter(pc.fill_null(pc.match_substring_regex(texts, r"^\s*[+-]?\d{19,}\s*$"), False))
    if len(large):
        shown = str(large[0]).strip()[:40]
        raise UsageError(
            f"column {name!r} holds whole numbers such as {shown}, at most {2**63 - 1} fits 64 bits.",
            f"If they are identifiers, say so in problem.md: `columns: {{{name}: {{role: text}}}}`.",
        )


def _levels(name: str, texts: pa.ChunkedArray) -> Levels:
    counted = pc.value_counts(texts)
    values, counts = counted.field("values"), counted.field("counts").to_numpy()
    there = pc.is_valid(values).to_numpy(zero_copy_only=False)
    return Levels(name, pd.Series(values.filter(pa.array(there)).to_pandas()).astype("str"), counts[there])


def _read(values: pd.Series, finding: Finding, rule: ColumnRule) -> Inferred:
    words = (*rule.missing, *finding.words)
    if finding.question is not None:
        return Inferred(values, "string", question=finding.question)
    present = values.where(~values.isin(words)) if words else values
    if finding.is_number:
        return _number(present, Form(words=words))
    if finding.format is None:
        return Inferred(values, "string", Form(words=rule.missing))
    return _formatted(present, finding.format, words)


def _number(texts: pd.Series, form: Form) -> Inferred:
    kind: Kind = "integer" if bool(texts.dropna().str.fullmatch(r"\s*[+-]?\d+\s*").all()) else "number"
    values = over_distinct(texts, lambda levels: read_texts_as(levels, kind, None))
    read = normalise(values.to_frame())[str(texts.name)]
    has_gaps = kind == "integer" and bool(read.isna().any())
    return Inferred(read, kind, replace(form, dtype="Int64") if has_gaps else form)


def _formatted(texts: pd.Series, format_: ValueFormat, words: tuple[str, ...]) -> Inferred:
    values = over_distinct(texts, format_.parse)
    if format_.kind == "integer" and values.notna().all():
        values = values.astype("int64")
    return Inferred(values, format_.kind, Form(format_, words=words))


def _by_format(values: pd.Series, levels: Levels, rule: ColumnRule) -> Inferred:
    """A column whose format a person gave; every present cell must have it."""
    sample = levels.texts[~levels.texts.isin(MISSING_WORDS)].reset_index(drop=True)
    format_ = _given_format(rule, sample)
    read = format_.parse(sample) if format_ is not None else None
    if format_ is None or read is None or read.isna().any():
        bad = sample if read is None else sample[read.isna()]
        shown = ", ".join(map(repr, bad.head(5)))
        raise UsageError(
            f"`columns` says that {values.name!r} has the format {rule.format!r}, and {len(bad):,} of its "
            f"{len(sample):,} different texts do not: {shown}.",
            "Correct the format, or name words that stand for missing values: `missing: [...]`.",
        )
    words = tuple(levels.texts[levels.texts.isin(MISSING_WORDS)])
    return _formatted(values.where(~values.isin(words)), format_, (*rule.missing, *words))


def _given_format(rule: ColumnRule, sample: pd.Series) -> ValueFormat | None:
    wish = rule.format or ""
    if _MOMENT.search(wish):
        date_format = date_text(f"{wish} zone {rule.zone}" if rule.zone else wish, sample, rule.first_year)
        return date_format or date_text(wish, sample.head(1), rule.first_year)
    if "%H" in wish or "%I" in wish:
        return ClockText(wish, padded=bool(sample.str.match(r"0\d").any()) or not sample.str.match(r"\d\D").any())
    return number_text(wish, sample)


def _ordered(inferred: Inferred, rule: ColumnRule) -> Inferred:
    """With the order of its categories that a person gave."""
    if not rule.order:
        return inferred
    values = inferred.values.dropna()
    unknown = sorted({str(value) for value in values.unique()} - set(rule.order))
    if unknown or inferred.kind != "string":
        raise UsageError(
            f"`columns` gives an order to {inferred.values.name!r}, which holds "
            f"{', '.join(unknown[:5]) or inferred.kind}: it has no place there.",
            "Name every category in `order`, lowest first; texts alone have such an order.",
        )
    return replace(inferred, form=replace(inferred.form, dtype="category", categories=rule.order, ordered=True))
