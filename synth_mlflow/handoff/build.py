"""Build the handoff from what the server holds.

Fill the handoff document from the project's runs: a few queries in all, none a run.

The handoff's part about batches: each one's record and verdicts, from the parameters of its runs.

The handoff's part about the sweep: the curve, the choice and the model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

from synth_mlflow.backends.batch_writer import user_name
from synth_mlflow.data.environment import environment
from synth_mlflow.data.fit_commands import commands_of
from synth_mlflow.data.provenance import Source, source_in_words
from synth_mlflow.data.schema import TableSchema
from synth_mlflow.data.statement import LIMITS, QUESTIONS, GuardrailFacts, success_in_words
from synth_mlflow.gate.policy import Policy, looser_than_default
from synth_mlflow.gate.rerun_conditions import (
    evaluate,
    installed_environment,
    installed_generators,
    recorded_facts,
    retracted_inside,
)
from synth_mlflow.gate.revisions import Revision, accepted_since, changed_facts, changed_thresholds, clock
from synth_mlflow.gate.verdicts import CheckVerdict, Verdict
from synth_mlflow.handoff import document as handoff
from synth_mlflow.handoff.collect import HandoffInputs
from synth_mlflow.handoff.rerun_commands import rerun_commands
from synth_mlflow.sweep.curve import Curve, Point, SlicePoint
from synth_mlflow.sweep.explain import judge_success
from synth_mlflow.sweep.plan import source_name
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.ratings import review_lines
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.sign_offs import RecordedEstimate, StoredSignOff
from synth_mlflow.tracking.stored import Problem, StoredBatch
from synth_mlflow.tracking.ui import run_url
from synth_mlflow.triggers import CurrentState

COLUMNS_TOLD = 40


def build_document(
    project: Project, material: HandoffInputs, stated: RecordedEstimate, limits: Mapping[str, str]
) -> handoff.Document:
    """The handoff document of a project as it stands now.

    Parameters
    ----------
    project : Project
    material : HandoffInputs
        The runs that it speaks of.
    stated : RecordedEstimate
        What the model is expected to score.
    limits : mapping of str to str
        What people wrote under each heading of limits.md; blank where nobody did.
    """
    picture = project.reader.file(material.sweep, names.A_CURVE_PICTURE).read_bytes()
    document = handoff.Document(
        header=_header(project, limits),
        success=judge_success(material.curve, material.problem.statement.facts.success.model_dump(exclude_none=True)),
        problem=_problem(material.problem, material.revisions),
        evaluation=_evaluation(material),
        baseline=_baseline(material.baseline),
        batches=_batches(material),
        sweep=replace(
            describe_sweep(material.curve, material.sweep, material.ratios, material.final, stated, picture),
            made_with=made_with(material.baseline, material.final),
        ),
        limits=handoff.Limits(*(limits[heading] or None for heading in LIMITS)),
        triggers=_triggers(material, stated),
        commands=rerun_commands(project, material),
        digests=_digests(material),
        warnings=warnings_of(material),
        earlier_sweeps=earlier_sweeps(material.sweeps[:-1]),
        policy=_policy(material.policy, material.revisions),
        earlier_sign_offs=tuple(sign_off_of(signed) for signed in material.sign_offs),
    )
    return _linked(project, document, material)


def _batches(material: HandoffInputs) -> tuple[handoff.Batch, ...]:
    return tuple(
        describe_batch(
            batch,
            material.verdicts[batch.id],
            material.checks.get(batch.run.run_id, []),
            in_model=batch.id in material.inside,
            reviews=review_lines(batch.run, material.ratings[batch.run.run_id]),
        )
        for batch in material.batches
    )


def sign_off_of(signed: StoredSignOff) -> handoff.SignOff:
    """A sign-off as the document tells of it."""
    return handoff.SignOff(signed.by, signed.role, signed.at, signed.document, signed.run.run_id)


def _header(project: Project, limits: Mapping[str, str]) -> handoff.Header:
    owed = [f"limits.md: “{heading}” is not filled in" for heading in LIMITS if not limits[heading]]
    version = environment()["packages"].get("synth_mlflow", "checkout")
    return handoff.Header(
        project=project.server.experiment,
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        built_by=user_name(),
        tool=f"synth_mlflow {version}",
        tracking_uri=project.server.tracking_uri,
        owed=tuple(owed),
    )


def _problem(problem: Problem, revisions: Sequence[Revision]) -> handoff.Problem:
    facts = problem.statement.facts
    entries = {
        "gap": facts.gap,
        "data": facts.data,
        "target": facts.target or "none: a program scores each row",
        "task": facts.task,
        "metric": facts.metric,
        "success": success_in_words(problem.statement),
        "privacy": facts.privacy,
        "sensitive columns": ", ".join(facts.sensitive),
        **{f"slice {name}": text for name, text in facts.slices.items()},
        **_guardrail(facts.guardrail),
        **{f"constraint {at}": text for at, text in enumerate(facts.constraints, start=1)},
        "model": facts.model.estimator,
        **_revisions(revisions),
        **_columns(problem.statement.table),
    }
    return handoff.Problem(
        run_id=problem.run.run_id,
        sha256=problem.statement.digest,
        sections=tuple(handoff.Section(question, problem.statement.answers[question]) for question in QUESTIONS),
        facts=tuple(handoff.Fact(name, value) for name, value in entries.items() if value),
    )


def _revisions(revisions: Sequence[Revision]) -> dict[str, str]:
    """When each statement was recorded, and what it changed; nothing where it was written once."""
    if len(revisions) < 2:
        return {}
    first, *later = revisions
    entries = {"revision 1": f"{clock(first.at)}, sha256 {first.run.params[names.P_STATEMENT][:12]}…"}
    for number, (before, now) in enumerate(zip(revisions, later, strict=False), start=2):
        digest = now.run.params[names.P_STATEMENT][:12]
        entries[f"revision {number}"] = f"{clock(now.at)}, sha256 {digest}…; changed: {changed_facts(before, now)}"
    return entries


def _columns(table: TableSchema | None) -> dict[str, str]:
    """What the first columns are, and how many there are more."""
    if table is None:
        return {}
    columns = {
        f"column {name}": f"{', '.join(filter(None, (role, type_, detail)))}: {action}"
        for name, role, type_, detail, *_, action in table.rows()
    }
    shown = dict(list(columns.items())[:COLUMNS_TOLD])
    more = (
        {}
        if len(columns) == len(shown)
        else {"further columns": f"{len(columns) - len(shown):,}, in {names.A_COLUMNS} of the run"}
    )
    return {"schema": table.digest, **shown, **more}


def _guardrail(measured: GuardrailFacts | None) -> dict[str, str]:
    if measured is None:
        return {}
    facts = {"guardrail": f"no slice may fall by more than {measured.max_slice_drop:g}"}
    return facts | (
        {"slices too small for it may pass": measured.accept_inconclusive} if measured.accept_inconclusive else {}
    )


def _evaluation(material: HandoffInputs) -> handoff.EvaluationSet:
    params = material.frozen.run.params
    facts = {
        "seed": params[names.P_SEED],
        "held out": params.get(names.P_BALANCE, ""),
        "rows that equal another row": params[names.P_DUPLICATES],
        "equal rows": material.frozen.caveat or "are on one side of the split",
        "the rows are": "stored on the run" if params[names.P_ROW_STORAGE] == "rows" else "kept by reference",
        "training rows digest": params[names.P_TRAINING_DIGEST],
        **_smallest_gain(material.curve),
    }
    return handoff.EvaluationSet(
        run_id=material.frozen.run.run_id,
        sha256=material.frozen.digest,
        how=params[names.P_SPLIT_METHOD],
        n_training=int(params[names.P_TRAINING_ROWS]),
        n_evaluation=int(params[names.P_EVALUATION_ROWS]),
        metrics=(params[names.P_METRIC],),
        may_change="Nobody, while this project lives: another evaluation set is another project.",
        facts=tuple(handoff.Fact(name, value) for name, value in facts.items() if value),
        slices=tuple(_slice_size(name, material) for name in material.slice_sizes),
    )


def _smallest_gain(curve: Curve) -> dict[str, str]:
    """The number that the sweep's decision quotes, and no other; what `freeze` said was a forecast of it."""
    smallest = curve.smallest_detectable
    return {} if not smallest else {"gain that the sweep would have found in four of five cases": f"{smallest:.2g}"}


