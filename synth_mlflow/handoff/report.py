"""Stage 6 of 6: write the handoff document, from the tracking server alone."""

from __future__ import annotations

import html
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from synth_mlflow.data.digests import json_digest, text_digest
from synth_mlflow.data.markup import html_table
from synth_mlflow.data.statement import LIMITS, read_limits, sections
from synth_mlflow.errors import UsageError
from synth_mlflow.handoff.build import build_document
from synth_mlflow.handoff.collect import gather_material
from synth_mlflow.handoff.document import Document
from synth_mlflow.handoff.formatting import value_words
from synth_mlflow.handoff.holdout_score import get_or_record_estimate
from synth_mlflow.handoff.render import to_html, to_markdown
from synth_mlflow.handoff.schema import document_of
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import Measured, RunDraft, now_ms
from synth_mlflow.tracking.lineage import frozen_inputs
from synth_mlflow.tracking.models import logged_model
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun
from synth_mlflow.tracking.stored_run import reading
from synth_mlflow.tracking.ui import describe_project, point_to_handoff
from synth_mlflow.tracking.write import NewRun, create_run, writing

FORMATS = {".html": names.A_HANDOFF_HTML, ".md": names.A_HANDOFF_MARKDOWN, ".json": names.A_HANDOFF_JSON}


@dataclass(frozen=True)
class Handoff:
    """A handoff document, as it stands on the server."""

    run_id: str
    document: Document
    path: Path | None
    """Where it was also written to; None if nobody asked."""

    @property
    def owed(self) -> tuple[str, ...]:
        """What people still have to write; empty when the document is final."""
        return self.document.header.owed

    def _repr_html_(self) -> str:
        """The answer in a few lines, and a link to the document: the file that was written, or the page of its run."""
        sweep = self.document.sweep
        rows = [
            ["chosen", value_words(sweep, sweep.chosen)],
            [f"expected {sweep.metric}", f"{sweep.estimate.score.value:.4f}"],
            ["model", sweep.model_uri or "none"],
            *(["still missing", item] for item in self.owed),
            ["document", str(self.path) if self.path else f"{names.A_HANDOFF_HTML} of run {self.run_id}"],
        ]
        state, link = "DRAFT handoff" if self.owed else "handoff", self._link()
        opens = f'<p><a href="{html.escape(link)}" target="_blank">Open the document</a></p>' if link else ""
        return html_table([state, self.document.header.project], rows) + opens

    def _link(self) -> str:
        """Where a notebook finds the document; empty where it was not written to a file and there is no server."""
        if self.path:
            return quote(os.path.relpath(self.path))
        page = self.document.links.get(self.document.sweep.run_id)
        return (
            page.replace(self.document.sweep.run_id, f"{self.run_id}/artifacts/{names.A_HANDOFF_HTML}") if page else ""
        )


def report(project: Project, *, output: Path | None = None, limits: Path | None = None) -> Handoff:
    """Build the handoff document and keep it on a run of its own.

    The first report of a sweep also states what its model is expected to score, for good; see :mod:`.holdout_score`.

    Parameters
    ----------
    project : Project
    output : Path, optional
        A file to write as well; its ending chooses the format: .html, .md or .json.
    limits : Path, optional
        limits.md; by default the one beside the problem statement, else the one of the newest handoff.

    Raises
    ------
    GateError
        Before `sweep`.
    UsageError
        If ``output`` has another ending, or its folder does not exist.
    EvidenceError
        If what the model rests on is no longer what was recorded, or the frozen rows, which are asked for once, are
        kept by reference and are not here.
    """
    began = now_ms()
    refuse_output(output)
    text = _limits_text(project, limits)
    material = gather_material(project)
    stated = get_or_record_estimate(project, material.final, material.curve)
    document = build_document(project, material, stated, sections(text, LIMITS))
    key = json_digest(["handoff", _lasting(document)])
    draft_or_final = "DRAFT · " if document.header.is_draft else ""
    newest = project.reader.latest("handoff")
    if newest is not None and newest.params.get(names.P_KEY) == key:
        return _written_before(project, newest, output)
    new = NewRun("handoff", f"{draft_or_final}handoff", key, began=began)
    run_id = create_run(project.server, new, parent=project.workflow_run)
    document = document.headed(replace(document.header, run_id=run_id))
    pages = rendered(document)
    with writing(project.server, run_id, "handoff") as draft:
        measured = _measured(project, material.final)
        for path, content in pages.items():
            draft.text(path, content)
        _write(draft, document, text, measured)
        draft.param(names.P_KEY, key)
        draft.tag(names.TAG_SUPERSEDED, str(bool(material.retracted)).lower())  # said: MLflow finds no missing tag
    inside = [batch.run_id for batch in document.batches_in_model()]
    point_to_handoff(project, project.reader.run(run_id), inside, document.success.outcome)
    describe_project(project)
    if output is not None:
        output.write_text(pages[FORMATS[output.suffix]], encoding="utf-8")
    return Handoff(run_id, document, output)


