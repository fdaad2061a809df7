"""The document of a run that stopped before a model: what was tried, why it does not go on, and what to do next."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from synth_mlflow.data.csv_format import CsvFormat
from synth_mlflow.data.digests import json_digest
from synth_mlflow.data.markup import as_text, html_table
from synth_mlflow.data.statement import success_in_words
from synth_mlflow.errors import GateError, SynthError
from synth_mlflow.gate.attempts import newest_search
from synth_mlflow.gate.verdicts import Verdict, recorded_verdicts
from synth_mlflow.handoff.next_steps import NextStep, Stopped, next_steps
from synth_mlflow.handoff.report import FORMATS, refuse_output
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import EvaluationSet
from synth_mlflow.tracking.ui import describe_project
from synth_mlflow.tracking.write import NewRun, create_run, writing

N_REASONS = 5  # of a batch
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a;
  background: #fff; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { padding: .3rem .7rem; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top; }
pre { background: #f4f4f4; padding: .7rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; }
"""
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class DraftHandoff:
    """A draft as it stands on the server."""

    run_id: str
    stopped: Stopped
    steps: tuple[NextStep, ...]
    problem: str
    """In one sentence: the gap, the metric and the success threshold."""
    baseline: str
    path: Path | None
    """Where it was also written to."""

    def to_json(self) -> dict[str, object]:
        """As plain types."""
        search = self.stopped.search
        return {
            "draft": True,
            "project": self.stopped.experiment,
            "run_id": self.run_id,
            "stopped": {"found": self.stopped.found, "fix": self.stopped.fix},
            "problem": self.problem,
            "baseline": self.baseline,
            "attempts": [] if search is None else json.loads(search.to_json())["attempts"],
            "batches": [
                {"batch": one.batch, "verdict": one.verdict, "reasons": list(one.reasons)}
                for one in self.stopped.verdicts
            ],
            "next_steps": [asdict(step) for step in self.steps],
        }

    def _repr_html_(self) -> str:
        return "".join(_steps_as_html(self.steps))


def draft_handoff(project: Project, error: SynthError, output: Path | None = None) -> DraftHandoff:
    """Write the document of a project that has no model yet, and keep it on a run of the stage `draft`.

    Parameters
    ----------
    project : Project
        With a recorded problem statement.
    error : SynthError
        What has stopped the run.
    output : Path, optional
        A file to write as well: .html, .md or .json.

    Raises
    ------
    GateError
        Before `define`.
    UsageError
        If ``output`` has another ending, or its folder does not exist.
    """
    refuse_output(output)
    stopped, frozen = _stopped(project, error), project.find_evaluation_set()
    statement = project.problem().statement
    steps = next_steps(stopped)
    facts = statement.facts
    problem = f"{facts.gap}; {facts.metric} of {facts.target or 'a program'}; success is {success_in_words(statement)}."
    baseline = "" if frozen is None else _baseline(facts.metric, stopped, frozen)
    content = [stopped.found, stopped.fix, [asdict(step) for step in steps], [one.batch for one in stopped.verdicts]]
    key = json_digest(["draft", statement.digest, None if frozen is None else frozen.run.run_id, content])
    recorded = project.reader.recorded(key)
    new = NewRun("draft", "DRAFT · no model yet", key)
    run_id = recorded[-1].run_id if recorded else create_run(project.server, new, parent=project.workflow_run)
    drafted = DraftHandoff(run_id, stopped, steps, problem, baseline, output)
    pages = rendered_draft(drafted)
    if not recorded:
        with writing(project.server, run_id, "draft") as draft:
            for artifact, page in pages.items():
                draft.text(artifact, page)
            draft.param(names.P_KEY, key)
            draft.param(names.P_STATEMENT, statement.digest)
            if frozen is not None:
                draft.param(names.P_EVALUATION_DIGEST, frozen.digest)
            draft.tag(names.TAG_DRAFT, "true")
            draft.describe(pages[names.A_HANDOFF_MARKDOWN])
    describe_project(project)
    if output is not None:
        output.write_text(pages[FORMATS[output.suffix]], encoding="utf-8")
    return drafted


def _baseline(metric: str, stopped: Stopped, frozen: EvaluationSet) -> str:
    params, metrics = frozen.run.params, frozen.run.metrics
    interval = f"{metrics[names.M_SCORE_LOW]:.4f} to {metrics[names.M_SCORE_HIGH]:.4f}"
    return (
        f"{metric} {metrics[names.M_SCORE]:.4f} ({interval}) on {stopped.n_evaluation:,} evaluation rows, learned "
        f"from {int(params[names.P_TRAINING_ROWS]):,} real training rows"
    )


def what_may_help(project: Project) -> tuple[NextStep, ...]:
    """What may open the gate of the newest batch, most promising first; nothing where it is open, or awaits people."""
    stopped = _stopped(
        project, GateError("no batch has passed", 'Try others: `synth-mlflow generate auto --purpose "…"`.')
    )
    newest = stopped.verdicts[-1] if stopped.verdicts else None
    return () if newest is None or newest.gate_open or newest.awaits_review else next_steps(stopped)


