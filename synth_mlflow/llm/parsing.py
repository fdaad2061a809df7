"""Read rows out of the answers of a language model.

What a model is told of a table: its columns and kinds, and the values that many real rows share.

The rows in a model's answer: found in whatever stands around them, repaired where it is plain how, else rejected.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from synth_mlflow.data.columns import MAX_INTEGER, Kind, schema_of
from synth_mlflow.data.conversation_text import FORMS, canonical, problem_of
from synth_mlflow.data.task import Task
from synth_mlflow.llm.answers import rows_in, why_no_row

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
    turns: tuple[str, ...] = ()
    """Of conversations: the names of speaker and text in a turn."""


def columns_of(members: pd.DataFrame, task: Task) -> tuple[Column, ...]:
    """The columns of real rows; no text of fewer than `MIN_SHARED` rows is told, but for the target's classes."""
    return tuple(
        _conversation(members[name])
        if name in task.conversations
        else Column(name, kind, _levels(members[name], kind, name == task.target), bool(members[name].isna().any()))
        for name, kind in schema_of(members).kinds.items()
    )


def _conversation(column: pd.Series) -> Column:
    first = column.dropna().iloc[0]
    turns = next(names for names in FORMS if names[0] in json.loads(first)[0])
    return Column(str(column.name), "string", None, bool(column.isna().any()), turns)


def _levels(column: pd.Series, kind: Kind, is_target: bool) -> tuple[str, ...] | None:
    if kind != "string":
        return None
    counts = column.value_counts()
    categories = counts if is_target else counts[counts >= MIN_SHARED]
    if not 0 < len(categories) <= MAX_LEVELS or categories.sum() < COMMON_SHARE * counts.sum():
        return None
    return tuple(sorted(map(str, categories.index)))


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
    schema: dict[str, Any] = {"type": [kind, "null"] if column.may_be_missing else kind}
    if column.turns:
        schema["type"] = ["array", "null"] if column.may_be_missing else "array"
        schema["items"] = {
            "type": "object",
            "properties": {name: {"type": "string"} for name in column.turns},
            "required": list(column.turns),
            "additionalProperties": False,
        }
    if column.kind == "datetime":
        schema["description"] = "ISO 8601, such as 2024-01-31 or 2024-01-31T13:45:00"
    if column.levels is not None:
        schema["enum"] = [*column.levels, *([None] if column.may_be_missing else [])]
    return schema


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


NOTHING = frozenset({"", "null", "none", "nan", "n/a", "na", "missing", "unknown"})
TRUE, FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})
_UNKEPT = re.compile("[\x00\ud800-\udfff]")  # the end of a text in C, and halves of characters


@dataclass
class RowCounts:
    """What became of the rows of all answers."""

    received: int = 0
    repaired: int = 0
    duplicates: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """Numbers by reason."""

    def why(self) -> str:
        """What became of the rows that were not kept.

        Examples
        --------
        >>> RowCounts(9, 0, 2, Counter({"'age' is no integer": 3})).why()
        "2 rows were duplicates, rejected: 'age' is no integer (3)"
        >>> RowCounts(9).why()
        'no row was rejected'
        """
        reasons = "; ".join(f"{reason} ({n:,})" for reason, n in self.rejected.most_common(6))
        repeated = f"{self.duplicates:,} rows were duplicates" if self.duplicates else ""
        reasons_text = ", ".join(filter(None, (repeated, f"rejected: {reasons}" if reasons else "")))
        return reasons_text or "no row was rejected"


class MisfitError(ValueError):
    """A value that is none of its column's, with the reason."""


@dataclass(frozen=True)
class Candidate:
    """A row of an answer, on its way into the batch."""

    values: dict[str, Any] = field(default_factory=dict)
    repaired: bool = False
    problem: str | None = None
    """Why it is no row."""
    received: bool = True
    """False where an answer held no whole row at all."""


NUMBER = Column("row", "integer", None, may_be_missing=False)
"""By which the rows of one step are found in the answer to the next."""


def candidates_in(text: str, columns: Sequence[Column], finish_reason: str = "") -> list[Candidate]:
    """The rows of an answer, one that stands for none where there are none."""
    objects = rows_in(text, [column.name for column in columns])
    if not objects:
        return [Candidate(problem=why_no_row(text, finish_reason), received=False)]
    return [_candidate(row, columns) for row in objects]


def completed(rows: Sequence[Candidate], text: str, columns: Sequence[Column], missing: str) -> list[Candidate]:
    """Rows of the steps before with further columns, found by their numbers from 1 on in an answer.

    Examples
    --------
    >>> mood = Column("mood", "string", None, may_be_missing=False)
    >>> rows = [Candidate({"age": 3}), Candidate({"age": 4})]
    >>> [(row.values, row.problem) for row in completed(rows, '{"rows": [{"row": 2, "mood": "sad"}]}', [mood], "gone")]
    [({}, 'gone'), ({'age': 4, 'mood': 'sad'}, None)]
    """
    answers = numbered(text)
    return [_further(row, answers.get(number), columns, missing) for number, row in enumerate(rows, start=1)]


