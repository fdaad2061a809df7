"""Which rows a blind sheet shows, in which order, and which of them are real.

Which place holds a real row follows from the sheet's id alone, and the id from the digests of both sides: whoever has
the sheet cannot compute the one without the other. So no key is kept anywhere, and everybody who may read the project
can compute it again.

The text of each value on a blind sheet, written alike for real and synthetic rows.

What is shown is what the rows themselves say. How a value happens to be stored says nothing: a whole number in a column
of decimals is shown as a whole number, numbers have ten significant digits (so that 0.30000000000000004, which is 0.3
computed in another way, is 0.3), a time of day stands in all cells of a column or in none, and everything missing looks
the same. Digits, times and spaces that the delivered values really have are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow.data.columns import EXACT, Kind, schema_of
from synth_mlflow.data.conversation_text import turns_of
from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError

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


ID_LENGTH = 16  # hex digits
LEAST = 2


@dataclass(frozen=True)
class Sheet:
    """Rows to be judged; nothing in it says which are real."""

    id: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    """In the order in which they are shown; their numbers count from 1."""


@dataclass(frozen=True)
class SheetKey:
    """What a sheet is made of, from which its id and its key follow."""

    batch_digest: str
    """The content digest of the batch."""
    training_digest: str
    """The content digest of the project's training rows."""
    n_rows: int
    """How many rows it shows; even."""

    def __post_init__(self) -> None:
        if self.n_rows < LEAST or self.n_rows % 2:
            raise UsageError(
                f"a sheet of {self.n_rows:,} rows was asked for; half of them are real, so an even number from {LEAST} "
                "on was needed.",
                f"`--review {max(self.n_rows + self.n_rows % 2, LEAST)}`.",
            )

    @property
    def _digest(self) -> str:
        return json_digest(["review sheet", self.batch_digest, self.training_digest, self.n_rows])

    @property
    def sheet_id(self) -> str:
        """By which answers name the sheet; it gives nothing away."""
        return json_digest(["id", self._digest])[:ID_LENGTH]

    @property
    def is_real(self) -> tuple[bool, ...]:
        """Of each row in the order of the sheet, whether it is real."""
        shown = np.arange(self.n_rows) < self.n_rows // 2
        return tuple(bool(real) for real in self._rng("order").permutation(shown))

    def made_of(self, real: pd.DataFrame, synthetic: pd.DataFrame, task: Task) -> Sheet:
        """The sheet of some of these rows.

        Columns that name rows are left out: numbers of customers tell who was there before, and nothing of how true a
        row is.

        Parameters
        ----------
        real, synthetic : DataFrame
            Normalised, with the same columns.
        task : Task
            Says which columns hold conversations, and which name rows.

        Raises
        ------
        UsageError
            If there are too few rows of either kind; says for how many they would do.
        """
        half = self.n_rows // 2
        self._refuse_few(len(real), len(synthetic))
        columns = [str(name) for name in real if name not in task.names_rows]
        taken = [
            rows[columns].iloc[self._rng(side).permutation(len(rows))[:half]]
            for side, rows in (("real", real), ("synthetic", synthetic))
        ]
        places = np.argsort(np.argsort(~np.asarray(self.is_real), kind="stable"), kind="stable")
        mixed = pd.concat(taken, ignore_index=True).iloc[places].reset_index(drop=True)
        return Sheet(self.sheet_id, tuple(columns), tuple(cells_of(mixed, task.conversations)))

    def _refuse_few(self, n_real: int, n_synthetic: int) -> None:
        most = 2 * min(n_real, n_synthetic)
        if most < self.n_rows:
            raise UsageError(
                f"a sheet of {self.n_rows:,} rows needs {self.n_rows // 2:,} of each kind; there are {n_real:,} "
                f"training rows and {n_synthetic:,} synthetic rows to show.",
                f"Ask for at most {most:,}: `--review {most}`." if most >= LEAST else "Make a larger batch.",
            )

    def _rng(self, purpose: str) -> np.random.Generator:
        return np.random.default_rng(int(json_digest([purpose, self._digest])[:16], 16))
