"""The rows that were kept of a model's answers, and what became of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from synth_mlflow.data.columns import Schema, conform
from synth_mlflow.data.digests import canonical_json
from synth_mlflow.data.slices import Mask, Slice
from synth_mlflow.errors import GeneratorError
from synth_mlflow.llm.parsing import Column, LLMResponse, MisfitError, RowCounts, fitted, rows_in


@dataclass(frozen=True)
class Checks:
    """What every row must keep."""

    schema: Schema
    part: Slice | None
    holds: Callable[[pd.DataFrame], Mask] | None

    def table(self, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        """Rows as a table; a column whose values are all missing is one too."""
        return conform(pd.DataFrame(list(rows), columns=self.schema.columns), self.schema, "the answer")

    def problem(self, row: Mapping[str, Any]) -> str | None:
        """Why a row is not kept; None if it is."""
        if self.part is None and self.holds is None:
            return None
        frame = self.table([row])
        if self.part is not None and not self.part.mask(frame).all():
            return "lies outside of the slice"
        return None if self.holds is None or self.holds(frame).all() else "breaks a constraint"


class AcceptedRows:
    """The rows that answers gave so far."""

    def __init__(self, wanted: int, checks: Checks, patience: int) -> None:
        self.wanted, self.checks, self.patience = wanted, checks, patience
        self.rows: list[dict[str, Any]] = []
        self.answers: list[LLMResponse] = []
        self.tally = RowCounts()
        self._seen: set[str] = set()
        self._in_vain = 0

    @property
    def frame(self) -> pd.DataFrame:
        """As a table."""
        return self.checks.table(self.rows)

    @property
    def n_missing(self) -> int:
        """How many more are wanted."""
        return self.wanted - len(self.rows)

    def take(self, answer: LLMResponse, columns: Sequence[Column], shown: frozenset[str]) -> None:
        """Take the rows of the next answer; ``shown`` are the real rows that it must not repeat."""
        self.answers.append(answer)
        before = len(self.rows)
        found = rows_in(answer.text)
        if not found:
            self.tally.rejected["an answer without a whole row"] += 1
        for row in found:
            if self.n_missing:
                self._take_row(row, columns, shown)
        self._in_vain = 0 if len(self.rows) > before else self._in_vain + 1
        if self._in_vain >= self.patience and self.n_missing:
            raise self._dried_up()

    def _take_row(self, row: object, columns: Sequence[Column], shown: frozenset[str]) -> None:
        self.tally.received += 1
        try:
            values, repaired = fitted(row, columns)
        except MisfitError as misfit:
            self.tally.rejected[str(misfit)] += 1
            return
        key = row_key(values)
        problem = "repeats a real row that was shown" if key in shown else self.checks.problem(values)
        if problem is not None:
            self.tally.rejected[problem] += 1
        elif key in self._seen:
            self.tally.duplicates += 1
        else:
            self._seen.add(key)
            self.rows.append(values)
            self.tally.repaired += repaired

    def _dried_up(self) -> GeneratorError:
        reasons = "; ".join(f"{reason} ({n:,})" for reason, n in self.tally.rejected.most_common(5))
        return GeneratorError(
            f"{len(self.answers):,} answers gave {len(self.rows):,} of {self.wanted:,} rows, and the last "
            f"{self.patience} no new valid one: {self.tally.duplicates:,} rows were duplicates"
            + (f", rejected: {reasons}." if reasons else "."),
            "Change the prompt, raise the temperature, or ask for fewer rows. Nothing was recorded.",
        )


def row_key(values: Mapping[str, Any]) -> str:
    """What tells a row from others."""
    plain = {name: str(value) if isinstance(value, pd.Timestamp) else value for name, value in values.items()}
    return canonical_json(plain)
