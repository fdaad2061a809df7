"""Every revision of a statement: what each asked of batches, and what was asked less after something had failed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from synth_mlflow.data.statement import Statement, parse_statement
from synth_mlflow.errors import SynthError
from synth_mlflow.gate.policy import Policy, load_check, policy_of
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun

LOOSER_BELOW = ("alpha", "clean_share", "detectable_share", "gain_share", "part_gain_share")
"""Thresholds that ask for less where they are lower; all others ask for less where they are higher."""


@dataclass(frozen=True)
class Revision:
    """One recorded problem statement."""

    run: StoredRun
    statement: Statement | None
    """None where this version of the product cannot read it."""
    policy: Policy | None

    @property
    def recorded(self) -> int:
        """When it was recorded, in milliseconds since 1970."""
        return self.run.ended or self.run.started

    @property
    def at(self) -> str:
        """The same as ISO 8601, UTC."""
        return iso(self.recorded)


@dataclass(frozen=True)
class Loosened:
    """A check that failed, and what was asked less afterwards."""

    check: str
    batch: str
    failed_at: str
    loosened_at: str
    changes: tuple[str, ...]

    @property
    def words(self) -> str:
        """For the handoff."""
        return (
            f"The check {self.check} of batch {self.batch} failed on {clock(self.failed_at)}; after that, on "
            f"{clock(self.loosened_at)}, the statement asked for less: {'; '.join(self.changes)}."
        )


def iso(milliseconds: int) -> str:
    """A moment of the server as ISO 8601, UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")


def clock(at: str) -> str:
    """An ISO moment in UTC as people read it.

    Examples
    --------
    >>> clock("2026-11-22T12:10:03+00:00")
    '2026-11-22 12:10 UTC'
    """
    return f"{at[:10]} {at[11:16]} UTC"


def revisions_of(project: Project) -> list[Revision]:
    """Every complete statement of a project, oldest first."""
    return [_revision(project, run) for run in project.problems()]


def accepted_since(revisions: Sequence[Revision], check: str) -> Revision | None:
    """The revision from which on the newest statement's acceptance of a doubt stands without a break."""
    first_revision = None
    for revision in reversed(revisions):
        if revision.policy is None or not revision.policy.accepted.get(check):
            break
        first_revision = revision
    return first_revision


def accepted_after(revisions: Sequence[Revision], check: str, verdicts: Iterable[StoredRun]) -> str:
    """When an inconclusive check was accepted, if that was after its first verdict; empty if it was before.

    Parameters
    ----------
    verdicts : iterable of StoredRun
        Every finished run of this check on these very rows, under whatever statement.
    """
    since = accepted_since(revisions, check)
    known = [run.ended or run.started for run in verdicts if run.params.get(names.P_VERDICT) == "inconclusive"]
    return since.at if since is not None and known and min(known) < since.recorded else ""


def changed_thresholds(revisions: Sequence[Revision]) -> Iterator[tuple[str, str]]:
    """Each threshold in force that is not the default: its check, and the two values with the time of the change."""
    policy = revisions[-1].policy if revisions else None
    for check, thresholds in (policy.thresholds if policy else {}).items():
        for name, default in load_check(check).defaults.items():
            value = thresholds[name]
            if value != default:
                yield check, f"{name} {value:g} (default {default:g}), since {clock(_since(revisions, check, name))}"


def loosened_after(revisions: Sequence[Revision], failed: Iterable[StoredRun]) -> list[Loosened]:
    """Every check that failed and of which a later statement asked less; of each, the first such statement.

    Parameters
    ----------
    failed : iterable of StoredRun
        Finished check runs.
    """
    loosened = []
    for run in failed:
        ended = run.ended or run.started
        for revision in (one for one in revisions if one.recorded > ended):
            changes = tuple(_asked_less(run, revision.policy))
            if changes:
                batch = run.params.get(names.P_BATCH, "")
                loosened.append(Loosened(run.params[names.P_CHECK], batch, iso(ended), revision.at, changes))
                break
    return loosened


def changed_facts(earlier: Revision, later: Revision) -> str:
    """The parts of a statement in which two revisions differ."""
    if earlier.statement is None or later.statement is None:
        return "not known: this version cannot read it"
    before, now = (one.statement.facts.model_dump() for one in (earlier, later) if one.statement)
    changed = [name for name in now if before[name] != now[name]]
    changed += ["the answers"] if earlier.statement.answers != later.statement.answers else []
    changed += ["the rows"] if len({one.run.params.get(names.P_DATA_DIGEST) for one in (earlier, later)}) > 1 else []
    return ", ".join(changed) or "the wording alone"


def _revision(project: Project, run: StoredRun) -> Revision:
    text = project.reader.file(run, names.A_STATEMENT).read_text(encoding="utf-8")
    try:
        statement = parse_statement(text)
    except SynthError:
        return Revision(run, None, None)
    try:
        return Revision(run, statement, policy_of(statement))
    except SynthError:  # it names a check that is not installed here
        return Revision(run, statement, None)


def _since(revisions: Sequence[Revision], check: str, name: str) -> str:
    """When the value of a threshold that is in force was first asked for, without a break."""
    since, value = revisions[-1], _threshold(revisions[-1], check, name)
    for revision in reversed(revisions):
        if _threshold(revision, check, name) != value:
            break
        since = revision
    return since.at


def _threshold(revision: Revision, check: str, name: str) -> float | None:
    return None if revision.policy is None else revision.policy.thresholds.get(check, {}).get(name)


def _asked_less(failed: StoredRun, policy: Policy | None) -> Iterator[str]:
    check = failed.params[names.P_CHECK]
    if policy is None:
        return
    if check not in policy.required:
        yield f"{check} is not required any more"
        return
    before: dict[str, float] = json.loads(failed.params.get(names.P_THRESHOLDS, "{}"))
    for name, value in policy.thresholds[check].items():
        old = before.get(name, value)
        if value < old if name in LOOSER_BELOW else value > old:
            yield f"{name} from {old:g} to {value:g}"
