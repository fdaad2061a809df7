"""What answers to blind sheets state, computed again from the answers and the key of their sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from synth_mlflow.review.sheet import SheetKey
from synth_mlflow.stages.ratings import read_rating
from synth_mlflow.tracking import names
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
        found = run.metrics.get(metric, math.nan)
        if not math.isclose(found, value, rel_tol=CLOSE, abs_tol=CLOSE):
            yield f"metric {metric} says {found:.6g}, the answers give {value:.6g}"


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
