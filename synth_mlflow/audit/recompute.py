"""What a run states, computed again from its own files and rows; one function a stage.

The expected score of a model, computed again from its predictions and the frozen rows.

The row digests that a set or a batch keeps, against those that its rows give: gates compare rows by them.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from synth_mlflow.audit.people import (
    CLOSE,
    approval_contradictions,
    batch_rating_contradictions,
    equal_rows_contradictions,
    rating_contradictions,
)
from synth_mlflow.audit.reproduce import outcome_of
from synth_mlflow.checks import judge, probe_from_json
from synth_mlflow.data.columns import Schema
from synth_mlflow.data.digests import array_digest, canonical_json, distinct_hashes, row_digests, text_digest
from synth_mlflow.data.provenance import Record
from synth_mlflow.data.statement import parse_statement
from synth_mlflow.errors import EvidenceError
from synth_mlflow.gate.policy import Policy
from synth_mlflow.gate.rerun_conditions import without_check
from synth_mlflow.gate.verdicts import contradicted_notes
from synth_mlflow.handoff.document import twin_digest
from synth_mlflow.handoff.holdout_score import read_predictions, scored
from synth_mlflow.queries.run_index import handoffs_of, model_uri
from synth_mlflow.sweep.curve import Curve, Point
from synth_mlflow.sweep.holdout import HoldoutEstimate
from synth_mlflow.sweep.leave_one_out import LeaveOneOutResult
from synth_mlflow.sweep.plan import source_name
from synth_mlflow.tracking import names
from synth_mlflow.tracking.long_lists import pages
from synth_mlflow.tracking.models import champion, model_digest
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.sign_offs import RecordedEstimate, estimate_of, recorded_sign_offs
from synth_mlflow.tracking.stored import StoredBatch


def estimate_contradictions(project: Project, final: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    """What a final run states and its predictions, the frozen rows, or the handoffs of its sweep do not bear out.

    Parameters
    ----------
    project : Project
    final : StoredRun
        Its files must match their digests.
    runs : sequence of StoredRun
        Every run of the project.

    Raises
    ------
    EvidenceError, GateError
        If the estimate was changed, or the frozen rows or the statement are not here or not what they were.
    """
    predictions = array_digest(read_predictions(project.reader.file(final, names.A_PREDICTIONS))[0])
    if final.params[names.P_PREDICTIONS] != predictions:
        yield f"{names.A_PREDICTIONS} has digest {predictions[:12]}…, its run says {final.params[names.P_PREDICTIONS]}"
    counting = [run for run in runs if run.counts]
    handoffs = handoffs_of(counting, {final.params[names.P_SWEEP]})
    stated = estimate_of(final)
    if stated is None:
        yield from (f"the expected score that handoff {handoff.run_id} states is gone" for handoff in handoffs)
        return
    sweep = next((run for run in counting if run.run_id == final.params[names.P_SWEEP]), None)
    if sweep is None:
        return  # told by whoever looks for missing runs
    recomputed = _again(project, sweep, final, stated)
    if not _alike(recomputed, stated.estimate):
        yield f"it states “{stated.estimate.words}”, its predictions and the frozen rows give “{recomputed.words}”"
    yield from _uses_left_out(stated, sweep, counting)
    for handoff in handoffs:
        if handoff.params.get(names.P_HOLDOUT_SCORE) != canonical_json(stated.interval):
            yield f"handoff {handoff.run_id} states {handoff.params.get(names.P_HOLDOUT_SCORE)}, it {stated.interval}"


def _again(project: Project, sweep: StoredRun, final: StoredRun, stated: RecordedEstimate) -> HoldoutEstimate:
    """With the earlier uses that it was stated with; of the others only their number is kept, which is all it tells."""
    curve = project.curve(sweep)
    earlier, n_others = stated.estimate.earlier_answers, stated.estimate.n_other_sweeps
    others = earlier if stated.estimate.shared else (1,) * n_others
    return scored(project, final, curve, other_sweeps=others, earlier_openings=earlier)


def _alike(one: HoldoutEstimate, other: HoldoutEstimate) -> bool:
    pairs = zip(astuple(one), astuple(other), strict=True)
    return all(math.isclose(a, b, rel_tol=CLOSE) if isinstance(a, float) else a == b for a, b in pairs)


def _uses_left_out(stated: RecordedEstimate, sweep: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    """Uses by this project that had ended before the estimate was stated, so that it must have counted them."""
    before = [run for run in runs if run.ended and run.ended < 1000 * datetime.fromisoformat(stated.at).timestamp()]
    if stated.estimate.shared:
        uses = {run.run_id for run in before if run.stage == "sweep"} - {sweep.run_id}
    else:
        uses = {run.params[names.P_SWEEP] for run in before if run.stage == "handoff"} - {sweep.run_id}
    counted = len(stated.estimate.earlier_answers)
    if counted < len(uses):
        yield f"its expected score counts {counted} earlier uses of the frozen set, this project alone has {len(uses)}"


def digest_contradictions(project: Project, run: StoredRun, side: str, rows: pd.DataFrame) -> Iterator[str]:
    """That the digests kept for some rows are not theirs.

    Parameters
    ----------
    run : StoredRun
        An evaluation set or a batch. Nothing is said of rows kept by reference, whose digests are made from them, nor
        of a batch of another evaluation set than the one in force, whose salt may be gone.
    side : str
        Which digests of the run; empty for all.
    rows : DataFrame
        As the run's file holds them.
    """
    frozen = project.find_evaluation_set()
    digest = run.params.get(names.P_EVALUATION_DIGEST)
    if frozen is None or names.P_SALT not in frozen.run.params or digest != frozen.digest:
        return
    if names.A_ROW_DIGESTS not in run.artifacts:
        return
    stored = project.row_digests(run)
    stated = np.concatenate([hashes for name, hashes in stored.items() if side in ("", name)])
    salt = run.params.get(names.P_SALT, frozen.salt)
    if not np.array_equal(distinct_hashes(stated), distinct_hashes(row_digests(rows, salt))):
        yield f"{names.A_ROW_DIGESTS} does not hold the digests of {f'its {side} rows' if side else 'its rows'}"


Look = Callable[[Project, StoredRun, Sequence[StoredRun]], Iterator[str]]


def contradictions(project: Project, run: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    """Everything that a run states and that its files and rows do not bear out.

    Parameters
    ----------
    project : Project
    run : StoredRun
        Its files must match their digests.
    runs : sequence of StoredRun
        Every run of the project.

    Raises
    ------
    EvidenceError, GateError, UsageError, KeyError, ValueError, TypeError
        If a file or a parameter is not what this product writes.
    """
    look = _check if names.P_CHECK in run.params else _LOOKS.get(run.stage)
    if look is not None:
        yield from look(project, run, runs)


def _problem(project: Project, run: StoredRun, _: Sequence[StoredRun]) -> Iterator[str]:
    statement = parse_statement(_text(project, run, names.A_STATEMENT), f"{names.A_STATEMENT} of run {run.run_id}")
    facts = statement.facts
    stated = {
        names.P_STATEMENT: statement.digest,
        names.P_TASK_DIGEST: statement.task_digest,
        names.P_TARGET: facts.target or "",
        names.P_TASK: facts.task,
        names.P_METRIC: facts.metric,
        names.P_SUCCESS: facts.success.model_dump(exclude_none=True),
        names.P_GAP: facts.gap,
        names.P_PRIVACY: facts.privacy,
    }
    yield from _differences(run, stated, names.A_STATEMENT)


def _evaluation_set(project: Project, run: StoredRun, _: Sequence[StoredRun]) -> Iterator[str]:
    frozen = project.evaluation_set_of(run)
    for rows_of, name, side in (
        (project.evaluation_rows, names.P_EVALUATION_ROWS, "evaluation"),
        (project.training_rows, names.P_TRAINING_ROWS, "training"),
    ):
        try:
            rows: pd.DataFrame = rows_of(frozen)
        except EvidenceError as error:
            yield error.found
        else:
            yield from _differences(run, {name: len(rows)}, "the table")
            yield from digest_contradictions(project, run, side, rows)


def _batch(project: Project, run: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    yield from contradicted_notes(run, runs)
    yield from batch_rating_contradictions(project, run, runs)
    retraction = StoredBatch(run).taken_back
    if retraction is not None and not retraction.is_readable:
        yield f"its parameter {names.P_RETRACTION} is none that `retract` has written: {retraction.reason}"
    record = Record.from_json(_text(project, run, names.A_RECORD))
    origin = record.origin
    stated = {
        names.P_RECORD: record.sha256,
        names.P_BATCH: record.batch,
        names.P_BATCH_DIGEST: record.digest,
        names.P_GENERATOR: origin.generator,
        names.P_GENERATOR_VERSION: origin.version,
        names.P_SEED: origin.seed,
        names.P_SLICE: origin.slice or "",
        names.P_INGESTION: origin.door,
        names.P_SOURCE: dataclasses.asdict(origin.source),
        names.P_ROWS: record.rows,
        names.P_EVALUATION_DIGEST: record.evaluation_digest,
        names.P_STATEMENT: record.statement_digest,
    }
    yield from _differences(run, stated, names.A_RECORD)
    order = pq.read_schema(project.reader.file(run, names.A_BATCH)).names  # the record's JSON sorts its columns
    if other := sorted(set(order) ^ set(record.columns)):
        yield f"its rows and its record differ in the columns {', '.join(other)}"
        return
    frozen = project.find_evaluation_set()
    forms = {} if frozen is None else {name: form for name, form in frozen.schema.forms.items() if name in order}
    rows = project.batch_rows(StoredBatch(run), Schema({name: record.columns[name] for name in order}, forms))
    yield from _differences(run, {names.P_ROWS: len(rows)}, "the table")
    yield from digest_contradictions(project, run, "", rows)
    yield from equal_rows_contradictions(project, run, rows)


def _check(project: Project, run: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    recorded = json.loads(_text(project, run, names.A_POLICY))
    policy = Policy.from_json(recorded)
    check = run.params[names.P_CHECK]
    evidence = json.loads(_text(project, run, names.A_PROBES))
    probes = tuple(probe_from_json(probe) for probe in evidence["probes"])
    ruling = judge(probes, evidence["inconclusive"], policy.alpha(check))
    stated = {
        names.P_VERDICT: ruling.verdict,
        names.P_POLICY: policy.digest,
        names.P_ALPHA: policy.alpha(check),
        names.P_THRESHOLDS: policy.thresholds[check],
    }
    yield from _differences(run, stated, "its statistics under its policy")
    for statistic in json.loads(run.params[names.P_DECIDING]):
        if {name: value for name, value in statistic.items() if name != "failed"} not in evidence["probes"]:
            yield f"the deciding statistic {statistic.get('name')!r} is none of those in {names.A_PROBES}"
    for batch in (other for other in runs if other.run_id == run.parent):
        yield from _differences(run, {names.P_BATCH_DIGEST: batch.params.get(names.P_BATCH_DIGEST)}, "its batch")


def _sweep(project: Project, run: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    curve = project.curve(run)
    chosen = curve.at(curve.chosen)
    stated = {
        names.P_CHOSEN: curve.chosen_share,
        names.P_CHOSEN_SCORE: [chosen.score, chosen.low, chosen.high],
        names.P_PEAK: curve.share(curve.at(curve.peak)),
        names.P_RATIOS: [curve.share(point) for point in curve.points],
        names.P_RULE: curve.rule,
        names.P_FRAGILITY: curve.fragility.words,
        names.P_MIX: curve.mix,
        names.P_SEED: curve.seed,
        **_axis_stated(curve),
        **({names.P_CHOSEN_SOURCE: source_name(curve.source)} if curve.rivals else {}),
    }
    yield from _differences(run, stated, names.A_CURVE)
    if missing := without_check(runs, run.batches):
        yield (
            f"it was made with {', '.join(missing)}, and nobody has looked for evaluation rows in them: "
            "`synth-mlflow validate`, then sweep again"
        )
    for child in (other for other in runs if other.parent == run.run_id and other.counts):
        if child.stage == "ratio":
            yield from _off_the_curve(child, curve)
        elif child.stage == "final":
            shared = (names.P_CHOSEN, names.P_MODEL_NAME, names.P_MODEL_VERSION, names.P_MODEL_SHA256)
            yield from _differences(run, {name: child.params.get(name) for name in shared}, "its final run")


def _axis_stated(curve: Curve) -> dict[str, object]:
    """What a sweep over another axis than the ratio says of it."""
    if curve.axis.name == "ratio":
        return {}
    stated: dict[str, object] = {names.P_AXIS: curve.axis.name}
    if curve.axis.name != "mix":
        stated |= {names.P_AXIS_VALUE: curve.chosen, names.P_AXIS_VALUES: [point.ratio for point in curve.points]}
    return stated


def _off_the_curve(child: StoredRun, curve: Curve) -> Iterator[str]:
    value = names.axis_value(child.metrics)
    point: Point = curve.at(value, names.swept_source(child.params) if value else None)
    stated = {
        names.M_SCORE: point.score,
        names.M_SCORE_LOW: point.low,
        names.M_SCORE_HIGH: point.high,
        names.M_GAIN: point.gain,
        names.M_PLACEBO: point.placebo,
    }
    for name, value in stated.items():
        if child.metrics.get(name) != value:
            yield f"its run {child.run_id} ({child.name}) says {name} {child.metrics.get(name)}, the curve {value}"


def _final(project: Project, run: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    params = run.params
    digest = model_digest(project.server, params[names.P_MODEL_NAME], params[names.P_MODEL_VERSION])
    yield from _differences(run, {names.P_MODEL_SHA256: digest}, f"the files of {model_uri(run)}")
    yield from _alias(project, run, runs)
    mix = pd.read_parquet(project.reader.file(run, names.A_MIX))["from"]
    strangers = sorted(set(mix) - {"real", *run.batches})
    if strangers:
        yield f"its rows come from batches that it does not name: {', '.join(strangers)}"
    yield from estimate_contradictions(project, run, runs)


def _alias(project: Project, run: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    """The alias `champion` must stand where the newest sign-off that moved it has put it."""
    made = [signed for group in recorded_sign_offs(runs).values() for signed in group if signed.champion]
    newest = max(made, key=lambda signed: signed.run.started, default=None)
    name, finals = run.params[names.P_MODEL_NAME], [other for other in runs if other.stage == "final" and other.counts]
    holder = champion(project.server, name)
    is_champion = holder == run.params[names.P_MODEL_VERSION]
    strange = holder is not None and holder not in {other.params.get(names.P_MODEL_VERSION) for other in finals}
    if strange and run.run_id == finals[-1].run_id:
        yield f"models:/{name}/{holder} has the alias {names.CHAMPION}, and no sweep of this project made it"
    if is_champion and (newest is None or newest.champion != model_uri(run)):
        yield f"{model_uri(run)} has the alias {names.CHAMPION}, and no sign-off in force says so"
    if not is_champion and newest is not None and newest.champion == model_uri(run):
        yield f"{model_uri(run)} has lost the alias {names.CHAMPION} that {newest.words} gave it"


def _share(sweep: Mapping[str, Any]) -> float:
    """The synthetic rows' share in the mix that a document says was chosen."""
    if sweep.get("axis", "ratio") in ("ratio", "mix"):
        return float(sweep["chosen"])
    point = next(point for point in sweep["points"] if point["ratio"] == sweep["chosen"])
    return float(point["n_synthetic"] / (point["n_real"] + point["n_synthetic"]))


