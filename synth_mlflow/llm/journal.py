"""An answer of a model, and the journal of those that were paid for."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from synth_mlflow.data.digests import canonical_json
from synth_mlflow.errors import UsageError

_OTHER = "Another one: `--journal FILE`."


@dataclass(frozen=True)
class LLMResponse:
    """What a model said to one request."""

    request_sha256: str
    """Of the request's body and the endpoint's address."""
    text: str
    model: str
    """As the server names it."""
    finish_reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: float | None
    """If the server says it, in its currency."""
    retries: int
    begun_ns: int
    ended_ns: int


class Journal:
    """Answers in a file, one a line, written as they come: what was paid for once is never asked for again.

    Use it in a ``with`` block: one process at a time writes it. A line that was cut off by a kill is dropped.

    Parameters
    ----------
    path : Path
        Made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, LLMResponse] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        try:
            self._file = self.path.open("a+", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"the journal {self.path} cannot be written: {error}.", _OTHER) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise UsageError(
                f"the journal {self.path} is in use by another process.", f"Wait for it. {_OTHER}"
            ) from error
        self._load()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._file.close()

    def find(self, request_sha256: str) -> LLMResponse | None:
        """The answer to a request; None if there is none."""
        return self._known.get(request_sha256)

    def add(self, answer: LLMResponse) -> None:
        """Keep an answer; it is on the disk when this returns."""
        with self._lock:
            self._known[answer.request_sha256] = answer
            self._file.write(canonical_json(dataclasses.asdict(answer)) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def _load(self) -> None:
        self._file.seek(0)
        whole = 0
        for number, line in enumerate(self._file.read().split("\n")[:-1], start=1):
            try:
                answer = LLMResponse(**json.loads(line))
            except (ValueError, TypeError) as error:
                raise UsageError(
                    f"line {number} of {self.path} is no answer of a model.", f"Move the file away. {_OTHER}"
                ) from error
            self._known[answer.request_sha256] = answer
            whole += len(line.encode()) + 1
        self._file.truncate(whole)
