"""`diff`: what changed between two handoffs, whichever project, server or file they are from.

What changed from one handoff to another, part by part, from the two documents alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth_mlflow.data.digests import canonical_json
from synth_mlflow.data.markup import html_table
from synth_mlflow.errors import EvidenceError, GateError, UsageError, closest
from synth_mlflow.handoff.document import Batch, Document, Estimate, Fact, Section
from synth_mlflow.handoff.formatting import value_words
from synth_mlflow.handoff.schema import document_of
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.read import StoredRun, expand_run_id

NOTHING = "–"
DIGEST_SHOWN = 12

Said = Mapping[str, str]
"""What one document says, by the name of the thing."""


@dataclass(frozen=True)
class Change:
    """One thing that the documents say differently."""

    part: str
    """statement, data, generators, batches, verdicts, policy, curve, choice, environment, limits or triggers."""
    what: str
    before: str
    """Empty where the earlier document says nothing of it."""
    after: str


@dataclass(frozen=True)
class Difference:
    """Everything that two handoffs say differently."""

    before: str
    """The earlier document: project, time and run."""
    after: str
    comparable: bool
    """Whether both measured their scores on the same evaluation rows; if not, no score is held against another."""
    changes: tuple[Change, ...]
    same: tuple[str, ...]
    """The parts in which nothing changed."""

    @property
    def words(self) -> str:
        """The answer in a sentence or two."""
        parts = list(dict.fromkeys(change.part for change in self.changes))
        text = f"Changed: {', '.join(parts)}." if parts else "Nothing changed but when and by whom they were built."
        apart = (
            "" if self.comparable else " Their scores were measured on different evaluation rows: do not compare them."
        )
        return text + apart

    def _repr_html_(self) -> str:
        rows = [[change.part, change.what, change.before, change.after] for change in self.changes]
        return html_table(["part", "what", self.before, self.after], rows)


def difference(before: Document, after: Document) -> Difference:
    """Hold two handoffs against each other; batches are the same where their rows are."""
    by_part = {part: tuple(_changes(part, say(before), say(after))) for part, say in _PARTS.items()}
    return Difference(
        before=_title(before),
        after=_title(after),
        comparable=before.evaluation.sha256 == after.evaluation.sha256,
        changes=tuple(change for changes in by_part.values() for change in changes),
        same=tuple(part for part, changes in by_part.items() if not changes),
    )


def _changes(part: str, before: Said, after: Said) -> Iterator[Change]:
    for what in dict.fromkeys([*before, *after]):
        if before.get(what) != after.get(what):
            yield Change(part, what, before.get(what, ""), after.get(what, ""))


def _title(document: Document) -> str:
    header = document.header
    return f"{header.project}, {header.built_at[:16].replace('T', ' ')}, run {(header.run_id or '?')[:8]}"


def _statement(document: Document) -> Said:
    return {**_facts(document.problem.facts), **_sections(document.problem.sections)}


def _data(document: Document) -> Said:
    evaluation = document.evaluation
    return {
        "evaluation rows": f"{evaluation.n_evaluation:,} ({_short(evaluation.sha256)})",
        "training rows": f"{evaluation.n_training:,} ({_short(_fact(evaluation.facts, 'training rows digest'))})",
        "cut": evaluation.how,
        "real-only baseline": _estimate(document.baseline.score),
    }


def _generators(document: Document) -> Said:
    """Of the batches inside the model, by generator."""
    by_generator: dict[str, list[Batch]] = {}
    for batch in document.batches_in_model():
        by_generator.setdefault(batch.generator, []).append(batch)
    return {name: _made_by(batches) for name, batches in by_generator.items()}


def _made_by(batches: list[Batch]) -> str:
    versions = ", ".join(sorted({batch.generator_version for batch in batches}))
    settings = "; ".join(sorted({_settings(batch.parameters) for batch in batches}))
    return f"{versions}: {len(batches)} in the model, {sum(b.n_rows for b in batches):,} rows; {settings}"


def _batches(document: Document) -> Said:
    return {
        _name(batch): f"{batch.n_rows:,} rows, seed {'none' if batch.seed is None else batch.seed}, "
        f"{batch.slice or 'all rows'}, {'in the model' if batch.in_model else 'not in the model'}"
        for batch in document.batches
    }


def _verdicts(document: Document) -> Said:
    said = {}
    for batch in document.batches:
        said[_name(batch)] = f"RETRACTED: {batch.retracted.reason}" if batch.retracted else batch.verdict
        said |= {f"{_name(batch)} · {check.name}": check.verdict for check in batch.checks}
    return said


def _policy(document: Document) -> Said:
    return _facts(document.policy)


def _curve(document: Document) -> Said:
    sweep = document.sweep
    said = {"metric": sweep.metric, "mix": sweep.mix, "repeats": str(sweep.n_repeats)}
    for point in sweep.points:
        placebo = "" if point.placebo is None else f", placebo {point.placebo.value:.4f}"
        said[value_words(sweep, point.ratio)] = f"{_estimate(point.score)}{placebo}"
    return said


def _choice(document: Document) -> Said:
    sweep, success = document.sweep, document.success
    return {
        f"chosen {sweep.noun}": value_words(sweep, sweep.chosen),
        "score": _estimate(sweep.chosen_point.score),
        "expected on new data": _estimate(sweep.estimate.score),
        "peak": value_words(sweep, sweep.peak),
        "not significantly different from the peak": ", ".join(value_words(sweep, ratio) for ratio in sweep.plateau),
        "rule": sweep.rule,
        "shape": sweep.shape,
        "success": f"{'met' if success.met else 'not met'}: {success.measured:.4f} of {success.threshold:.4g}",
        "model": f"{sweep.model_uri or 'none'} ({_short(sweep.model_sha256 or '')})",
    }


def _environment(document: Document) -> Said:
    return {"tool": document.header.tool, **_facts(document.sweep.made_with)}


def _limits(document: Document) -> Said:
    limits = document.limits
    facts = {"known": limits.known, "when not to use": limits.when_not_to_use, "what next": limits.next}
    return {what: _line(text) for what, text in facts.items() if text}


def _triggers(document: Document) -> Said:
    return {trigger.condition: trigger.state for trigger in document.triggers}


_PARTS = {
    "statement": _statement,
    "data": _data,
    "generators": _generators,
    "batches": _batches,
    "verdicts": _verdicts,
    "policy": _policy,
    "curve": _curve,
    "choice": _choice,
    "environment": _environment,
    "limits": _limits,
    "triggers": _triggers,
}


def _name(batch: Batch) -> str:
    """The short id, with enough of the content digest that equal names stand for equal rows."""
    return f"{batch.batch} ({batch.sha256[:8]})"


def _facts(facts: tuple[Fact, ...]) -> Said:
    return {fact.name: _line(fact.value) for fact in facts}


def _fact(facts: tuple[Fact, ...], name: str) -> str:
    return next((fact.value for fact in facts if fact.name == name), "")


def _sections(sections: tuple[Section, ...]) -> Said:
    return {section.title: _line(section.text) for section in sections}


def _settings(parameters: Mapping[str, Any]) -> str:
    return canonical_json(dict(parameters)) if parameters else "no parameters"


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"


def _short(digest: str) -> str:
    return f"{digest[:DIGEST_SHOWN]}…" if digest else NOTHING


def _line(text: str) -> str:
    return " ".join(text.split())


BY_AGE = {"newest": 1, "previous": 2}


def diff(project: Project, before: str, after: str) -> Difference:
    """Hold two handoffs against each other.

    Parameters
    ----------
    project : Project
    before, after : str
        Each the run id of a handoff, also of another project on the server; ``newest`` or ``previous``; or a file with
        a document's JSON twin.

    Raises
    ------
    GateError
        If the project has no such handoff yet.
    UsageError
        If there is no such handoff or file.
    EvidenceError
        If a document is not the one that its run vouches for, or does not give the digest that it states.
    """
    return difference(handoff_document(project, before), handoff_document(project, after))


def diff_files(before: Path, after: Path) -> Difference:
    """The same from two JSON twins, without a server."""
    return difference(_twin(before), _twin(after))


def is_file(what: str) -> bool:
    """Whether a handoff was named as a file."""
    return Path(what).suffix in {".json", ".html", ".md"} or Path(what).is_file()


def handoff_document(project: Project, what: str) -> Document:
    """One handoff, however it was named; see :func:`diff`."""
    if is_file(what):
        return _twin(Path(what))
    run = handoff_run(project, what)
    return _twin(project.reader.file(run, names.A_HANDOFF_JSON))


def handoff_run(project: Project, what: str) -> StoredRun:
    """The run of a handoff by its id, or by its age in the project."""
    handoffs = project.reader.finished("handoff")
    if what in BY_AGE:
        if len(handoffs) < BY_AGE[what]:
            raise GateError(
                f"project {project.server.experiment!r} has {len(handoffs)} handoffs, none of which is the {what} one.",
                "`synth-mlflow report` writes one; or give a run id or a JSON file.",
            )
        return handoffs[-BY_AGE[what]]
    by_id = {run.run_id: run for run in handoffs}
    run = by_id.get(expand_run_id(what, by_id)) or project.reader.find(what)
    if run is None or run.stage != "handoff" or not run.counts:
        known = [*BY_AGE, *(run.run_id for run in handoffs)]
        raise UsageError(
            f"{what!r} is no handoff. {closest(what, known)}",
            "Give the run id of a handoff, `newest`, `previous`, or the file that `report --output FILE.json` wrote.",
        )
    return run


def _twin(path: Path) -> Document:
    if not path.is_file():
        raise UsageError(f"there is no file {path}.", "`synth-mlflow report --output FILE.json` writes one.")
    try:
        twin = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(
            f"{path} is no JSON twin of a handoff: {error}.",
            "`synth-mlflow report --output FILE.json` writes one; the other formats are for people.",
        ) from error
    if not isinstance(twin, dict):
        raise UsageError(f"{path} is no JSON twin of a handoff.", "Give the run id of the handoff.")
    try:
        return document_of(twin)
    except EvidenceError as error:
        raise EvidenceError(f"{path}: {error.found}", error.fix) from error
