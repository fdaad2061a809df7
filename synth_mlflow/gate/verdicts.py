"""Verdicts: of one check, of a batch, and whether the gate stands open for it.

Verdicts noted on the runs of their batches, so that whoever lists many batches need not read three runs for each.

A note is written when the last check of a batch is done, from the verdict that its probes give. Gates never read it:
they recompute. `verify` holds it against the check runs.
"""

from __future__ import annotations

import html
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

from synth_mlflow.checks import Outcome, judge, probe_from_json
from synth_mlflow.data.digests import canonical_json
from synth_mlflow.data.markup import html_table
from synth_mlflow.errors import EvidenceError, GateError
from synth_mlflow.gate.in_force import made_for_another_set, readable_policy, shut_for_good
from synth_mlflow.gate.policy import Policy, check_version, counts_here, reads_ratings
from synth_mlflow.tracking import names
from synth_mlflow.tracking.long_lists import PARAM_MAX, words_of
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.ratings import rating_names
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored import StoredBatch
from synth_mlflow.tracking.stored_run import reading
from synth_mlflow.tracking.write import set_param_once

N_REASONS = 3  # told in one message; the check runs keep all
IS_CHECK = f"tags.`{names.TAG_CHECK}` LIKE '%'"

BatchOutcome = Literal["pass", "fail", "inconclusive", "unvalidated"]


@dataclass(frozen=True)
class CheckVerdict:
    """What one check says about a batch."""

    check: str
    verdict: Outcome
    reasons: tuple[str, ...]
    run_id: str
    accepted: str = ""
    """Why people accepted that this check is inconclusive; empty if they did not, or it is conclusive."""
    accepted_after: str = ""
    """When they did so, in ISO 8601, if that was after the first verdict; empty if it was before."""

    @property
    def acceptance(self) -> str:
        """That people accepted the doubt, whether before or after they knew of it, and why; empty if they did not."""
        return acceptance_words(self.accepted, self.accepted_after) if self.accepted else ""

    @property
    def told(self) -> tuple[str, ...]:
        """The reasons, and that people accepted the doubt if they did."""
        return (f"{self.check} is inconclusive, {self.acceptance}", *self.reasons) if self.accepted else self.reasons

    @property
    def opens(self) -> bool:
        """Whether this check lets the batch through."""
        return self.verdict == "pass" or (self.verdict == "inconclusive" and bool(self.accepted))


@dataclass(frozen=True)
class Verdict:
    """What all required checks together say about a batch."""

    batch: str
    verdict: BatchOutcome
    reasons: tuple[str, ...]
    checks: tuple[CheckVerdict, ...]
    retracted: bool = False
    shut: str = ""
    """Why no check can open the gate; see :mod:`synth_mlflow.gate.in_force`."""
    awaits_review: bool = False
    """Whether further answers to blind sheets are all that could open the gate."""

    @property
    def gate_open(self) -> bool:
        """Whether the batch may enter training."""
        return self.verdict == "pass" and not self.retracted and not self.shut

    def shut_for(self, reason: str) -> Verdict:
        """The same with a reason that no check can remove; itself without one."""
        if not reason:
            return self
        reasons = (reason, *self.reasons)
        return replace(self, verdict="unvalidated", reasons=reasons, shut=reason, awaits_review=False)

    def _repr_html_(self) -> str:
        rows = [[check.check, check.verdict, "; ".join(check.told)] for check in self.checks]
        title = html.escape(f"{self.batch}: {'retracted' if self.retracted else self.verdict}")
        return f"<p><b>{title}</b></p>{html_table(['check', 'verdict', 'reasons'], rows)}"


class Verdicts(list[Verdict]):
    """The verdicts of several batches; a list that notebooks show as a table."""

    def _repr_html_(self) -> str:
        rows = [[each.batch, "retracted" if each.retracted else each.verdict, "; ".join(each.reasons)] for each in self]
        return html_table(["batch", "verdict", "reasons"], rows)


