"""`retract`: take a batch back for good, shut its gate, and mark the handoffs that rest on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from synth_mlflow.data.approved_names import ApprovedName
from synth_mlflow.data.digests import canonical_json
from synth_mlflow.data.markup import as_text, html_table, refuse_passwords
from synth_mlflow.errors import GateError, UsageError
from synth_mlflow.queries.run_index import Uses, uses_of
from synth_mlflow.queries.watch import ReadingRun, approval_runs, readers_of
from synth_mlflow.tracking import names
from synth_mlflow.tracking.approvals import StoredApproval, counted_approvals
from synth_mlflow.tracking.long_lists import PARAM_MAX
from synth_mlflow.tracking.models import versions_that_hold
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored import RetractionInfo, StoredBatch
from synth_mlflow.tracking.ui import describe_project
from synth_mlflow.tracking.webhooks import Call, webhooks_of
from synth_mlflow.tracking.webhooks import call as call_webhook
from synth_mlflow.tracking.write import add_params, set_tags


@dataclass(frozen=True)
class Retraction:
    """A batch that was taken back, and everything that used it."""

    batch: str
    run_id: str
    reason: str
    by: str
    at: str
    """ISO 8601, UTC."""
    sweeps: tuple[str, ...]
    """Run ids."""
    models: tuple[str, ...]
    """Registered versions that hold rows of the batch, as ``models:/name/version``."""
    handoffs: tuple[str, ...]
    """Run ids; each is marked as superseded."""
    approved: tuple[str, ...] = ()
    """The approved versions that hold its rows, as ``project/NAME/VERSION``; none is handed out any more."""
    read_by: tuple[ReadingRun, ...] = ()
    """The runs outside of the project that have read one of them."""
    webhooks: tuple[Call, ...] = ()
    """What was called, and whether it answered."""

    def _repr_html_(self) -> str:
        table_rows = [["reason", self.reason], ["by", f"{self.by}, {self.at}"]]
        used = {"sweep": self.sweeps, "model": self.models, "superseded handoff": self.handoffs}
        return html_table(
            ["retracted", self.batch], table_rows + [[kind, each] for kind, ids in used.items() for each in ids]
        )


def retract(project: Project, batch_id: str, *, reason: str, by: str) -> Retraction:
    """Take a batch back for good; nothing is deleted, and its record stays readable.

    Parameters
    ----------
    project : Project
    batch_id : str
        The batch's short id or run id.
    reason, by : str
        Why, and who says so; both are kept on the batch as a write-once parameter.

    Raises
    ------
    UsageError
        If there is no such batch, or the reason or the name is blank or too long to be kept whole.
    GateError
        If it was retracted before; says by whom. Handoffs that a killed process left unmarked are marked first, and
        webhooks are called again.
    """
    batch = project.batch(batch_id)
    earlier = batch.taken_back
    if earlier is None:
        retraction = _retraction_info(reason, by)
        add_params(project.server, batch.run.run_id, {names.P_RETRACTION: canonical_json(asdict(retraction))})
    else:
        retraction = earlier
    uses = uses_of(project.reader.finished("sweep", "final", "handoff"), batch.id)
    _mark(project, batch, retraction, uses)
    describe_project(project)
    approved = _approved(project, batch)
    readers = readers_of(project, approved) if approved else ()
    calls = tuple(_calls(project, batch, retraction, approved, readers))
    for call in (each for each in calls if not each.delivered):
        project.say(f"the webhook {call.webhook} was not told of the retraction: {call.answer}")
    if earlier is not None:
        raise GateError(f"batch {batch.id} was retracted already: {earlier.words}.", "A retraction is for good.")
    return Retraction(
        batch=batch.id,
        run_id=batch.run.run_id,
        reason=retraction.reason,
        by=retraction.by,
        at=retraction.at,
        sweeps=tuple(run.run_id for run in uses.sweeps),
        models=_models(project, uses, batch.id),
        handoffs=tuple(run.run_id for run in uses.handoffs),
        approved=_addresses(project, approved),
        read_by=readers,
        webhooks=calls,
    )


def _approved(project: Project, batch: StoredBatch) -> list[StoredApproval]:
    """The versions that hold rows of a batch; those of another batch with the same rows too."""
    approvals = counted_approvals(approval_runs(project))
    return [each for each in approvals if batch.digest == each.digest or batch.id in each.batches]


def _addresses(project: Project, approved: Iterable[StoredApproval]) -> tuple[str, ...]:
    return tuple(ApprovedName(project.server.experiment, each.name, each.version).text for each in approved)


def _calls(
    project: Project,
    batch: StoredBatch,
    message: RetractionInfo,
    approved: Sequence[StoredApproval],
    readers: Sequence[ReadingRun],
) -> Iterator[Call]:
    """Call the webhooks of the names that hold its rows; the batch is retracted already, whatever becomes of them."""
    problems, facts = project.problems(), asdict(message)
    facts |= {"event": "retraction", "project": project.server.experiment, "batch": batch.id, "digest": batch.digest}
    facts |= {"approved": list(_addresses(project, approved)), "read_by": [asdict(each) for each in readers]}
    hooks = (hook for name in dict.fromkeys(each.name for each in approved) for hook in webhooks_of(problems, name))
    for hook in dict.fromkeys(hooks):
        yield call_webhook(hook, facts)


def _models(project: Project, uses: Uses, batch_id: str) -> tuple[str, ...]:
    """The versions that hold a batch: those of final runs, and those whose own tags say so."""
    tagged = (f"models:/{name}/{version}" for name, version in versions_that_hold(project.server, batch_id))
    return tuple(dict.fromkeys([*uses.models, *tagged]))


def _retraction_info(reason: str, by: str) -> RetractionInfo:
    blank = [name for name, text in (("reason", reason), ("by", by)) if not text.strip()]
    if blank:
        raise UsageError(
            f"a retraction needs a reason and a name; blank: {', '.join(blank)}.",
            'Say both: `synth-mlflow retract BATCH --reason "…" --by NAME`.',
        )
    refuse_passwords([reason, by], "the retraction")
    retraction = RetractionInfo(reason.strip(), by.strip(), datetime.now(UTC).isoformat(timespec="seconds"))
    n_characters = len(canonical_json(asdict(retraction)))
    if n_characters > PARAM_MAX:
        raise UsageError(
            f"the retraction has {n_characters:,} characters, at most {PARAM_MAX:,} are kept.",
            "Give a shorter reason, with a link to the long one.",
        )
    return retraction


def _mark(project: Project, batch: StoredBatch, retraction: RetractionInfo, uses: Uses) -> None:
    """Show the retraction where people look; the parameter is what shuts the gate."""
    line = f"**RETRACTED** {as_text(retraction.words)}"
    _tag(project, batch.run, names.TAG_RETRACTED, line)
    for handoff in uses.handoffs:
        _tag(
            project,
            handoff,
            names.TAG_SUPERSEDED,
            f"**SUPERSEDED**: batch {batch.id} was retracted {as_text(retraction.words)}",
        )


def _tag(project: Project, run: StoredRun, tag: str, line: str) -> None:
    note = run.tags.get(names.TAG_NOTE, "")
    if run.tags.get(tag) != "true" or line not in note:
        set_tags(project.server, run.run_id, {tag: "true", names.TAG_NOTE: f"{line}\n\n{note}"})
