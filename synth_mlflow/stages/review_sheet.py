"""A blind sheet of a batch for people to judge: written on this machine, and never sent to the server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synth_mlflow.data.markup import checked_line
from synth_mlflow.data.slices import Slice
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.gate.in_force import made_for_another_set, policy_in_force
from synth_mlflow.gate.policy import declared_check
from synth_mlflow.metrics.raters import chance_to_pass, fewest_right_to_fail, most_right_to_pass, rows_to_pass
from synth_mlflow.review.answers import WORDS
from synth_mlflow.review.page import write_sheet
from synth_mlflow.review.sheet import Sheet, SheetKey
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.review_queues import LeftQueue, leave_queue
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch
from synth_mlflow.tracking.write import set_param_once

LONGEST_NAME = 200  # characters
ENOUGH = 0.8  # of the cases in which a rater can only guess, a sheet should let the batch pass


@dataclass(frozen=True)
class ReviewSheet:
    """A sheet that was left for people."""

    batch: str
    sheet: str
    """Its id, which the answers repeat."""
    rows: int
    page: Path
    """HTML."""
    table: Path
    """CSV, for a spreadsheet."""
    outlook: str
    """What so many rows can decide."""
    queue: str = ""
    """The review queue of MLflow that was made for one rater; empty where none was."""
    queue_page: str = ""
    """Its address in the UI; empty where there is none, or the tracking URI is no HTTP server."""


def leave_sheet(project: Project, batch_id: str, n_rows: int, folder: Path, rater: str | None = None) -> ReviewSheet:
    """Mix training rows and rows of a batch, half and half, for people who say which are real.

    The same batch and number of rows give the same sheet. The server keeps its id and number of rows alone, unless a
    queue is asked for. Evaluation rows are never shown: people who look at them would tune generators on them.

    Parameters
    ----------
    n_rows : int
        Even.
    folder : Path
        Where page and table are written; made if it is missing.
    rater : str, optional
        For whom the server gets a review queue with the rows of the sheet.

    Raises
    ------
    GateError
        Before `freeze`, and for a batch that no answer can let into training.
    UsageError
        If there is no such batch, there are too few rows, or a queue is asked for and the server may not see the rows.
    """
    batch, frozen = reviewable(project, batch_id), project.evaluation_set()
    if rater is not None:
        _refuse_queue(frozen, rater)
    key = SheetKey(batch.digest, frozen.training_digest, n_rows)
    sheet = sheet_of(project, batch, frozen, key)
    set_param_once(project.server, batch.run.run_id, names.P_SHEET_PREFIX + sheet.id, str(n_rows))
    page, table = write_sheet(sheet, folder, f"review-{batch.id}-{n_rows}")
    queue = LeftQueue("", "")
    if rater is not None:
        queue = leave_queue(project.server, sheet.id, rater, shown_rows(sheet), list(WORDS))
    policy = policy_in_force(project.problem())
    limit = policy.thresholds.get("review", declared_check("review").defaults)["rater_auc"]
    return ReviewSheet(batch.id, sheet.id, n_rows, page, table, outlook_words(n_rows, limit), queue.name, queue.page)


def _refuse_queue(frozen: EvaluationSet, rater: str) -> None:
    """A queue shows real rows to all who may read the server: only where it has them already."""
    checked_line(rater, LONGEST_NAME, "a queue needs the name of its rater", '`--queue "Ada Lind"`.')
    if frozen.run.params[names.P_ROW_STORAGE] != "rows":
        raise UsageError(
            "a review queue would put real rows on the server, and this project keeps them by reference.",
            "Give raters the page or the table: leave `--queue` out.",
        )


def shown_rows(sheet: Sheet) -> list[dict[str, str]]:
    """The rows of a sheet as texts by column."""
    return [dict(zip(sheet.columns, (cell.plain for cell in row), strict=True)) for row in sheet.rows]


def reviewable(project: Project, batch_id: str) -> StoredBatch:
    """A batch that people may judge; a GateError for one whose gate nothing can open."""
    batch = project.batch(batch_id)
    why = "it was retracted" if batch.retracted else made_for_another_set(project.evaluation_set(), batch)
    if why:
        raise GateError(f"batch {batch.id} is not reviewed: {why}.", "Make another: `synth-mlflow generate`.")
    return batch


def sheet_of(project: Project, batch: StoredBatch, frozen: EvaluationSet, key: SheetKey) -> Sheet:
    """The rows of a sheet: of a batch that was made for a slice, real rows of that slice alone."""
    real, synthetic = project.training_rows(frozen), project.rows_to_fit(batch, frozen)
    made_for = batch.run.params[names.P_SLICE]
    if made_for:
        real = real[Slice.parse(made_for).mask(real)]
    return key.made_of(real, synthetic, frozen.task_of(project.problem().statement))


def outlook_words(n_rows: int, limit: float) -> str:
    """What a sheet of so many rows can decide, before anybody answers it.

    Examples
    --------
    >>> print(outlook_words(60, 0.7))
    60 rows, limit 0.7: a rater lets the batch pass with at most 34 right answers of 60, and fails it with 50 or more; \
what lies between decides nothing. Somebody who can only guess lets it pass in 88 % of cases.
    """
    most, fewest = most_right_to_pass(n_rows, limit), fewest_right_to_fail(n_rows, limit)
    passes = f"a rater lets the batch pass with at most {most:,} right answers of {n_rows:,}"
    fails = f"fails it with {fewest:,} or more"
    text = f"{n_rows:,} rows, limit {limit:g}: "
    text += passes if most >= 0 else "no answers let the batch pass"
    text += f", and {fails if fewest <= n_rows else 'none fail it'}; what lies between decides nothing."
    chance, needed = chance_to_pass(n_rows, limit), rows_to_pass(limit)
    text += f" Somebody who can only guess lets it pass in {100 * chance:.0f} % of cases."
    if chance >= ENOUGH or needed is None:
        return text
    return f"{text} With `--review {needed}` that is {100 * chance_to_pass(needed, limit):.0f} %."
