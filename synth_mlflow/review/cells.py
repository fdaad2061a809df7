"""The text of each value on a blind sheet, written alike for real and synthetic rows.

What is shown is what the rows themselves say. How a value happens to be stored says nothing: a whole number in a column
of decimals is shown as a whole number, numbers have ten significant digits (so that 0.30000000000000004, which is 0.3
computed in another way, is 0.3), a time of day stands in all cells of a column or in none, and everything missing looks
the same. Digits, times and spaces that the delivered values really have are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from synth_mlflow.data.columns import EXACT, Kind, schema_of
from synth_mlflow.data.conversation_text import turns_of

MISSING, EMPTY = "missing", "empty"
DIGITS = 10  # significant ones


@dataclass(frozen=True)
class Said:
    """One turn of a conversation."""

    speaker: str
    text: str


@dataclass(frozen=True)
class Cell:
    """One value as people see it."""

    text: str
    note: str = ""
    """``missing`` or ``empty``, for what has no text of its own."""
    turns: tuple[Said, ...] = ()
    """Of a conversation."""

    @property
    def plain(self) -> str:
        """As one text: a conversation turn by turn, a missing value in brackets."""
        if self.note:
            return f"({self.note})"
        return "\n".join(f"{turn.speaker}: {turn.text}" for turn in self.turns) if self.turns else self.text


def cells_of(rows: pd.DataFrame, conversations: Collection[str] = ()) -> Iterator[tuple[Cell, ...]]:
    """The rows of a normalised table, cell by cell.

    Parameters
    ----------
    rows : DataFrame
        All rows of the sheet: how a column is written depends on all of its values.
    conversations : collection of str
        The columns that hold conversations as JSON texts.

    Examples
    --------
    >>> [cell.plain for cell, in cells_of(pd.DataFrame({"x": [0.1 + 0.2, 3.0, float("nan")]}))]
    ['0.3', '3', '(missing)']
    """
    kinds = schema_of(rows).kinds
    columns = [_column(rows[name], kinds[str(name)], name in conversations) for name in rows]
    yield from zip(*columns, strict=True)


def _column(values: pd.Series, kind: Kind, is_conversation: bool) -> list[Cell]:
    write = _conversation if is_conversation else _writer(values, kind)
    return [Cell("", MISSING) if pd.isna(value) else write(value) for value in values]


def _writer(values: pd.Series, kind: Kind) -> Callable[[Any], Cell]:
    if kind == "datetime":
        present = values.dropna()
        whole_days = bool((present == present.dt.normalize()).all())
        return lambda value: Cell(value.date().isoformat() if whole_days else _moment(value))
    return {"integer": _whole, "number": _number, "boolean": _boolean, "string": _text}[kind]


def _moment(value: pd.Timestamp) -> str:
    text = value.isoformat(sep=" ")
    return text.rstrip("0") if "." in text else text


def _whole(value: Any) -> Cell:
    return Cell(str(int(value)))


def _number(value: Any) -> Cell:
    number = float(value)
    return Cell(str(int(number)) if number.is_integer() and abs(number) < EXACT else f"{number:.{DIGITS}g}")


def _boolean(value: Any) -> Cell:
    return Cell("true" if value else "false")


def _text(value: Any) -> Cell:
    return Cell(str(value)) if str(value) else Cell("", EMPTY)


def _conversation(value: Any) -> Cell:
    return Cell("", turns=tuple(Said(turn.speaker, turn.said) for turn in turns_of(value)))
