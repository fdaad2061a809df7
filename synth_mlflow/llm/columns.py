"""What a model is told of a table: its columns and kinds, and the values that many real rows share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from synth_mlflow.data.columns import Kind, schema_of
from synth_mlflow.data.task import Task

MIN_SHARED = 10  # a text that fewer real rows hold may name somebody: it is not told
MAX_LEVELS = 50
COMMON_SHARE = 0.9  # of the present values must be told ones for the list to be complete
_JSON = {"integer": "integer", "number": "number", "boolean": "boolean", "string": "string", "datetime": "string"}


@dataclass(frozen=True)
class Column:
    """One column, as a prompt may describe it."""

    name: str
    kind: Kind
    levels: tuple[str, ...] | None
    """The texts that it may hold; None for any."""
    may_be_missing: bool


def columns_of(members: pd.DataFrame, task: Task) -> tuple[Column, ...]:
    """The columns of real rows; no text of fewer than `MIN_SHARED` rows is told, but for the target's classes."""
    return tuple(
        Column(name, kind, _levels(members[name], kind, name == task.target), bool(members[name].isna().any()))
        for name, kind in schema_of(members).kinds.items()
    )


def _levels(column: pd.Series, kind: Kind, is_target: bool) -> tuple[str, ...] | None:
    if kind != "string":
        return None
    counts = column.value_counts()
    told = counts if is_target else counts[counts >= MIN_SHARED]
    if not 0 < len(told) <= MAX_LEVELS or told.sum() < COMMON_SHARE * counts.sum():
        return None
    return tuple(sorted(map(str, told.index)))


def answer_schema(columns: Sequence[Column]) -> dict[str, Any]:
    """The JSON schema of an answer: an object whose ``rows`` are objects with every column."""
    row = {
        "type": "object",
        "properties": {column.name: _property(column) for column in columns},
        "required": [column.name for column in columns],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"rows": {"type": "array", "items": row}},
        "required": ["rows"],
        "additionalProperties": False,
    }


def _property(column: Column) -> Mapping[str, Any]:
    kind = _JSON[column.kind]
    told: dict[str, Any] = {"type": [kind, "null"] if column.may_be_missing else kind}
    if column.kind == "datetime":
        told["description"] = "ISO 8601, such as 2024-01-31 or 2024-01-31T13:45:00"
    if column.levels is not None:
        told["enum"] = [*column.levels, *([None] if column.may_be_missing else [])]
    return told


def as_objects(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a normalised table as JSON objects."""
    return [{str(name): _plain(value) for name, value in row.items()} for row in rows.to_dict("records")]


def _plain(value: Any) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat() if value == value.normalize() else value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value.item() if hasattr(value, "item") else value