def _stopped(project: Project, error: SynthError) -> Stopped:
    problem, frozen = project.problem(), project.find_evaluation_set()
    batches = [batch for batch in project.batches() if not batch.retracted]
    handoff = project.reader.latest("handoff")
    verdicts = recorded_verdicts(project, batches)
    origins = [project.record(batch).origin for batch in batches]
    return Stopped(
        project.server.experiment,
        problem.run.params[names.P_STATEMENT_PATH],
        problem.run.params[names.P_DATA_PATH],
        (frozen.table.csv if frozen is not None and frozen.table is not None else None) or CsvFormat(),
        problem.statement.facts.model_dump(mode="json", exclude_defaults=True),
        verdicts,
        [{"generator": origin.generator, "params": dict(origin.params)} for origin in origins],
        newest_search(project),
        0 if frozen is None else int(frozen.run.params[names.P_EVALUATION_ROWS]),
        0.0 if frozen is None else frozen.run.metrics[names.M_SHARE],
        error.found,
        error.fix,
        "" if handoff is None else handoff.run_id,
        problem.run.params.get(names.P_CHOICES, ""),
    )


def rendered_draft(drafted: DraftHandoff) -> dict[str, str]:
    """The draft in every format, by artifact name."""
    return {
        names.A_HANDOFF_HTML: _as_html(drafted),
        names.A_HANDOFF_MARKDOWN: "\n".join(_as_markdown(drafted)),
        names.A_HANDOFF_JSON: json.dumps(drafted.to_json(), indent=1, ensure_ascii=False, allow_nan=False),
    }


def _title(drafted: DraftHandoff) -> str:
    what = "has no new model" if drafted.stopped.handoff else "has no model with synthetic rows yet"
    return f"DRAFT: {drafted.stopped.experiment} {what}"


def _opening(drafted: DraftHandoff) -> str:
    use = f"Real rows alone are what there is to use: {drafted.baseline}" if drafted.baseline else "Nothing is frozen"
    before = "No synthetic row has entered training"
    if drafted.stopped.handoff:
        before, use = "An earlier pass has ended in a handoff", f"It stands as run {drafted.stopped.handoff}"
    return f"{before}. {use}. Below: why the work has stopped, what may help, and what was tried."


def _as_markdown(drafted: DraftHandoff) -> Iterator[str]:
    yield f"# {as_text(_title(drafted))}\n\n{as_text(_opening(drafted))}\n"
    yield f"**The problem:** {as_text(drafted.problem)}\n"
    yield f"## Why it has stopped\n\n{as_text(drafted.stopped.found)}\n\n## What to do next\n"
    for number, step in enumerate(drafted.steps, start=1):
        where = "in a terminal" if step.where == "terminal" else f"in {step.where}"
        lines = "\n".join(step.lines)
        yield f"{number}. {as_text(step.why)} ({where})\n\n```\n{lines}\n```\n"
    for heading, columns, rows in _tables(drafted):
        cells = ["| " + " | ".join(as_text(cell) for cell in row) + " |" for row in rows]
        ruler = "|" + "---|" * len(columns)
        yield "\n".join([f"## {heading}\n", "| " + " | ".join(columns) + " |", ruler, *cells, ""])


def _tables(drafted: DraftHandoff) -> Iterator[tuple[str, tuple[str, ...], list[tuple[str, ...]]]]:
    if drafted.stopped.verdicts:
        columns = ("batch", "verdict", "checks", "why")
        yield "Batches that were made", columns, [_verdict_row(one) for one in drafted.stopped.verdicts]
    search = drafted.stopped.search
    if search is not None:
        heading = f"Generators that were tried on {search.n_fitted:,} training rows"
        names_of, rows = search.table()
        yield heading, tuple(names_of), [tuple(map(str, row)) for row in rows]


def _verdict_row(verdict: Verdict) -> tuple[str, ...]:
    checks = ", ".join(f"{check.check} {check.verdict}" for check in verdict.checks)
    return verdict.batch, verdict.verdict, checks, "; ".join(verdict.reasons[:N_REASONS])


def _as_html(drafted: DraftHandoff) -> str:
    title = html.escape(_title(drafted))
    tables = "".join(
        f"<h2>{html.escape(heading)}</h2>{html_table(columns, rows)}" for heading, columns, rows in _tables(drafted)
    )
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><style>{_STYLE}</style></head>\n<body>'
        f"<h1>{title}</h1><p>{html.escape(_opening(drafted))}</p>"
        f"<p><b>The problem:</b> {html.escape(drafted.problem)}</p>"
        f"<h2>Why it has stopped</h2><pre>{html.escape(drafted.stopped.found)}</pre>"
        f"<h2>What to do next</h2>{''.join(_steps_as_html(drafted.steps))}{tables}"
        f"<p>Run {html.escape(drafted.run_id)}, written {made}.</p></body></html>\n"
    )


def _steps_as_html(steps: tuple[NextStep, ...]) -> Iterator[str]:
    yield "<ol>"
    for step in steps:
        where = "In a terminal" if step.where == "terminal" else f"In {step.where}"
        lines = html.escape("\n".join(step.lines))
        yield f"<li>{html.escape(step.why)} {html.escape(where)}:<pre>{lines}</pre></li>"
    yield "</ol>"