def combine(batch: StoredBatch, policy: Policy, checks: Iterable[CheckVerdict]) -> Verdict:
    """The verdict of a batch from the verdicts of its checks."""
    by_check = {check.check: check for check in checks}
    missing = [name for name in policy.required if name not in by_check]
    ordered = tuple(by_check[name] for name in policy.required if name in by_check)
    shut = sorted((check for check in ordered if not check.opens), key=lambda check: check.verdict != "fail")
    reasons = [f"{check.check}: {reason}" for check in shut for reason in check.reasons]
    reasons += [f"{check.check} is inconclusive, {check.acceptance}" for check in ordered if check.accepted]
    if any(check.verdict == "fail" for check in ordered):
        outcome: BatchOutcome = "fail"
    elif missing:
        outcome, reasons = "unvalidated", [*reasons, f"not checked under the policy in force: {', '.join(missing)}"]
        if any(map(reads_ratings, missing)) and not rating_names(batch.run):
            reasons.append(f"nobody has answered a blind sheet: `synth-mlflow validate {batch.id} --review 100`")
    else:
        outcome = "pass" if all(check.opens for check in ordered) else "inconclusive"
    shut_by = [check.check for check in ordered if not check.opens]
    unread = bool(missing and rating_names(batch.run))  # answers that `validate` has not looked at yet
    awaits_review = outcome in {"unvalidated", "inconclusive"} and all(map(reads_ratings, [*missing, *shut_by]))
    return Verdict(
        batch.id, outcome, tuple(reasons), ordered, batch.retracted, awaits_review=awaits_review and not unread
    )


def acceptance_words(why: str, after: str) -> str:
    """How an accepted doubt is told.

    Examples
    --------
    >>> acceptance_words("60 customers so far", "")
    'accepted beforehand: 60 customers so far'
    >>> acceptance_words("60 customers so far", "2026-11-22T12:10:03+00:00")
    'accepted after the verdict, on 2026-11-22: 60 customers so far'
    """
    return f"accepted after the verdict, on {after[:10]}: {why}" if after else f"accepted beforehand: {why}"


def check_verdict(
    policy: Policy, check: str, word: str, reasons: tuple[str, ...], run_id: str, accepted_after: str = ""
) -> CheckVerdict:
    """What a check said, as a policy takes it; a word that is no verdict counts as *inconclusive*."""
    verdict: Outcome = next((known for known in get_args(Outcome) if known == word), "inconclusive")
    accepted = policy.accepted.get(check, "") if verdict == "inconclusive" else ""
    return CheckVerdict(check, verdict, reasons, run_id, accepted, accepted_after if accepted else "")


def recorded_verdict(batch: StoredBatch, policy: Policy, checks: Sequence[StoredRun]) -> Verdict:
    """The verdict as the write-once parameters of the check runs tell it; for lists, not for gates."""
    return combine(batch, policy, [_recorded(run, policy) for run in in_force(batch, policy, checks)])


def recomputed_verdict(
    project: Project, batch: StoredBatch, policy: Policy, checks: Sequence[StoredRun], *, any_version: bool = False
) -> Verdict:
    """The verdict computed again from the recorded probes.

    Parameters
    ----------
    any_version : bool
        Whether runs of a check count whose version is not the installed one: for rows that were approved before.

    Raises
    ------
    EvidenceError
        If the probes are not those that were recorded, or give another verdict than the recorded one.
    """
    verdicts = []
    for run in map(project.reader.verify_seal, in_force(batch, policy, checks, any_version=any_version)):
        path = project.reader.file(run, names.A_PROBES)
        with reading(run, names.A_PROBES):
            recorded = json.loads(path.read_text(encoding="utf-8"))
            probes = tuple(probe_from_json(probe) for probe in recorded["probes"])
            ruling = judge(probes, recorded["inconclusive"], policy.alpha(run.params[names.P_CHECK]))
        if ruling.verdict != run.params[names.P_VERDICT]:
            raise EvidenceError(
                f"check {run.tags.get(names.TAG_CHECK)} of batch {batch.id} recorded the verdict "
                f"{run.params[names.P_VERDICT]!r}, its statistics give {ruling.verdict!r}.",
                "Validate the batch again: `synth-mlflow validate`.",
            )
        check = run.params[names.P_CHECK]
        after = run.params.get(names.P_ACCEPTED_AFTER, "")
        verdicts.append(check_verdict(policy, check, ruling.verdict, ruling.reasons, run.run_id, after))
    return combine(batch, policy, verdicts).shut_for(shut_for_good(project, batch))


