"""The words that conditions and constraints are written in; nothing in them is ever evaluated as code."""

from __future__ import annotations

import re
from typing import ClassVar, NamedTuple

from synth_mlflow.errors import UsageError

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<quoted>`[^`]+`)
    | (?P<operator>==|!=|<=|>=|=|<|>|\+|-|\(|\)|,)
    | (?P<word>[^\W\d]\w*)
    )""",
    re.VERBOSE,
)
THE_END = "the end"


class Token(NamedTuple):
    """A word or sign of an expression."""

    kind: str
    """number, text, quoted, operator, word, keyword or end."""
    text: str
    at: int
    """The characters before it."""


class Expression:
    """The tokens of one expression, and how many of them have been read.

    Subclasses have the grammar; these are what all share. Every method that finds another token than it needs raises
    a UsageError that points at the place.
    """

    kind: ClassVar[str]
    """What an expression is called in messages."""
    advice: ClassVar[str]
    max_length: ClassVar[int]
    keywords: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, text: str) -> None:
        if len(text) > self.max_length:
            raise UsageError(
                f"a {self.kind} of {len(text):,} characters was given, at most {self.max_length:,} are read."
            )
        self.text = text.strip()
        self.tokens = self._tokenise()
        self.n_read = 0

    def _tokenise(self) -> list[Token]:
        tokens, at = [], 0
        while rest := self.text[at:].strip():
            match = _TOKEN.match(self.text, at)
            if match is None or match.lastgroup is None:
                raise UsageError(f"{self.kind} {self.text!r} cannot be read at {rest[:20]!r}.", self.advice)
            tokens.append(self._token(match.lastgroup, match))
            at = match.end()
        return tokens

    def _token(self, kind: str, match: re.Match[str]) -> Token:
        text = match.group(kind)
        if kind == "word" and text.lower() in self.keywords:
            return Token("keyword", text.lower(), match.start(kind))
        return Token(kind, text, match.start(kind))

    def peek(self, ahead: int = 0) -> Token:
        """The next token, or the one after it."""
        at = self.n_read + ahead
        return self.tokens[at] if at < len(self.tokens) else Token("end", THE_END, len(self.text))

    def take(self, kind: str, *texts: str) -> str | None:
        """Read the next token if it is one of these, of any text where none is given; None if it is not."""
        token = self.peek()
        if token.kind != kind or (texts and token.text not in texts):
            return None
        self.n_read += 1
        return token.text

    def need(self, kind: str, text: str) -> None:
        """Read the token that must be next."""
        if self.take(kind, text) is None:
            raise self.error(f"`{text}`")

    def need_end(self) -> None:
        """Nothing may follow."""
        if self.peek().kind != "end":
            raise self.error(THE_END)

    def column(self) -> str:
        """Read a column's name."""
        name = self.take("word") or self.take("quoted")
        if name is None:
            raise self.error("a column name (in `backticks` if it is not one plain word)")
        return name.strip("`")

    def number(self) -> float | None:
        """Read a number with its sign, if it is next."""
        has_sign = self.peek().text in {"+", "-"} and self.peek(1).kind == "number"
        sign = -1.0 if has_sign and self.take("operator", "+", "-") == "-" else 1.0
        digits = self.take("number")
        return None if digits is None else sign * float(digits)

    def error(self, needed: str) -> UsageError:
        """What stands at this place, and what was needed."""
        token = self.peek()
        place = THE_END if token.kind == "end" else f"{token.text!r} at character {token.at + 1}"
        return UsageError(f"{self.kind} {self.text!r}: found {place}, needed {needed}.", self.advice)


A_NAME_IN_BACKTICKS = "(a column name that is not one plain word goes in `backticks`)"
