"""What a project has recorded, each a view of its run: statement, frozen rows, batches, sweeps."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from synth_mlflow.data.addresses import Place, place_of
from synth_mlflow.data.columns import Schema
from synth_mlflow.data.digests import SUFFIX, find_key, json_digest
from synth_mlflow.data.markup import html_table
from synth_mlflow.data.schema import TableSchema
from synth_mlflow.data.statement import BOTH_SIDES, Statement
from synth_mlflow.data.task import Task
from synth_mlflow.sweep.curve import Curve
from synth_mlflow.tracking import names
from synth_mlflow.tracking.long_lists import words_of
from synth_mlflow.tracking.read import StoredRun


@dataclass(frozen=True)
class Problem:
    """The problem statement that is in force."""

    run: StoredRun
    statement: Statement

    def _repr_html_(self) -> str:
        facts = self.statement.facts
        rows = [
            ["gap", facts.gap],
            ["target", facts.target or "none"],
            ["metric", facts.metric],
            ["run", self.run.run_id],
        ]
        return html_table(["problem", facts.name], rows)


def statement_in_force(problems: Sequence[StoredRun]) -> StoredRun | None:
    """The statement that no other supersedes; of several, which were written at the same time, the newest by its date.

    Each statement names those that it found, so that no clock decides: one that is dated tomorrow is superseded too.

    Parameters
    ----------
    problems : sequence of StoredRun
        Complete statements, oldest first by their dates.
    """
    superseded = set(itertools.chain.from_iterable(words_of(run.params, names.P_SUPERSEDES) for run in problems))
    standing = [run for run in problems if run.run_id not in superseded]
    return (standing or [*problems])[-1] if problems else None


@dataclass(frozen=True)
class EvaluationSet:
    """The frozen cut between training and evaluation rows."""

    run: StoredRun
    schema: Schema
    table: TableSchema | None = None
    """What each column is; None in a set that was frozen before schemas were recorded."""
    real_file: Place | None = None
    """Where real rows that are kept by reference lie now; None for where they were when the set was frozen."""

    def _repr_html_(self) -> str:
        facts = {
            "evaluation rows": self.run.params[names.P_EVALUATION_ROWS],
            "training rows": self.run.params[names.P_TRAINING_ROWS],
            "cut": self.run.params[names.P_SPLIT_METHOD],
            "real-only baseline": f"{self.run.params[names.P_METRIC]} {self.run.metrics[names.M_SCORE]:.4f}",
        }
        return html_table(["evaluation set", self.digest[:12]], list(facts.items()))

    @property
    def digest(self) -> str:
        """The content digest of the evaluation rows."""
        return self.run.params[names.P_EVALUATION_DIGEST]

    @property
    def training_digest(self) -> str:
        """The content digest of the training rows."""
        return self.run.params[names.P_TRAINING_DIGEST]

    @property
    def group(self) -> str | None:
        """The column whose groups were kept together by the split; None where rows were split one by one."""
        column: str | None = json.loads(self.run.params.get(names.P_SPLIT_PARAMS, "{}")).get("group")
        return column

    @property
    def rare_class_needs(self) -> int | None:
        """About how many evaluation rows of the rarest class are needed; None where it has enough."""
        needed = self.run.params.get(names.P_RARE_NEEDED)
        return None if needed is None else int(needed)

    @property
    def has_unused_rows(self) -> bool:
        """Whether real rows may be on neither side: after a split by group and time."""
        return {"group", "time"} <= set(json.loads(self.run.params.get(names.P_SPLIT_PARAMS, "{}")))

    @property
    def caveat(self) -> str:
        """What every page says of a split that has equal rows on both sides; nothing of any other."""
        if json.loads(self.run.params.get(names.P_SPLIT_PARAMS, "{}")).get("equal_rows") != BOTH_SIDES:
            return ""
        return caveat_words(int(self.run.params[names.P_SHARED_ROWS]), int(self.run.params[names.P_EVALUATION_ROWS]))

    def task_of(self, statement: Statement) -> Task:
        """The learning task of the statement, with the groups of rows that this split kept together."""
        return replace(statement.task, group=self.group)

    @property
    def schema_digest(self) -> str:
        """The digest of the columns and kinds of the real rows."""
        return json_digest(list(self.schema.kinds.items()))

    @property
    def keeps_values(self) -> bool:
        """Whether values of real rows stay off the server: rows are kept by reference, and their key is secret."""
        return names.P_KEY_FINGERPRINT in self.run.params

    @property
    def salt(self) -> str:
        """The key of this project's row digests, in hex; read beside the data where real rows are kept by reference.

        Raises
        ------
        EvidenceError
            If it is needed, and is not there.
        """
        if names.P_SALT in self.run.params:
            return self.run.params[names.P_SALT]
        return find_key(self.run.params[names.P_KEY_FINGERPRINT], tuple(self._key_places()))

    def _key_places(self) -> Iterator[Path]:
        """Beside what the key may be: the data, where these are files; else problem.md, as it was or as it is here."""
        if isinstance(self.real_file, Path):
            yield self.real_file
        recorded = place_of(self.run.params[names.P_DATA_PATH])
        if isinstance(recorded, Path):
            yield recorded
            return
        yield Path.cwd() / recorded.name
        yield Path(self.run.params[names.P_KEY_PATH].removesuffix(SUFFIX))


def caveat_words(n_shared: int, n_evaluation: int) -> str:
    """What a split means that has equal rows on both sides.

    Examples
    --------
    >>> caveat_words(3, 10)[:70]
    'Equal rows stand on both sides of the split: 3 of 10 evaluation rows e'
    """
    return (
        f"Equal rows stand on both sides of the split: {n_shared:,} of {n_evaluation:,} evaluation rows equal a "
        "training row, so every score says how well a model does on rows like the known ones."
    )


_RETRACTED = {"reason", "by", "at"}


@dataclass(frozen=True)
class RetractionInfo:
    """Who retracted a batch, and why."""

    reason: str
    by: str
    at: str
    """ISO 8601, UTC."""

    @classmethod
    def read(cls, text: str) -> RetractionInfo:
        """What a run's parameter says; whoever may write runs can write one that `retract` has not written.

        Examples
        --------
        >>> RetractionInfo.read('{"at": "2026-01-02", "by": "Ada", "reason": "wrong rate"}').words
        'by Ada on 2026-01-02: wrong rate'
        >>> RetractionInfo.read("gone").words
        "by unknown on an unknown day: no reason can be read, found 'gone'"
        """
        try:
            recorded = json.loads(text)
        except (ValueError, RecursionError):
            recorded = None
        if (
            isinstance(recorded, dict)
            and set(recorded) == _RETRACTED
            and all(isinstance(each, str) for each in recorded.values())
        ):
            return cls(**recorded)
        return cls(f"no reason can be read, found {text[:80]!r}", "unknown", "")

    @property
    def is_readable(self) -> bool:
        """Whether it is one that `retract` writes."""
        return bool(self.at)

    @property
    def words(self) -> str:
        """Who, when and why, in one line."""
        return f"by {self.by} on {self.at[:10] or 'an unknown day'}: {' '.join(self.reason.split())}"


@dataclass(frozen=True)
class StoredBatch:
    """One synthetic batch."""

    run: StoredRun

    @property
    def id(self) -> str:
        """Its short id."""
        return self.run.params[names.P_BATCH]

    @property
    def digest(self) -> str:
        """The content digest of its rows."""
        return self.run.params[names.P_BATCH_DIGEST]

    @property
    def file_sha256(self) -> str:
        """The SHA-256 of its file; empty where its run names none."""
        return self.run.artifacts.get(names.A_BATCH, "")

    @property
    def dataset_digests(self) -> tuple[str, ...]:
        """Under which a run may have logged it as an input: the contract's, and MLflow's own for the same rows."""
        own = self.run.params.get(names.P_PANDAS_DIGEST)
        return (self.digest[: names.DATASET_DIGEST_LENGTH], *([own] if own else []))

    @property
    def n_rows(self) -> int:
        """How many rows it has."""
        return int(self.run.params[names.P_ROWS])

    @property
    def holds_no_evaluation_row(self) -> bool:
        """Whether no row equalled an evaluation row when it was written, as its sealed run says."""
        return self.run.metrics.get(names.M_EQUAL_ROWS) == 0

    @property
    def generator(self) -> str:
        """What made it."""
        return self.run.params[names.P_GENERATOR]

    @property
    def is_pilot(self) -> bool:
        """Whether it was made to be read; a sweep takes it only by name."""
        return self.run.params.get(names.P_PILOT) == "true"

    @property
    def retracted(self) -> bool:
        """Whether somebody has taken it back; a tag shuts the gate, and nothing but the record opens it."""
        return names.P_RETRACTION in self.run.params or self.run.tags.get(names.TAG_RETRACTED) == "true"

    @property
    def taken_back(self) -> RetractionInfo | None:
        """The recorded retraction; None where there is none, or somebody has only edited the tag."""
        recorded = self.run.params.get(names.P_RETRACTION)
        return None if recorded is None else RetractionInfo.read(recorded)


def distinct_batches(runs: Iterable[StoredRun]) -> list[StoredBatch]:
    """The batches of finished runs, oldest first; of twins that two people made at once, the first to be complete."""
    first: dict[tuple[str, str], StoredRun] = {}
    for run in sorted(runs, key=lambda run: (run.ended or 0, run.run_id)):
        first.setdefault((run.params.get(names.P_BATCH, run.run_id), run.params.get(names.P_BATCH_DIGEST, "")), run)
    return [StoredBatch(run) for run in sorted(first.values(), key=lambda run: (run.started, run.run_id))]


@dataclass(frozen=True)
class Sweep:
    """A sweep, and the curve that it found."""

    run: StoredRun
    curve: Curve
