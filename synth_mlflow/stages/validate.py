"""Stage 4 of 6: judge one batch, and open or close its gate."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from synth_mlflow.checks import CheckResult, Evidence, Probe, Ruling, as_json, failed_probes, judge, sound
from synth_mlflow.data.digests import canonical_json, json_digest, table_digest
from synth_mlflow.data.markdown_text import as_text
from synth_mlflow.data.record import Source, source_in_words
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.statement import Statement
from synth_mlflow.data.tables import read_as
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.gate.in_force import policy_in_force
from synth_mlflow.gate.policy import Policy, load_check
from synth_mlflow.gate.revisions import accepted_after, revisions_of
from synth_mlflow.gate.verdict_notes import note_verdict
from synth_mlflow.gate.verdicts import Verdict, acceptance_words, checks_by_batch, recomputed_verdict
from synth_mlflow.model.halves import halves_of
from synth_mlflow.plugins import find, provenance
from synth_mlflow.stages.dataset_inputs import batch_input, frozen_inputs
from synth_mlflow.stages.hidden_labels import without_rare_labels
from synth_mlflow.stages.own_model import allowed_model
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import Draft
from synth_mlflow.tracking.long_lists import PARAM_MAX
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch
from synth_mlflow.tracking.write import NewRun, create_children, ending_children_badly, set_tags, writing

N_DECIDING = 5  # probes shown on a run and in the handoff; the run keeps all


def validate(project: Project, batch_id: str | None = None, *, source: Path | None = None) -> list[Verdict]:
    """Run the required checks on one batch, or on every batch that is unvalidated under the policy in force.

    Parameters
    ----------
    project : Project
    batch_id : str, optional
        The short id of a batch.
    source : Path, optional
        The real rows that a batch was learned from, where they are not the project's own: rows that stay in their silo
        are recorded by digest only, and are needed again to judge privacy.

    Raises
    ------
    GateError
        Before `freeze`, and for a named batch that was retracted.
    UsageError
        If a batch was learned from rows that are not here and not given.
    EvidenceError
        If a batch or the real rows are no longer those that were recorded.
    """
    frozen = project.evaluation_set()
    policy = policy_in_force(project.problem())
    checks = checks_by_batch(project)
    wanted = [batch for batch in project.batches() if not batch.retracted]
    if batch_id:
        wanted = [_not_retracted(project.batch(batch_id))]
    _refuse_idle(source, wanted)
    verdicts = [recomputed_verdict(project, batch, policy, checks.get(batch.run.run_id, [])) for batch in wanted]
    for place, batch in enumerate(wanted):
        done = {check.check for check in verdicts[place].checks}
        missing = [name for name in policy.required if name not in done]
        if verdicts[place].shut:
            _refuse_shut(project, batch, verdicts[place], named=bool(batch_id))
            continue
        if not missing:
            project.say(f"{batch.id} is validated already under the policy in force: {verdicts[place].verdict}")
            note_verdict(project, batch, policy, verdicts[place])  # a killed process may have left that undone
            continue
        _judge_batch(project, batch, policy, missing, evidence_of(project, frozen, batch, source))
        checks = checks_by_batch(project)
        verdicts[place] = recomputed_verdict(project, batch, policy, checks.get(batch.run.run_id, []))
        note_verdict(project, batch, policy, verdicts[place])
        _mark(project, batch, verdicts[place])
    return verdicts


def _refuse_shut(project: Project, batch: StoredBatch, verdict: Verdict, *, named: bool) -> None:
    """No check can open its gate: a GateError for the one that was asked for, a line for one among many."""
    if named:
        raise GateError(f"batch {batch.id} is not checked: {verdict.shut}.", "Make another: `synth-mlflow generate`.")
    project.say(f"{batch.id} is not checked: {verdict.shut}")


def _refuse_idle(source: Path | None, batches: Sequence[StoredBatch]) -> None:
    """A UsageError for a file that no batch was learned from."""
    if source is None or any(json.loads(batch.run.params[names.P_SOURCE])["kind"] == "file" for batch in batches):
        return
    none = f"batch {batches[0].id} was not" if len(batches) == 1 else f"none of {len(batches):,} batches was"
    raise UsageError(
        f"{source} was given, and {none} learned from a file that its record names: members are the training rows.",
        "Leave `--source` out, or make the batch with it: `generate --source FILE`, `source: FILE` in a record.",
    )


def _not_retracted(batch: StoredBatch) -> StoredBatch:
    if batch.retracted:
        told = batch.taken_back
        raise GateError(
            f"batch {batch.id} was retracted{'' if told is None else ' ' + told.words}.",
            "Its gate stays shut. Make a better batch: `synth-mlflow generate`.",
        )
    return batch


def _judge_batch(
    project: Project, batch: StoredBatch, policy: Policy, missing: Sequence[str], evidence: Evidence
) -> None:
    children = create_children(project.server, batch.run.run_id, [_new_run(batch, name, policy) for name in missing])
    with ending_children_badly(project.server, children):
        for number, (name, run_id) in enumerate(zip(missing, children, strict=True), start=1):
            n_rows = len(evidence.batch)
            project.say(f"checking the {name} of {batch.id} ({n_rows:,} rows), check {number} of {len(missing)}")
            with threadpool_limits(
                1, user_api="blas"
            ):  # small products: on a busy machine threads that wait cost tenfold
                result = check_result(name, evidence, policy.thresholds[name])
            ruling = judge(result.probes, result.inconclusive, policy.alpha(name))
            accepted = _accepted(project, batch, policy, name, ruling)
            _write(project, batch, policy, name, run_id, result, ruling, accepted)


def evidence_of(
    project: Project,
    frozen: EvaluationSet,
    batch: StoredBatch,
    source: Path | None,
    statement: Statement | None = None,
) -> Evidence:
    """What the checks of a batch look at.

    Parameters
    ----------
    source : Path, optional
        The file that the batch was learned from, where there is one.
    statement : Statement, optional
        By default the one in force.
    """
    statement = statement or project.problem().statement
    task = frozen.task_of(statement)
    record = project.record(StoredBatch(project.reader.vouch(batch.run)))
    elsewhere = record.origin.source.kind == "file"
    control = project.evaluation_rows(frozen)
    part = Slice.parse(record.origin.slice) if record.origin.slice else None
    evidence = Evidence(
        batch=project.batch_rows(batch, frozen.schema),
        members=_members(project, frozen, batch.id, record.origin.source, source),
        control=control,
        task=task,
        metric=statement.facts.metric,
        seed=int(batch.digest[:8], 16),  # the same batch is judged with the same randomness
        model=allowed_model(statement.model),
        slice=part,
        slices=statement.slices,
        sensitive=tuple(statement.facts.sensitive),
        training=project.training_rows(frozen) if elsewhere else None,
        choosing=halves_of(control, task).select,
        rare_class_needs=frozen.rare_class_needs,
    )
    return without_rare_labels(evidence, statement) if frozen.keeps_values else evidence


def _members(project: Project, frozen: EvaluationSet, batch: str, learned: Source, given: Path | None) -> pd.DataFrame:
    if learned.kind != "file":
        return project.training_rows(frozen)
    needed = f"batch {batch} was learned from {source_in_words(learned)}"
    if given is None:
        raise UsageError(
            f"{needed}, which is not kept here.", f"Give it: `synth-mlflow validate {batch} --source FILE`."
        )
    rows = read_as(given, frozen.schema)
    found = table_digest(rows, frozen.schema)
    if found != learned.digest:
        raise UsageError(f"{needed}; {given} has content digest {found[:12]}…", "Give the file that was learned from.")
    return project.without_evaluation_rows(rows, frozen)


def check_result(name: str, evidence: Evidence, thresholds: Mapping[str, float]) -> CheckResult:
    """What a check finds; a PluginError if it raises, or returns anything else."""
    plugin = find("checks", name)
    with plugin.guarded():
        result = load_check(name).run(evidence, thresholds)
        if not isinstance(result, CheckResult):
            raise TypeError(f"it returned a {type(result).__name__}, a CheckResult was needed")
        return sound(result)


def _new_run(batch: StoredBatch, name: str, policy: Policy) -> NewRun:
    tags = {
        names.TAG_CHECK: name,
        names.TAG_VERDICT: "unvalidated",
        **{tag: batch.run.tags.get(tag, "") for tag in (names.TAG_BATCH, names.TAG_GENERATOR, names.TAG_SLICE)},
    }
    key = json_digest([name, batch.run.run_id, batch.digest, policy.digest, load_check(name).version])
    return NewRun(name, f"{name} · {batch.id}", key, tags)


def _write(
    project: Project,
    batch: StoredBatch,
    policy: Policy,
    name: str,
    run_id: str,
    result: CheckResult,
    ruling: Ruling,
    accepted: Accepted,
) -> None:
    failed, frozen = failed_probes(result.probes, policy.alpha(name)), project.evaluation_set()
    with writing(project.server, run_id) as draft:
        draft.param(names.P_CHECK, name)
        draft.param(names.P_CHECK_VERSION, load_check(name).version)
        if origin := provenance("checks", [name]):
            draft.param(names.P_PLUGINS, {"checks": origin})
        draft.param(names.P_BATCH, batch.id)
        draft.param(names.P_BATCH_DIGEST, batch.digest)
        draft.param(names.P_EVALUATION_DIGEST, frozen.digest)
        draft.param(names.P_POLICY, policy.digest)
        draft.param(names.P_STATEMENT, project.problem().statement.digest)
        draft.param(names.P_ALPHA, policy.alpha(name))
        draft.param(names.P_THRESHOLDS, dict(policy.thresholds[name]))
        draft.param(names.P_VERDICT, ruling.verdict)
        draft.tag(names.TAG_VERDICT, ruling.verdict)
        draft.tag(names.TAG_REASON, "\n".join([*accepted.words, *ruling.reasons]))
        if accepted.after:
            draft.param(names.P_ACCEPTED_AFTER, accepted.after)
        draft.param(names.P_DECIDING, _kept(result.probes, failed))
        draft.inputs += [*frozen_inputs(frozen), batch_input(batch, len(frozen.schema.kinds))]
        _keep(draft, result)
        draft.text(names.A_POLICY, canonical_json(asdict(policy)))
        notes = [*accepted.words, *([frozen.caveat] if frozen.caveat else [])]
        draft.describe(_description(batch, name, policy, result, ruling, notes))


def _keep(draft: Draft, result: CheckResult) -> None:
    probes = {"probes": [as_json(probe) for probe in result.probes], "inconclusive": result.inconclusive}
    draft.text(names.A_PROBES, canonical_json(probes))
    for metric, value in result.metrics.items():
        draft.metric(names.M_PREFIX + metric, value)
    for stem, table in result.tables.items():
        draft.frame(f"{stem}.json", table)
    for stem, figure in result.figures.items():
        draft.picture(f"{stem}.png", figure)


def _description(
    batch: StoredBatch, name: str, policy: Policy, result: CheckResult, ruling: Ruling, notes: Sequence[str]
) -> str:
    reasons = "\n".join(f"- {as_text(reason)}" for reason in ruling.reasons[:10])
    rows = "\n".join(_table_row(probe) for probe in _worst(result.probes))
    people = "".join(f" {as_text(note.removesuffix('.'))}." for note in notes)
    words = f"{result.words}\n\n" if result.words else ""
    return (
        f"**{ruling.verdict.upper()}**: the {name} of batch {batch.id}.{people}\n\n{reasons}\n\n"
        f"| probe | column | value | limit | real against real |\n|---|---|---|---|---|\n{rows}\n\n{words}"
        f"A probe fails where it lies beyond its limit and beyond what 99 of 100 draws of real rows show, and survives "
        f"Holm's correction at a false-alarm rate of {policy.alpha(name):g} over all {len(result.probes)} probes. They "
        f"are in `{names.A_PROBES}`, the pictures beside it."
    )


@dataclass(frozen=True)
class Accepted:
    """Whether people accepted that a check is inconclusive."""

    words: tuple[str, ...] = ()
    after: str = ""
    """When, in ISO 8601, if they knew the verdict by then."""


def _accepted(project: Project, batch: StoredBatch, policy: Policy, name: str, ruling: Ruling) -> Accepted:
    why = policy.accepted.get(name, "") if ruling.verdict == "inconclusive" else ""
    if not why:
        return Accepted()
    earlier = itertools.chain.from_iterable(checks_by_batch(project).values())
    same = [
        run
        for run in earlier
        if run.params.get(names.P_CHECK) == name and run.params.get(names.P_BATCH_DIGEST) == batch.digest
    ]
    after = accepted_after(revisions_of(project), name, same)
    return Accepted((f"{name} is inconclusive, {acceptance_words(why, after)}",), after)


def _worst(probes: Sequence[Probe]) -> list[Probe]:
    """The probes that decide, or come nearest to it."""
    return sorted((p for p in probes if p.value is not None), key=_badness, reverse=True)[:N_DECIDING]


def _kept(probes: Sequence[Probe], failed: Sequence[Probe]) -> str:
    """The worst probes as a parameter: as many as it takes, since values from the rows stand in their words."""
    told = [{**as_json(probe), "failed": probe in failed} for probe in _worst(probes)]
    while len(canonical_json(told)) > PARAM_MAX:
        told.pop()
    return canonical_json(told)


def _table_row(probe: Probe) -> str:
    floor = "" if probe.floor is None else f"{probe.floor:.4g}"
    return (
        f"| {as_text(probe.name)} | {as_text(probe.column or '')} | {probe.value:.4g} | {probe.limit:.4g} | {floor} |"
    )


def _badness(probe: Probe) -> float:
    if probe.value is None:
        return float("-inf")
    distance = probe.value - probe.limit
    return (distance if probe.better == "low" else -distance) / max(abs(probe.limit), 1e-9)


def _mark(project: Project, batch: StoredBatch, verdict: Verdict) -> None:
    """Show the verdict where people look; the gate never reads it back."""
    reasons = "\n".join(f"- {as_text(reason)}" for reason in verdict.reasons[:10])
    table = "\n".join(f"| {check.check} | {check.verdict} |" for check in verdict.checks)
    record = project.record(batch)
    what_next = "`synth-mlflow sweep`" if verdict.gate_open else "a better batch: `synth-mlflow generate`"
    note = (
        f"**{verdict.verdict.upper()}.** A synthetic batch: {batch.n_rows:,} rows made by "
        f"{as_text(record.origin.generator)} {as_text(record.origin.version)}. "
        f"Purpose: {as_text(record.origin.purpose)}. Next: {what_next}.\n\n"
        f"| check | verdict |\n|---|---|\n{table}\n\n{reasons}"
    )
    tags = {names.TAG_VERDICT: verdict.verdict, names.TAG_REASON: "\n".join(verdict.reasons), names.TAG_NOTE: note}
    set_tags(project.server, batch.run.run_id, tags)
