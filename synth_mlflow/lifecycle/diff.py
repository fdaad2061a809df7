"""`diff`: what changed between two handoffs, whichever project, server or file they are from."""

from __future__ import annotations

import json
from pathlib import Path

from synth_mlflow.errors import EvidenceError, GateError, UsageError, closest
from synth_mlflow.handoff.difference import Difference, difference
from synth_mlflow.handoff.document import Document
from synth_mlflow.handoff.twin import document_of
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.run_ids import spelled_out

BY_AGE = {"newest": 1, "previous": 2}


def diff(project: Project, before: str, after: str) -> Difference:
    """Hold two handoffs against each other.

    Parameters
    ----------
    project : Project
    before, after : str
        Each the run id of a handoff, also of another project on the server; ``newest`` or ``previous``; or a file with
        a document's JSON twin.

    Raises
    ------
    GateError
        If the project has no such handoff yet.
    UsageError
        If there is no such handoff or file.
    EvidenceError
        If a document is not the one that its run vouches for, or does not give the digest that it states.
    """
    return difference(handoff_document(project, before), handoff_document(project, after))


def diff_files(before: Path, after: Path) -> Difference:
    """The same from two JSON twins, without a server."""
    return difference(_twin(before), _twin(after))


def is_file(what: str) -> bool:
    """Whether a handoff was named as a file."""
    return Path(what).suffix in {".json", ".html", ".md"} or Path(what).is_file()


def handoff_document(project: Project, what: str) -> Document:
    """One handoff, however it was named; see :func:`diff`."""
    if is_file(what):
        return _twin(Path(what))
    run = handoff_run(project, what)
    return _twin(project.reader.file(run, names.A_HANDOFF_JSON))


def handoff_run(project: Project, what: str) -> StoredRun:
    """The run of a handoff by its id, or by its age in the project."""
    handoffs = project.reader.finished("handoff")
    if what in BY_AGE:
        if len(handoffs) < BY_AGE[what]:
            raise GateError(
                f"project {project.server.experiment!r} has {len(handoffs)} handoffs, none of which is the {what} one.",
                "`synth-mlflow report` writes one; or give a run id or a JSON file.",
            )
        return handoffs[-BY_AGE[what]]
    by_id = {run.run_id: run for run in handoffs}
    run = by_id.get(spelled_out(what, by_id)) or project.reader.find(what)
    if run is None or run.stage != "handoff" or not run.counts:
        known = [*BY_AGE, *(run.run_id for run in handoffs)]
        raise UsageError(
            f"{what!r} is no handoff. {closest(what, known)}",
            "Give the run id of a handoff, `newest`, `previous`, or the file that `report --output FILE.json` wrote.",
        )
    return run


def _twin(path: Path) -> Document:
    if not path.is_file():
        raise UsageError(f"there is no file {path}.", "`synth-mlflow report --output FILE.json` writes one.")
    try:
        twin = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(
            f"{path} is no JSON twin of a handoff: {error}.",
            "`synth-mlflow report --output FILE.json` writes one; the other formats are for people.",
        ) from error
    if not isinstance(twin, dict):
        raise UsageError(f"{path} is no JSON twin of a handoff.", "Give the run id of the handoff.")
    try:
        return document_of(twin)
    except EvidenceError as error:
        raise EvidenceError(f"{path}: {error.found}", error.fix) from error
