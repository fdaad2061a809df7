"""Answers to a blind sheet become evidence: those of people, and those of a judge model."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from synth_mlflow.backends.batch_writer import user_name
from synth_mlflow.checks import judge
from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.markup import as_text, checked_line
from synth_mlflow.errors import UsageError
from synth_mlflow.gate.in_force import policy_in_force
from synth_mlflow.gate.policy import declared_check
from synth_mlflow.metrics.raters import Rating
from synth_mlflow.review.answers import WORDS, answers_csv, answers_in_order, read_answers
from synth_mlflow.review.sheet import SheetKey
from synth_mlflow.stages.ratings import ANSWERED, rating_input, reviews_note
from synth_mlflow.stages.review_sheet import LONGEST_NAME, reviewable
from synth_mlflow.stages.validate import check_result, judge_ratings
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.ratings import RaterKind, StoredRating, first_answers, ratings_by_batch, sheet_sizes
from synth_mlflow.tracking.review_queues import queue_answers
from synth_mlflow.tracking.stored import StoredBatch
from synth_mlflow.tracking.write import NewRun, add_params, create_run, set_tags, writing

CHECK_OF: Mapping[RaterKind, str] = {"person": "review", "model": "model_review"}


@dataclass(frozen=True)
class Reviewed:
    """Answers that were taken in, and what all answers to sheets of the batch say by now."""

    batch: str
    sheet: str
    rater: str
    kind: RaterKind
    run_id: str
    rows: int
    cannot_say: int
    auc: float
    low: float
    high: float
    """The ends of the 95 % interval."""
    counted: bool
    """False where the rater had answered this sheet before: the first answers count, both are kept."""
    verdict: str
    """Of all answers of this kind: pass, fail or inconclusive."""
    reasons: tuple[str, ...]
    required: bool
    """Whether the statement requires this verdict."""


@dataclass(frozen=True)
class NewAnswers:
    """Answers to one sheet, about to be recorded."""

    batch: StoredBatch
    key: SheetKey
    rater: str
    kind: RaterKind
    answers: tuple[float, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    """Further evidence, by path."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    words: str = ""
    """Said on the page of the run."""

    @property
    def rating(self) -> Rating:
        """The answers beside the key."""
        by_model = self.kind == "model"
        return Rating(self.rater, by_model, self.key.sheet_id, self.answers, self.key.is_real, own=True)


def take_answers(project: Project, batch_id: str, answers: Path, rater: str) -> Reviewed:
    """Record what a person answered, and judge the batch by all answers.

    Answers that were taken in already are not recorded twice. Other answers of the same rater to the same sheet are
    kept, and do not count: by then the outcome is known.

    Parameters
    ----------
    answers : Path
        The CSV that the page of the sheet downloads, or the filled-in table.
    rater : str
        Who has answered.

    Raises
    ------
    UsageError
        If the file holds no complete answers to one sheet of this batch; says what is missing or whose sheet it is.
    GateError
        For a batch that no answer can let into training.
    EvidenceError
        If earlier answers are gone, or were changed.
    """
    checked_line(rater, LONGEST_NAME, "answers need the name of their rater", '`--rater "Ada Lind"`.')
    batch = reviewable(project, batch_id)
    by_sheet = read_answers(answers)
    if len(by_sheet) != 1:
        raise UsageError(
            f"{answers} has answers to {len(by_sheet):,} sheets, to one was needed.",
            "Give the CSV that the page of one sheet downloaded.",
        )
    sheet, given = next(iter(by_sheet.items()))
    key = key_of_sheet(project, batch, sheet)
    values = answers_in_order(given, key.n_rows, str(answers))
    return record_answers(project, NewAnswers(batch, key, rater, "person", tuple(values)))


def take_queue(project: Project, batch_id: str, rater: str) -> Reviewed:
    """Record what a person answered in a review queue of MLflow; otherwise as :func:`take_answers`.

    The largest sheet of which the rater has a queue is read.

    Raises
    ------
    UsageError
        If there is no such queue, somebody else has answered there too, or rows have no answer yet.
    """
    checked_line(rater, LONGEST_NAME, "answers need the name of their rater", '`--rater "Ada Lind"`.')
    batch = reviewable(project, batch_id)
    sheets = sorted(sheet_sizes(batch.run).items(), key=lambda each: (-each[1], each[0]))
    answers = ((sheet, queue_answers(project.server, sheet, rater)) for sheet, _ in sheets)
    sheet, given = next(((sheet, given) for sheet, given in answers if given is not None), ("", None))
    if given is None:
        raise UsageError(
            f"{rater!r} has no review queue of a sheet of batch {batch.id}.",
            f"`synth-mlflow validate {batch.id} --review 100 --queue {shlex.quote(rater)}` makes one.",
        )
    key = key_of_sheet(project, batch, sheet)
    strange = sorted({answer for answer in given.values() if answer not in WORDS})
    if strange:
        raise UsageError(f"the queue of {rater!r} has the answer {strange[0]!r}; one of {', '.join(WORDS)} was needed.")
    values = answers_in_order(given, key.n_rows, f"the queue of {rater!r} for sheet {sheet}")
    return record_answers(project, NewAnswers(batch, key, rater, "person", tuple(values)))


