"""Fill the handoff document from the project's runs: a few queries in all, none a run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from synth_mlflow.data.environment import environment
from synth_mlflow.data.statement import LIMITS, QUESTIONS, success_in_words
from synth_mlflow.errors import GateError
from synth_mlflow.gate.conditions import evaluate, here, installed_generators, recorded_facts
from synth_mlflow.gate.policy import Policy, policy_of
from synth_mlflow.gate.verdicts import group_checks
from synth_mlflow.handoff import document as handoff
from synth_mlflow.model.curve import Curve
from synth_mlflow.model.success import judge_success
from synth_mlflow.stages.batch import user_name
from synth_mlflow.stages.document_batches import describe_batch
from synth_mlflow.stages.document_sweep import describe_sweep, earlier_sweeps, made_with
from synth_mlflow.tracking import names
from synth_mlflow.tracking.links import run_url
from synth_mlflow.tracking.project import EvaluationSet, Problem, Project, StoredBatch
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.sign_offs import StoredSignOff, recorded_sign_offs
from synth_mlflow.triggers import Present


@dataclass(frozen=True)
class Material:
    """The runs that a handoff speaks of, read in one go."""

    problem: Problem
    frozen: EvaluationSet
    policy: Policy
    baseline: StoredRun
    batches: Sequence[StoredBatch]
    checks: Mapping[str, list[StoredRun]]
    """By the run id of their batch."""
    sweeps: Sequence[StoredRun]
    """Oldest first; the newest is the one handed over."""
    ratios: Sequence[StoredRun]
    """Of the newest sweep."""
    final: StoredRun
    curve: Curve
    sign_offs: Sequence[StoredSignOff]
    """Of earlier handoffs of the newest sweep, oldest first."""

    @property
    def sweep(self) -> StoredRun:
        """The sweep that is handed over."""
        return self.sweeps[-1]

    @property
    def inside(self) -> set[str]:
        """The short ids of the batches in the model."""
        return set(self.final.params[names.P_BATCHES].split()) if self.curve.chosen else set()


def gather_material(project: Project) -> Material:
    """Read every run that the document speaks of in two paged queries, and the few files that the document quotes.

    Raises
    ------
    GateError
        If a stage before this one is missing.
    """
    problem, frozen = project.problem(), project.evaluation_set()
    runs = [run for run in project.reader.outline() if run.counts]
    sweeps = [run for run in runs if run.stage == "sweep"]
    if not sweeps:
        raise GateError(
            f"project {project.server.experiment!r} has no sweep to hand over.", "First: `synth-mlflow sweep`."
        )
    newest = [run for run in project.reader.children(sweeps[-1].run_id) if run.counts]
    text = project.reader.file(sweeps[-1], names.A_CURVE).read_text(encoding="utf-8")
    return Material(
        problem=problem,
        frozen=frozen,
        policy=policy_of(problem.statement),
        baseline=_only(runs, "baseline", frozen.run.run_id),
        batches=[StoredBatch(run) for run in runs if run.stage == "batch"],
        checks=group_checks(runs),
        sweeps=sweeps,
        ratios=[run for run in newest if run.stage == "ratio"],
        final=_only(newest, "final", sweeps[-1].run_id),
        curve=Curve.from_json(json.loads(text)),
        sign_offs=_sign_offs(runs, sweeps[-1].run_id),
    )


def fill(project: Project, limits: Mapping[str, str]) -> handoff.Document:
    """The handoff document of a project as it stands now.

    Parameters
    ----------
    limits : mapping of str to str
        What people wrote under each heading of limits.md; blank where nobody did.
    """
    material = gather_material(project)
    picture = project.reader.file(material.sweep, names.A_CURVE_PICTURE).read_bytes()
    batches = tuple(
        describe_batch(material.policy, batch, material.checks, material.inside) for batch in material.batches
    )
    document = handoff.Document(
        header=_header(project, limits),
        success=judge_success(material.curve, material.problem.statement.facts.success.model_dump(exclude_none=True)),
        problem=_problem(material.problem),
        evaluation=_evaluation(material),
        baseline=_baseline(material.baseline),
        batches=batches,
        sweep=replace(
            describe_sweep(material.curve, material.sweep, material.ratios, material.final, picture),
            made_with=made_with(material.baseline, material.final),
        ),
        limits=handoff.Limits(*(limits[heading] or None for heading in LIMITS)),
        triggers=_triggers(material),
        commands=_commands(material),
        digests=_digests(material),
        warnings=_warnings(material),
        earlier_sweeps=earlier_sweeps(material.sweeps[:-1]),
        policy=_policy(material.policy),
        earlier_sign_offs=tuple(sign_off_of(signed) for signed in material.sign_offs),
    )
    return _linked(project, document, material)


def sign_off_of(signed: StoredSignOff) -> handoff.SignOff:
    """A sign-off as the document tells of it."""
    return handoff.SignOff(signed.name, signed.role, signed.at, signed.document, signed.run.run_id)


def _sign_offs(runs: Sequence[StoredRun], sweep: str) -> list[StoredSignOff]:
    handoffs = {run.run_id for run in runs if run.stage == "handoff" and run.params[names.P_SWEEP] == sweep}
    found = recorded_sign_offs(runs)
    return [signed for run_id in found if run_id in handoffs for signed in found[run_id]]


def _only(runs: Sequence[StoredRun], stage: str, parent: str) -> StoredRun:
    found = [run for run in runs if run.stage == stage and run.parent == parent]
    if not found:
        raise GateError(f"run {parent} has no finished {stage} run under it.", "Run its stage again.")
    return found[-1]


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


def _problem(problem: Problem) -> handoff.Problem:
    facts = problem.statement.facts
    told = {
        "gap": facts.gap,
        "data": facts.data,
        "target": facts.target,
        "task": facts.task,
        "metric": facts.metric,
        "success": success_in_words(problem.statement),
        "privacy": facts.privacy,
        "sensitive columns": ", ".join(facts.sensitive),
        **{f"slice {name}": text for name, text in facts.slices.items()},
        "model": facts.model.estimator,
    }
    return handoff.Problem(
        run_id=problem.run.run_id,
        sha256=problem.statement.digest,
        sections=tuple(handoff.Section(question, problem.statement.answers[question]) for question in QUESTIONS),
        facts=tuple(handoff.Fact(name, value) for name, value in told.items() if value),
    )


def _evaluation(material: Material) -> handoff.EvaluationSet:
    params = material.frozen.run.params
    told = {
        "seed": params[names.P_SEED],
        "rows that are exact copies of another, kept on one side": params[names.P_DUPLICATES],
        "the rows are": "stored on the run" if params[names.P_STORE] == "rows" else "kept by reference",
        "training rows digest": params[names.P_TRAINING_DIGEST],
    }
    return handoff.EvaluationSet(
        run_id=material.frozen.run.run_id,
        sha256=material.frozen.digest,
        how=params[names.P_HOW],
        n_training=int(params[names.P_TRAINING_ROWS]),
        n_evaluation=int(params[names.P_EVALUATION_ROWS]),
        metrics=(params[names.P_METRIC],),
        may_change="Nobody, while this project lives: another evaluation set is another project.",
        facts=tuple(handoff.Fact(name, value) for name, value in told.items()),
    )


def _baseline(run: StoredRun) -> handoff.Baseline:
    metrics = run.metrics
    return handoff.Baseline(
        run_id=run.run_id,
        metric=run.params[names.P_METRIC],
        score=handoff.Estimate(metrics[names.M_SCORE], metrics[names.M_SCORE_LOW], metrics[names.M_SCORE_HIGH]),
        n_repeats=int(run.params[names.P_REPEATS]),
    )


def _triggers(material: Material) -> tuple[handoff.Trigger, ...]:
    used = [batch for batch in material.batches if batch.id in material.inside]
    recorded = recorded_facts(material.problem, material.frozen, material.final, used)
    present = Present(
        generators=installed_generators(recorded.generators),
        statement_digest=material.problem.statement.digest,
        schema_digest=material.frozen.schema_digest,
        environment=here(),
    )
    states = evaluate(material.problem, recorded, present)
    return tuple(handoff.Trigger(state.name, state.condition, state.state, state.reason) for state in states)


def _policy(policy: Policy) -> tuple[handoff.Fact, ...]:
    thresholds = {
        f"{check} asks for": ", ".join(f"{name} {limit:g}" for name, limit in sorted(policy.thresholds[check].items()))
        for check in policy.required
    }
    accepted = {f"{check} may be inconclusive": why for check, why in policy.accepted.items()}
    told = {"required checks": ", ".join(policy.required), **thresholds, **accepted}
    return tuple(handoff.Fact(name, value) for name, value in told.items() if value)


def _warnings(material: Material) -> tuple[str, ...]:
    warnings = [
        f"Batch {batch.id} is in the model and was retracted."
        for batch in material.batches
        if batch.id in material.inside and batch.retracted
    ]
    accepted = material.policy.accepted.items()
    warnings += [f"An inconclusive {check} check is accepted by the statement: {reason}" for check, reason in accepted]
    if material.final.params[names.P_STATEMENT] != material.problem.statement.digest:
        warnings.append("The problem statement has changed since the sweep.")
    return tuple(warnings)


def _commands(material: Material) -> tuple[handoff.Command, ...]:
    sweep = material.sweep.params
    ratios = ",".join(f"{100 * ratio:g}" for ratio in json.loads(sweep[names.P_RATIOS]))
    evaluation = material.frozen.run.params
    steps = [
        ("synth-mlflow define problem.md", "the statement, from the file on the problem run"),
        (f"synth-mlflow freeze --seed {evaluation[names.P_SEED]}", "the same cut, by its seed"),
        *((_generate_command(batch), f"batch {batch.id}") for batch in material.batches if batch.id in material.inside),
        ("synth-mlflow validate", "every batch through its gate"),
        (
            f"synth-mlflow sweep --ratios {ratios} --repeats {sweep[names.P_REPEATS]} --mix {sweep[names.P_MIX]} "
            f"--seed {sweep[names.P_SEED]}",
            "the curve, the choice and the model",
        ),
        ("synth-mlflow report --output handoff.html", "this document"),
    ]
    return tuple(handoff.Command(command, does) for command, does in steps)


def _generate_command(batch: StoredBatch) -> str:
    params = batch.run.params
    if params[names.P_DOOR] == "file":
        return f"synth-mlflow generate --from FILE --record record.yaml  # {params[names.P_GENERATOR]}, made elsewhere"
    if params[names.P_DOOR] == "python":
        return f"workflow.batch(…)  # the code of {params[names.P_GENERATOR]} {params[names.P_GENERATOR_VERSION]}"
    source = " --source FILE" if json.loads(params[names.P_SOURCE])["kind"] == "file" else ""
    part = f" --slice '{params[names.P_SLICE]}'" if params[names.P_SLICE] else ""
    settings = json.loads(params[names.P_GENERATOR_PARAMS])
    command = _command_options(params, settings) if params[names.P_DOOR] == "command" else ""
    given = "".join(f" --param {name}={json.dumps(value)}" for name, value in sorted(settings.items()))
    seed = "" if params[names.P_SEED] == "null" else f" --seed {params[names.P_SEED]}"
    code = f"  # of version {params[names.P_GENERATOR_VERSION]}" if params[names.P_DOOR] == "code" else ""
    return (
        f"synth-mlflow generate {params[names.P_GENERATOR]}{command} --rows {batch.n_rows}{seed}"
        f"{part}{source}{given} --purpose {json.dumps(params[names.P_PURPOSE], ensure_ascii=False)}{code}"
    )


def _command_options(params: Mapping[str, str], settings: dict[str, Any]) -> str:
    template = settings.pop("command", "…")  # kept in the record alone where it is very long
    return f" --command {shlex.quote(template)} --generator-version {shlex.quote(params[names.P_GENERATOR_VERSION])}"


def _digests(material: Material) -> tuple[handoff.Digest, ...]:
    frozen, final = material.frozen, material.final
    found = [
        ("problem statement", material.problem.statement.digest, material.problem.run.run_id),
        ("evaluation set", frozen.digest, frozen.run.run_id),
        ("training rows", frozen.training_digest, frozen.run.run_id),
        *((f"batch {batch.id}", batch.digest, batch.run.run_id) for batch in material.batches),
        *((f"record of {batch.id}", batch.run.params[names.P_RECORD], batch.run.run_id) for batch in material.batches),
        ("curve", material.sweep.artifacts[names.A_CURVE], material.sweep.run_id),
        ("model", final.params[names.P_MODEL_SHA256], final.run_id),
    ]
    return tuple(handoff.Digest(*item) for item in found)


def _linked(project: Project, document: handoff.Document, material: Material) -> handoff.Document:
    ids = {run.run_id for run in (material.problem.run, material.frozen.run, material.baseline, material.final)}
    ids |= {run.run_id for run in (*material.sweeps, *material.ratios)}
    ids |= {batch.run.run_id for batch in material.batches} | {signed.run.run_id for signed in material.sign_offs}
    ids |= {run.run_id for runs in material.checks.values() for run in runs}
    links = {run_id: run_url(project.server, run_id) for run_id in sorted(ids)}
    return replace(document, links=links)
