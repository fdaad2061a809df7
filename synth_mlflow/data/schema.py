"""The schema of a project: what each column is, decided once, shown, recorded, and followed everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from synth_mlflow.data.column_form import PLAIN, Form
from synth_mlflow.data.columns import Kind, Schema
from synth_mlflow.data.csv_format import CsvFormat
from synth_mlflow.data.digests import canonical_json, json_digest
from synth_mlflow.data.duration_format import DurationText
from synth_mlflow.data.roles import FEW_GROUPS, NO_FEATURES, Role
from synth_mlflow.data.value_formats import ClockText, format_as_json, format_from_json

VERSION = 1
ACTIONS: Mapping[str, str] = {
    "number": "learned, compared, a feature",
    "category": "learned, compared, a feature",
    "boolean": "learned, compared, a feature",
    "datetime": "learned, compared, a feature",
    "time of day": "learned as seconds since midnight, a feature",
    "duration": "learned as seconds, a feature",
    "text": "free text: written by an LLM or resampled",
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
    """The column of whose groups every row stands on one side of the cut."""
    time: str | None = None
    """The column of the time at which rows were observed."""

    @property
    def schema(self) -> Schema:
        """Kinds and forms of the columns that are not ignored."""
        kept = [column for column in self.columns if column.role != "ignored"]
        forms = {column.name: column.form for column in kept if column.form != PLAIN}
        return Schema({column.name: column.kind for column in kept}, forms)

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
        csv = None if self.csv is None else asdict(self.csv)
        return {"version": VERSION, "columns": columns, "csv": csv, "group": self.group, "time": self.time}

    def text(self) -> str:
        """Its canonical JSON."""
        return canonical_json(self.to_json())

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> TableSchema:
        """Read back what `to_json` wrote."""
        columns = (ColumnSchema(**{**column, "form": _form_from_json(column["form"])}) for column in told["columns"])
        csv = CsvFormat(**told["csv"]) if told["csv"] else None
        return cls(tuple(columns), csv, told["group"], told["time"])

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
    """The role of a column whose texts or type say that it holds times of day or durations."""
    if role not in {"number", "identifier"}:
        return role
    if isinstance(form.format, ClockText) or form.dtype == "time":
        return "time of day"
    return "duration" if isinstance(form.format, DurationText) or form.dtype.startswith("timedelta") else role


def no_features(roles: Mapping[str, str]) -> list[str]:
    """The columns that no model learns from."""
    return [name for name, role in roles.items() if role in NO_FEATURES]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def _form_as_json(form: Form) -> dict[str, Any]:
    told = {**asdict(replace(form, format=None)), "format": None}
    if form.format is not None:
        told["format"] = format_as_json(form.format)
    kept = {name: value for name, value in told.items() if value}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}


def _form_from_json(told: Mapping[str, Any]) -> Form:
    facts: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
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
        wanted = rule.role in {"number", "datetime", "time of day", "duration"}
        return wanted or name == self.time or (name == self.target and not self.is_classification)
