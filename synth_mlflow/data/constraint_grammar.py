"""How constraints are written; nothing in them is ever evaluated as code.

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
from collections.abc import Sequence
from datetime import date
from typing import Any

from synth_mlflow.data.constraints import Bound, Constraint, Constraints, Fixed, Order, Total
from synth_mlflow.data.slices import is_date
from synth_mlflow.errors import UsageError

MAX_LENGTH = 1_000  # characters
ADVICE = "Write constraints like `age >= 17`, `opened <= closed`, `total = net + tax` or `fixed(city, region)`."

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<text>"[^"]*"|'[^']*')
    | (?P<quoted>`[^`]+`)
    | (?P<operator><=|>=|==|=|<|>|\+|-|\(|\)|,)
    | (?P<word>[^\W\d]\w*)
    )""",
    re.VERBOSE,
)
_SIDES = {"min": ">=", "max": "<="}
_COMPARISONS = ("<", "<=", ">", ">=")


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


class _Parser:
    """One pass over the tokens of one constraint."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        if len(text) > MAX_LENGTH:
            raise UsageError(f"a constraint of {len(text):,} characters was given, at most {MAX_LENGTH:,} are read.")
        self.tokens = self._tokenise()
        self.at = 0

    def parse(self) -> Constraint:
        is_fixed = self._peek(0) == ("word", "fixed") and self._peek(1) == ("operator", "(")
        constraint = self._fixed() if is_fixed else self._relation()
        if self.at < len(self.tokens):
            raise self._error("the end")
        return constraint

    def _tokenise(self) -> list[tuple[str, str]]:
        tokens, at = [], 0
        while self.text[at:].strip():
            match = _TOKEN.match(self.text, at)
            if match is None or match.lastgroup is None:
                raise UsageError(f"constraint {self.text!r} cannot be read at {self.text[at:].strip()[:20]!r}.", ADVICE)
            tokens.append((match.lastgroup, match.group(match.lastgroup)))
            at = match.end()
        return tokens

    def _fixed(self) -> Fixed:
        self.at += 2
        names = [self._column()]
        while self._take(","):
            names.append(self._column())
        if not self._take(")"):
            raise self._error("`,` or `)`")
        return Fixed(self.text, tuple(self._distinct(names)))

    def _relation(self) -> Constraint:
        column = self._column()
        kind, operator = self._peek(0)
        if kind != "operator" or operator not in {*_COMPARISONS, "=", "=="}:
            raise self._error(
                "one of `<`, `<=`, `>`, `>=` and `=` (a column name that is not one plain word goes in `backticks`)"
            )
        self.at += 1
        if operator in {"=", "=="}:
            return self._total(column)
        if self._peek(0)[0] in {"word", "quoted"}:
            names = self._distinct([column, self._column()])
            low, high = reversed(names) if ">" in operator else names
            return Order(self.text, low, high, "=" not in operator)
        return Bound(self.text, column, operator, self._value())

    def _total(self, column: str) -> Total:
        parts = [(1, self._column())]
        while self._peek(0) in {("operator", "+"), ("operator", "-")}:
            sign = 1 if self._peek(0)[1] == "+" else -1
            self.at += 1
            parts.append((sign, self._column()))
        self._distinct([column, *(name for _, name in parts)])
        return Total(self.text, column, tuple(parts))

    def _column(self) -> str:
        kind, token = self._peek(0)
        if kind not in {"word", "quoted"}:
            raise self._error("a column name (in `backticks` if it is not one plain word)")
        self.at += 1
        return token.strip("`")

    def _value(self) -> float | str:
        sign = -1.0 if self._take("-") else 1.0
        kind, token = self._peek(0)
        if kind == "number":
            self.at += 1
            return sign * float(token)
        if kind == "text" and sign > 0 and is_date(token[1:-1]):
            self.at += 1
            return token[1:-1]
        raise self._error('a number, a column, or a date in quotes such as "2024-01-31"')

    def _distinct(self, names: list[str]) -> list[str]:
        if len(set(names)) < max(2, len(names)):
            raise UsageError(f"constraint {self.text!r} needs two or more different columns.", ADVICE)
        return names

    def _peek(self, ahead: int) -> tuple[str, str]:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else ("end", "the end")

    def _take(self, token: str) -> bool:
        found = self._peek(0) == ("operator", token)
        self.at += found
        return found

    def _error(self, needed: str) -> UsageError:
        return UsageError(f"constraint {self.text!r}: found {self._peek(0)[1]!r}, needed {needed}.", ADVICE)
