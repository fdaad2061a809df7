"""Declared constraints: what every row, real or synthetic, must keep, such as ``opened <= closed``.

``fixed`` admits only combinations of values that real rows have, missing ones among them. Every other constraint is
kept by a row in which one of its columns is missing.

How constraints are written; nothing in them is ever evaluated as code.

::

    constraint = column ("<" | "<=" | ">" | ">=") (value | column)
               | column "=" column {("+" | "-") column}
               | "fixed" "(" column "," column {"," column} ")"
    column     = a bare word, or any text in `backticks`
    value      = number | "ISO date" | 'ISO date'

In problem.md ``{column: age, min: 17, max: 90}`` stands for two of the first kind, and ``{fixed: [city, region]}`` for
the last.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.columns import NUMERIC_KINDS, Schema, schema_of
from synth_mlflow.data.expressions import A_NAME_IN_BACKTICKS, Expression
from synth_mlflow.data.slices import Mask, is_date
from synth_mlflow.errors import UsageError, closest

Floats = npt.NDArray[np.float64]

DUST = 1e-9  # of the largest part: how exactly a sum must hold
MAX_OWN_SHARE = 0.5  # of rows with a combination of their own: beyond it `fixed` would hand out single rows' values
MIN_OWN_ROWS = 50

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True)
class Bound:
    """A column on one side of a value."""

    text: str
    column: str
    operator: str
    value: float | str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it looks at."""
        return (self.column,)

    def misfit(self, schema: Schema) -> str:
        """Why it does not fit the columns' kinds; empty if it does."""
        kind = schema[self.column]
        is_number = isinstance(self.value, float)
        fits = is_number if kind in NUMERIC_KINDS else kind == "datetime" and not is_number
        return "" if fits else f"compares column {self.column!r}, which holds {kind} values, with {self.value!r}"

    def holds(self, frame: pd.DataFrame) -> Mask:
        """Which rows keep it; shape (n_rows,)."""
        other = self.value if isinstance(self.value, float) else pd.Timestamp(self.value).to_datetime64()
        return _compare(self.operator, frame[self.column], other)


@dataclass(frozen=True)
class Order:
    """One column never above another."""

    text: str
    low: str
    high: str
    is_strict: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it looks at."""
        return (self.low, self.high)

    def misfit(self, schema: Schema) -> str:
        """Why it does not fit the columns' kinds; empty if it does."""
        low, high = schema[self.low], schema[self.high]
        fits = {low, high} <= NUMERIC_KINDS or low == high == "datetime"
        return "" if fits else f"compares {low} values ({self.low!r}) with {high} values ({self.high!r})"

    def holds(self, frame: pd.DataFrame) -> Mask:
        """Which rows keep it; shape (n_rows,)."""
        return _compare("<" if self.is_strict else "<=", frame[self.low], frame[self.high])


@dataclass(frozen=True)
class Total:
    """A column that is the sum of others."""

    text: str
    column: str
    parts: tuple[tuple[int, str], ...]
    """Each part's sign and column."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it looks at."""
        return (self.column, *(name for _, name in self.parts))

    def misfit(self, schema: Schema) -> str:
        """Why it does not fit the columns' kinds; empty if it does."""
        wrong = [name for name in self.columns if schema[name] not in NUMERIC_KINDS]
        return f"adds column {wrong[0]!r}, which holds {schema[wrong[0]]} values" if wrong else ""

    def holds(self, frame: pd.DataFrame) -> Mask:
        """Which rows keep it, up to binary dust; shape (n_rows,)."""
        signed = np.column_stack([sign * _floats(frame[name]) for sign, name in ((-1, self.column), *self.parts)])
        gap = np.abs(signed.sum(axis=1))
        return np.asarray(np.isnan(gap) | (gap <= DUST * np.abs(signed).max(axis=1)))


@dataclass(frozen=True)
class Fixed:
    """Columns whose combinations of values are those of real rows."""

    text: str
    names: tuple[str, ...]
    known: pd.DataFrame | None = field(default=None, compare=False)
    """The combinations that are admitted, one a row; None until real rows have shown them."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it looks at."""
        return self.names

    def misfit(self, schema: Schema) -> str:  # noqa: ARG002 (every kind of value may be combined)
        """Why it does not fit the columns' kinds; empty if it does."""
        return ""

    def holds(self, frame: pd.DataFrame) -> Mask:
        """Which rows keep it; all of them as long as no real rows have been shown. Shape (n_rows,)."""
        if self.known is None:
            return np.ones(len(frame), dtype=np.bool_)
        both = pd.concat([self.known, frame[list(self.names)]], ignore_index=True)
        pairs = combinations(both)
        return np.isin(pairs[len(self.known) :], pairs[: len(self.known)])


