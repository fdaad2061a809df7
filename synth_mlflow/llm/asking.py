"""The requests to a language model: made in order, several at a time, each paid for once."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.slices import Slice
from synth_mlflow.errors import UsageError
from synth_mlflow.llm.budget import Budget, Spending
from synth_mlflow.llm.cache import AcceptedRows, row_key
from synth_mlflow.llm.client import Caller, Endpoint, Patience, TimeUpError
from synth_mlflow.llm.journal import Journal, LLMResponse
from synth_mlflow.llm.parsing import (
    NUMBER,
    Candidate,
    Column,
    MisfitError,
    answer_schema,
    as_objects,
    candidates_in,
    completed,
    fitted,
)
from synth_mlflow.llm.prompt import PromptFile
from synth_mlflow.llm.relabel import Relabeller
from synth_mlflow.llm.settings import Settings


@dataclass(frozen=True)
class LLMRequest:
    """What is asked of whom."""

    model: str
    settings: Settings
    prompt: PromptFile
    endpoint: Endpoint
    columns: tuple[Column, ...]
    members: pd.DataFrame
    part: Slice | None
    examples: int
    seed: int
    words: Mapping[str, Any] = field(default_factory=dict)
    """What every template may name."""

    def body(self, at: int, step: int, shown: Sequence[int], given: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The request of a step at a place; the same every time.

        Parameters
        ----------
        shown : sequence of int
            The positions of the real rows in it.
        given : sequence of mapping
            The rows of the steps before, with their numbers.
        """
        prompt, columns = self.prompt.steps[step], self.columns_of(step)
        schema = answer_schema(((NUMBER,) if step else ()) + columns)
        values = {
            **self.words,
            "classes": self._classes(),
            "rows": len(given) if step else self.settings.rows_per_request,
            "columns": [dataclasses.asdict(column) for column in columns],
            "examples": [json.dumps(row, ensure_ascii=False) for row in as_objects(self.members.iloc[list(shown)])],
            "given": [json.dumps(row, ensure_ascii=False, default=str) for row in given],
            "schema": json.dumps(schema, ensure_ascii=False),
        }
        return self.settings.chat(self.model, prompt.rendered(values), schema, self.seed + at)

    def columns_of(self, step: int) -> tuple[Column, ...]:
        """What a step asks for."""
        known = {column.name: column for column in self.columns}
        names = self.prompt.steps[step].columns
        return tuple(known.get(name, helper(name)) for name in names) if names else self.columns

    def _classes(self) -> list[str]:
        """Of the target; none where it is a number."""
        return [level for one in self.columns if one.name == self.words.get("target") for level in one.levels or ()]

    def shown(self, at: int) -> list[int]:
        """The positions of the real rows that a place shows."""
        if not self.examples:
            return []
        inside = np.arange(len(self.members)) if self.part is None else np.flatnonzero(self.part.mask(self.members))
        if not len(inside):
            raise UsageError(f"no real row lies in the slice {self.part and self.part.text!r} to be shown.")
        rng = np.random.default_rng([self.seed, at])
        return sorted(rng.choice(inside, min(self.examples, len(inside)), replace=False).tolist())


def helper(name: str) -> Column:
    """A text that is asked for, and is no part of a row."""
    return Column(name, "string", None, may_be_missing=False)


@dataclass(frozen=True)
class PaidCall:
    """A request and its answer."""

    body: Mapping[str, Any]
    answer: LLMResponse
    from_journal: bool
    """Whether it was paid for before."""
    relabels: bool = False


@dataclass(frozen=True)
class Draft:
    """What one place gave: the rows of all its steps."""

    rows: list[Candidate]
    calls: list[PaidCall]
    shown: list[int]


