"""Columns: the five kinds of values a table may hold, and the schema that two tables must share.

Every table inside the product is *normalised*: a pandas frame with a fresh ``RangeIndex`` whose columns have
one of these physical types.

========  ==================================================================
kind      physical type
========  ==================================================================
integer   ``int64``; where values are missing ``float64`` holding whole numbers, or ``Int64`` if some lie beyond 2^53
number    ``float64``
boolean   ``bool``; ``boolean`` where values are missing
string    pandas ``str``; missing values are NaN
datetime  ``datetime64[us]``, in UTC and without a time zone
========  ==================================================================

Durations (``timedelta64``) and times of day are numbers of seconds. How a column is written outside the product, as
``$1,093.24`` or in another type, is its `Form`; `conform` reads it, and `own_form.present` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from synth_mlflow.data.conversation_text import canonical, without_gaps
from synth_mlflow.data.json_text import JsonText
from synth_mlflow.data.mapped import frame_of, is_large, mapped
from synth_mlflow.data.text_forms import PLAIN, Form, as_fine, parse_texts
from synth_mlflow.data.value_formats import over_distinct
from synth_mlflow.errors import UsageError, closest

Kind = Literal["integer", "number", "boolean", "string", "datetime"]
EXACT = 2**53  # the greatest whole number up to which a float64 holds every one
NUMERIC_KINDS: frozenset[Kind] = frozenset({"integer", "number"})
NAME_MAX = 250  # characters of a column's name; what databases take as a key
CATEGORICAL_KINDS: frozenset[Kind] = frozenset({"boolean", "string"})
MAX_INTEGER = 2**63 - 1


@dataclass(frozen=True)
class Schema:
    """The columns of a table, in order, and the kind of each."""

    kinds: Mapping[str, Kind]
    forms: Mapping[str, Form] = field(default_factory=dict)
    """Of those columns that are not written as a normalised table holds them."""

    def __iter__(self) -> Iterator[str]:
        return iter(self.kinds)

    def __len__(self) -> int:
        return len(self.kinds)

    def __getitem__(self, column: str) -> Kind:
        return self.kinds[column]

    @property
    def columns(self) -> list[str]:
        """Column names in order."""
        return list(self.kinds)

    def only(self, *names: str) -> Schema:
        """The schema of some of the columns."""
        forms = {name: self.forms[name] for name in names if name in self.forms}
        return Schema({name: self.kinds[name] for name in names}, forms)

    def of_kind(self, *kinds: Kind) -> list[str]:
        """The columns of the given kinds, in order."""
        return [column for column, kind in self.kinds.items() if kind in kinds]


def schema_of(frame: pd.DataFrame) -> Schema:
    """The schema of a normalised table.

    Examples
    --------
    >>> schema_of(normalise(pd.DataFrame({"a": [1, 2], "b": ["x", None]}))).kinds
    {'a': 'integer', 'b': 'string'}
    """
    return Schema({str(name): _kind(frame[name]) for name in frame.columns})


def normalise(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table in the physical types of this module.

    Raises
    ------
    UsageError
        If two columns share a name, a name is empty, a column mixes types, or a number is infinite.
    """
    check_names(frame.columns)
    columns = ((str(name), _normalise_column(frame[name])) for name in frame.columns)
    return frame_of(columns, frame.shape[1], pd.RangeIndex(len(frame)))