def _written_before(project: Project, handoff: StoredRun, output: Path | None) -> Handoff:
    """The newest handoff, which says all that a new one would: its command was repeated, or its answer was lost."""
    project.say(f"this very handoff is recorded already as run {handoff.run_id}")
    path = project.reader.file(project.reader.verify_seal(handoff), names.A_HANDOFF_JSON)
    with reading(handoff, names.A_HANDOFF_JSON):
        document = document_of(json.loads(path.read_text(encoding="utf-8")))
    inside = [batch.run_id for batch in document.batches_in_model()]
    point_to_handoff(project, handoff, inside, document.success.outcome)
    describe_project(project)
    if output is not None:
        earlier = project.reader.file(handoff, FORMATS[output.suffix])
        output.write_bytes(earlier.read_bytes())
    return Handoff(handoff.run_id, document, output)


def refuse_output(output: Path | None) -> None:
    """A UsageError if no document can be written to this file: its ending is no format, or its folder is missing."""
    if output is None:
        return
    if output.suffix not in FORMATS:
        raise UsageError(
            f"{output} has the ending {output.suffix!r}, the formats are {', '.join(FORMATS)}.", "Name such a file."
        )
    if not output.resolve().parent.is_dir():
        raise UsageError(f"there is no folder {output.resolve().parent} to write {output.name} to.", "Make it first.")


def write_copy(document: Document, output: Path) -> None:
    """Write the document to a file, in the format that its ending names."""
    output.write_text(rendered(document)[FORMATS[output.suffix]], encoding="utf-8")


def _limits_text(project: Project, given: Path | None) -> str:
    if given is not None:
        read_limits(given)  # refuses a file that is missing or no text
        return given.read_text(encoding="utf-8-sig")
    beside = Path(project.problem().run.params[names.P_STATEMENT_PATH]).with_name("limits.md")
    if beside.is_file():
        read_limits(beside)
        return beside.read_text(encoding="utf-8-sig")
    return _last_limits(project.reader.latest("handoff"), project)


def _last_limits(handoff: StoredRun | None, project: Project) -> str:
    if handoff is None or names.A_LIMITS not in handoff.artifacts:
        return ""
    return project.reader.file(handoff, names.A_LIMITS).read_text(encoding="utf-8")


def _lasting(document: Document) -> dict[str, object]:
    """The document without what differs each time that it is built."""
    lasting = document.headed(replace(document.header, built_at="1970-01-01T00:00:00+00:00", built_by=""))
    twin = lasting.to_json()
    del twin["sha256"]
    return twin


def rendered(document: Document) -> dict[str, str]:
    """The document in every format, by artifact name."""
    return {
        names.A_HANDOFF_HTML: to_html(document),
        names.A_HANDOFF_MARKDOWN: to_markdown(document),
        names.A_HANDOFF_JSON: json.dumps(document.to_json(), indent=1, ensure_ascii=False, allow_nan=False),
    }


def _measured(project: Project, final: StoredRun) -> Measured | None:
    """The model that is handed over, as MLflow has logged it, and the rows that its score was measured on."""
    model_id = logged_model(project.server, final.run_id)
    return Measured(model_id, frozen_inputs(project.evaluation_set())[1]) if model_id else None


def _write(draft: RunDraft, document: Document, limits: str, measured: Measured | None) -> None:
    if limits:
        draft.text(names.A_LIMITS, limits)
    sweep = document.sweep
    draft.param(names.P_DOCUMENT, document.sha256)
    draft.param(names.P_LIMITS, text_digest(limits))
    draft.param(names.P_SWEEP, sweep.run_id)
    draft.param(names.P_STATEMENT, document.problem.sha256)
    draft.param(names.P_EVALUATION_DIGEST, document.evaluation.sha256)
    draft.param(names.P_CHOSEN, sweep.chosen_share)
    draft.words(names.P_BATCHES, (batch.batch for batch in document.batches_in_model()))
    if sweep.model_uri:
        draft.param(names.P_MODEL_URI, sweep.model_uri)
    draft.tag(names.TAG_DRAFT, str(document.header.is_draft).lower())
    draft.tag(names.TAG_SIGNED, "false")
    score = sweep.estimate.score
    draft.param(names.P_HOLDOUT_SCORE, [score.value, score.low, score.high])
    draft.param(names.P_ESTIMATE_TEXT, sweep.estimate.words)
    draft.score(sweep.metric, score.value, score.low, score.high, measured)
    if measured is not None:
        draft.models.append(measured.model_id)
        draft.inputs.append(measured.dataset)
    draft.metric(names.M_CHOSEN, sweep.chosen_share)
    draft.describe(_description(document))


def _description(document: Document) -> str:
    owed = "\n".join(f"- {item}" for item in document.header.owed)
    opening = f"**DRAFT.** Missing:\n\n{owed}" if owed else "**Final.** Nothing is missing."
    inside = ", ".join(batch.batch for batch in document.batches_in_model()) or "none"
    return (
        f"{opening}\n\nOpen `{names.A_HANDOFF_HTML}` under *Artifacts*: the whole document.\n\n"
        f"| chosen {document.sweep.noun} | expected {document.sweep.metric} | batches in the model | model |\n"
        "|---|---|---|---|\n"
        f"| {value_words(document.sweep, document.sweep.chosen)} | {document.sweep.estimate.score.value:.4f} "
        f"| {inside} | {document.sweep.model_uri or ''} |"
    )