class Asking:
    """Asks in order, several requests at a time; answers that were paid for come from the journal.

    Parameters
    ----------
    deadline : float
        In the time of `time.monotonic`.
    budget : Budget
        Where it ends, asking ends with fewer rows.
    relabel : Relabeller, optional
        Who labels rows again.
    """

    def __init__(
        self, request: LLMRequest, paid: Journal, deadline: float, budget: Budget, relabel: Relabeller | None = None
    ) -> None:
        self.request, self.paid, self.relabel = request, paid, relabel
        self._spending = Spending(budget, request.settings)
        self._deadline = min(deadline, self._spending.end)
        self.calls: list[PaidCall] = []
        """Of the drafts that were taken, and of those who labelled their rows again."""
        self.shown: set[int] = set()
        self.ended_by = ""
        """The limit that was reached before the rows were there."""

    def until(self, accepted: AcceptedRows, count: Callable[[int], None]) -> None:
        """Ask until the rows are there or the budget ends, and tell how many there are.

        Raises
        ------
        GeneratorError
            If the endpoint refuses or fails, the time limit is reached, or nothing new comes.
        """
        settings = self.request.settings
        patience = Patience(settings.retries, settings.request_seconds, settings.requests_per_minute)
        caller = Caller(self.request.endpoint, patience, self._deadline)
        with caller, ThreadPoolExecutor(settings.concurrency) as pool:
            try:
                self._take_drafts(pool, caller, accepted, count)
            except BaseException as error:  # nobody waits for what is still under way
                caller.stop()
                pool.shutdown(cancel_futures=True)
                if not isinstance(error, TimeUpError) or self._deadline < self._spending.end:
                    raise
                self._spending.is_over = True
        if accepted.n_missing:
            self.ended_by = self._spending.words()

    def _take_drafts(
        self, pool: ThreadPoolExecutor, caller: Caller, accepted: AcceptedRows, count: Callable[[int], None]
    ) -> None:
        for draft in self._drafts(pool, caller, accepted):
            calls = list(draft.calls)
            self.calls += draft.calls
            self.shown.update(draft.shown)
            accepted.take(draft.rows, self._keys(draft.shown), self._second(caller, calls))
            self._spending.add(call.answer for call in calls)
            count(accepted.n_wanted - accepted.n_missing)
            accepted.refuse_in_vain(len(self.calls))

    def _drafts(self, pool: ThreadPoolExecutor, caller: Caller, accepted: AcceptedRows) -> Iterator[Draft]:
        places, open_ = itertools.count(), deque[Future[Draft]]()
        while accepted.n_missing:
            settings = self.request.settings
            n_open = min(-(-accepted.n_missing // settings.rows_per_request), settings.concurrency)
            while len(open_) < n_open and self._spending.allows_request(len(open_)):
                self._spending.open()
                open_.append(pool.submit(self._draft, caller, next(places)))
            if not open_:
                return
            yield open_.popleft().result()

    def _draft(self, caller: Caller, at: int) -> Draft:
        shown = self.request.shown(at)
        draft = Draft([], [], shown)
        for step in range(len(self.request.prompt.steps)):
            given = [
                {NUMBER.name: number, **row.values}
                for number, row in enumerate(draft.rows, start=1)
                if row.problem is None
            ]
            if step and not given:
                break
            call = self._call(caller, self.request.body(at, step, shown, given))
            draft.calls.append(call)
            columns = self.request.columns_of(step)
            if step:
                draft.rows[:] = completed(draft.rows, call.answer.text, columns, f"has no answer in step {step + 1}")
            else:
                draft.rows[:] = candidates_in(call.answer.text, columns, call.answer.finish_reason)
        draft.rows[:] = [self._without_helpers(row) for row in draft.rows]
        return draft

    def _without_helpers(self, row: Candidate) -> Candidate:
        if row.problem is not None:
            return row
        return dataclasses.replace(
            row, values={column.name: row.values[column.name] for column in self.request.columns}
        )

    def _call(self, caller: Caller, body: Mapping[str, Any], *, relabels: bool = False) -> PaidCall:
        digest = json_digest([self.request.endpoint.public, body])
        known = self.paid.find(digest)
        if known is not None:
            return PaidCall(body, known, from_journal=True, relabels=relabels)
        answer = dataclasses.replace(caller.ask(body), request_sha256=digest)
        self.paid.add(answer)
        return PaidCall(body, answer, from_journal=False, relabels=relabels)

    def _second(
        self, caller: Caller, calls: list[PaidCall]
    ) -> Callable[[Sequence[Mapping[str, Any]]], list[str | None]] | None:
        """What asks for second labels, and notes the calls."""
        if self.relabel is None:
            return None
        relabel = self.relabel

        def second(rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
            call = self._call(caller, relabel.body(rows), relabels=True)
            calls.append(call)
            self.calls.append(call)
            return relabel.judged(rows, call.answer.text)

        return second

    def _keys(self, shown: Sequence[int]) -> frozenset[str]:
        rows = as_objects(self.request.members.iloc[list(shown)])
        keys = set()
        for row in rows:
            with contextlib.suppress(MisfitError):  # a real row with a rare value, which no kept row can have
                keys.add(row_key(fitted(row, self.request.columns)[0]))
        return frozenset(keys)
