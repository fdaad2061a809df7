"""What every format of the document shows: the six stages as a table of contents, and how much of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, get_args

from synth_mlflow.handoff.answer import answer, why_not
from synth_mlflow.handoff.document import Batch, Document, Verdict
from synth_mlflow.handoff.wording import count, decimals, value_words

DETAILED_BATCHES = 60
"""Up to so many batches each get a record of their own on the pages; beyond, only those in the model do."""

SHOWN_REASONS = 5
"""Of a check, before the rest is folded; they stand in order of weight."""


@dataclass(frozen=True)
class Stage:
    """One line of the table of contents."""

    anchor: str
    title: str
    came_to: str


def contents(document: Document) -> tuple[Stage, ...]:
    """The six stages, in order."""
    passed = sum(batch.verdict == "pass" for batch in document.batches)
    generators = {(batch.generator, batch.generator_version) for batch in document.batches}
    return (
        Stage("problem", "Problem", "frozen statement"),
        Stage("evaluation", "Evaluation set", count(document.evaluation.n_evaluation, "real row")),
        Stage(
            "generation",
            "Generation",
            f"{count(len(document.batches), 'batch')}, {count(len(generators), 'generator')}",
        ),
        Stage("validation", "Validation", f"{passed:,} of {len(document.batches):,} passed"),
        Stage("sweep", "Ratio sweep", f"{value_words(document.sweep, document.sweep.chosen)} chosen"),
        Stage("handoff", "Handoff", _triggers(document)),
    )


def _triggers(document: Document) -> str:
    states = Counter(trigger.state for trigger in document.triggers)
    due = f"{count(states['due'], 'trigger')} due" if states["due"] else "no trigger due"
    return f"{due}, {states['cannot tell']} cannot tell" if states["cannot tell"] else due


@dataclass(frozen=True)
class Tally:
    """How often one check gave each verdict."""

    check: str
    counts: Counter[str]


def tallies(document: Document) -> tuple[Tally, ...]:
    """One tally for each check that any batch has, in the order of their first appearance."""
    counts: dict[str, Counter[str]] = {}
    for batch in document.batches:
        for check in batch.checks:
            counts.setdefault(check.name, Counter())[check.verdict] += 1
    return tuple(Tally(name, counted) for name, counted in counts.items())


def shared(document: Document) -> dict[str, Any]:
    """What the templates of every format see."""
    sweep = document.sweep
    return {
        "document": document,
        "sweep": sweep,
        "answer": answer(document),
        "why_not": why_not,
        "stages": contents(document),
        "tallies": tallies(document),
        "verdicts": get_args(Verdict)[:3],
        "shown_reasons": SHOWN_REASONS,
        "places": decimals(point.score for point in sweep.points),
        "promised_places": decimals([sweep.promise.score]),
        "gain_places": decimals(point.gain for point in sweep.points),
        "slice_places": decimals(row.gain for row in sweep.slices),
    }


def is_detailed(batch: Batch, document: Document) -> bool:
    """Whether a batch's record and verdicts are spelt out on the pages."""
    return spelt_out(batch.in_model, len(document.batches))


def spelt_out(in_model: bool, n_batches: int) -> bool:
    """Whether the pages spell out a batch of a project with so many of them."""
    return in_model or n_batches <= DETAILED_BATCHES
