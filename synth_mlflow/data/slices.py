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
from synth_mlflow.data.single_equal import refuse_single_equal
from synth_mlflow.data.text_forms import ISO_DATE
from synth_mlflow.errors import UsageError, closest

Value = float | str | bool
Mask = npt.NDArray[np.bool_]

MAX_LENGTH = 4_000  # characters; far beyond what a person writes
MAX_DEPTH = 50  # nested brackets; keeps the parser away from Python's recursion limit

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<quoted>`[^`]+`)
    | (?P<operator>==|!=|<=|>=|<|>|\(|\)|,)
    | (?P<word>[^\W\d]\w*)
    )""",
    re.VERBOSE,
)
_KEYWORDS = {"and", "or", "not", "in", "is", "missing", "true", "false"}
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
        if len(text) > MAX_LENGTH:
            raise UsageError(f"a slice of {len(text):,} characters was given, at most {MAX_LENGTH:,} are read.")
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


class _Parser:
    """Recursive descent over the tokens of one condition."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = self._tokenise()
        self.at = 0
        self.depth = 0

    def parse(self) -> Condition:
        condition = self._condition()
        if self.at < len(self.tokens):
            raise self._error("the end")
        return condition

    def _tokenise(self) -> list[tuple[str, str, int]]:
        tokens, at = [], 0
        while self.text[at:].strip():
            match = _TOKEN.match(self.text, at)
            if match is None or match.lastgroup is None:
                refuse_single_equal(self.text, self.text[at:].strip())
                raise UsageError(
                    f"slice {self.text!r} cannot be read at {self.text[at:].strip()[:20]!r}.",
                    'Write conditions like `age < 25 and region == "north"`.',
                )
            kind, token = match.lastgroup, match.group(match.lastgroup)
            if kind == "word" and token.lower() in _KEYWORDS:
                kind, token = "keyword", token.lower()
            tokens.append((kind, token, match.start(match.lastgroup)))
            at = match.end()
        return tokens

    def _condition(self) -> Condition:
        parts = [self._conjunction()]
        while self._take("keyword", "or"):
            parts.append(self._conjunction())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _conjunction(self) -> Condition:
        parts = [self._term()]
        while self._take("keyword", "and"):
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
        if self._take("keyword", "not"):
            return Not(self._term())
        if self._take("operator", "("):
            condition = self._condition()
            self._need("operator", ")")
            return condition
        return self._test()

    def _test(self) -> Condition:
        column = self._column()
        if self._take("keyword", "is"):
            negated = self._take("keyword", "not")
            self._need("keyword", "missing")
            return Not(Missing(column)) if negated else Missing(column)
        negated = self._take("keyword", "not")
        if self._take("keyword", "in"):
            membership = Membership(column, self._values())
            return Not(membership) if negated else membership
        kind, token, _ = self._peek()
        if negated or kind != "operator" or token not in _COMPARISONS:
            raise self._error(
                "a comparison such as `<`, `==` or `in (…)` "
                "(a column name that is not one plain word goes in `backticks`)"
            )
        self.at += 1
        return Comparison(column, token, self._value())

    def _column(self) -> str:
        kind, token, _ = self._peek()
        if kind not in {"word", "quoted"}:
            raise self._error("a column name (in `backticks` if it is not one plain word)")
        self.at += 1
        return token.strip("`")

    def _values(self) -> tuple[Value, ...]:
        self._need("operator", "(")
        values = [self._value()]
        while self._take("operator", ","):
            values.append(self._value())
        self._need("operator", ")")
        return tuple(values)

    def _value(self) -> Value:
        kind, token, _ = self._peek()
        if kind == "number":
            self.at += 1
            return float(token)
        if kind == "text":
            self.at += 1
            return re.sub(r"\\(.)", r"\1", token[1:-1])
        if kind == "keyword" and token in {"true", "false"}:
            self.at += 1
            return token == "true"
        raise self._error("a number, a text in quotes, true or false")

    def _peek(self) -> tuple[str, str, int]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "the end", len(self.text))

    def _take(self, kind: str, token: str) -> bool:
        is_next = self._peek()[:2] == (kind, token)
        self.at += is_next
        return is_next

    def _need(self, kind: str, token: str) -> None:
        if not self._take(kind, token):
            raise self._error(f"`{token}`")

    def _error(self, needed: str) -> UsageError:
        _, token, position = self._peek()
        return UsageError(
            f"slice {self.text!r}: found {token!r} at character {position + 1}, needed {needed}.",
            'Write conditions like `age < 25 and region == "north"`.',
        )


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