def _slice_size(name: str, material: HandoffInputs) -> handoff.SliceSize:
    condition = material.problem.statement.facts.slices.get(name, "a condition of an earlier statement")
    return handoff.SliceSize(name, condition, *material.slice_sizes[name])


def _baseline(run: StoredRun) -> handoff.Baseline:
    metrics = run.metrics
    return handoff.Baseline(
        run_id=run.run_id,
        metric=run.params[names.P_METRIC],
        score=handoff.Estimate(metrics[names.M_SCORE], metrics[names.M_SCORE_LOW], metrics[names.M_SCORE_HIGH]),
        n_repeats=int(run.params[names.P_REPEATS]),
    )


def _triggers(material: HandoffInputs, stated: RecordedEstimate) -> tuple[handoff.Trigger, ...]:
    used = [batch for batch in material.batches if batch.id in material.inside]
    recorded = recorded_facts(material.problem, material.frozen, material.final, used, stated)
    present = CurrentState(
        generators=installed_generators(recorded.generators),
        statement_digest=material.problem.statement.digest,
        schema_digest=material.frozen.schema_digest,
        production=material.production,
        environment=installed_environment(),
    )
    states = [*evaluate(material.problem, recorded, present), retracted_inside(used)]
    return tuple(handoff.Trigger(state.name, state.condition, state.state, state.reason) for state in states)


