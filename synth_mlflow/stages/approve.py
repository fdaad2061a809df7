"""After stage 4 or 5: approve a batch, or the mix that a sweep chose, as a version of a name that others load."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime

from synth_mlflow.backends.batch_writer import user_name
from synth_mlflow.data.approved_names import ApprovedName, checked_name
from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.markup import as_text, checked_line
from synth_mlflow.errors import GateError, UsageError, closest
from synth_mlflow.gate.approved import SHOWN
from synth_mlflow.gate.in_force import policy_in_force, policy_run, refuse_other_set
from synth_mlflow.gate.verdicts import group_checks, in_force, require_open
from synth_mlflow.stages.chosen_mix import chosen_mix, final_of
from synth_mlflow.tracking import names
from synth_mlflow.tracking.approvals import StoredApproval, claimed_versions, counted_approvals
from synth_mlflow.tracking.draft import RunDraft
from synth_mlflow.tracking.known_runs import bundle_parts, write_bundle
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun, expand_run_id
from synth_mlflow.tracking.stored import EvaluationSet, Problem, StoredBatch
from synth_mlflow.tracking.webhooks import subscribe
from synth_mlflow.tracking.write import NewRun, add_params, create_run, set_param_once, set_tags, writing

LONGEST = 200  # characters of a name or a role
ROLE = "approver"
_ONE_AT_A_TIME = threading.Lock()  # threads of a process, which would take up each other's runs as left behind


@dataclass(frozen=True)
class ApproveRequest:
    """What is approved as what, and by whom."""

    name: str
    what: str | None = None
    """A batch, or the run id of a sweep; None for the newest sweep."""
    mix: bool = False
    """Whether the mix of a sweep is meant."""
    by: str | None = None
    """Who approves; None for the user of this process."""
    role: str = ROLE
    """As what."""
    webhook: str | None = None
    """A URL that is called when a batch of any version of the name is retracted."""


@dataclass(frozen=True)
class Approved:
    """A version that others may load from now on."""

    address: str
    """``project/NAME/VERSION``."""
    name: str
    version: int
    kind: str
    """``batch`` or ``mix``."""
    run_id: str
    """The run of the approval."""
    approves: str
    """The run of the batch or of the sweep."""
    batches: tuple[str, ...]
    rows: int
    digest: str
    by: str
    role: str
    at: str
    """ISO 8601, UTC."""


def approve(project: Project, request: ApproveRequest) -> Approved:
    """Approve rows under a name, once their gate was found open and their digests equal.

    The same rows that are the newest version already are not approved again; what a killed process left is completed.

    Raises
    ------
    UsageError
        If the name cannot be one, there is no such batch or sweep, or who approves is blank or too long.
    GateError
        If the gate of a batch is closed, or the sweep chose real rows alone, or was measured on another evaluation set.
    EvidenceError
        If rows, a record, a verdict or a run is not what was recorded.
    """
    checked_name(request.name)
    by = user_name() if request.by is None else request.by
    for what, text in (("name", by), ("role", request.role)):
        fix = 'Say both: `synth-mlflow approve BATCH --as NAME --by "Ada Lind" --role "data owner"`.'
        checked_line(text, LONGEST, f"an approval needs a {what}", fix)
    subject = _subject(project, request)
    content = _content(project, subject)
    if request.webhook:
        subscribe(project.server, project.problems()[0].run_id, request.name, request.webhook)
    with _ONE_AT_A_TIME:
        return _approved(project, request.name, by, request.role, subject, content)


def _approved(project: Project, name: str, by: str, role: str, subject: StoredRun, content: _Content) -> Approved:
    """The newest version, if it holds these rows already; else a new one."""
    runs = project.reader.runs("problem", "batch", "sweep", "approval")
    before = [each for each in counted_approvals(runs) if each.name == name]
    if before and (before[-1].digest, before[-1].is_mix) == (content.digest, subject.stage == "sweep"):
        return _as_approved(project, before[-1])
    newest = before[-1].version if before else 0
    key = json_digest(["approval", name, subject.run_id, content.digest, by, role, newest])
    recorded = project.reader.recorded(key)
    run = recorded[-1] if recorded else _Approving(project, name, by, role, subject, content).write(key)
    approval = StoredApproval(run, subject)
    _count(project, approval)
    return _as_approved(project, approval)


def _subject(project: Project, request: ApproveRequest) -> StoredRun:
    """The run of the batch or of the sweep."""
    batches = {} if request.mix else {batch.id: batch.run for batch in project.batches()}
    if request.what is None:
        newest = project.reader.latest("sweep") if request.mix else None
        if newest is None:
            raise (
                GateError("this project has no sweep.", "First: `synth-mlflow sweep`.")
                if request.mix
                else UsageError(
                    "nothing was named to approve.", "Name a batch or a sweep, or give `--mix` for the newest sweep."
                )
            )
        return newest
    if request.what in batches:
        return batches[request.what]
    runs = {run.run_id: run for run in (*batches.values(), *project.reader.finished("sweep"))}
    run_id = expand_run_id(request.what, runs)
    if run_id not in runs:
        raise UsageError(
            f"there is no {'sweep' if request.mix else 'batch or sweep'} {request.what!r}. "
            f"{closest(request.what, [*batches, *runs])}",
            "`synth-mlflow status` lists batches; `--mix` alone takes the newest sweep.",
        )
    return runs[run_id]


@dataclass(frozen=True)
class _Content:
    """What is approved, looked at as a whole."""

    problem: Problem
    frozen: EvaluationSet
    batches: tuple[StoredBatch, ...]
    parts: tuple[tuple[StoredRun, str], ...]
    """The files that a load needs."""
    n_rows: int
    digest: str
    words: str


def _content(project: Project, subject: StoredRun) -> _Content:
    problem, frozen = project.problem(), project.evaluation_set()
    project.reader.verify_seal(subject)
    batches: tuple[StoredBatch, ...] = (StoredBatch(subject),)
    if subject.stage == "sweep":
        refuse_other_set(frozen, subject, f"sweep {subject.run_id}", "synth-mlflow approve --mix")
        inside = final_of(project, subject).batches
        batches = tuple(batch for batch in project.batches() if batch.id in inside)
    require_open(project, batches, policy_in_force(problem))
    parts = _evidence(project, problem, frozen, batches)
    if subject.stage == "batch":
        n_rows = len(project.rows_to_fit(batches[0], frozen))
        left_out = batches[0].n_rows - n_rows
        but = f", {left_out:,} of which equal an evaluation row and are left out" if left_out else ""
        words = f"batch `{batches[0].id}`: {batches[0].n_rows:,} synthetic rows{but}"
        return _Content(problem, frozen, batches, tuple(parts), n_rows, batches[0].digest, words)
    mix = chosen_mix(project, frozen, subject, batches)
    parts += bundle_parts([final_of(project, subject)], [names.A_MIX]) + bundle_parts([subject], [names.A_CURVE])
    parts += bundle_parts([frozen.run], [names.A_TRAINING])
    words = f"the mix of sweep `{subject.run_id}`: {len(mix.rows):,} rows, {mix.ratio:.1%} of them synthetic"
    return _Content(problem, frozen, batches, tuple(parts), len(mix.rows), mix.digest, words)


def _evidence(
    project: Project, problem: Problem, frozen: EvaluationSet, batches: tuple[StoredBatch, ...]
) -> list[tuple[StoredRun, str]]:
    """The files that the gate reads, and the rows."""
    policy, checks = policy_in_force(problem), group_checks(project.reader.checks_of([b.run.run_id for b in batches]))
    deciding = [run for batch in batches for run in in_force(batch, policy, checks.get(batch.run.run_id, []))]
    retracted = project.reader.retracted()  # the rows of each are compared with these at every load
    no_digests = not retracted and all(batch.holds_no_evaluation_row for batch in batches)
    row_digests = [] if no_digests else [names.A_ROW_DIGESTS]
    return [
        *bundle_parts([problem.run], [names.A_STATEMENT, names.A_COLUMNS]),
        *bundle_parts([policy_run(project, problem.run)], [names.A_POLICY]),
        *bundle_parts([frozen.run], [names.A_SCHEMA, names.A_COLUMNS, *row_digests]),
        *bundle_parts([batch.run for batch in batches], [names.A_RECORD, names.A_BATCH]),
        *bundle_parts(deciding, [names.A_PROBES]),
        *bundle_parts(retracted, [names.A_ROW_DIGESTS]),
    ]


@dataclass(frozen=True)
class _Approving:
    """One approval that is about to be written."""

    project: Project
    name: str
    by: str
    role: str
    subject: StoredRun
    content: _Content

    def write(self, key: str) -> StoredRun:
        """The run of the approval, with a version number of its own."""
        server = self.project.server
        tags = {names.TAG_BATCHES: " ".join(batch.id for batch in self.content.batches)}
        run_id = create_run(
            server, NewRun("approval", f"approved · {self.name}", key, tags), parent=self.subject.run_id
        )
        with writing(server, run_id) as draft:
            version = _claim(self.project, self.name, run_id)
            self._state(draft, version, key)
            write_bundle(self.project.reader, self.content.parts, draft.file(names.A_APPROVED))
        return self.project.reader.run(run_id)

    def _state(self, draft: RunDraft, version: int, key: str) -> None:
        content, at = self.content, datetime.now(UTC).isoformat(timespec="seconds")
        draft.param(names.P_KEY, key)
        draft.param(names.P_APPROVED_NAME, self.name)
        draft.param(names.P_APPROVED_VERSION, version)
        draft.param(names.P_APPROVED_RUN, self.subject.run_id)
        draft.param(names.P_APPROVED_DIGEST, content.digest)
        draft.param(names.P_ROWS, content.n_rows)
        draft.words(names.P_BATCHES, (batch.id for batch in content.batches))
        draft.words(names.P_BATCH_DIGESTS, (batch.digest[:SHOWN] for batch in content.batches))
        draft.param(names.P_EVALUATION_DIGEST, content.frozen.digest)
        draft.param(names.P_STATEMENT, content.problem.statement.digest)
        draft.param(names.P_SIGNED_BY, self.by)
        draft.param(names.P_ROLE, self.role)
        draft.param(names.P_CREATED_AT, at)
        draft.param(names.P_CREATED_BY, user_name())
        draft.tag(names.TAG_APPROVED, f"{self.name}/{version}")
        address = ApprovedName(self.project.server.experiment, self.name, version).text
        draft.describe(
            f"**Approved** as {as_text(address)}: {content.words}.\n\n"
            f"| who | as | when |\n|---|---|---|\n| {as_text(self.by)} | {as_text(self.role)} | {at} |\n\n"
            "A name and a digest: whoever may write here may have typed the name. Every load asks the gate again."
        )


def _claim(project: Project, name: str, run_id: str) -> int:
    """A version number that no other run has: of several who ask at once, the server's table of parameters decides."""
    root = project.problems()[0].run_id
    while True:
        problems = project.reader.runs("problem") + project.reader.deleted(f"tags.`{names.TAG_STAGE}` = 'problem'")
        taken = claimed_versions(problems, name)
        mine = [version for version, holder in taken if holder == run_id]
        if mine:  # by the process that was killed before the run was written
            return mine[0]
        version = max((version for version, _ in taken), default=0) + 1
        if set_param_once(project.server, root, f"{names.P_APPROVED_PREFIX}{name}/{version}", run_id) == run_id:
            return version


def _count(project: Project, approval: StoredApproval) -> None:
    """Let the batch or the sweep name the approval, which makes it count; then show it where people look."""
    server, subject, run = project.server, approval.subject, approval.run
    param = names.P_APPROVAL_PREFIX + run.run_id
    if param not in subject.params:
        add_params(server, subject.run_id, {param: run.params[names.P_SEAL]})
    address = ApprovedName(server.experiment, approval.name, approval.version).text
    line = f"**APPROVED** as {as_text(address)} by {as_text(approval.by)}, {approval.at}"
    note = subject.tags.get(names.TAG_NOTE, "")
    if line not in note:
        set_tags(server, subject.run_id, {names.TAG_APPROVED: approval.label, names.TAG_NOTE: f"{line}\n\n{note}"})


def _as_approved(project: Project, approval: StoredApproval) -> Approved:
    return Approved(
        address=ApprovedName(project.server.experiment, approval.name, approval.version).text,
        name=approval.name,
        version=approval.version,
        kind=approval.kind,
        run_id=approval.run.run_id,
        approves=approval.subject.run_id,
        batches=approval.batches,
        rows=approval.n_rows,
        digest=approval.digest,
        by=approval.by,
        role=approval.role,
        at=approval.at,
    )