def conform(frame: pd.DataFrame, schema: Schema, what: str = "the table") -> pd.DataFrame:
    """A normalised table with exactly the columns and kinds of ``schema``, in its order.

    Parameters
    ----------
    frame : DataFrame
        Any table; it is normalised first.
    schema : Schema
        What the real table has.
    what : str
        How the messages call the table.

    Raises
    ------
    UsageError
        If a column is missing, unknown, or holds another kind of values; all are named at once.
    """
    table = normalise(_with_json_texts(frame, schema))
    problems = [f"column {name!r} is missing" for name in schema if name not in table]
    problems += [
        f"column {name!r} is unknown. {closest(name, schema)}" for name in schema_of(table) if name not in schema.kinds
    ]
    columns: dict[str, pd.Series] = {}
    for name in schema:
        if name in table:
            try:
                converted = as_kind(table[name], schema[name], schema.forms.get(name, PLAIN))
                columns[name] = mapped(converted) if is_large(*table.shape) else converted
            except ValueError as error:
                problems.append(f"column {name!r} {error}")
    if problems:
        raise UsageError(
            f"{what} does not have the columns of the real table: {'; '.join(problems)}.",
            "Make the columns and their types equal to those of the real data.",
        )
    return frame_of(columns.items(), len(columns))


def _with_json_texts(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """The same with JSON texts in place of the lists and objects of Python, where the schema has columns of them."""
    names = [name for name, form in schema.forms.items() if isinstance(form.format, JsonText) and name in frame]
    given = {name: frame[name] for name in names if pd.api.types.is_object_dtype(frame[name].dtype)}
    return frame.assign(**{name: cells.map(_json_text) for name, cells in given.items()}) if given else frame


def _json_text(cell: Any) -> Any:
    return canonical(without_gaps(cell)) if isinstance(cell, list | tuple | dict | np.ndarray) else cell


def as_kind(values: pd.Series, kind: Kind, form: Form) -> pd.Series:
    """A column of a normalised table as values of a kind, and no finer than its form can write.

    Raises
    ------
    ValueError
        If it holds others, with cells that do.
    """
    if form.words:
        values = without_words(values, form.words)
    if kind != "string" and _kind(values) == "string" and values.notna().any():
        values = parse_texts(values, kind, form.text_format)
        values = without_words(values, form.words) if form.words else values  # texts such as -999.0
    if isinstance(form.format, JsonText):
        return _as_json(values, form.format)
    if kind == "string" and _kind(values) == "string":
        values = form.whole_codes(values)
    return as_fine(_cast(values, kind), form)


def without_words(values: pd.Series, words: Sequence[str]) -> pd.Series:
    """A column of a normalised table without the texts or numbers that stand for missing values."""
    if pd.api.types.is_string_dtype(values.dtype):
        return values.where(~values.isin(words))
    numbers = pd.to_numeric(pd.Series(words), errors="coerce").dropna()
    if not pd.api.types.is_numeric_dtype(values.dtype) or not values.isin(numbers).any():
        return values
    left: pd.Series = values.astype("Int64" if values.dtype.kind in "iu" else values.dtype).mask(values.isin(numbers))
    return normalise(left.to_frame())[str(values.name)]


def _as_json(values: pd.Series, form: JsonText) -> pd.Series:
    """Canonical texts of JSON; a ValueError says what the first cell is that is none."""
    texts = _cast(values, "string")
    parsed = over_distinct(texts, form.parse)
    bad = np.flatnonzero((parsed.isna() & texts.notna()).to_numpy())
    if len(bad):
        what = "conversation" if form.turns else "JSON"
        why = form.problem(texts.iloc[bad[0]])
        raise ValueError(f"holds {len(bad):,} cells that are no {what}; that of row {bad[0] + 1} {why}")
    return parsed.astype("str")


def n_distinct(values: pd.Series) -> int:
    """How many different present values a column has: as `Series.nunique`, in a third of its memory for numbers.

    >>> n_distinct(pd.Series([2.0, 1.0, None, 2.0]))
    2
    """
    if not isinstance(values.dtype, np.dtype) or values.dtype.kind not in "iufM":
        return int(values.nunique())
    ordered = np.sort(values.dropna().to_numpy())
    return int(np.count_nonzero(ordered[1:] != ordered[:-1])) + min(len(ordered), 1)


def check_names(columns: Iterable[object]) -> None:
    """A UsageError for names of columns that no table here may have."""
    names = pd.Series([str(name) for name in columns], dtype=object)
    twice = sorted(set(names[names.duplicated()]))
    if twice:
        raise UsageError(
            f"column names must be unique; these stand more than once: {', '.join(map(repr, twice))}.",
            "Rename them in the file.",
        )
    if (names.str.strip() == "").any():
        raise UsageError("a column has an empty name.", "Give every column a name in the file's header.")
    longest = max(names, key=len, default="")
    if len(longest) > NAME_MAX:
        raise UsageError(
            f"column {longest[:40]!r}… has a name of {len(longest):,} characters, at most {NAME_MAX} are read.",
            "Rename it in the file.",
        )


def _kind(column: pd.Series) -> Kind:
    dtype = column.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return "boolean"
    if pd.api.types.is_integer_dtype(dtype):
        return "integer"
    if pd.api.types.is_float_dtype(dtype):
        return "number"
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return "datetime"
    if pd.api.types.is_timedelta64_dtype(dtype):
        return "number"
    return "string"


def _normalise_column(column: pd.Series) -> pd.Series:
    values = _with_usual_type(column.reset_index(drop=True))
    if pd.api.types.is_timedelta64_dtype(values.dtype):
        values = values.dt.total_seconds()
    kind = _kind(values)
    if kind == "boolean":
        return values.astype("boolean" if values.isna().any() else bool)
    if kind == "integer":
        return _whole(values)
    if kind == "number":
        return _finite(values.astype("float64"))
    if kind == "datetime":
        return _as_utc(values)
    return _text(values)


def _with_usual_type(values: pd.Series) -> pd.Series:
    """The values in a type that pandas has had from the beginning."""
    if isinstance(values.dtype, pd.ArrowDtype) and pa.types.is_decimal(arrow := values.dtype.pyarrow_dtype):
        return _decimals(values, arrow.scale)
    if isinstance(values.dtype, pd.PeriodDtype):
        start: pd.Series = values.dt.to_timestamp()
        return start
    if isinstance(values.dtype, pd.CategoricalDtype | pd.IntervalDtype):
        values = values.astype(object)
    if isinstance(values.dtype, pd.ArrowDtype) and not pd.api.types.is_numeric_dtype(values.dtype):
        moments = str(values.dtype).startswith("timestamp")
        values = values if moments else values.astype(object)  # dates, times of day and durations, as Python has them
    return _infer_objects(values) if values.dtype == object else values


def _decimals(values: pd.Series, scale: int) -> pd.Series:
    """Decimals as numbers: whole ones exact to 2^63, others to the 15 digits that floats have."""
    if scale <= 0:
        if len(values) and max(values.max() or 0, -(values.min() or 0)) > MAX_INTEGER:
            raise _too_large(values)
        return _infer_objects(values.astype(object).map(int, na_action="ignore"))
    return values.astype("float64")


def _infer_objects(values: pd.Series) -> pd.Series:
    inferred = pd.api.types.infer_dtype(values, skipna=True)
    if inferred in {"string", "empty"}:
        return _text(values)
    if inferred == "boolean":
        return values.astype("boolean")
    if inferred in {"integer", "floating", "mixed-integer-float", "decimal"}:
        return _as_numbers(values)
    if inferred in {"datetime", "datetime64", "date"}:
        return pd.to_datetime(values, utc=True)
    if inferred == "timedelta":
        return pd.to_timedelta(values)
    if inferred == "time":
        return values.map(_seconds).astype("float64")
    if any(isinstance(value, list | dict | tuple | np.ndarray) for value in values):
        raise UsageError(
            f"column {values.name!r} holds lists, and one value a cell was needed.",
            "Make columns of its parts, or leave it out, in problem.md or before you save the table: "
            f"`columns: {{{values.name}: {{role: ignored}}}}`, `frame.drop(columns=[{str(values.name)!r}])`.",
        )
    if inferred == "bytes":
        raise _no_values(values, "bytes", ".map(bytes.hex)")
    if inferred == "interval":
        raise _no_values(values, "intervals", ".astype(str)")
    raise UsageError(
        f"column {values.name!r} mixes types ({inferred}).",
        "Make it one type: text, numbers, true/false or dates.",
    )


def _no_values(values: pd.Series, what: str, as_text: str) -> UsageError:
    column = f"frame[{str(values.name)!r}]"
    return UsageError(
        f"column {values.name!r} holds {what}; text, numbers, true/false or dates were needed.",
        f"Make it text before you save the table: `{column} = {column}{as_text}`; or leave it out: "
        f"`columns: {{{values.name}: {{role: ignored}}}}`.",
    )


def _seconds(moment: object) -> float:
    if not isinstance(moment, time):
        return np.nan
    return moment.hour * 3600 + moment.minute * 60 + moment.second + moment.microsecond / 1e6


def _as_numbers(values: pd.Series) -> pd.Series:
    try:
        return pd.to_numeric(values)
    except OverflowError as error:
        raise UsageError(
            f"column {values.name!r} holds a number beyond all that are computed with.",
            "Correct it, or make it a text.",
        ) from error


def _text(values: pd.Series) -> pd.Series:
    try:
        return values.astype("str")
    except UnicodeEncodeError as error:
        raise UsageError(
            f"column {values.name!r} holds text that is not Unicode: {error}.", "Save the file again as UTF-8."
        ) from error


def _whole(values: pd.Series) -> pd.Series:
    if values.notna().any() and values.max() > MAX_INTEGER:
        raise _too_large(values)
    if not values.isna().any():
        return values.astype("int64")
    whole = values.astype("Int64")
    if max(whole.max(), -whole.min()) > EXACT if whole.notna().any() else False:
        return whole
    return pd.Series(values.to_numpy(dtype="float64", na_value=np.nan), name=values.name)


def _too_large(values: pd.Series) -> UsageError:
    name = str(values.name)
    return UsageError(
        f"column {name!r} holds whole numbers beyond {MAX_INTEGER}, which is the greatest of 64 bits.",
        "If they are identifiers, make them text before you save the table: "
        f"`frame[{name!r}] = frame[{name!r}].astype(str)`; or leave it out: `columns: {{{name}: {{role: ignored}}}}`.",
    )


def _finite(values: pd.Series) -> pd.Series:
    n_infinite = int(np.isinf(values.to_numpy()).sum())
    if n_infinite:
        raise UsageError(
            f"column {values.name!r} holds {n_infinite:,} infinite values.",
            "Replace them by numbers or leave them empty; or say in problem.md that they are missing: "
            f"`columns: {{{values.name}: {{missing: [inf, -inf]}}}}`.",
        )
    return values


def _as_utc(values: pd.Series) -> pd.Series:
    if values.dt.tz is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    return values.astype("datetime64[us]")


def _cast(values: pd.Series, kind: Kind) -> pd.Series:
    kind_of_values = _kind(values)
    if kind_of_values == kind:
        return values
    if values.isna().all():
        return all_missing(len(values), kind)
    if kind == "number" and kind_of_values == "integer":
        return values.astype("float64")
    if kind == "integer" and kind_of_values == "number":
        return _to_whole(values)
    if kind == "boolean" and kind_of_values in NUMERIC_KINDS and values.dropna().isin([0, 1]).all():
        return values.astype("Int64").astype("boolean") if values.isna().any() else values.astype(bool)
    raise ValueError(f"holds {kind_of_values} values, {kind} values were needed")


def all_missing(n_rows: int, kind: Kind) -> pd.Series:
    """A column of a kind without any value."""
    dtypes = {
        "integer": "float64",
        "number": "float64",
        "boolean": "boolean",
        "string": "str",
        "datetime": "datetime64[us]",
    }
    return pd.Series([None] * n_rows, dtype=dtypes[kind])


def _to_whole(values: pd.Series) -> pd.Series:
    fraction = values[values.notna() & (values != values.round())]
    if len(fraction):
        raise ValueError(f"holds {len(fraction):,} values with a fraction, whole numbers were needed: round them")
    return _whole(values)
