"""The rows that were kept of a model's answers, and what became of the others."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from synth_mlflow.data.columns import Schema, conform
from synth_mlflow.data.digests import canonical_json
from synth_mlflow.data.slices import Mask, Slice
from synth_mlflow.errors import GeneratorError
from synth_mlflow.llm.answers import CUT
from synth_mlflow.llm.filters import RowFilter
from synth_mlflow.llm.parsing import Candidate, RowCounts

MAX_REJECTED = 1_000


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


@dataclass(frozen=True)
class RejectedRow:
    """A whole row that is not kept, and why."""

    values: Mapping[str, Any]
    reason: str


Second = Callable[[Sequence[Mapping[str, Any]]], list[str | None]]
"""Why each row is rejected for its second label; None for rows that are kept."""


class AcceptedRows:
    """The rows that answers gave so far.

    Parameters
    ----------
    n_wanted : int
    checks : Checks
    filters : sequence of RowFilter
        Each screens the texts of one column.
    patience : int
        Answers in a row without a new row, after which it gives up.
    """

    def __init__(self, n_wanted: int, checks: Checks, filters: Sequence[RowFilter], patience: int) -> None:
        self.n_wanted, self.checks, self.filters, self.patience = n_wanted, checks, filters, patience
        self.rows: list[dict[str, Any]] = []
        self.tally = RowCounts()
        self.rejected: list[RejectedRow] = []
        """The first `MAX_REJECTED` whole rows that were not kept."""
        self._seen: set[str] = set()
        self._in_vain = 0

    @property
    def frame(self) -> pd.DataFrame:
        """As a table."""
        return self.checks.table(self.rows)

    @property
    def n_missing(self) -> int:
        """How many more are wanted."""
        return self.n_wanted - len(self.rows)

    def take(self, rows: Sequence[Candidate], shown: frozenset[str], second: Second | None = None) -> None:
        """Take the rows of the next answers.

        Parameters
        ----------
        shown : frozenset of str
            The real rows that they must not repeat.
        second : callable, optional
            Labels rows again.
        """
        before = len(self.rows)
        whole = [row for row in rows if row.problem is None]
        for each in self.filters:
            each.look([row.values for row in whole])
        left = iter(self._screened(rows, shown))
        while self.n_missing and (some := list(itertools.islice(left, self.n_missing))):
            self._keep(some, second)
        self._in_vain = 0 if len(self.rows) > before else self._in_vain + 1

    def _screened(self, rows: Sequence[Candidate], shown: frozenset[str]) -> Iterator[Candidate]:
        """The rows that nothing speaks against; further ones are held against them too."""
        place = 0  # among the whole rows, which the filters have looked at
        for row in rows:
            self.tally.received += row.received
            problem, is_new = row.problem, True
            if row.problem is None:
                key = row_key(row.values)
                problem = "repeats a real row that was shown" if key in shown else self._problem(row.values, place)
                is_new = key not in self._seen
                place += 1
            if not is_new:
                self.tally.duplicates += 1
            elif problem is not None:
                self._reject(row, problem)
            else:
                self._seen.add(key)
                for each in self.filters:
                    each.keep(place - 1)
                yield row

    def _problem(self, values: Mapping[str, Any], place: int) -> str | None:
        reasons = (each.reason(place) for each in self.filters)
        return self.checks.problem(values) or next((reason for reason in reasons if reason is not None), None)

    def _keep(self, rows: Sequence[Candidate], second: Second | None) -> None:
        problems = second([row.values for row in rows]) if second else [None] * len(rows)
        for row, problem in zip(rows, problems, strict=True):
            if problem is not None:
                self._reject(row, problem)
                continue
            self.rows.append(row.values)
            self.tally.repaired += row.repaired

    def _reject(self, row: Candidate, reason: str) -> None:
        self.tally.rejected[reason] += 1
        if row.values and len(self.rejected) < MAX_REJECTED:
            self.rejected.append(RejectedRow(row.values, reason))

    def refuse_in_vain(self, n_answers: int) -> None:
        """A GeneratorError if nothing new came for too long."""
        if self._in_vain < self.patience or not self.n_missing:
            return
        raise GeneratorError(
            f"{n_answers:,} answers gave {len(self.rows):,} of {self.n_wanted:,} rows, and the last {self.patience} no "
            f"new valid one: {self.tally.why()}.",
            f"{self._what_may_help()}, or ask for fewer rows"
            + (f": the same command with `--rows {len(self.rows)}` costs nothing more" if self.rows else "")
            + ". Nothing was recorded.",
        )

    def _what_may_help(self) -> str:
        if self.tally.rejected[CUT] > self.patience // 2:
            return "Allow longer answers, or fewer rows in each: `--param max_tokens=N`, `--param rows_per_request=N`"
        return "Change the prompt, raise the temperature"


def row_key(values: Mapping[str, Any]) -> str:
    """What tells a row from others."""
    plain = {name: str(value) if isinstance(value, pd.Timestamp) else value for name, value in values.items()}
    return canonical_json(plain)