def numbered(text: str) -> dict[int, Mapping[str, Any]]:
    """The rows of an answer by their numbers, without them; of two with one number, the first."""
    by_number: dict[int, Mapping[str, Any]] = {}
    for row in rows_in(text, (NUMBER.name,)):
        if isinstance(row, Mapping) and NUMBER.name in row:
            try:
                number = _integer(row[NUMBER.name], NUMBER)
            except (ValueError, TypeError, OverflowError):
                continue
            by_number.setdefault(number, {name: value for name, value in row.items() if name != NUMBER.name})
    return by_number


def _candidate(row: object, columns: Sequence[Column]) -> Candidate:
    try:
        values, repaired = fitted(row, columns)
    except MisfitError as misfit:
        return Candidate(problem=str(misfit))
    return Candidate(values, repaired)


def _further(row: Candidate, answer: object, columns: Sequence[Column], missing: str) -> Candidate:
    if row.problem is not None:
        return row
    if answer is None:
        return Candidate(problem=missing)
    more = _candidate(answer, columns)
    return more if more.problem else Candidate({**row.values, **more.values}, row.repaired or more.repaired)


def fitted(row: object, columns: Sequence[Column]) -> tuple[dict[str, Any], bool]:
    """A row with the columns and types of the table, and whether it had to be repaired for that.

    Raises
    ------
    MisfitError
        If a column is missing, or a value is none of its column's; says which.
    """
    if not isinstance(row, Mapping):
        raise MisfitError("is no object")
    given = {str(name).strip().casefold(): value for name, value in row.items()}
    values, repaired = {}, len(row) != len(columns)
    for column in columns:
        if column.name not in row and column.name.casefold() not in given:
            raise MisfitError(f"{column.name!r} is missing")
        value = row[column.name] if column.name in row else given[column.name.casefold()]
        values[column.name] = _value(value, column)
        repaired |= column.name not in row or _differs(value, values[column.name], column)
    return values, repaired


def _differs(given: object, typed: object, column: Column) -> bool:
    if column.turns:
        return isinstance(given, str)
    if column.kind == "datetime":
        return typed is None and given is not None
    return (
        type(given) is not type(typed) and not (column.kind == "number" and isinstance(given, int))
    ) or given != typed


def _value(value: object, column: Column) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)) or _says_nothing(value, column):
        if not column.may_be_missing:
            raise MisfitError(f"{column.name!r} has no value")
        return None
    try:
        return _READERS[column.kind](value, column)
    except (ValueError, TypeError, OverflowError) as error:
        raise MisfitError(
            f"{column.name!r} {error if isinstance(error, MisfitError) else f'is no {column.kind}'}"
        ) from error


def _says_nothing(value: object, column: Column) -> bool:
    if not isinstance(value, str) or (column.kind == "string" and column.levels is None):
        return False
    return value.strip().casefold() in NOTHING and value not in (column.levels or ())


def _integer(value: Any, _: Column) -> int:
    if isinstance(value, bool):
        raise TypeError
    number = value if isinstance(value, int) else _float(value)
    if number != int(number) or abs(number) > MAX_INTEGER:
        raise MisfitError("is no whole number")
    return int(number)


def _number(value: Any, _: Column) -> float:
    return _float(value)


def _float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    number = float(value.replace(",", "").replace("_", "") if isinstance(value, str) else value)
    if not math.isfinite(number):
        raise MisfitError("is not finite")
    return number


def _boolean(value: Any, _: Column) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().casefold()
    if text not in TRUE | FALSE:
        raise ValueError
    return text in TRUE


def _turns(value: Any) -> str:
    turns = json.loads(value) if isinstance(value, str) else value
    problem = problem_of(turns) or (_UNKEPT.search(str(turns)) and "has a character that no file of texts can keep")
    if problem:
        raise MisfitError(f"is no conversation: it {problem}")
    return canonical(turns)


def _text(value: Any, column: Column) -> str:
    if column.turns:
        return _turns(value)
    if isinstance(value, dict | list):
        raise TypeError
    text = value if isinstance(value, str) else json.dumps(value)
    if _UNKEPT.search(text):
        raise MisfitError("has a character that no file of texts can keep")
    if column.levels is None or text in column.levels:
        return text
    alike = [level for level in column.levels if level.casefold() == text.strip().casefold()]
    if len(alike) != 1:
        raise MisfitError("is none of its levels")
    return alike[0]


def _moment(value: Any, _: Column) -> pd.Timestamp:
    if not isinstance(value, str):
        raise TypeError
    moment = pd.Timestamp(value.strip())
    return moment.tz_convert("UTC").tz_localize(None) if moment.tzinfo else moment


_READERS: Mapping[str, Callable[[Any, Column], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _text,
    "datetime": _moment,
}