def key_of_sheet(project: Project, batch: StoredBatch, sheet: str) -> SheetKey:
    """The key of a sheet that was left of a batch; a UsageError that says whose it is, if it is not."""
    frozen = project.evaluation_set()
    n_rows = sheet_sizes(batch.run).get(sheet)
    if n_rows is not None:
        key = SheetKey(batch.digest, frozen.training_digest, n_rows)
        if key.sheet_id == sheet:
            return key
    other = next((each.id for each in project.batches() if sheet in sheet_sizes(each.run)), None)
    whose = f"was left of batch {other}" if other else "was never left in this project, or its rows have changed since"
    fix = (
        f"`synth-mlflow review {other} …`." if other else f"`synth-mlflow validate {batch.id} --review 100` leaves one."
    )
    raise UsageError(f"sheet {sheet!r} is none of batch {batch.id}: it {whose}.", fix)


def record_answers(project: Project, new: NewAnswers) -> Reviewed:
    """Write the run of some answers, let the batch name it, and judge the batch by all answers."""
    batch, rating = new.batch, new.rating
    name = json_digest(list(rating.answers))
    key = json_digest(["rating", batch.run.run_id, rating.sheet, new.kind, new.rater, name])
    recorded = project.reader.recorded(key)
    run_id = recorded[-1].run_id if recorded else _write(project, new, key)
    run = project.reader.run(run_id)
    param = names.P_RATING_PREFIX + run_id
    if param not in project.reader.run(batch.run.run_id).params:
        add_params(project.server, batch.run.run_id, {param: run.params[names.P_SEAL]})
    batch = StoredBatch(project.reader.run(batch.run.run_id))
    note = batch.run.tags.get(names.TAG_NOTE, "").partition(ANSWERED)[0]
    set_tags(project.server, batch.run.run_id, {names.TAG_NOTE: note + reviews_note(project, batch)})
    return _judged(project, batch, StoredRating(run), rating)


def _judged(project: Project, batch: StoredBatch, stored: StoredRating, rating: Rating) -> Reviewed:
    kind: RaterKind = "model" if stored.by_model else "person"
    check, policy = CHECK_OF[kind], policy_in_force(project.problem())
    judge_ratings(project, batch)
    thresholds = policy.thresholds.get(check, declared_check(check).defaults)
    result = check_result(check, rating_input(project, batch), thresholds)
    ruling = judge(result.probes, result.inconclusive, thresholds["alpha"])
    counted = first_answers(ratings_by_batch(project, [batch])[batch.run.run_id])
    low, high = rating.interval()
    return Reviewed(
        batch=batch.id,
        sheet=stored.sheet,
        rater=stored.rater,
        kind=kind,
        run_id=stored.run.run_id,
        rows=stored.n_rows,
        cannot_say=rating.answers.count(0.5),
        auc=rating.auc,
        low=low,
        high=high,
        counted=stored.run.run_id in {each.run.run_id for each in counted},
        verdict=ruling.verdict,
        reasons=ruling.reasons,
        required=check in policy.required,
    )


def _write(project: Project, new: NewAnswers, key: str) -> str:
    batch, rating = new.batch, new.rating
    tags = {
        names.TAG_BATCH: batch.id,
        names.TAG_RATER: new.rater,
        names.TAG_GENERATOR: batch.run.tags.get(names.TAG_GENERATOR, ""),
    }
    run = NewRun("rating", f"answers · {new.rater}", key, tags)
    run_id = create_run(project.server, run, parent=batch.run.run_id)
    with writing(project.server, run_id) as draft:
        draft.stage_number = names.CHECKING
        draft.param(names.P_KEY, key)
        draft.param(names.P_SHEET, rating.sheet)
        draft.param(names.P_RATER, new.rater)
        draft.param(names.P_RATER_KIND, new.kind)
        draft.param(names.P_ROWS, new.key.n_rows)
        draft.param(names.P_BATCH, batch.id)
        draft.param(names.P_BATCH_DIGEST, batch.digest)
        draft.param(names.P_TRAINING_DIGEST, new.key.training_digest)
        draft.param(names.P_EVALUATION_DIGEST, project.evaluation_set().digest)
        draft.param(names.P_STATEMENT, project.problem().statement.digest)
        draft.param(names.P_CREATED_AT, datetime.now(UTC).isoformat(timespec="seconds"))
        draft.param(names.P_CREATED_BY, user_name())
        low, high = rating.interval()
        metrics = {names.M_RATER_AUC: rating.auc, names.M_RATER_LOW: low, names.M_RATER_HIGH: high, **new.metrics}
        for metric, value in metrics.items():
            draft.metric(metric, value)
        draft.text(names.A_RATING, answers_csv(rating.sheet, rating.answers))
        for path, text in new.files.items():
            draft.text(path, text)
        draft.describe(_description(new, rating, low, high))
    return run_id


def _description(new: NewAnswers, rating: Rating, low: float, high: float) -> str:
    who = "Judge model" if rating.by_model else "Rater"
    unsure = rating.answers.count(0.5)
    return (
        f"**{who} {as_text(new.rater)}** on sheet {rating.sheet} of batch {as_text(new.batch.id)}: "
        f"AUC {rating.auc:.3f}, 95 % interval {low:.3f} to {high:.3f}; 0.5 is guessing.\n\n"
        f"| rows | real | synthetic | cannot say |\n|---|---|---|---|\n"
        f"| {new.key.n_rows:,} | {rating.answers.count(1.0):,} | {rating.answers.count(0.0):,} | {unsure:,} |\n\n"
        f"{new.words}The answers are in `{names.A_RATING}`. Which rows are real follows from the sheet's id. A name is "
        "what somebody typed. These answers open no gate alone."
    )
