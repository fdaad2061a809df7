"""What each column is: its role, how a table wrote its values, and the schema that records both.

What part a column plays: a measurement, a category, a text, an identifier; whatever its type is.

Tables in their own form: the texts and types that the project's data came with.

The schema of a project: what each column is, decided once, shown, recorded, and followed everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import pyarrow as pa

from synth_mlflow.data.columns import CATEGORICAL_KINDS, EXACT, Kind, Schema, all_missing
from synth_mlflow.data.csv_format import CsvFormat
from synth_mlflow.data.digests import canonical_json, json_digest
from synth_mlflow.data.identifier_forms import GOODS, known_form
from synth_mlflow.data.json_text import JsonText
from synth_mlflow.data.mapped import frame_of
from synth_mlflow.data.text_forms import LONG_NUMBER, PLAIN, Form
from synth_mlflow.data.value_formats import (
    ClockText,
    DurationText,
    NumberText,
    format_as_json,
    format_from_json,
    over_distinct,
)

Role = Literal[
    "number", "category", "boolean", "datetime", "time of day", "duration", "text", "conversation", "identifier",
    "group key", "constant", "target", "weight", "ignored",
]  # fmt: skip
ROLES: tuple[Role, ...] = get_args(Role)

DECIMAL_DIGITS = 38  # of a decimal of 128 bits
MIN_ROWS = 50  # below it, values that are all different say little about what a column is
UNIQUE_SHARE = 0.9  # of the present values
TEXT_WORDS = 4  # mean number of words from which a nearly unique column is prose
TEXT_LENGTH = 60  # mean number of characters, likewise
SURPRISE = 7.0  # expected ties among integers; none at all has then a chance of e^-7
ROUND = 1_000  # large numbers that all end in three zeros are counts in a finer unit, as nanoseconds since 1970
FEW_GROUPS = 20
"""A group key of more groups than this names them; of fewer, it is a category like region."""
NO_FEATURES: frozenset[str] = frozenset({"identifier", "group key", "weight", "ignored"})
"""Roles of columns that no model learns from."""
_ID_NAME = re.compile(r"(^|[_\W])(id|uuid|guid|key)$|(?<=[a-z])(Id|ID|Uuid|Key)$", re.ASCII)
_WORDS = r"(^|[_\W\d])({})s?([_\W\d]|$)"
_YEAR_NAME = re.compile(_WORDS.format("year|yr|jahr|date|time|period|month|week|day"), re.IGNORECASE)
_ROUND_NAME = re.compile(_WORDS.format("quarter|visit|wave"), re.IGNORECASE)


def role_of(column: pd.Series, kind: Kind) -> Role:
    """The role of one column of a normalised table, from its values and its name.

    Examples
    --------
    >>> role_of(pd.Series([1.5, 2.5]), "number"), role_of(pd.Series(["x", "x"]), "string")
    ('number', 'constant')
    """
    present = column.dropna()
    if is_constant(column):
        return "constant"
    if kind == "string" and present.nunique() > FEW_GROUPS and present.str.fullmatch(LONG_NUMBER).all():
        return "identifier"
    form = known_form(present) if kind in {"string", "integer"} else ""
    if form and not (form in GOODS and _are_few_goods(present, kind)):
        return "identifier"
    if len(present) >= MIN_ROWS:
        if kind == "string" and present.nunique() > UNIQUE_SHARE * len(present):
            return "text" if _is_prose(present) else "identifier"
        if _is_whole(present, kind) and present.is_unique and _is_numbering(present):
            return "identifier"
        is_large = kind == "integer" and max(present.max(), -present.min()) > EXACT
        is_key = present.is_unique or present.nunique() > FEW_GROUPS
        if is_large and is_key and (present % ROUND != 0).any():
            return "identifier"  # nothing is measured to so many digits
    if kind == "boolean":
        return "boolean"
    return "category" if kind in CATEGORICAL_KINDS else "datetime" if kind == "datetime" else "number"


def is_named_as_key(name: str) -> bool:
    """Whether a column's name says that it is a key.

    >>> is_named_as_key("patient_id"), is_named_as_key("paid")
    (True, False)
    """
    return _ID_NAME.search(name) is not None


def is_named_as_time(name: str) -> bool:
    """Whether a column's name says that it is a time, or a number of a time.

    >>> is_named_as_time("survey_year"), is_named_as_time("Visit"), is_named_as_time("yearly_pay")
    (True, True, False)
    """
    return bool(_YEAR_NAME.search(name) or _ROUND_NAME.search(name))


def is_constant(column: pd.Series) -> bool:
    """Whether there is nothing to learn: no value at all, or one value in every row."""
    present = column.dropna()
    return present.empty or (len(present) == len(column) and bool((present == present.iloc[0]).all()))


def _are_few_goods(present: pd.Series, kind: Kind) -> bool:
    """Whether codes of goods repeat, so that they are categories; many whole numbers would be a measure."""
    is_repeated = present.nunique() <= UNIQUE_SHARE * len(present)
    return is_repeated and (kind == "string" or present.nunique() <= FEW_GROUPS)


def _is_prose(present: pd.Series) -> bool:
    """Whether texts are sentences: words of letters, or long with blanks or letters of other scripts among them."""
    if float(present.str.count(r"(?:^|\s)[^\s]*[^\W\d_][^\s]*").mean()) >= TEXT_WORDS:
        return True
    is_long = float(present.str.len().mean()) >= TEXT_LENGTH
    return is_long and bool(present.str.contains(r"\s|[^\x00-\x7f]", regex=True).mean() > UNIQUE_SHARE)


def _is_whole(present: pd.Series, kind: Kind) -> bool:
    return kind == "integer" or (kind == "number" and bool((present == present.round()).all()))


def _is_numbering(present: pd.Series) -> bool:
    """Whether distinct integers are too many to be all different by chance (the birthday problem), or are named so."""
    if is_named_as_key(str(present.name)):
        return True
    if _YEAR_NAME.search(str(present.name)):
        return False
    values = present.to_numpy(dtype="float64")
    n_possible = float(np.ptp(values)) + 1.0
    return bool(values.min() >= 0 and len(values) ** 2 / (2.0 * n_possible) > SURPRISE)


def present(frame: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """A normalised table as its owner knows it: the columns of ``schema.forms`` as they are written outside.

    What comes back through `columns.conform` with the same schema is the normalised table.
    """
    if not schema.forms:
        return frame
    columns = ((str(name), _own(frame[name], schema.forms.get(str(name)))) for name in frame.columns)
    return frame_of(columns, frame.shape[1], frame.index)


def arrow_schema(schema: Schema) -> pa.Schema:
    """The Arrow types of a table in its own form, with what pandas needs to give its types back."""
    empty = pd.DataFrame({name: all_missing(0, kind) for name, kind in schema.kinds.items()})
    whole = [name for name, kind in schema.kinds.items() if kind == "boolean" and name not in schema.forms]
    empty = empty.astype(dict.fromkeys(whole, bool))  # of a column that may have gaps, the form says so
    arrow = pa.Schema.from_pandas(present(empty, schema), preserve_index=False)
    for at, name in enumerate(schema):
        special = {"date": pa.date32(), "time": pa.time64("us")}.get(schema.forms.get(name, Form()).dtype)
        if special is not None:
            arrow = arrow.set(at, pa.field(name, special))
    return arrow


def _own(values: Any, form: Form | None) -> Any:
    if form is None or isinstance(form.format, JsonText):  # JSON lines alone have a style of their own
        return values
    if form.format is not None:
        return over_distinct(values, form.format.write).astype("str")
    if form.dtype == "category":
        return values.astype(_category(values, form))
    if form.dtype.startswith("datetime64") and "," in form.dtype:
        return values.dt.tz_localize("UTC").astype(form.dtype)
    if form.is_duration:
        return pd.to_timedelta(values.round(6), unit="s").astype(form.dtype)
    if form.dtype == "date":
        return values.dt.date.astype(object)
    if (decimals := re.match(r"decimal(?:128|256)\((\d+), (-?\d+)\)", form.dtype)) is not None:
        return _as_decimals(values, int(decimals[1]), int(decimals[2]))
    if form.is_time:
        return values.map(_time).astype(object).astype(object if form.dtype == "time" else form.dtype)
    return values.astype(form.dtype) if form.dtype else values


def _category(values: pd.Series, form: Form) -> pd.CategoricalDtype:
    """Its categories, and those that only these values have."""
    new = [value for value in values.dropna().unique() if value not in form.categories]
    return pd.CategoricalDtype([*form.categories, *new], ordered=form.ordered)


def _as_decimals(values: pd.Series, precision: int, scale: int) -> pd.Series:
    """Numbers as decimals of a fixed number of digits, by way of the widest type of them."""
    make = pa.decimal128 if precision <= DECIMAL_DIGITS else pa.decimal256
    numbers = pa.array(values.astype("Int64") if scale <= 0 else values, from_pandas=True)
    wide = numbers.cast(pa.decimal128(DECIMAL_DIGITS, max(scale, 0)))
    return pd.Series(pd.arrays.ArrowExtensionArray(wide.cast(make(precision, scale))), values.index, name=values.name)


def _time(seconds: float) -> object:
    return None if pd.isna(seconds) else datetime.fromtimestamp(float(seconds) % 86_400, UTC).time()


VERSION = 1
KEEP_WORDS = 'keep_default_na=False, na_values=[""]'
"""What tells `pandas.read_csv` that only an empty cell is missing."""
ACTIONS: Mapping[str, str] = {
    "number": "learned, compared, a feature",
    "category": "learned, compared, a feature",
    "boolean": "learned, compared, a feature",
    "datetime": "learned, compared, a feature",
    "time of day": "learned as seconds since midnight, a feature",
    "duration": "learned as seconds, a feature",
    "text": "free text: written by an LLM or resampled",
    "conversation": "turns: written by an LLM or a command, or imported",
    "identifier": "made afresh, judged by uniqueness and form, no feature",
    "group key": "names groups: made afresh, no feature",
    "constant": "repeated",
    "target": "predicted",
    "weight": "weighs rows in fits; learned, compared, no feature",
    "ignored": "left out of every table",
}


@dataclass(frozen=True)
class ColumnSchema:
    """One column."""

    name: str
    kind: Kind
    role: Role
    form: Form = PLAIN
    detail: str = ""
    """What its values keep to: decimals, range, grid, number of categories."""
    missing: int = 0
    distinct: int = 0

    @property
    def action(self) -> str:
        """What will be done with it."""
        return ACTIONS[self.role]

    @property
    def type_words(self) -> str:
        """Its kind, or the type that it was given in."""
        if self.form.dtype == "category":
            return "category, ordered" if self.form.ordered else "category"
        return self.form.dtype or ("text" if self.form.format else self.kind)


@dataclass(frozen=True)
class TableSchema:
    """The columns of a table in order, and how its CSV file is written."""

    columns: tuple[ColumnSchema, ...]
    csv: CsvFormat | None = None
    group: str | None = None
    """The column of whose groups every row stands on one side of the split."""
    time: str | None = None
    """The column of the time at which rows were observed."""
    lines: JsonText | None = None
    """How its file of JSON lines is written."""

    @property
    def schema(self) -> Schema:
        """Kinds and forms of the columns that are not ignored."""
        used = [column for column in self.columns if column.role != "ignored"]
        forms = {column.name: column.form for column in used if column.form != PLAIN}
        return Schema({column.name: column.kind for column in used}, forms)

    @property
    def roles(self) -> dict[str, Role]:
        """The role of each column that is not ignored."""
        return {column.name: column.role for column in self.columns if column.role != "ignored"}

    @property
    def digest(self) -> str:
        """SHA-256 of it in canonical JSON."""
        return json_digest(self.to_json())

    def cut_by(self, group: str | None, time: str | None) -> TableSchema:
        """The same where the evaluation set is cut by whole groups of a column, by time, or by both."""
        names = [column.name for column in self.columns if column.name == group and column.distinct > FEW_GROUPS]
        columns = tuple(replace(c, role="group key") if c.name in names else c for c in self.columns)
        return replace(self, columns=columns, group=group, time=time)

    def to_json(self) -> dict[str, Any]:
        """As a JSON object; `from_json` reads it back."""
        columns = [{**asdict(replace(c, form=PLAIN)), "form": _form_as_json(c.form)} for c in self.columns]
        csv = None if self.csv is None else {name: setting for name, setting in asdict(self.csv).items() if setting}
        lines = {} if self.lines is None else {"lines": format_as_json(self.lines)}
        return {"version": VERSION, "columns": columns, "csv": csv, "group": self.group, "time": self.time, **lines}

    def text(self) -> str:
        """Its canonical JSON."""
        return canonical_json(self.to_json())

    @classmethod
    def from_json(cls, recorded: Mapping[str, Any]) -> TableSchema:
        """Read back what `to_json` wrote."""
        columns = (
            ColumnSchema(**{**column, "form": _form_from_json(column["form"])}) for column in recorded["columns"]
        )
        csv = CsvFormat(**recorded["csv"]) if recorded["csv"] else None
        lines: Any = format_from_json(recorded["lines"]) if "lines" in recorded else None
        return cls(tuple(columns), csv, recorded["group"], recorded["time"], lines)

    @property
    def how_to_read(self) -> str:
        """How a reader of CSV must be told to keep categories such as ``NA``; empty where there is none."""
        words = {
            column.name: column.form.not_missing
            for column in self.columns
            if column.form.not_missing and column.role not in NO_FEATURES
        }
        if not words:
            return ""
        shown = "; ".join(f"{name}: {', '.join(map(repr, values))}" for name, values in words.items())
        command = f"`pd.read_csv(FILE, {KEEP_WORDS})`"
        return f"Read CSV files with {command}: other readers take categories for missing values ({shown})."

    def rows(self) -> list[tuple[str, ...]]:
        """A row of words for each column, under `HEADINGS`."""
        return [
            (c.name, c.role, c.type_words, c.detail, f"{c.missing:,}", f"{c.distinct:,}", c.action)
            for c in self.columns
        ]

    def markdown(self, limit: int = 200) -> str:
        """The table in Markdown, of at most ``limit`` columns."""
        lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
        lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in self.rows()[:limit]]
        more = len(self.columns) - limit
        return "\n".join(lines) + (f"\n\n… and {more:,} more columns" if more > 0 else "")


HEADINGS = ("column", "role", "type", "format or grid", "missing", "distinct", "what will be done")


def values_role(role: Role, form: Form) -> Role:
    """The role of a column whose texts or type say that it holds conversations, times of day or durations."""
    if isinstance(form.format, JsonText) and form.format.turns:
        return "conversation"
    if role not in {"number", "identifier"}:
        return role
    if isinstance(form.format, NumberText) and (form.format.prefix or form.format.suffix or form.format.pad):
        return "number"  # money, units and times are no names of rows, be they all different
    if isinstance(form.format, ClockText) or form.is_time:
        return "time of day"
    return "duration" if isinstance(form.format, DurationText) or form.is_duration else role


def no_features(roles: Mapping[str, str]) -> list[str]:
    """The columns that no model learns from."""
    return [name for name, role in roles.items() if role in NO_FEATURES]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def _form_as_json(form: Form) -> dict[str, Any]:
    fields = {**asdict(replace(form, format=None)), "format": None}
    if form.format is not None:
        fields["format"] = format_as_json(form.format)
    set_fields = {name: value for name, value in fields.items() if value}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in set_fields.items()}


def _form_from_json(recorded: Mapping[str, Any]) -> Form:
    facts: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in recorded.items()
    }
    if "format" in facts:
        facts["format"] = format_from_json(facts["format"])
    return Form(**facts)


@dataclass(frozen=True)
class ColumnRule:
    """What a person says of one column under ``columns:``."""

    role: Role | None = None
    format: str | None = None
    zone: str | None = None
    missing: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    first_year: int = 0
    """The first of the hundred years that years of two digits stand for."""


@dataclass(frozen=True)
class Wishes:
    """What the statement says about the table, as far as the schema depends on it."""

    target: str | None = None
    is_classification: bool = True
    group: str | None = None
    time: str | None = None
    rules: Mapping[str, ColumnRule] = field(default_factory=dict)

    def wants_values(self, name: str) -> bool:
        """Whether a column's texts must be values: the target of a regression, the time to cut by."""
        rule = self.rules.get(name, ColumnRule())
        is_measured = rule.role in {"number", "datetime", "time of day", "duration"}
        return is_measured or name == self.time or (name == self.target and not self.is_classification)