def _looser(policy: Policy) -> dict[str, str]:
    words = "; ".join(looser_than_default(policy))
    return {"looser than the default": words} if words else {}


def _policy(policy: Policy, revisions: Sequence[Revision]) -> tuple[handoff.Fact, ...]:
    thresholds = {
        f"{check} asks for": ", ".join(f"{name} {limit:g}" for name, limit in sorted(policy.thresholds[check].items()))
        for check in policy.required
    }
    accepted = {
        f"{check} may be inconclusive": f"{why} (accepted since {clock(since.at)})" if since else why
        for check, why in policy.accepted.items()
        for since in (accepted_since(revisions, check),)
    }
    changed: dict[str, str] = {}
    for check, words in changed_thresholds(revisions):
        name = f"{check}: thresholds other than the default"
        changed[name] = f"{changed[name]}; {words}" if name in changed else words
    facts = {"required checks": ", ".join(policy.required), **_looser(policy), **thresholds, **changed, **accepted}
    return tuple(handoff.Fact(name, value) for name, value in facts.items() if value)


def warnings_of(material: HandoffInputs) -> tuple[str, ...]:
    """What a reader must know before trusting the answer, each as a sentence."""
    warnings = [
        f"Batch {batch} is in the model and was retracted."
        if batch in material.inside
        else f"Batch {batch} was swept and was retracted since: the curve rests on it."
        for batch in material.retracted
    ]
    accepted = material.policy.accepted.items()
    warnings += [f"An inconclusive {check} check is accepted by the statement: {reason}" for check, reason in accepted]
    warnings += [loosened.words for loosened in material.loosened]
    warnings += [note for note in (material.frozen.caveat, material.frozen.run.params.get(names.P_WARNING, "")) if note]
    if material.final.params[names.P_STATEMENT] != material.problem.statement.digest:
        warnings.append("The problem statement has changed since the sweep.")
    if names.P_COMMANDS in material.sweep.params:
        warnings.append(
            "The sweep's models were fitted by commands, the baseline by the model of the statement: the gain compares "
            "with the sweep's own fits on real rows alone, not with the baseline."
        )
    return tuple(warnings)


def _digests(material: HandoffInputs) -> tuple[handoff.Digest, ...]:
    frozen, final = material.frozen, material.final
    digests = [
        ("problem statement", material.problem.statement.digest, material.problem.run.run_id),
        ("evaluation set", frozen.digest, frozen.run.run_id),
        ("training rows", frozen.training_digest, frozen.run.run_id),
        *((f"batch {batch.id}", batch.digest, batch.run.run_id) for batch in material.batches),
        *((f"record of {batch.id}", batch.run.params[names.P_RECORD], batch.run.run_id) for batch in material.batches),
        ("curve", material.sweep.artifacts[names.A_CURVE], material.sweep.run_id),
        ("model", final.params[names.P_MODEL_SHA256], final.run_id),
    ]
    return tuple(handoff.Digest(*item) for item in digests)


def _linked(project: Project, document: handoff.Document, material: HandoffInputs) -> handoff.Document:
    ids = {run.run_id for run in (material.problem.run, material.frozen.run, material.baseline, material.final)}
    ids |= {run.run_id for run in (*material.sweeps, *material.ratios)}
    ids |= {batch.run.run_id for batch in material.batches} | {signed.run.run_id for signed in material.sign_offs}
    ids |= {check.run_id for batch in document.batches for check in batch.checks}
    links = {run_id: run_url(project.server, run_id) for run_id in sorted(ids)}
    return replace(document, links=links)


