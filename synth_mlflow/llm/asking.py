"""The requests to a language model: made in order, several at a time, each paid for once."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.slices import Slice
from synth_mlflow.errors import UsageError
from synth_mlflow.llm.answer import Answer, Journal
from synth_mlflow.llm.columns import Column, answer_schema, as_objects
from synth_mlflow.llm.endpoint import Caller, Endpoint, Patience
from synth_mlflow.llm.kept import Kept, row_key
from synth_mlflow.llm.prompt import Prompt
from synth_mlflow.llm.rows import MisfitError, fitted
from synth_mlflow.llm.settings import Settings

MAX_SEED = 2**31


@dataclass(frozen=True)
class Asked:
    """What is asked of whom."""

    model: str
    settings: Settings
    prompt: Prompt
    endpoint: Endpoint
    columns: tuple[Column, ...]
    members: pd.DataFrame
    part: Slice | None
    examples: int
    seed: int

    def body(self, at: int, words: Mapping[str, Any]) -> tuple[dict[str, Any], list[int]]:
        """The request at a place, and the positions of the real rows in it; the same every time."""
        shown = self._shown(at)
        schema = answer_schema(self.columns)
        values = {
            **words,
            "rows": self.settings.rows_per_request,
            "columns": [dataclasses.asdict(column) for column in self.columns],
            "examples": [json.dumps(row, ensure_ascii=False) for row in as_objects(self.members.iloc[shown])],
            "schema": json.dumps(schema, ensure_ascii=False),
        }
        form = {"type": self.settings.structured}
        if self.settings.structured == "json_schema":
            form["json_schema"] = {"name": "rows", "strict": True, "schema": schema}  # type: ignore[assignment]
        body = {
            "model": self.model,
            "messages": self.prompt.rendered(values),
            "temperature": self.settings.temperature,
            **({} if self.settings.structured == "none" else {"response_format": form}),
            **({"seed": (self.seed + at) % MAX_SEED} if self.settings.seeded else {}),
            **({"max_tokens": self.settings.max_tokens} if self.settings.max_tokens else {}),
        }
        return body, shown

    def _shown(self, at: int) -> list[int]:
        if not self.examples:
            return []
        inside = np.arange(len(self.members)) if self.part is None else np.flatnonzero(self.part.mask(self.members))
        if not len(inside):
            raise UsageError(f"no real row lies in the slice {self.part and self.part.text!r} to be shown.")
        rng = np.random.default_rng([self.seed, at])
        return sorted(rng.choice(inside, min(self.examples, len(inside)), replace=False).tolist())


class Asking:
    """Asks in order, several requests at a time; answers that were paid for come from the journal."""

    def __init__(self, asked: Asked, words: Mapping[str, Any], paid: Journal, deadline: float) -> None:
        self.asked, self.words, self.paid = asked, words, paid
        self.deadline = deadline
        self.bodies: list[dict[str, Any]] = []
        """Of the answers that were taken."""
        self.shown: set[int] = set()
        self.n_from_journal = 0
        """How many of the answers were paid for before."""

    def until(self, kept: Kept, count: Callable[[int], None]) -> None:
        """Ask until the rows are there, and tell how many there are; a GeneratorError if that cannot be."""
        settings = self.asked.settings
        patience = Patience(settings.retries, settings.request_seconds, settings.requests_per_minute)
        caller = Caller(self.asked.endpoint, patience, self.deadline)
        with caller, ThreadPoolExecutor(settings.concurrency) as pool:
            try:
                for body, shown, answer in self._answers(pool, caller, kept):
                    self.bodies.append(body)
                    self.shown.update(shown)
                    kept.take(answer, self.asked.columns, self._keys(shown))
                    count(kept.wanted - kept.n_missing)
            except BaseException:  # nobody waits for what is still under way
                caller.stop()
                pool.shutdown(cancel_futures=True)
                raise

    def _answers(
        self, pool: ThreadPoolExecutor, caller: Caller, kept: Kept
    ) -> Iterator[tuple[dict[str, Any], list[int], Answer]]:
        places, open_ = itertools.count(), deque[tuple[dict[str, Any], list[int], Future[Answer]]]()
        while kept.n_missing:
            wanted = -(-kept.n_missing // self.asked.settings.rows_per_request)
            while len(open_) < min(wanted, self.asked.settings.concurrency):
                body, shown = self.asked.body(next(places), self.words)
                open_.append((body, shown, self._answer(pool, caller, body)))
            body, shown, answer = open_.popleft()
            yield body, shown, answer.result()

    def _answer(self, pool: ThreadPoolExecutor, caller: Caller, body: Mapping[str, Any]) -> Future[Answer]:
        digest = json_digest([self.asked.endpoint.public, body])
        known = self.paid.find(digest)
        if known is None:
            return pool.submit(self._pay, caller, body, digest)
        self.n_from_journal += 1
        there = Future[Answer]()
        there.set_result(known)
        return there

    def _pay(self, caller: Caller, body: Mapping[str, Any], digest: str) -> Answer:
        answer = dataclasses.replace(caller.ask(body), request_sha256=digest)
        self.paid.add(answer)
        return answer

    def _keys(self, shown: Sequence[int]) -> frozenset[str]:
        rows = as_objects(self.asked.members.iloc[list(shown)])
        keys = set()
        for row in rows:
            with contextlib.suppress(MisfitError):  # a real row with a rare value, which no kept row can have
                keys.add(row_key(fitted(row, self.asked.columns)[0]))
        return frozenset(keys)
