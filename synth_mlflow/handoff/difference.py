"""What changed from one handoff to another, part by part, from the two documents alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from synth_mlflow.data.digests import canonical_json
from synth_mlflow.data.html_table import html_table
from synth_mlflow.handoff.document import Batch, Document, Estimate, Fact, Section
from synth_mlflow.handoff.wording import value_words

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
        told = f"Changed: {', '.join(parts)}." if parts else "Nothing changed but when and by whom they were built."
        apart = (
            "" if self.comparable else " Their scores were measured on different evaluation rows: do not compare them."
        )
        return told + apart

    def _repr_html_(self) -> str:
        rows = [[change.part, change.what, change.before, change.after] for change in self.changes]
        return html_table(["part", "what", self.before, self.after], rows)


def difference(before: Document, after: Document) -> Difference:
    """Hold two handoffs against each other; batches are the same where their rows are."""
    found = {part: tuple(_changes(part, say(before), say(after))) for part, say in _PARTS.items()}
    return Difference(
        before=_title(before),
        after=_title(after),
        comparable=before.evaluation.sha256 == after.evaluation.sha256,
        changes=tuple(change for changes in found.values() for change in changes),
        same=tuple(part for part, changes in found.items() if not changes),
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
    found: dict[str, list[Batch]] = {}
    for batch in document.batches_in_model():
        found.setdefault(batch.generator, []).append(batch)
    return {name: _made_by(batches) for name, batches in found.items()}


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
        "promised on further rows": _estimate(sweep.promise.score),
        "peak": value_words(sweep, sweep.peak),
        "cannot be told from the peak": ", ".join(value_words(sweep, ratio) for ratio in sweep.plateau),
        "rule": sweep.rule,
        "shape": sweep.shape,
        "success": f"{'met' if success.met else 'not met'}: {success.measured:.4f} of {success.threshold:.4g}",
        "model": f"{sweep.model_uri or 'none'} ({_short(sweep.model_sha256 or '')})",
    }


def _environment(document: Document) -> Said:
    return {"tool": document.header.tool, **_facts(document.sweep.made_with)}


def _limits(document: Document) -> Said:
    limits = document.limits
    told = {"known": limits.known, "when not to use": limits.when_not_to_use, "what next": limits.next}
    return {what: _line(text) for what, text in told.items() if text}


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
