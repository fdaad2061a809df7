"""`status --repair`: runs whose process is dead say so, instead of RUNNING for ever."""

from __future__ import annotations

from dataclasses import dataclass

from synth_mlflow.tracking.moved import settle
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.write import OPEN, end_run, is_abandoned

REASON = "its process ended without a word; marked by `synth-mlflow status --repair`"


@dataclass(frozen=True)
class Repaired:
    """What was done about the open runs of a project."""

    killed: tuple[str, ...]
    """Run ids that are marked KILLED now; they counted as no evidence before, and do not now."""
    left: tuple[str, ...]
    """Run ids that somebody may still be writing: a live process here, or one elsewhere within a day."""
    n_paths: int = 0
    """Paths in the database of a moved project that name the files beside it now."""


def repair(project: Project) -> Repaired:
    """Mark as KILLED every open run that nobody can finish any more.

    Raises
    ------
    ServerError
        If this user may not write.
    """
    n_paths = settle(project.server)
    still_open = [run for run in project.reader.runs() if run.status in OPEN and not run.discarded]
    claimed = project.claimed_evaluation_run()
    killed = [run for run in still_open if is_abandoned(run) and not _is_only_unmarked(run, claimed)]
    for run in killed:
        end_run(project.server, run.run_id, "KILLED", REASON)
    ids = {run.run_id for run in killed}
    return Repaired(tuple(ids), tuple(run.run_id for run in still_open if run.run_id not in ids), n_paths)


def _is_only_unmarked(run: StoredRun, claimed: StoredRun | None) -> bool:
    """Whether a run is the project's evaluation set, written in full: `freeze` gives it the status that it lacks."""
    return claimed is not None and run.run_id == claimed.run_id