def describe_batch(
    batch: StoredBatch, verdict: Verdict, checks: Sequence[StoredRun], *, in_model: bool, reviews: Sequence[str] = ()
) -> handoff.Batch:
    """One batch as the handoff tells of it.

    Parameters
    ----------
    checks : sequence of StoredRun
        Its check runs, for the numbers behind the verdict; empty for a batch that is told of in a line.
    reviews : sequence of str
        What became of its blind sheets, a sentence each.
    """
    params, runs = batch.run.params, {run.run_id: run for run in checks}
    return handoff.Batch(
        batch=batch.id,
        run_id=batch.run.run_id,
        generator=params[names.P_GENERATOR],
        generator_version=params[names.P_GENERATOR_VERSION],
        parameters=json.loads(params[names.P_GENERATOR_PARAMS]),
        seed=json.loads(params[names.P_SEED]),
        slice=params[names.P_SLICE] or None,
        purpose=params[names.P_PURPOSE],
        n_rows=batch.n_rows,
        sha256=batch.digest,
        verdict=verdict.verdict,
        in_model=in_model,
        checks=tuple(_check(check, runs.get(check.run_id)) for check in verdict.checks),
        retracted=_retraction(batch),
        record=(*_record(params), *(handoff.Fact(f"blind sheet {at}", line) for at, line in enumerate(reviews, 1))),
    )


def _check(check: CheckVerdict, run: StoredRun | None) -> handoff.Check:
    probes = tuple(map(_probe, json.loads(run.params[names.P_DECIDING]))) if run else ()
    accepted = (check.acceptance,) if check.accepted else ()
    return handoff.Check(check.check, check.run_id, check.verdict, (*accepted, *check.reasons), probes)


def _probe(probe: Mapping[str, Any]) -> handoff.Probe:
    return handoff.Probe(**{field.name: probe[field.name] for field in fields(handoff.Probe)})


def _retraction(batch: StoredBatch) -> handoff.Retraction | None:
    if not batch.retracted:
        return None
    retraction, made = batch.taken_back, batch.run.params[names.P_CREATED_AT]
    if retraction is None:
        return handoff.Retraction("no reason was recorded", "unknown", made)
    return handoff.Retraction(retraction.reason, retraction.by, retraction.at or made)


def _record(params: Mapping[str, str]) -> tuple[handoff.Fact, ...]:
    recorded = json.loads(params[names.P_ENVIRONMENT])
    git = recorded.get("git")
    facts = {
        "learned from": source_in_words(Source(**json.loads(params[names.P_SOURCE]))),
        "licence of the language model": params.get(names.P_TEACHER_LICENCE, ""),
        "its terms allow training": params.get(names.P_TRAINING_ALLOWED, ""),
        "made": f"{params[names.P_CREATED_AT]} by {params[names.P_CREATED_BY]}",
        "environment": f"Python {recorded['python']}, "
        + ", ".join(f"{name} {version}" for name, version in recorded["packages"].items()),
        "code": f"git {git['commit'][:12]}{' (dirty)' if git['dirty'] else ''}" if git else "",
        "statement digest": params[names.P_STATEMENT],
        "evaluation set digest": params[names.P_EVALUATION_DIGEST],
        "record digest": params[names.P_RECORD],
    }
    return tuple(handoff.Fact(name, value) for name, value in facts.items() if value)


MIXES = {
    "augment": "all real rows are kept and synthetic ones added",
    "replace": "synthetic rows take the place of real ones; the total stays",
}


def describe_sweep(
    curve: Curve,
    sweep: StoredRun,
    ratios: Sequence[StoredRun],
    final: StoredRun,
    stated: RecordedEstimate,
    picture: bytes,
) -> handoff.Sweep:
    """The sweep that is handed over."""
    own = [run for run in ratios if names.swept_source(run.params) in ("", curve.source)]
    own.sort(key=lambda run: names.swept_source(run.params) == curve.source)  # the winner's over all together
    run_ids = {round(names.axis_value(run.metrics), 6): run.run_id for run in own}
    params = final.params
    return handoff.Sweep(
        run_id=sweep.run_id,
        metric=curve.metric,
        mix=_mixed(curve),
        axis=curve.axis.name,
        slice=curve.axis.slice,
        source=source_name(curve.source) if curve.axis.name == "mix" and curve.chosen else "",
        n_repeats=int(sweep.params[names.P_REPEATS]),
        points=tuple(_point(point, run_ids[round(point.ratio, 6)]) for point in curve.points),
        chosen=curve.chosen,
        peak=curve.peak,
        plateau=tuple(curve.plateau),
        rule=curve.rule,
        shape=curve.fragility.words,
        fragility=curve.fragility.sentence,
        estimate=_expected_score(stated),
        decisions=(_said_once(curve),),
        slices=tuple(_slice(point, name, part) for point in curve.points for name, part in point.slices.items()),
        picture=picture,
        model_uri=f"models:/{params[names.P_MODEL_NAME]}/{params[names.P_MODEL_VERSION]}",
        model_run_id=final.run_id,
        model_sha256=params[names.P_MODEL_SHA256],
    )


