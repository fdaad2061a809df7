"""`export`: what a project is made of, in the formats of other tools; no row of its data leaves with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from synth_mlflow.data.environment import environment
from synth_mlflow.data.provenance import Record, Source, source_in_words
from synth_mlflow.data.statement import LIMITS, QUESTIONS, sections
from synth_mlflow.errors import UsageError
from synth_mlflow.exports import Batch, Exporter, Handoff, Model, Provenance, Rows, Signature, Statement
from synth_mlflow.plugins import find
from synth_mlflow.queries.run_index import RunIndex, model_uri
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.ratings import StoredRating, ratings_by_batch, review_lines
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.server import public_uri
from synth_mlflow.tracking.sign_offs import estimate_of
from synth_mlflow.tracking.stored import EvaluationSet, Problem, StoredBatch
from synth_mlflow.tracking.ui import download_url

FOLDER = "exports"


def export(project: Project, format_name: str, output: Path | None = None) -> str:
    """The project's provenance in one format, written to a file if one is named.

    Parameters
    ----------
    project : Project
    format_name : str
        The name of an installed export: ``croissant``, ``prov-json``, ``openlineage``, or somebody else's.
    output : Path, optional

    Raises
    ------
    GateError
        Before `freeze`.
    UsageError
        If there is no such format, or no folder to write to.
    EvidenceError
        If a record is not the one that its run vouches for.
    """
    if output is not None and not output.resolve().parent.is_dir():
        raise UsageError(f"there is no folder {output.resolve().parent} to write {output.name} to.", "Make it first.")
    plugin = find(FOLDER, format_name.replace("-", "_"))
    made_of = provenance_of(project)
    with plugin.guarded():
        format_: Exporter = plugin.load(is_typed=True)
        text = format_.render(made_of)
        if not isinstance(text, str):
            raise TypeError(f"it returned a {type(text).__name__}, text was needed")
    if output is not None:
        output.write_text(text, encoding="utf-8")
    return text


def provenance_of(project: Project) -> Provenance:
    """What every format is made from, out of a few queries and the records of the batches."""
    problem, frozen, ledger = project.problem(), project.evaluation_set(), RunIndex(project)
    version = environment()["packages"].get("synth_mlflow", "checkout")
    ratings = ratings_by_batch(project, list(ledger.batches.values()))
    return Provenance(
        project=project.server.experiment,
        about=problem.statement.answers[QUESTIONS[0]],
        tool=f"synth_mlflow {version}",
        exported_at=datetime.now(UTC).isoformat(timespec="seconds"),
        server=public_uri(project.server.tracking_uri),
        columns=dict(frozen.schema.kinds),
        target=problem.statement.task.target,
        sensitive=tuple(problem.statement.facts.sensitive),
        limits=_limits(ledger),
        statement=_statement(problem),
        real=tuple(_real(frozen)),
        batches=tuple(_batch(ledger, batch, ratings[batch.run.run_id]) for batch in ledger.batches.values()),
        models=tuple(_model(ledger, final) for final in ledger.of_stage("final")),
        handoffs=tuple(_handoff(ledger, run) for run in ledger.of_stage("handoff")),
    )


def _limits(ledger: RunIndex) -> str:
    handoffs = [run for run in ledger.of_stage("handoff") if names.A_LIMITS in run.artifacts]
    if not handoffs:
        return ""
    text = ledger.project.reader.file(handoffs[-1], names.A_LIMITS).read_text(encoding="utf-8")
    return sections(text, LIMITS)[LIMITS[0]]


def _statement(problem: Problem) -> Statement:
    return Statement(
        problem.run.run_id, problem.statement.digest, problem.statement.facts.gap, _moment(problem.run.started)
    )


def _real(frozen: EvaluationSet) -> Iterator[Rows]:
    params, run_id = frozen.run.params, frozen.run.run_id
    yield Rows("training", run_id, frozen.training_digest, int(params[names.P_TRAINING_ROWS]))
    yield Rows("evaluation", run_id, frozen.digest, int(params[names.P_EVALUATION_ROWS]))


def _batch(ledger: RunIndex, batch: StoredBatch, ratings: Sequence[StoredRating]) -> Batch:
    record: Record = ledger.project.record(batch)
    origin, verdict = record.origin, ledger.verdicts.get(batch.id)
    return Batch(
        id=batch.id,
        run_id=batch.run.run_id,
        address=download_url(ledger.project.server, batch.run.run_id, names.A_BATCH),
        file_sha256=batch.run.artifacts[names.A_BATCH],
        sha256=batch.digest,
        record_sha256=record.sha256,
        n_rows=record.rows,
        generator=origin.generator,
        generator_version=origin.version,
        parameters=origin.params,
        seed=origin.seed,
        slice=origin.slice,
        purpose=origin.purpose,
        prompts=origin.prompts,
        learned_from=source_in_words(Source(**json.loads(batch.run.params[names.P_SOURCE]))),
        learned_from_training=origin.source.kind == "training",
        source_sha256=origin.source.digest,
        by=record.created_by,
        began=_moment(batch.run.started),
        ended=_moment(batch.run.ended or batch.run.started),
        verdict="retracted" if batch.retracted else verdict.verdict if verdict else "unvalidated",
        reviews=review_lines(batch.run, ratings),
    )


def _model(ledger: RunIndex, final: StoredRun) -> Model:
    params = final.params
    sweep = ledger.finished.get(params[names.P_SWEEP], final)
    ratio, stated = float(params[names.P_CHOSEN]), estimate_of(final)
    return Model(
        sweep=params[names.P_SWEEP],
        run_id=final.run_id,
        uri=model_uri(final),
        sha256=params[names.P_MODEL_SHA256],
        ratio=ratio,
        metric=params[names.P_METRIC],
        score=stated.estimate.score if stated else final.metrics[names.M_SCORE],
        batches=final.batches if ratio else (),
        began=_moment(sweep.started),
        ended=_moment(sweep.ended or sweep.started),
        by=final.tags.get("mlflow.user", "unknown"),
    )


def _handoff(ledger: RunIndex, run: StoredRun) -> Handoff:
    return Handoff(
        run_id=run.run_id,
        sweep=run.params[names.P_SWEEP],
        sha256=run.params[names.P_DOCUMENT],
        at=_moment(run.ended or run.started),
        by=run.tags.get("mlflow.user", "unknown"),
        signatures=tuple(
            Signature(signed.run.run_id, signed.by, signed.role, signed.at)
            for signed in ledger.sign_offs.get(run.run_id, [])
        ),
    )


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
