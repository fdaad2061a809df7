"""Stage 6 of 6, its last act: people sign the handoff document as it stands under one digest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from synth_mlflow.audit.recheck import recheck
from synth_mlflow.backends.batch_writer import user_name
from synth_mlflow.data.addresses import Place
from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.markup import checked_line, html_table
from synth_mlflow.errors import EvidenceError, GateError, UsageError, closest
from synth_mlflow.gate.in_force import refuse_other_set
from synth_mlflow.gate.policy import policy_of
from synth_mlflow.gate.verdicts import checks_by_batch, in_force, require_open
from synth_mlflow.handoff.build import sign_off_of
from synth_mlflow.handoff.document import Document, SignOff
from synth_mlflow.handoff.integrity import refuse_misquoted, refuse_other_model
from synth_mlflow.handoff.render import escape
from synth_mlflow.handoff.report import refuse_output, rendered, write_copy
from synth_mlflow.handoff.schema import document_of
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import RunDraft
from synth_mlflow.tracking.long_lists import pages
from synth_mlflow.tracking.models import make_champion
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun, expand_run_id
from synth_mlflow.tracking.sign_offs import StoredSignOff, recorded_sign_offs
from synth_mlflow.tracking.stored_run import reading
from synth_mlflow.tracking.write import NewRun, add_params, create_run, set_tags, writing

LONGEST = 200  # characters of a name or a role


@dataclass(frozen=True)
class SignedOff:
    """A sign-off that stands on the server."""

    run_id: str
    handoff: str
    """The run id of the handoff."""
    name: str
    role: str
    at: str
    """ISO 8601, UTC."""
    sha256: str
    """The digest of the document that was signed."""
    champion: str | None
    """The registered version that carries the alias `champion` from now on; None if this was not asked for."""
    others: tuple[str, ...]
    """Everybody else who has signed this document, name and role."""

    def _repr_html_(self) -> str:
        rows = [["role", self.role], ["at", self.at], ["handoff", self.handoff], ["sha256", self.sha256]]
        rows += [["champion", self.champion]] if self.champion else []
        return html_table(["signed by", self.name], rows + [["signed before by", each] for each in self.others])


@dataclass(frozen=True)
class SignRequest:
    """Who signs what as what."""

    name: str
    role: str
    handoff: str | None = None
    """A run id; None for the newest handoff."""
    champion: bool = False
    """Whether the model may go into production: its version gets the alias `champion`."""
    output: Path | None = None
    """Where to write the document with everybody's signature: .html, .md or .json."""
    sources: tuple[Place, ...] = ()
    """Real rows that batches inside the model were learned from, where they are not the project's: a champion's checks
    are run again."""


def sign(project: Project, request: SignRequest) -> SignedOff:
    """Sign a handoff: a run under the handoff's that names the document's digest, and that the handoff's run names.

    The same person in the same role signs a document once; asking again completes what a killed process left.

    Raises
    ------
    UsageError
        If name or role is blank or too long, or there is no such handoff.
    GateError
        If there is no handoff, or it is a draft, or superseded, or there is no model to make the champion.
    EvidenceError
        If the document is not the one that its run vouches for, gives other facts than its model's run, or the files
        of a model that is to be champion were changed.
    """
    _refuse_blank(request)
    refuse_output(request.output)
    runs = project.reader.finished("handoff", "sign-off")
    handoff = _handoff(project, runs, request.handoff)
    refuse_other_set(project.evaluation_set(), handoff, f"handoff {handoff.run_id}", "synth-mlflow report")
    document = _document(project, handoff)
    final = refuse_misquoted(project, handoff, document)
    before = recorded_sign_offs(runs)
    champion = _champion(document) if request.champion else None
    if champion:
        refuse_other_model(project, final)
    rechecked = _recheck(project, _inside(document), request.sources) if champion else ()
    earlier = [each for each in chain.from_iterable(before.values()) if each.champion not in (None, champion)]
    newest = max((each.run.started for each in earlier), default=0) if champion else 0
    key = json_digest(["sign-off", document.sha256, request.name, request.role, champion, newest])
    known = next((run for run in runs if run.tags.get(names.TAG_KEY) == key), None)
    others = [each for each in before.get(handoff.run_id, []) if known is None or each.run.run_id != known.run_id]
    signing = _Signing(project, request, handoff, document, champion, tuple(map(sign_off_of, others)), rechecked)
    mine = StoredSignOff(known or signing.write(key))
    signing.count(mine)
    if request.output is not None:
        write_copy(replace(document, sign_offs=(*signing.others, sign_off_of(mine))), request.output)
    return SignedOff(
        run_id=mine.run.run_id,
        handoff=handoff.run_id,
        name=mine.by,
        role=mine.role,
        at=mine.at,
        sha256=mine.document,
        champion=champion,
        others=tuple(each.words for each in others),
    )