def _handoff(project: Project, run: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    twin = json.loads(_text(project, run, names.A_HANDOFF_JSON))
    digest, held = twin_digest(twin), {other.run_id: other for other in runs}
    limits = _text(project, run, names.A_LIMITS) if names.A_LIMITS in run.artifacts else ""
    sweep, estimate = twin["sweep"], twin["sweep"]["estimate"]
    stated = {
        names.P_DOCUMENT: digest,
        names.P_CHOSEN: _share(sweep),
        names.P_LIMITS: text_digest(limits),
        names.P_HOLDOUT_SCORE: [estimate["score"][end] for end in ("value", "low", "high")],
        names.P_ESTIMATE_TEXT: estimate["words"],
    }
    yield from _differences(run, stated, "the document")
    if twin["sha256"] != digest:
        yield f"the document says sha256 {twin['sha256'][:12]}…, its content gives {digest[:12]}…"
    for signed in twin["sign_offs"]:
        if signed["sha256"] != digest:
            yield f"{signed['name']} signed {signed['sha256'][:12]}…, the document is {digest[:12]}… now"
    for param, seal in run.params.items():
        signed_run = held.get(param.removeprefix(names.P_SIGN_OFF_PREFIX))
        if signed_run and signed_run.run_id != param and signed_run.params.get(names.P_SEAL) != seal:
            yield f"its sign-off {signed_run.run_id} has another seal now"
    for run_id in sorted(set(twin["links"]) - set(held)):
        yield f"the document links to run {run_id}, which is gone"
    for item in twin["digests"]:
        if item["run_id"] in held and item["sha256"] not in held[item["run_id"]].params.values():
            yield f"the document gives {item['sha256'][:12]}… for {item['name']}, run {item['run_id']} does not"


def _sign_off(project: Project, run: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    handoff = next((other for other in runs if other.run_id == run.params[names.P_HANDOFF]), None)
    if handoff is None:
        return  # told by whoever looks for missing runs
    if names.P_SIGN_OFF_PREFIX + run.run_id not in handoff.params:
        yield f"the handoff {handoff.run_id} does not name it: it does not count"
    yield from _differences(run, {names.P_DOCUMENT: handoff.params.get(names.P_DOCUMENT)}, "the handoff's run")
    twin = json.loads(_text(project, run, names.A_HANDOFF_JSON))
    mine = {
        "name": run.params[names.P_SIGNED_BY],
        "role": run.params[names.P_ROLE],
        "at": run.params[names.P_CREATED_AT],
        "sha256": run.params[names.P_DOCUMENT],
        "run_id": run.run_id,
    }
    if twin_digest(twin) != run.params[names.P_DOCUMENT] or mine not in twin["sign_offs"]:
        yield "the document that it keeps is not the one that it signs"


def _blame(project: Project, run: StoredRun, _: Sequence[StoredRun]) -> Iterator[str]:
    result = LeaveOneOutResult.from_json(json.loads(_text(project, run, names.A_BLAME)))
    stated = {
        **pages(names.P_HARMFUL, result.to_blame),
        **pages(names.P_BATCHES, (each.batch for each in result.effects)),
        names.P_METRIC: result.metric,
        names.P_SEED: result.seed,
    }
    yield from _differences(run, stated, names.A_BLAME)


def _reproduction(project: Project, run: StoredRun, _: Sequence[StoredRun]) -> Iterator[str]:
    recorded = json.loads(_text(project, run, names.A_REPRODUCTION))
    stated = {
        names.P_OUTCOME: outcome_of(recorded),
        names.P_HANDOFF: recorded["handoff"],
        names.P_MODEL_URI: recorded["model"],
    }
    yield from _differences(run, stated, names.A_REPRODUCTION)


_LOOKS: Mapping[str, Look] = {
    "problem": _problem,
    "evaluation_set": _evaluation_set,
    "batch": _batch,
    "sweep": _sweep,
    "final": _final,
    "blame": _blame,
    "handoff": _handoff,
    "rating": rating_contradictions,
    "sign-off": _sign_off,
    "approval": approval_contradictions,
    "reproduction": _reproduction,
}


def _text(project: Project, run: StoredRun, path: str) -> str:
    return project.reader.file(run, path).read_text(encoding="utf-8")


def _differences(run: StoredRun, stated: Mapping[str, Any], source: str) -> Iterator[str]:
    """The parameters of a run that say other than what was computed again."""
    for name, value in stated.items():
        text = value if isinstance(value, str) else canonical_json(value)
        if run.params.get(name) != text:
            recorded = run.params.get(name, "nothing")
            yield f"parameter {name} says {_short(recorded)}, {source} gives {_short(text)}"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:16]}…"
