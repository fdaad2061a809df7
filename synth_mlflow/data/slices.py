"""Slices: subsets of rows named by a condition such as ``age < 25 and region == "north"``.

The grammar is our own and nothing in it is ever evaluated as code::

    condition  = conjunction {"or" conjunction}
    conjunction = term {"and" term}
    term       = "not" term | "(" condition ")" | test
    test       = column ("==" | "!=" | "<" | "<=" | ">" | ">=") value
               | column ["not"] "in" "(" value {"," value} ")"
               | column "is" ["not"] "missing"
    column     = a bare word, or any text in `backticks`
    value      = number | "text" | 'text' | true | false

Dates are written as text in ISO form, from the day on: ``opened >= "2024-01-01"``. A missing value satisfies no test
but ``is missing``, ``!=`` and ``not in``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.columns import NUMERIC_KINDS, Kind, Schema, schema_of
from synth_mlflow.data.expressions import A_NAME_IN_BACKTICKS, Expression
from synth_mlflow.data.single_equal import refuse_single_equal
from synth_mlflow.data.text_forms import ISO_DATE
from synth_mlflow.errors import UsageError, closest

Value = float | str | bool
Mask = npt.NDArray[np.bool_]

MAX_LENGTH = 4_000  # characters; far beyond what a person writes
MAX_DEPTH = 50  # nested brackets; keeps the parser away from Python's recursion limit

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True)
class Comparison:
    """One column against one value."""

    column: str
    operator: str
    value: Value


@dataclass(frozen=True)
class Membership:
    """One column against a list of values."""

    column: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Missing:
    """One column without a value."""

    column: str


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    condition: Condition


@dataclass(frozen=True)
class Both:
    """All of several conditions."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Either:
    """Any of several conditions."""

    conditions: tuple[Condition, ...]


Condition = Comparison | Membership | Missing | Not | Both | Either


@dataclass(frozen=True)
class Slice:
    """A named part of a table.

    Examples
    --------
    >>> rows = pd.DataFrame({"age": [20, 30], "region": ["north", "south"]})
    >>> Slice.parse('age < 25 and region == "north"').mask(rows)
    array([ True, False])
    """

    text: str
    condition: Condition

    @classmethod
    def parse(cls, text: str) -> Slice:
        """Read a condition.

        Raises
        ------
        UsageError
            If the text is not in the grammar; the message points at the place.
        """
        return cls(text.strip(), _Parser(text).parse())

    @property
    def columns(self) -> frozenset[str]:
        """The columns that the condition looks at."""
        return frozenset(_columns(self.condition))

    def check(self, schema: Schema) -> None:
        """Refuse columns that the table lacks and values of another kind.

        Raises
        ------
        UsageError
            With the nearest column name, or the kind that was needed.
        """
        for column in sorted(self.columns):
            if column not in schema.kinds:
                raise UsageError(
                    f"slice {self.text!r} names column {column!r}, which the table lacks. {closest(column, schema)}"
                )
        _check_values(self.condition, schema, self.text)

    def mask(self, frame: pd.DataFrame) -> Mask:
        """Which rows of a normalised table satisfy the condition; shape (n_rows,)."""
        self.check(schema_of(frame))
        return _mask(self.condition, frame)


