"""What approvals state, and what their loads rely on, computed again from rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from synth_mlflow.gate.approved import approved_batches
from synth_mlflow.stages.chosen_mix import chosen_mix
from synth_mlflow.tracking import names
from synth_mlflow.tracking.approvals import StoredApproval, why_not
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun


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
        found = {names.P_APPROVED_DIGEST: mix.digest, names.P_ROWS: str(len(mix.rows))}
    else:
        found = {names.P_ROWS: str(len(project.rows_to_fit(batches[0], frozen)))}
    for name, value in found.items():
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
