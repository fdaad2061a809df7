"""Verdicts noted on the runs of their batches, so that whoever lists many batches need not read three runs for each.

A note is written when the last check of a batch is done, from the verdict that its probes give. Gates never read it:
they recompute. `verify` holds it against the check runs.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from synth_mlflow.data.digests import canonical_json
from synth_mlflow.gate.in_force import readable_policy
from synth_mlflow.gate.policy import Policy, check_version, counts_here
from synth_mlflow.gate.standing import made_for_another_set
from synth_mlflow.gate.verdicts import (
    IS_CHECK,
    CheckVerdict,
    Verdict,
    check_verdict,
    combine,
    group_checks,
    recorded_verdict,
)
from synth_mlflow.tracking import names
from synth_mlflow.tracking.long_lists import PARAM_MAX
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored import StoredBatch
from synth_mlflow.tracking.write import claim

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
    while len(text) <= PARAM_MAX and claim(project.server, batch.run.run_id, _name(number), text) != text:
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
    checks = group_checks(project.reader.under(others, IS_CHECK) if others else ())
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
    others = [run_id for run_id, found in named.items() if not found]
    found = project.reader.by_ids(list(itertools.chain.from_iterable(named.values())))
    found += project.reader.under(others, IS_CHECK) if others else []
    return {run_id: checks for run_id, checks in group_checks(found).items() if run_id in named}


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
            found = tuple(run.params.get(name) for name in (names.P_POLICY, names.P_CHECK, names.P_VERDICT))
            if found != (policy, noted.check, noted.verdict):
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
    return f"{names.P_NOTE_PREFIX}{number}"


def _parsed(text: str) -> Note | None:
    try:
        found = json.loads(text)
        checks = (NotedCheck(**{**check, "reasons": tuple(check["reasons"])}) for check in found["checks"])
        return Note(found["policy"], tuple(checks))
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
    kept = [_short(reason) for reason in check.reasons[:n_kept]]
    n_more = len(check.reasons) - n_kept
    more = [f"and {n_more} more, in the check's run"] if n_more > 0 else []
    reasons = (*kept, *more)
    version = check_version(check.check)
    return NotedCheck(check.check, check.verdict, check.run_id, reasons, check.accepted_after, version)


def _short(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= REASON_MAX else f"{line[: REASON_MAX - 2]} …"