Constraint = Bound | Order | Total | Fixed


@dataclass(frozen=True)
class Constraints:
    """All that a project declares.

    Examples
    --------
    >>> declared = Constraints((Order("low <= high", "low", "high", False), Bound("low >= 0", "low", ">=", 0.0)))
    >>> declared.broken(pd.DataFrame({"low": [1.0, 3.0, -1.0], "high": [2.0, 2.0, 0.0]}))
    {'low <= high': 1, 'low >= 0': 1}
    """

    items: tuple[Constraint, ...] = ()

    def __iter__(self) -> Iterator[Constraint]:
        return iter(self.items)

    def __bool__(self) -> bool:
        return bool(self.items)

    def misfits(self, schema: Schema) -> list[str]:
        """Everything in which the constraints and the columns disagree, in words."""
        misfits = []
        for one in self.items:
            unknown = next((name for name in one.columns if name not in schema.kinds), None)
            if unknown is not None:
                misfits.append(f"names column {unknown!r}, which the table lacks. {closest(unknown, schema)}")
            else:
                misfits.append(one.misfit(schema))
        return [
            f"constraint {one.text!r} {words}".rstrip(".")
            for one, words in zip(self.items, misfits, strict=True)
            if words
        ]

    def holds(self, frame: pd.DataFrame) -> Mask:
        """Which rows keep all of them; shape (n_rows,)."""
        return np.asarray(np.all([one.holds(frame) for one in self.items], axis=0) | np.zeros(len(frame), dtype=bool))

    def broken(self, frame: pd.DataFrame) -> dict[str, int]:
        """How many rows break each constraint that is broken at all."""
        counts = {one.text: int((~one.holds(frame)).sum()) for one in self.items}
        return {text: n_rows for text, n_rows in counts.items() if n_rows}

    def problems(self, real: pd.DataFrame) -> list[str]:
        """Why these real rows cannot be learned from under the constraints, in words; empty if they can."""
        misfits = self.misfits(schema_of(real))
        if misfits:
            return misfits
        broken = [
            f"constraint {text!r} is broken by {n_rows:,} of {len(real):,} real rows"
            for text, n_rows in self.broken(real).items()
        ]
        fixed = [one for one in self.items if isinstance(one, Fixed)]
        return broken + [words for one in fixed if (words := _own_combinations(one, real))]

    def seen_in(self, real: pd.DataFrame) -> Constraints:
        """The same, with the combinations that real rows have.

        Raises
        ------
        UsageError
            If the real rows themselves break a constraint, with the number; or a constraint does not fit the table.
        """
        problems = self.problems(real)
        if problems:
            raise UsageError(
                f"{'; '.join(problems)}.",
                "Correct the rows, or `constraints` in problem.md; then `synth-mlflow define`.",
            )
        return Constraints(tuple(_seen(one, real) if isinstance(one, Fixed) else one for one in self.items))


