"""The answers to blind sheets as checks look at them: read from their runs, with the key of each sheet."""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd

from synth_mlflow.checks import CheckInput
from synth_mlflow.data.markup import as_text
from synth_mlflow.errors import EvidenceError, UsageError
from synth_mlflow.metrics.raters import Rating
from synth_mlflow.review.answers import answers_in_order, read_answers
from synth_mlflow.review.sheet import SheetKey
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.ratings import (
    StoredRating,
    first_answers,
    ratings_by_batch,
    review_lines,
    verified_ratings,
)
from synth_mlflow.tracking.stored import StoredBatch


def ratings_of(project: Project, batch: StoredBatch, only: Collection[str] | None = None) -> tuple[Rating, ...]:
    """The answers that count of the whole project, of which those to sheets of one batch are its own.

    Parameters
    ----------
    only : collection of str, optional
        The run ids of the answers to look at, as an earlier check has done; by default all.

    Raises
    ------
    EvidenceError
        If answers that a batch names are gone, or are not those that were recorded.
    """
    batches = project.batches()
    stored = verified_ratings(project, batches)
    ratings = []
    for other in batches:
        mine = [each for each in stored[other.run.run_id] if only is None or each.run.run_id in only]
        ratings += [read_rating(project, other, each, own=other.id == batch.id) for each in first_answers(mine)]
    return tuple(ratings)


def read_rating(project: Project, batch: StoredBatch, rating: StoredRating, *, own: bool = True) -> Rating:
    """The answers of one run beside what the rows are.

    Raises
    ------
    EvidenceError
        If the sheet is none of the batch, or the file does not hold the answers to it.
    """
    key = SheetKey(batch.digest, rating.run.params[names.P_TRAINING_DIGEST], rating.n_rows)
    broken = f"the answers in run {rating.run.run_id} ({rating.rater})"
    if key.sheet_id != rating.sheet:
        raise EvidenceError(f"{broken} are to sheet {rating.sheet}, which is none of batch {batch.id}.")
    try:
        given = read_answers(project.reader.file(rating.run, names.A_RATING)).get(rating.sheet, {})
        answers = answers_in_order(given, rating.n_rows, names.A_RATING)
    except UsageError as error:
        raise EvidenceError(f"{broken} cannot be read: {error.found}") from error
    return Rating(
        rater=rating.rater,
        by_model=rating.by_model,
        sheet=rating.sheet,
        answers=tuple(answers),
        is_real=key.is_real,
        own=own,
        run_id=rating.run.run_id,
    )


ANSWERED = "\n\nAnswers to blind sheets:\n"


def reviews_note(project: Project, batch: StoredBatch) -> str:
    """The part of the page of a batch about its blind sheets; empty where there are none."""
    lines = review_lines(batch.run, ratings_by_batch(project, [batch])[batch.run.run_id])
    return ANSWERED + "\n".join(f"- {as_text(line)}" for line in lines) if lines else ""


def rating_input(project: Project, batch: StoredBatch, only: Collection[str] | None = None) -> CheckInput:
    """What a check of answers looks at: the answers, and no row."""
    statement, nothing = project.problem().statement, pd.DataFrame()
    return CheckInput(
        batch=nothing,
        members=nothing,
        control=nothing,
        task=statement.task,
        metric=statement.facts.metric,
        seed=int(batch.digest[:8], 16),
        ratings=ratings_of(project, batch, only),
    )