class _Parser(Expression):
    """Recursive descent over the tokens of one condition."""

    kind = "slice"
    advice = 'Write conditions like `age < 25 and region == "north"`.'
    max_length = MAX_LENGTH
    keywords = frozenset({"and", "or", "not", "in", "is", "missing", "true", "false"})

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = 0

    def parse(self) -> Condition:
        condition = self._condition()
        self.need_end()
        return condition

    def _condition(self) -> Condition:
        parts = [self._conjunction()]
        while self.take("keyword", "or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _conjunction(self) -> Condition:
        parts = [self._term()]
        while self.take("keyword", "and"):
            parts.append(self._term())
        return parts[0] if len(parts) == 1 else Both(tuple(parts))

    def _term(self) -> Condition:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise UsageError(f"a slice is nested more than {MAX_DEPTH} levels deep.", "Write a shorter condition.")
        term = self._nested_term()
        self.depth -= 1
        return term

    def _nested_term(self) -> Condition:
        if self.take("keyword", "not"):
            return Not(self._term())
        if self.take("operator", "("):
            condition = self._condition()
            self.need("operator", ")")
            return condition
        return self._test()

    def _test(self) -> Condition:
        column = self.column()
        if self.take("keyword", "is"):
            negated = self.take("keyword", "not")
            self.need("keyword", "missing")
            return Not(Missing(column)) if negated else Missing(column)
        negated = self.take("keyword", "not")
        if self.take("keyword", "in"):
            membership = Membership(column, self._values())
            return Not(membership) if negated else membership
        operator = None if negated else self.take("operator", *_COMPARISONS)
        if operator is None:
            raise self.error(f"a comparison such as `<`, `==` or `in (…)` {A_NAME_IN_BACKTICKS}")
        return Comparison(column, operator, self._value())

    def _values(self) -> tuple[Value, ...]:
        self.need("operator", "(")
        values = [self._value()]
        while self.take("operator", ","):
            values.append(self._value())
        self.need("operator", ")")
        return tuple(values)

    def _value(self) -> Value:
        if (number := self.number()) is not None:
            return number
        if (text := self.take("text")) is not None:
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if (word := self.take("keyword", "true", "false")) is not None:
            return word == "true"
        raise self.error("a number, a text in quotes, true or false")

    def error(self, needed: str) -> UsageError:
        """As for every expression; a single `=` is answered with the condition as it must be written."""
        refuse_single_equal(self.text, self.text[self.peek().at :])
        return super().error(needed)


def _columns(condition: Condition) -> set[str]:
    if isinstance(condition, Not):
        return _columns(condition.condition)
    if isinstance(condition, Both | Either):
        return set().union(*(_columns(part) for part in condition.conditions))
    return {condition.column}


def _check_values(condition: Condition, schema: Schema, text: str) -> None:
    if isinstance(condition, Not):
        _check_values(condition.condition, schema, text)
    elif isinstance(condition, Both | Either):
        for part in condition.conditions:
            _check_values(part, schema, text)
    elif not isinstance(condition, Missing):
        values = condition.values if isinstance(condition, Membership) else (condition.value,)
        for value in values:
            _check_value(condition.column, value, schema[condition.column], text)


def _check_value(column: str, value: Value, kind: Kind, text: str) -> None:
    fits = {
        "boolean": isinstance(value, bool),
        "string": isinstance(value, str),
        "datetime": isinstance(value, str) and is_date(value),
    }.get(kind, kind in NUMERIC_KINDS and isinstance(value, float))
    if not fits:
        raise UsageError(f"slice {text!r} compares column {column!r}, which holds {kind} values, with {value!r}.")


def is_date(text: str) -> bool:
    """Whether a text names one moment; pandas alone would take ``now``, which is another one every time."""
    return ISO_DATE.fullmatch(text) is not None and not pd.isna(pd.to_datetime(text, errors="coerce"))


def _mask(condition: Condition, frame: pd.DataFrame) -> Mask:
    if isinstance(condition, Not):
        return ~_mask(condition.condition, frame)
    if isinstance(condition, Both):
        return np.asarray(np.all([_mask(part, frame) for part in condition.conditions], axis=0))
    if isinstance(condition, Either):
        return np.asarray(np.any([_mask(part, frame) for part in condition.conditions], axis=0))
    column = frame[condition.column]
    missing = column.isna().to_numpy(dtype=bool)
    if isinstance(condition, Missing):
        return missing
    if isinstance(condition, Membership):
        return np.asarray(np.any([_compare(column, "==", value, missing) for value in condition.values], axis=0))
    return _compare(column, condition.operator, condition.value, missing)


def _compare(column: pd.Series, operator: str, value: Value, missing: Mask) -> Mask:
    other: Any = pd.Timestamp(value) if pd.api.types.is_datetime64_any_dtype(column.dtype) else value
    if isinstance(other, pd.Timestamp) and other.tz is not None:
        other = other.tz_convert("UTC").tz_localize(None)
    result = np.full(len(column), operator == "!=")
    present = column.to_numpy()[~missing] if column.dtype != "boolean" else column[~missing].to_numpy(dtype=bool)
    result[~missing] = _COMPARISONS[operator](present, other)
    return result