def combinations(frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """A number for each row's combination of values, equal for equal combinations; shape (n_rows,)."""
    groups = frame.groupby(list(frame.columns), dropna=False, sort=False, observed=True)
    return np.asarray(groups.ngroup(), dtype="int64")


def _compare(operator: str, left: pd.Series, right: Any) -> Mask:
    """Whether a comparison holds, or a value of it is missing."""
    missing = left.isna().to_numpy(dtype=bool)
    if isinstance(right, pd.Series):
        missing = missing | right.isna().to_numpy(dtype=bool)
        right = right.to_numpy()
    return np.asarray(missing | _COMPARISONS[operator](left.to_numpy(), right))


def _floats(column: pd.Series) -> Floats:
    return np.asarray(column.to_numpy(dtype="float64", na_value=np.nan))


def _seen(one: Fixed, real: pd.DataFrame) -> Fixed:
    return Fixed(one.text, one.names, real[list(one.names)].drop_duplicates(ignore_index=True))


def _own_combinations(one: Fixed, real: pd.DataFrame) -> str:
    counts = np.bincount(combinations(real[list(one.names)]))
    n_own = int((counts == 1).sum())
    if len(real) < MIN_OWN_ROWS or n_own <= MAX_OWN_SHARE * len(real):
        return ""
    return (
        f"constraint {one.text!r}: {n_own:,} of {len(real):,} real rows have a combination of their own, which would "
        "be handed out as it is"
    )


MAX_LENGTH = 1_000  # characters
ADVICE = "Write constraints like `age >= 17`, `opened <= closed`, `total = net + tax` or `fixed(city, region)`."


def parse_constraints(texts: Sequence[str]) -> Constraints:
    """Read constraints.

    Raises
    ------
    UsageError
        If a text is not in the grammar; the message says what was found where.

    Examples
    --------
    >>> [one.columns for one in parse_constraints(["age >= 17", "total = net + tax"])]
    [('age',), ('total', 'net', 'tax')]
    """
    return Constraints(tuple(_Parser(text).parse() for text in texts))


def as_texts(item: object) -> list[str]:
    """An entry of ``constraints`` in problem.md as texts of the grammar; a ValueError if it is no such entry."""
    if isinstance(item, str):
        return [item]
    if isinstance(item, dict) and set(item) == {"fixed"} and isinstance(item["fixed"], list):
        return [f"fixed({', '.join(_quoted(name) for name in item['fixed'])})"]
    if (
        isinstance(item, dict)
        and "column" in item
        and {"min", "max"} & set(item)
        and set(item) <= {"column", "min", "max"}
    ):
        sides = {"min": ">=", "max": "<="}
        return [f"{_quoted(item['column'])} {sides[side]} {_literal(item[side])}" for side in sides if side in item]
    raise ValueError("holds texts like `opened <= closed`, {column: age, min: 17, max: 90} and {fixed: [city, region]}")


def _quoted(name: object) -> str:
    return str(name) if re.fullmatch(r"[^\W\d]\w*", str(name)) else f"`{name}`"


def _literal(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    if isinstance(value, date | str):
        return f'"{value if isinstance(value, str) else value.isoformat()}"'
    raise ValueError(f"needs numbers or dates as min and max, found {value!r}")


class _Parser(Expression):
    """One pass over the tokens of one constraint."""

    kind = "constraint"
    advice = ADVICE
    max_length = MAX_LENGTH

    def parse(self) -> Constraint:
        is_fixed = self.peek()[:2] == ("word", "fixed") and self.peek(1).text == "("
        constraint = self._fixed() if is_fixed else self._relation()
        self.need_end()
        return constraint

    def _fixed(self) -> Fixed:
        self.take("word", "fixed")
        self.need("operator", "(")
        names = [self.column()]
        while self.take("operator", ","):
            names.append(self.column())
        if not self.take("operator", ")"):
            raise self.error("`,` or `)`")
        return Fixed(self.text, tuple(self._distinct(names)))

    def _relation(self) -> Constraint:
        column = self.column()
        operator = self.take("operator", *_COMPARISONS, "=", "==")
        if operator is None:
            raise self.error(f"one of `<`, `<=`, `>`, `>=` and `=` {A_NAME_IN_BACKTICKS}")
        if operator in {"=", "=="}:
            return self._total(column)
        if self.peek().kind in {"word", "quoted"}:
            names = self._distinct([column, self.column()])
            low, high = reversed(names) if ">" in operator else names
            return Order(self.text, low, high, "=" not in operator)
        return Bound(self.text, column, operator, self._value())

    def _total(self, column: str) -> Total:
        parts = [(1, self.column())]
        while sign := self.take("operator", "+", "-"):
            parts.append((1 if sign == "+" else -1, self.column()))
        self._distinct([column, *(name for _, name in parts)])
        return Total(self.text, column, tuple(parts))

    def _value(self) -> float | str:
        if (number := self.number()) is not None:
            return number
        if self.peek().kind == "text" and is_date(self.peek().text[1:-1]):
            return str(self.take("text"))[1:-1]
        raise self.error('a number, a column, or a date in quotes such as "2024-01-31"')

    def _distinct(self, names: list[str]) -> list[str]:
        if len(set(names)) < max(2, len(names)):
            raise UsageError(f"constraint {self.text!r} needs two or more different columns.", ADVICE)
        return names