def checks_by_batch(project: Project) -> Mapping[str, list[StoredRun]]:
    """Every finished check run, by the run id of its batch; one query for all."""
    return group_checks(project.reader.finished(where=IS_CHECK))


def group_checks(runs: Iterable[StoredRun]) -> Mapping[str, list[StoredRun]]:
    """The finished check runs among some runs, by the run id of their batch."""
    by_batch: dict[str, list[StoredRun]] = {}
    for run in runs:
        if run.counts and names.TAG_CHECK in run.tags:
            by_batch.setdefault(run.parent or "", []).append(run)
    return by_batch


def require_open(project: Project, batches: Sequence[StoredBatch], policy: Policy) -> None:
    """Let batches through the gate, or say which may not pass.

    Raises
    ------
    GateError
        If a batch has not passed under the policy in force, or was retracted.
    EvidenceError
        If the run of a batch was changed, or a verdict no longer follows from its evidence.
    """
    checks = checks_by_batch(project)
    closed: list[str] = []
    shut: dict[str, str] = {}
    for batch in batches:
        project.reader.verify_seal(batch.run)  # first: to validate it again would be the wrong advice
        verdict = recomputed_verdict(project, batch, policy, checks.get(batch.run.run_id, []))
        if not verdict.gate_open:
            closed.append(f"  - {batch.id} ({verdict.verdict}): {_why(verdict)}")
            shut.setdefault("retracted" if verdict.retracted else verdict.verdict, batch.id)
    if closed:
        shown = "\n".join(closed)
        raise GateError(f"the gate is closed for {len(closed)} of {len(batches)} batches:\n{shown}", _advice(shut))


def _advice(shut: Mapping[str, str]) -> str:
    """What to do about batches that may not pass: for each verdict, with the first batch that has it."""
    advice = {
        "unvalidated": "Validate what is unvalidated: `synth-mlflow validate`.",
        "fail": f"Leave out what failed, or see what may help it: `synth-mlflow validate {shut.get('fail')}`.",
        "retracted": f"Leave out what was retracted: `synth-mlflow trace {shut.get('retracted')}` says who did it.",
        "inconclusive": (
            "What is inconclusive opens only where people accept it: "
            '`validation: {accept_inconclusive: {CHECK: "why"}}` in problem.md, '
            "then `synth-mlflow define` and `synth-mlflow validate` again."
        ),
    }
    return "\n".join(text for verdict, text in advice.items() if verdict in shut)


def _why(verdict: Verdict) -> str:
    if verdict.retracted:
        return "it was retracted"
    more = len(verdict.reasons) - N_REASONS
    return "; ".join(verdict.reasons[:N_REASONS]) + (f"; and {more} more reasons" if more > 0 else "")


def in_force(
    batch: StoredBatch, policy: Policy, checks: Sequence[StoredRun], *, any_version: bool = False
) -> list[StoredRun]:
    """The newest run of each required check that judged these very rows under this very policy.

    A run counts only for the version of its check that is installed (or for any), for the evaluation set of its batch,
    and for the file of its batch: the checks of one batch say nothing of a copy of it with another file. Runs of
    earlier versions name no file. One that looked at answers to blind sheets counts only if it looked at all that the
    batch names.
    """
    newest = {
        run.params[names.P_CHECK]: run
        for run in checks
        if run.params.get(names.P_POLICY) == policy.digest
        and run.params.get(names.P_BATCH_DIGEST) == batch.digest
        and run.params.get(names.P_EVALUATION_DIGEST) == batch.run.params.get(names.P_EVALUATION_DIGEST)
        and run.params.get(names.P_BATCH_FILE, batch.file_sha256) == batch.file_sha256
        and run.params[names.P_CHECK] in policy.required
        and (any_version or counts_here(run.params[names.P_CHECK], run.params.get(names.P_CHECK_VERSION, "")))
        and _knows_all_answers(run, batch)
    }
    return [newest[name] for name in policy.required if name in newest]