def _refuse_blank(request: SignRequest) -> None:
    for what, text in (("name", request.name), ("role", request.role)):
        fix = 'Say both: `synth-mlflow report --sign "Ada Lind" --role "model owner"`.'
        checked_line(text, LONGEST, f"a sign-off needs a {what}", fix)


def _handoff(project: Project, runs: list[StoredRun], run_id: str | None) -> StoredRun:
    handoffs = {run.run_id: run for run in runs if run.stage == "handoff"}
    if not handoffs:
        raise GateError(
            f"project {project.server.experiment!r} has no handoff to sign.",
            "First: `synth-mlflow report --output handoff.html`, and read it.",
        )
    run = handoffs.get(expand_run_id(run_id, handoffs) if run_id else next(reversed(handoffs)))
    if run is None:
        raise UsageError(
            f"there is no handoff {run_id!r}. {closest(str(run_id), handoffs)}", "`synth-mlflow report` writes one."
        )
    if run.tags.get(names.TAG_SUPERSEDED) == "true":
        raise GateError(
            f"handoff {run.run_id} is superseded: a batch that it rests on was retracted.",
            "Sweep and report again, then sign the new document.",
        )
    return run


def _document(project: Project, handoff: StoredRun) -> Document:
    path = project.reader.file(handoff, names.A_HANDOFF_JSON)
    with reading(handoff, names.A_HANDOFF_JSON):
        document = document_of(json.loads(path.read_text(encoding="utf-8")))
    if document.sha256 != handoff.params[names.P_DOCUMENT]:
        raise EvidenceError(
            f"the document of handoff {handoff.run_id} has digest {document.sha256[:12]}…, its run says "
            f"{handoff.params[names.P_DOCUMENT][:12]}…: someone changed it.",
            "Build it again: `synth-mlflow report`.",
        )
    if document.header.is_draft:
        raise GateError(
            f"handoff {handoff.run_id} is a draft: {'; '.join(document.header.owed)}.",
            "Fill in limits.md, `synth-mlflow report` again, then sign.",
        )
    return document


def _champion(document: Document) -> str:
    uri = document.sweep.model_uri
    if uri is None:
        raise GateError("this handoff hands over no registered model.", "Sign without `--champion`.")
    return uri


def _inside(document: Document) -> list[str]:
    return [batch.run_id for batch in document.batches_in_model()]


