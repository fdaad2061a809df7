"""Answers to blind sheets as runs tell of them: who answered which sheet of which batch, and which answers count.

Answers count if two runs agree: their own, and that of their batch, which names their seal. So nobody can leave out
answers that were once taken in: a batch that names a run which is gone is evidence that is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from synth_mlflow.errors import EvidenceError
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored import StoredBatch

RaterKind = Literal["person", "model"]


@dataclass(frozen=True)
class StoredRating:
    """The answers of one rater to one sheet."""

    run: StoredRun

    @property
    def rater(self) -> str:
        """The name of the person, as it was given, or of the model."""
        return self.run.params[names.P_RATER]

    @property
    def by_model(self) -> bool:
        """Whether a judge model answered."""
        return self.run.params[names.P_RATER_KIND] == "model"

    @property
    def sheet(self) -> str:
        """The id of the sheet."""
        return self.run.params[names.P_SHEET]

    @property
    def n_rows(self) -> int:
        """How many rows the sheet has."""
        return int(self.run.params[names.P_ROWS])

    @property
    def at(self) -> str:
        """When the answers were taken in: ISO 8601, UTC."""
        return self.run.params[names.P_CREATED_AT]

    @property
    def interval(self) -> tuple[float, float, float]:
        """AUC, and the ends of its 95 % interval."""
        metrics = self.run.metrics
        return metrics[names.M_RATER_AUC], metrics[names.M_RATER_LOW], metrics[names.M_RATER_HIGH]

    @property
    def words(self) -> str:
        """Who answered how many rows, and how well they told them apart, in a sentence."""
        value, low, high = self.interval
        kind = "model " if self.by_model else ""
        return f"{kind}{self.rater} on {self.n_rows:,} rows: AUC {value:.3f} ({low:.3f} to {high:.3f})"


def rating_names(batch: StoredRun) -> tuple[str, ...]:
    """The run ids of all answers that a batch names."""
    prefix = names.P_RATING_PREFIX
    return tuple(sorted(name.removeprefix(prefix) for name in batch.params if name.startswith(prefix)))


def sheet_sizes(batch: StoredRun) -> dict[str, int]:
    """The sheets that were left of a batch, with their numbers of rows."""
    prefix = names.P_SHEET_PREFIX
    return {
        name.removeprefix(prefix): int(value)
        for name, value in batch.params.items()
        if name.startswith(prefix) and value.isdecimal()
    }


def ratings_by_batch(project: Project, batches: Sequence[StoredBatch]) -> Mapping[str, list[StoredRating]]:
    """The answers that some batches name, oldest first, by the run id of the batch; nothing is checked.

    One query, and none where no batch names any.
    """
    named = {run_id: batch.run for batch in batches for run_id in rating_names(batch.run)}
    by_batch: dict[str, list[StoredRating]] = {batch.run.run_id: [] for batch in batches}
    for run in sorted(project.reader.by_ids(list(named)) if named else (), key=_age):
        if run.counts and run.params.get(names.P_SEAL) == named[run.run_id].params[names.P_RATING_PREFIX + run.run_id]:
            by_batch[named[run.run_id].run_id].append(StoredRating(run))
    return by_batch


def verified_ratings(project: Project, batches: Sequence[StoredBatch]) -> dict[str, list[StoredRating]]:
    """All answers that some batches name, oldest first, by the run id of the batch.

    Raises
    ------
    EvidenceError
        If a run of them is gone, was never finished, or is not the one that its batch names.
    """
    by_batch = ratings_by_batch(project, batches)
    for batch in batches:
        missing = set(rating_names(batch.run)) - {each.run.run_id for each in by_batch[batch.run.run_id]}
        if missing:
            raise EvidenceError(
                f"batch {batch.id} names answers to a blind sheet in run {min(missing)}, which is gone or was changed.",
                "Restore the run in MLflow; `synth-mlflow verify` says more.",
            )
        for each in by_batch[batch.run.run_id]:
            project.reader.verify_seal(each.run)
    return {run_id: list(ratings) for run_id, ratings in by_batch.items()}


def first_answers(ratings: Iterable[StoredRating]) -> list[StoredRating]:
    """Without those of raters who had answered the same sheet before: what a rater says first counts.

    Parameters
    ----------
    ratings : iterable of StoredRating
        Oldest first. Names are compared without regard to case and spaces.
    """
    first: dict[tuple[str, str, bool], StoredRating] = {}
    for each in ratings:
        first.setdefault((same_name(each.rater), each.sheet, each.by_model), each)
    return list(first.values())


def review_lines(batch: StoredRun, ratings: Sequence[StoredRating]) -> tuple[str, ...]:
    """What became of the sheets of a batch, one sentence for each: who answered how, and which nobody answered.

    Parameters
    ----------
    ratings : sequence of StoredRating
        All answers about the batch, oldest first.
    """
    counted = {each.run.run_id for each in first_answers(ratings)}
    lines = [
        each.words if each.run.run_id in counted else f"{each.words}; not counted: had answered this sheet before"
        for each in ratings
    ]
    answered = {each.sheet for each in ratings}
    left = [sheet for sheet in sheet_sizes(batch) if sheet not in answered]
    return (*lines, *(f"sheet {sheet} was left and not answered" for sheet in sorted(left)))


def same_name(rater: str) -> str:
    """By which two names are taken for one.

    >>> same_name("Ada  Lind") == same_name(" ada lind")
    True
    """
    return " ".join(rater.casefold().split())


def _age(run: StoredRun) -> tuple[int, str]:
    return run.ended or run.started, run.run_id
