"""Whether what a handoff rests on is still what was recorded; looked at again before the handoff is written."""

from __future__ import annotations

from collections.abc import Sequence

from synth_mlflow.errors import EvidenceError
from synth_mlflow.gate.named_runs import Known
from synth_mlflow.gate.verdict_notes import contradicted_notes
from synth_mlflow.tracking import names
from synth_mlflow.tracking.models import model_digest
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun


def refuse_unsound(
    project: Project, final: StoredRun, rests_on: Sequence[StoredRun], runs: Sequence[StoredRun]
) -> None:
    """Refuse to hand over a model whose evidence was changed since.

    Parameters
    ----------
    project : Project
    final : StoredRun
        The run of the model.
    rests_on : sequence of StoredRun
        Everything else that the handoff vouches for: statement, evaluation set, baseline, sweep, ratios, batches and
        their checks.
    runs : sequence of StoredRun
        Every run of the project that counts, but for single ratios and checks that ``rests_on`` does not hold.

    Raises
    ------
    EvidenceError
        If a parameter or metric was changed, added or removed, a run that others name is gone or doubled, or the
        registered model is another one.
    """
    known = Known([*runs, *_open_roots(project, (*rests_on, final), runs)])
    for run in (*rests_on, final):
        project.reader.vouch(run)
        for what in (*known.missing(run), *contradicted_notes(run, rests_on)):
            raise EvidenceError(
                f"{run.name} (run {run.run_id}): {what}.",
                "Restore in MLflow what was deleted, or sweep again; `synth-mlflow verify` shows all of it.",
            )
    params = final.params
    found = model_digest(project.server, params[names.P_MODEL_NAME], params[names.P_MODEL_VERSION])
    if found != params[names.P_MODEL_SHA256]:
        raise EvidenceError(
            f"models:/{params[names.P_MODEL_NAME]}/{params[names.P_MODEL_VERSION]} has sha256 {found[:12]}…, run "
            f"{final.run_id} says {params[names.P_MODEL_SHA256][:12]}…: someone changed the model.",
            "Restore its files, or sweep again.",
        )


def _open_roots(project: Project, named: Sequence[StoredRun], runs: Sequence[StoredRun]) -> list[StoredRun]:
    """The passes that these runs hang under and that do not count: one that is under way, or failed later."""
    wanted = {run.parent for run in named if run.parent} - {run.run_id for run in runs}
    found = [project.reader.find(run_id) for run_id in sorted(wanted)]
    return [run for run in found if run is not None and not run.deleted]