def _recheck(project: Project, run_ids: Sequence[str], sources: Sequence[Place]) -> tuple[str, ...]:
    """Run every check of the batches inside the model again, before it becomes the champion; their run ids.

    Raises
    ------
    EvidenceError
        If the rows give something else than a check's run says.
    GateError
        If a check cannot be run again here.
    """
    policy, by_run = policy_of(project.problem().statement), checks_by_batch(project)
    batches = [project.batch(run_id) for run_id in run_ids]
    require_open(project, batches, policy)
    done = [
        each
        for batch in batches
        for each in recheck(project, batch, in_force(batch, policy, by_run.get(batch.run.run_id, ())), sources)
    ]
    wrong = [f"  - {each.run_name} (run {each.run_id}): {each.differences[0]}" for each in done if each.differences]
    if wrong:
        shown = "\n".join(wrong)
        raise EvidenceError(
            f"{len(wrong)} of {len(done)} checks do not follow from their rows: somebody changed them.\n{shown}",
            "`synth-mlflow verify --deep` says all that differs. Retract the batch, or restore its checks' runs.",
        )
    missing = [f"  - {each.run_name} (run {each.run_id}): {each.not_run}" for each in done if each.not_run]
    if missing:
        shown = "\n".join(missing)
        raise GateError(
            f"no model becomes champion before its checks were run again, and {len(missing)} cannot be:\n{shown}",
            "Give the rows that a batch was learned from, `--source FILE`, or sign without `--champion`.",
        )
    return tuple(each.run_id for each in done)


@dataclass(frozen=True)
class _Signing:
    """One sign-off that is about to be written."""

    project: Project
    request: SignRequest
    handoff: StoredRun
    document: Document
    champion: str | None
    others: tuple[SignOff, ...]
    rechecked: tuple[str, ...]

    def write(self, key: str) -> StoredRun:
        """The run of the sign-off, with the document as it is signed by everybody so far."""
        name = f"signed · {self.request.name} · {self.request.role}"
        run_id = create_run(self.project.server, NewRun("sign-off", name, key), parent=self.handoff.run_id)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        mine = SignOff(self.request.name, self.request.role, at, self.document.sha256, run_id)
        with writing(self.project.server, run_id, "sign-off") as draft:
            self._state(draft, at)
            for path, content in rendered(replace(self.document, sign_offs=(*self.others, mine))).items():
                draft.text(path, content)
            draft.describe(self._description(at))
        return self.project.reader.run(run_id)

    def count(self, mine: StoredSignOff) -> None:
        """Let the handoff name the sign-off, which makes it count; then show it where people look."""
        server, param = self.project.server, names.P_SIGN_OFF_PREFIX + mine.run.run_id
        if param not in self.handoff.params:
            add_params(server, self.handoff.run_id, {param: mine.run.params[names.P_SEAL]})
        line, note = f"**SIGNED** by {escape(mine.words)}, {mine.at}", self.handoff.tags.get(names.TAG_NOTE, "")
        if line not in note:
            set_tags(server, self.handoff.run_id, {names.TAG_SIGNED: "true", names.TAG_NOTE: f"{line}\n\n{note}"})
        if mine.champion:
            name, _, version = mine.champion.removeprefix("models:/").rpartition("/")
            make_champion(server, name, version)

    def _state(self, draft: RunDraft, at: str) -> None:
        draft.param(names.P_HANDOFF, self.handoff.run_id)
        draft.param(names.P_DOCUMENT, self.document.sha256)
        draft.param(names.P_SIGNED_BY, self.request.name)
        draft.param(names.P_ROLE, self.request.role)
        draft.param(names.P_CREATED_AT, at)
        draft.param(names.P_CREATED_BY, user_name())
        if self.champion:
            draft.param(names.P_CHAMPION, self.champion)
            for name, value in pages(names.P_RECHECKED, self.rechecked).items():
                draft.param(name, value)

    def _description(self, at: str) -> str:
        made = f" `{self.champion}` becomes the **{names.CHAMPION}**." if self.champion else ""
        return (
            f"**Signed** as it stood under digest `{self.document.sha256}`.{made}\n\n"
            f"| who | as | when |\n|---|---|---|\n| {escape(self.request.name)} | {escape(self.request.role)} "
            f"| {at} |\n\n"
            "A name and a digest: whoever may write here may have typed the name. A later edit of the document or of "
            "this run shows in `synth-mlflow verify`."
        )