def _knows_all_answers(run: StoredRun, batch: StoredBatch) -> bool:
    named = rating_names(batch.run)
    return not (named and reads_ratings(run.params[names.P_CHECK])) or set(named) <= set(
        words_of(run.params, names.P_RATINGS)
    )


def _recorded(run: StoredRun, policy: Policy) -> CheckVerdict:
    reasons = tuple(run.tags.get(names.TAG_REASON, "").split("\n"))
    after = run.params.get(names.P_ACCEPTED_AFTER, "")
    return check_verdict(policy, run.params[names.P_CHECK], run.params[names.P_VERDICT], reasons, run.run_id, after)


KEPT_REASONS = (10, 3, 1, 0)  # of each check: as many as fit into a parameter
REASON_MAX = 400  # characters


@dataclass(frozen=True)
class NotedCheck:
    """What one check said."""

    check: str
    verdict: str
    run_id: str
    reasons: tuple[str, ...]
    """As many as fit into a parameter; the check's run keeps all."""
    accepted_after: str = ""
    """When its doubt was accepted, if that was after the verdict."""
    version: str = ""
    """Of the check."""


@dataclass(frozen=True)
class Note:
    """What the required checks of a batch said under one policy."""

    policy: str
    """The policy's digest."""
    checks: tuple[NotedCheck, ...]


def note_verdict(project: Project, batch: StoredBatch, policy: Policy, verdict: Verdict) -> None:
    """Note a verdict on its batch; nothing while a required check is missing, or where it is noted already.

    Of two people who note at once, each finds the other's note or writes the next.
    """
    note = _note(policy, verdict.checks)
    if len(verdict.checks) < len(policy.required) or newest_notes(batch.run).get(policy.digest) == note:
        return
    text = canonical_json(asdict(note))
    number = sum(1 for _ in _texts(batch.run)) + 1
    while len(text) <= PARAM_MAX and set_param_once(project.server, batch.run.run_id, _name(number), text) != text:
        number += 1


def noted_verdict(batch: StoredBatch, policy: Policy) -> Verdict | None:
    """The verdict under a policy as it was last noted; None where nobody noted one."""
    note = newest_notes(batch.run).get(policy.digest)
    if note is None or not all(counts_here(each.check, each.version) for each in note.checks):
        return None
    return combine(batch, policy, (_as_noted(policy, each) for each in note.checks))


def _as_noted(policy: Policy, each: NotedCheck) -> CheckVerdict:
    return check_verdict(policy, each.check, each.verdict, each.reasons, each.run_id, each.accepted_after)


def newest_notes(batch: StoredRun) -> dict[str, Note]:
    """The newest note under each policy that a batch was judged under, by the policy's digest.

    What is no note of ours is passed over here; `verify` finds it.
    """
    notes = (_parsed(text) for text in _texts(batch))
    return {note.policy: note for note in notes if note is not None}


def recorded_verdicts(project: Project, batches: Sequence[StoredBatch]) -> tuple[Verdict, ...]:
    """:func:`verdicts_under` the policy in force; empty before `define`."""
    problem = project.find_problem() if batches else None
    return () if problem is None else verdicts_under(project, readable_policy(project, problem), batches)


