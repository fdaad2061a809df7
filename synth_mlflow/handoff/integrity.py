"""Whether what a handoff rests on is still what was recorded; looked at again before the handoff is written."""

from __future__ import annotations

from collections.abc import Sequence

from synth_mlflow.errors import EvidenceError
from synth_mlflow.gate.references import ReferenceIndex
from synth_mlflow.gate.verdicts import contradicted_notes
from synth_mlflow.handoff.document import Document
from synth_mlflow.tracking import names
from synth_mlflow.tracking.models import model_digest
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.sign_offs import estimate_of


def require_intact(
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
    known = ReferenceIndex([*runs, *_open_roots(project, (*rests_on, final), runs)])
    for run in (*rests_on, final):
        project.reader.verify_seal(run)
        for what in (*known.missing(run), *contradicted_notes(run, rests_on)):
            raise EvidenceError(
                f"{run.name} (run {run.run_id}): {what}.",
                "Restore in MLflow what was deleted, or sweep again; `synth-mlflow verify` shows all of it.",
            )
    refuse_other_model(project, final)


def refuse_other_model(project: Project, final: StoredRun) -> None:
    """An EvidenceError if the files of the registered model are not those that its run vouches for."""
    params = final.params
    digest = model_digest(project.server, params[names.P_MODEL_NAME], params[names.P_MODEL_VERSION])
    if digest != params[names.P_MODEL_SHA256]:
        raise EvidenceError(
            f"models:/{params[names.P_MODEL_NAME]}/{params[names.P_MODEL_VERSION]} has sha256 {digest[:12]}…, run "
            f"{final.run_id} says {params[names.P_MODEL_SHA256][:12]}…: someone changed the model.",
            "Restore its files, or sweep again.",
        )


def refuse_misquoted(project: Project, handoff: StoredRun, document: Document) -> StoredRun:
    """Refuse a document that gives other facts than the sweep that its run names; gives the run of its model.

    Anybody who may write runs can copy a handoff with another document and compute its digests anew.

    Raises
    ------
    EvidenceError
        If ratio, model, batches or expected score are others, or the sweep or its model is gone or was changed.
    """
    sweep = project.reader.find(handoff.params[names.P_SWEEP])
    children = project.reader.children(sweep.run_id) if sweep is not None and sweep.counts else []
    finals = [run for run in children if run.stage == "final" and run.counts]
    if sweep is None or not finals or sweep.run_id != document.sweep.run_id:
        raise EvidenceError(
            f"the sweep that handoff {handoff.run_id} hands over is gone, or is not that of its document.",
            "Restore its run and that of its model in MLflow, or sweep and report again.",
        )
    for run in (handoff, sweep, finals[-1]):
        project.reader.verify_seal(run)
    quoted, recorded = _quoted(document), _recorded(finals[-1])
    for what, value in quoted.items():
        if value != recorded[what]:
            raise EvidenceError(
                f"the document of handoff {handoff.run_id} gives {what} {value}, the run of its model "
                f"{finals[-1].run_id} says {recorded[what]}: somebody changed it.",
                "Build it again: `synth-mlflow report`.",
            )
    return finals[-1]


def _quoted(document: Document) -> dict[str, object]:
    score = document.sweep.estimate.score
    return {
        "the ratio": document.sweep.chosen,
        "the model": document.sweep.model_uri,
        "the model's sha256": document.sweep.model_sha256,
        "the batches": sorted(batch.batch for batch in document.batches_in_model()),
        "the expected score": (score.value, score.low, score.high),
    }


def _recorded(final: StoredRun) -> dict[str, object]:
    params, stated = final.params, estimate_of(final)
    chosen = float(params[names.P_CHOSEN])
    return {
        "the ratio": chosen,
        "the model": f"models:/{params[names.P_MODEL_NAME]}/{params[names.P_MODEL_VERSION]}",
        "the model's sha256": params[names.P_MODEL_SHA256],
        "the batches": sorted(set(final.batches)) if chosen else [],
        "the expected score": stated and stated.interval,
    }


def _open_roots(project: Project, named: Sequence[StoredRun], runs: Sequence[StoredRun]) -> list[StoredRun]:
    """The passes that these runs hang under and that do not count: one that is under way, or failed later."""
    root_ids = {run.parent for run in named if run.parent} - {run.run_id for run in runs}
    roots = [project.reader.find(run_id) for run_id in sorted(root_ids)]
    return [run for run in roots if run is not None and not run.deleted]
