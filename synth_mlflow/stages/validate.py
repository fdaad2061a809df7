"""Stage 4 of 6: judge one batch, and open or close its gate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from threadpoolctl import threadpool_limits

from synth_mlflow.checks import CheckInput, CheckResult, judge, sanitize_metrics
from synth_mlflow.data.addresses import Place
from synth_mlflow.data.digests import table_digest
from synth_mlflow.data.large_tables import sampled_places
from synth_mlflow.data.mapped import taken
from synth_mlflow.data.markup import as_text
from synth_mlflow.data.provenance import Source, source_in_words
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.statement import Statement
from synth_mlflow.data.tables import read_as
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.gate.in_force import policy_in_force
from synth_mlflow.gate.policy import Policy, load_check, reads_ratings
from synth_mlflow.gate.verdicts import Verdict, Verdicts, checks_by_batch, note_verdict, recomputed_verdict
from synth_mlflow.plugins import find
from synth_mlflow.stages.benchmarks import benchmark_texts, tokenizer_of
from synth_mlflow.stages.check_run import new_check_run, write_check
from synth_mlflow.stages.hidden_labels import without_rare_labels
from synth_mlflow.stages.ratings import rating_input, reviews_note
from synth_mlflow.stages.sweep_inputs import settled_model
from synth_mlflow.sweep.holdout import halves_of
from synth_mlflow.tracking import names
from synth_mlflow.tracking.claims import Claims
from synth_mlflow.tracking.embeddings import embedding_of
from synth_mlflow.tracking.long_lists import words_of
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.ratings import rating_names
from synth_mlflow.tracking.stored import EvaluationSet, StoredBatch
from synth_mlflow.tracking.write import NewRun, marking_failure, set_tags


def validate(project: Project, batch_id: str | None = None, *, source: Place | None = None) -> Verdicts:
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
    batches = [batch for batch in project.batches() if not batch.retracted]
    if batch_id:
        batches = [_not_retracted(project.batch(batch_id))]
    _refuse_idle(source, batches)
    verdicts = [recomputed_verdict(project, batch, policy, checks.get(batch.run.run_id, [])) for batch in batches]
    due: list[_MissingChecks] = []
    for batch, verdict in zip(batches, verdicts, strict=True):
        if verdict.shut:
            _refuse_shut(project, batch, verdict, named=bool(batch_id))
        elif missing := _missing(policy, verdict, batch):
            due.append(_MissingChecks(project, batch, policy, frozen, source, missing))
        elif verdict.verdict == "unvalidated":
            project.say(f"{batch.id} is checked but for what people decide: {'; '.join(verdict.reasons)}")
        else:
            project.say(f"{batch.id} is validated already under the policy in force: {verdict.verdict}")
            note_verdict(project, batch, policy, verdict)  # a killed process may have left that undone
    judged = _judged(project, due)
    return Verdicts(judged.get(batch.id, verdict) for batch, verdict in zip(batches, verdicts, strict=True))


def judge_ratings(project: Project, batch: StoredBatch) -> None:
    """Run those required checks again that look at answers to blind sheets, if there are new answers in the project."""
    policy = policy_in_force(project.problem())
    ratings = _all_ratings(project)
    known = [
        check
        for check in checks_by_batch(project).get(batch.run.run_id, [])
        if set(words_of(check.params, names.P_RATINGS)) == set(ratings)
    ]
    done = {check.check for check in recomputed_verdict(project, batch, policy, known).checks}
    due = [name for name in policy.required if reads_ratings(name) and name not in done]
    if due:
        _judged(project, [_MissingChecks(project, batch, policy, project.evaluation_set(), None, due)])


def _missing(policy: Policy, verdict: Verdict, batch: StoredBatch) -> list[str]:
    """The checks that can be run now: those of answers to blind sheets once there are any."""
    done, has_answers = {check.check for check in verdict.checks}, bool(rating_names(batch.run))
    return [name for name in policy.required if name not in done and (has_answers or not reads_ratings(name))]


def _all_ratings(project: Project) -> list[str]:
    return sorted({run_id for batch in project.batches() for run_id in rating_names(batch.run)})


@dataclass
class _MissingChecks:
    """A batch of which checks are missing."""

    project: Project
    batch: StoredBatch
    policy: Policy
    frozen: EvaluationSet
    source: Place | None
    missing: list[str]

    def ratings(self, name: str) -> list[str]:
        """The runs of answers that a check looks at."""
        return _all_ratings(self.project) if reads_ratings(name) else []

    def new_run(self, name: str) -> NewRun:
        """The run of a check."""
        return new_check_run(self.batch, name, self.policy, self.ratings(name))

    def verdict(self) -> Verdict:
        """What the checks say that are recorded by now."""
        checks = checks_by_batch(self.project).get(self.batch.run.run_id, [])
        return recomputed_verdict(self.project, self.batch, self.policy, checks)


def _judged(project: Project, due: Sequence[_MissingChecks]) -> dict[str, Verdict]:
    """The verdicts of batches once nothing is missing: by the checks of this process, and by those of others."""
    claims, verdicts = Claims(project.server, project.say), dict[str, Verdict]()
    while due:
        left = []
        for each in due:
            others = _run_missing(each, claims)
            verdict = each.verdict()
            each.missing = [name for name in _missing(each.policy, verdict, each.batch) if name in others]
            if each.missing:
                left.append(each)
                continue
            note_verdict(project, each.batch, each.policy, verdict)
            _mark(project, each.batch, verdict)
            verdicts[each.batch.id] = verdict
        for each in left[:1]:  # somebody else is at it; then those that have become free are tried again
            name = each.missing[0]
            claims.wait(each.new_run(name).key, f"the {name} of {each.batch.id}")
        due = left
    return verdicts


def _refuse_shut(project: Project, batch: StoredBatch, verdict: Verdict, *, named: bool) -> None:
    """No check can open its gate: a GateError for the one that was asked for, a line for one among many."""
    if named:
        raise GateError(f"batch {batch.id} is not checked: {verdict.shut}.", "Make another: `synth-mlflow generate`.")
    project.say(f"{batch.id} is not checked: {verdict.shut}")


def _refuse_idle(source: Place | None, batches: Sequence[StoredBatch]) -> None:
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
        retraction = batch.taken_back
        raise GateError(
            f"batch {batch.id} was retracted{'' if retraction is None else ' ' + retraction.words}.",
            "Its gate stays shut. `synth-mlflow status` names the command for other rows.",
        )
    return batch


def _run_missing(due: _MissingChecks, claims: Claims) -> list[str]:
    """Run those missing checks of a batch that no other process is at; gives the others."""
    batch, others, n_missing = due.batch, list[str](), len(due.missing)
    evidence: CheckInput | None = None
    for number, name in enumerate(due.missing, start=1):
        new = due.new_run(name)
        with claims.claimed(new, parent=batch.run.run_id, done=partial(_is_done, due, name)) as run_id:
            if run_id is None:
                others.append(name)
                continue
            with marking_failure(due.project.server, run_id):
                if reads_ratings(name):
                    looked_at, what = rating_input(due.project, batch), "answers"
                else:
                    looked_at = evidence = evidence or evidence_of(due.project, due.frozen, batch, due.source)
                    what = f"{len(evidence.batch):,} rows"
                due.project.say(f"checking the {name} of {batch.id} ({what}), check {number} of {n_missing}")
                _run_check(due, looked_at, name, run_id)
    return others


def _is_done(due: _MissingChecks, name: str) -> bool:
    return name not in _missing(due.policy, due.verdict(), due.batch)


def _run_check(due: _MissingChecks, evidence: CheckInput, name: str, run_id: str) -> None:
    policy = due.policy
    with threadpool_limits(1, user_api="blas"):  # small products: on a busy machine threads that wait cost tenfold
        result = check_result(name, evidence, policy.thresholds[name])
    ruling = judge(result.probes, result.inconclusive, policy.alpha(name))
    write_check(due.project, due.batch, policy, name, run_id, result, ruling, due.ratings(name))


def evidence_of(
    project: Project,
    frozen: EvaluationSet,
    batch: StoredBatch,
    source: Place | None,
    statement: Statement | None = None,
) -> CheckInput:
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
    record = project.record(StoredBatch(project.reader.verify_seal(batch.run)))
    elsewhere = record.origin.source.kind == "file"
    control = project.evaluation_rows(frozen)
    part = Slice.parse(record.origin.slice) if record.origin.slice else None
    members = _members(project, frozen, batch.id, record.origin.source, source)
    choosing, places = halves_of(control, task).select, sampled_places(control, part)
    if places is not None:
        choosing = choosing[places]
    training = project.training_rows(frozen) if elsewhere else None
    evidence = CheckInput(
        batch=project.batch_rows(batch, frozen.schema),
        members=_judged_rows(project, members, part, "training"),
        control=_judged_rows(project, control, part, "evaluation"),
        task=task,
        metric=statement.facts.metric,
        seed=int(batch.digest[:8], 16),  # the same batch is judged with the same randomness
        model=settled_model(project, frozen),
        slice=part,
        slices=statement.slices,
        sensitive=tuple(statement.facts.sensitive),
        training=None if training is None else _judged_rows(project, training, part, "training"),
        choosing=choosing,
        benchmarks=benchmark_texts(statement.facts.benchmarks, _beside(project, statement)),
        tokenize=tokenizer_of(statement.facts.tokenizer),
        embedding=embedding_of(statement, frozen),
        rare_class_needs=frozen.rare_class_needs,
    )
    return without_rare_labels(evidence, statement) if frozen.keeps_values else evidence


def _judged_rows(project: Project, rows: pd.DataFrame, part: Slice | None, side: str) -> pd.DataFrame:
    """The rows that checks look at: of a table larger than memory the sample that generators learn from."""
    places = sampled_places(rows, part)
    if places is None:
        return rows
    project.say(f"checks look at a random sample of {len(places):,} of the {len(rows):,} {side} rows")
    return taken(rows, places)


def _beside(project: Project, statement: Statement) -> Path:
    """The folder that the files of a statement are named from."""
    runs = [run for run in project.problems() if run.params[names.P_STATEMENT] == statement.digest]
    return Path(runs[-1].params[names.P_STATEMENT_PATH]).parent


def _members(project: Project, frozen: EvaluationSet, batch: str, learned: Source, given: Place | None) -> pd.DataFrame:
    if learned.kind != "file":
        return project.training_rows(frozen)
    needed = f"batch {batch} was learned from {source_in_words(learned)}"
    if given is None:
        raise UsageError(
            f"{needed}, which is not kept here.", f"Give it: `synth-mlflow validate {batch} --source FILE`."
        )
    rows = read_as(given, frozen.schema)
    digest = table_digest(rows, frozen.schema)
    if digest != learned.digest:
        raise UsageError(f"{needed}; {given} has content digest {digest[:12]}…", "Give the file that was learned from.")
    return project.without_evaluation_rows(rows, frozen)


def check_result(name: str, evidence: CheckInput, thresholds: Mapping[str, float]) -> CheckResult:
    """What a check finds; a PluginError if it raises, or returns anything else."""
    plugin = find("checks", name)
    with plugin.guarded():
        result = load_check(name).run(evidence, thresholds)
        if not isinstance(result, CheckResult):
            raise TypeError(f"it returned a {type(result).__name__}, a CheckResult was needed")
        return sanitize_metrics(result)


def _mark(project: Project, batch: StoredBatch, verdict: Verdict) -> None:
    """Show the verdict where people look; the gate never reads it back."""
    reasons = "\n".join(f"- {as_text(reason)}" for reason in verdict.reasons[:10])
    table = "\n".join(f"| {check.check} | {check.verdict} |" for check in verdict.checks)
    record = project.record(batch)
    says_help = f"`synth-mlflow validate {batch.id}` says what may help"
    what_next = "`synth-mlflow sweep`" if verdict.gate_open else says_help
    note = (
        f"**{verdict.verdict.upper()}.** A synthetic batch: {batch.n_rows:,} rows made by "
        f"{as_text(record.origin.generator)} {as_text(record.origin.version)}. "
        f"Purpose: {as_text(record.origin.purpose)}. Next: {what_next}.\n\n"
        f"| check | verdict |\n|---|---|\n{table}\n\n{reasons}{reviews_note(project, batch)}"
    )
    tags = {names.TAG_VERDICT: verdict.verdict, names.TAG_REASON: "\n".join(verdict.reasons), names.TAG_NOTE: note}
    set_tags(project.server, batch.run.run_id, tags)