def earlier_sweeps(runs: Sequence[StoredRun]) -> tuple[handoff.EarlierSweep, ...]:
    """The sweeps that a later one replaced; each looked at the frozen set once more."""
    return tuple(
        handoff.EarlierSweep(
            run_id=run.run_id,
            finished_at=datetime.fromtimestamp((run.ended or run.started) / 1000, UTC).isoformat(timespec="seconds"),
            chosen=float(run.params[names.P_CHOSEN]),
            score=_estimate(json.loads(run.params[names.P_CHOSEN_SCORE])),
            gain=None,
        )
        for run in runs
    )


def made_with(baseline: StoredRun, final: StoredRun) -> tuple[handoff.Fact, ...]:
    """The settled model, and the software that fitted it."""
    settings, recorded = json.loads(baseline.params[names.P_SETTINGS]), json.loads(final.params[names.P_ENVIRONMENT])
    params = ", ".join(f"{name} {value}" for name, value in sorted(settings["params"].items()))
    commands = {name.strip("-"): command for name, command in commands_of(final.params, names.P_COMMANDS).items()}
    facts = {
        **(commands or {"estimator": settings["estimator"], "settings": params}),
        "embedding of texts": embedding_words(baseline),
        "python": recorded["python"],
        **recorded["packages"],
    }
    return tuple(handoff.Fact(name, str(value)) for name, value in facts.items() if value)


def embedding_words(run: StoredRun) -> str:
    """What turned texts into vectors: its name, version and digest; empty where nothing did."""
    recorded = run.params.get(names.P_EMBEDDING)
    embedding = {} if recorded is None else json.loads(recorded)
    digest = f"sha256 {embedding['sha256'][:12]}" if embedding.get("sha256") else ""
    return ", ".join(filter(None, (embedding.get("target"), embedding.get("version"), digest)))


def _mixed(curve: Curve) -> str:
    """How the rows were mixed, as a sentence."""
    if curve.axis.name == "weight":
        return f"all real rows are kept and {curve.axis.rows:,} synthetic ones added, which count less or as much"
    if curve.axis.name == "slice":
        return f"within slice {curve.axis.slice} {MIXES[curve.mix]}; other rows are as they were"
    return MIXES[curve.mix]


def _expected_score(stated: RecordedEstimate) -> handoff.ExpectedScore:
    estimate = stated.estimate
    return handoff.ExpectedScore(
        score=_estimate(stated.interval),
        n_rows=estimate.n_rows,
        rows_chose=estimate.shared,
        n_earlier_uses=len(estimate.earlier_answers),
        n_other_sweeps=estimate.n_other_sweeps,
        words=estimate.words,
        stated_at=stated.at,
    )


def _said_once(curve: Curve) -> str:
    """The decision without the sentence on the shape of the curve, which the document tells apart."""
    return " ".join(curve.decision.replace(curve.fragility.sentence, "").split())


def _point(point: Point, run_id: str) -> handoff.CurvePoint:
    mixed = point.ratio > 0
    return handoff.CurvePoint(
        ratio=point.ratio,
        run_id=run_id,
        score=handoff.Estimate(point.score, point.low, point.high),
        gain=handoff.Estimate(point.gain, point.gain_low, point.gain_high) if mixed else None,
        n_real=point.n_real,
        n_synthetic=point.n_synthetic,
        helps=point.helps,
        placebo=handoff.Estimate(point.placebo, point.placebo_low, point.placebo_high) if mixed else None,
        model=handoff.Estimate(point.of_model, point.model_low, point.model_high),
        forbidden=point.forbidden,
    )


def _slice(point: Point, name: str, part: SlicePoint) -> handoff.SliceScore:
    gain = None
    if part.gain is not None and part.gain_low is not None and part.gain_high is not None and point.ratio:
        gain = handoff.Estimate(part.gain, part.gain_low, part.gain_high)
    return handoff.SliceScore(name, point.ratio, part.score, gain, part.n_rows)


def _estimate(values: Sequence[float]) -> handoff.Estimate:
    return handoff.Estimate(*values)