def verdicts_under(project: Project, policy: Policy, batches: Sequence[StoredBatch]) -> tuple[Verdict, ...]:
    """The verdict of each batch as it is noted on the batch, else as its check runs tell it; for lists, not for gates.

    A note that names a check run that was deleted since says nothing.
    """
    gone = {run.run_id for run in project.reader.deleted(IS_CHECK)} if batches else set()
    noted = [_still_standing(noted_verdict(batch, policy), gone) for batch in batches]
    others = [batch.run.run_id for batch, verdict in zip(batches, noted, strict=True) if verdict is None]
    checks = group_checks(project.reader.children_of(others, IS_CHECK) if others else ())
    frozen = project.find_evaluation_set()
    return tuple(
        (verdict or recorded_verdict(batch, policy, checks.get(batch.run.run_id, []))).shut_for(
            made_for_another_set(frozen, batch) if frozen else ""
        )
        for batch, verdict in zip(batches, noted, strict=True)
    )


def check_runs(project: Project, policy: Policy, batches: Sequence[StoredBatch]) -> Mapping[str, list[StoredRun]]:
    """The finished check runs of some batches by the run id of their batch.

    Those that notes name, where one was written under this policy, else all.
    """
    named = {batch.run.run_id: list(_named(batch.run, policy)) for batch in batches}
    others = [run_id for run_id, runs in named.items() if not runs]
    runs = project.reader.by_ids(list(itertools.chain.from_iterable(named.values())))
    runs += project.reader.children_of(others, IS_CHECK) if others else []
    return {run_id: checks for run_id, checks in group_checks(runs).items() if run_id in named}


def contradicted_notes(batch: StoredRun, runs: Sequence[StoredRun]) -> Iterator[str]:
    """What is noted on a batch and its check runs do not say.

    Parameters
    ----------
    batch : StoredRun
    runs : sequence of StoredRun
        Every run of the project.
    """
    if None in map(_parsed, _texts(batch)):
        yield "a verdict noted on it cannot be read"
    said = {run.run_id: run for run in runs if run.counts and run.parent == batch.run_id}
    for policy, note in newest_notes(batch).items():
        for noted in note.checks:
            run = said.get(noted.run_id)
            if run is None:
                yield f"a verdict noted on it names the check run {noted.run_id}, which is gone"
                continue
            recorded = tuple(run.params.get(name) for name in (names.P_POLICY, names.P_CHECK, names.P_VERDICT))
            if recorded != (policy, noted.check, noted.verdict):
                yield f"the noted verdict {noted.verdict!r} of {noted.check} is not what run {noted.run_id} says"


def _still_standing(verdict: Verdict | None, gone: set[str]) -> Verdict | None:
    return None if verdict and gone.intersection(check.run_id for check in verdict.checks) else verdict


def _named(batch: StoredRun, policy: Policy) -> Iterator[str]:
    notes = newest_notes(batch)
    for note in notes.values() if policy.digest in notes else ():
        yield from (check.run_id for check in note.checks)


def _texts(batch: StoredRun) -> Iterator[str]:
    for number in itertools.count(1):
        text = batch.params.get(_name(number))
        if text is None:
            return
        yield text


def _name(number: int) -> str:
    return f"{names.P_SUMMARY_PREFIX}{number}"


def _parsed(text: str) -> Note | None:
    try:
        note = json.loads(text)
        checks = (NotedCheck(**{**check, "reasons": tuple(check["reasons"])}) for check in note["checks"])
        return Note(note["policy"], tuple(checks))
    except (ValueError, TypeError, KeyError):
        return None


def _note(policy: Policy, checks: Sequence[CheckVerdict]) -> Note:
    """With as many reasons as fit."""
    for n_kept in KEPT_REASONS:
        note = Note(policy.digest, tuple(_noted(check, n_kept) for check in checks))
        if len(canonical_json(asdict(note))) <= PARAM_MAX:
            break
    return note


def _noted(check: CheckVerdict, n_kept: int) -> NotedCheck:
    short_reasons = [_short(reason) for reason in check.reasons[:n_kept]]
    n_more = len(check.reasons) - n_kept
    more = [f"and {n_more} more, in the check's run"] if n_more > 0 else []
    reasons = (*short_reasons, *more)
    version = check_version(check.check)
    return NotedCheck(check.check, check.verdict, check.run_id, reasons, check.accepted_after, version)


def _short(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= REASON_MAX else f"{line[: REASON_MAX - 2]} …"
