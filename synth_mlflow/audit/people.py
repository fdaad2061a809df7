"""What people have stated, computed again: answers to blind sheets from the answers and the key of their sheet,
approvals and what their loads rely on from rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from synth_mlflow.gate.approved import approved_batches
from synth_mlflow.review.sheet import SheetKey
from synth_mlflow.stages.chosen_mix import chosen_mix
from synth_mlflow.stages.ratings import read_rating
from synth_mlflow.tracking import names
from synth_mlflow.tracking.approvals import StoredApproval, why_not
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.ratings import StoredRating, rating_names, sheet_sizes
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored import StoredBatch

CLOSE = 1e-9  # relative; what another processor may round differently


def rating_contradictions(project: Project, run: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    """What a run of answers states and its answers do not bear out, or that no batch names it.

    Parameters
    ----------
    project : Project
    run : StoredRun
        Its files must match their digests.
    runs : sequence of StoredRun
        Every run of the project.

    Raises
    ------
    EvidenceError
        If the answers are not those to a sheet of its batch.
    """
    batch = next((each for each in runs if each.run_id == run.parent and each.stage == "batch"), None)
    if batch is None or batch.params.get(names.P_RATING_PREFIX + run.run_id) != run.params.get(names.P_SEAL, ""):
        yield "its batch does not name it: the answers do not count"
    if batch is None:
        return
    if run.params[names.P_BATCH_DIGEST] != batch.params[names.P_BATCH_DIGEST]:
        yield "the answers are about other rows than those of its batch"
        return
    rating = read_rating(project, StoredBatch(batch), StoredRating(run))
    low, high = rating.interval()
    for metric, value in (
        (names.M_RATER_AUC, rating.auc),
        (names.M_RATER_LOW, low),
        (names.M_RATER_HIGH, high),
    ):
        recorded = run.metrics.get(metric, math.nan)
        if not math.isclose(recorded, value, rel_tol=CLOSE, abs_tol=CLOSE):
            yield f"metric {metric} says {recorded:.6g}, the answers give {value:.6g}"


def batch_rating_contradictions(project: Project, batch: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    """That answers which a batch names are gone or were changed, or that a sheet which it names is none of it."""
    known = {run.run_id: run for run in runs if run.counts}
    for run_id in rating_names(batch):
        run = known.get(run_id)
        if run is None:
            yield f"it names answers to a blind sheet in run {run_id}, which is gone"
        elif run.params.get(names.P_SEAL) != batch.params[names.P_RATING_PREFIX + run_id]:
            yield f"the answers in run {run_id} have another seal now"
    frozen = project.find_evaluation_set()
    if frozen is None or batch.params.get(names.P_EVALUATION_DIGEST) != frozen.digest:
        return
    for sheet, n_rows in sheet_sizes(batch).items():
        if SheetKey(batch.params[names.P_BATCH_DIGEST], frozen.training_digest, n_rows).sheet_id != sheet:
            yield f"it names a blind sheet {sheet} of {n_rows:,} rows, which its rows do not give"


def approval_contradictions(project: Project, run: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    """What an approval states and its batch or mix does not bear out.

    Parameters
    ----------
    project : Project
    run : StoredRun
        Its files must match their digests.
    runs : sequence of StoredRun
        Every run of the project.

    Raises
    ------
    EvidenceError, GateError
        If the rows are not here, or not what they were.
    """
    why = why_not(run, runs)
    if why:
        yield f"it does not count: {why}"
        return
    subject = next(each for each in runs if each.run_id == run.params[names.P_APPROVED_RUN])
    frozen, approval = project.evaluation_set(), StoredApproval(run, subject)
    batches = approved_batches(project, approval)
    if run.params[names.P_EVALUATION_DIGEST] != frozen.digest:
        return  # of an earlier set: it is not handed out
    if approval.is_mix:
        mix = chosen_mix(project, frozen, subject, batches)
        expected = {names.P_APPROVED_DIGEST: mix.digest, names.P_ROWS: str(len(mix.rows))}
    else:
        expected = {names.P_ROWS: str(len(project.rows_to_fit(batches[0], frozen)))}
    for name, value in expected.items():
        if run.params[name] != value:
            yield f"parameter {name} says {run.params[name][:16]}, the {approval.kind} gives {value[:16]}"


def equal_rows_contradictions(project: Project, run: StoredRun, rows: pd.DataFrame) -> Iterator[str]:
    """That a batch says of itself that no row equals an evaluation row, and one does: it would be handed out whole.

    Nothing is said of a batch of another evaluation set than the one in force, nor of rows kept by reference.
    """
    frozen = project.find_evaluation_set()
    if frozen is None or names.P_SALT not in frozen.run.params or run.metrics.get(names.M_EQUAL_ROWS) != 0:
        return
    if run.params.get(names.P_EVALUATION_DIGEST) != frozen.digest:
        return
    n_equal = int(project.equal_evaluation_rows(rows, frozen).sum())
    if n_equal:
        yield f"metric {names.M_EQUAL_ROWS} says 0, and {n_equal:,} of its rows equal an evaluation row"
