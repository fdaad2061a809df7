"""The six stages as a table of contents, each with what it came to in a few words."""

from __future__ import annotations

from dataclasses import dataclass

from synth_mlflow.handoff.document import Batch, Document
from synth_mlflow.handoff.wording import count, percent

DETAILED_BATCHES = 60
"""Up to so many batches each get a record of their own on the pages; beyond, only those in the model do."""


@dataclass(frozen=True)
class Stage:
    """One line of the table of contents."""

    anchor: str
    title: str
    came_to: str


def contents(document: Document) -> tuple[Stage, ...]:
    """The six stages, in order."""
    passed = sum(batch.verdict == "pass" for batch in document.batches)
    due = sum(trigger.state == "due" for trigger in document.triggers)
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
        Stage("sweep", "Ratio sweep", f"{percent(document.sweep.chosen)} chosen"),
        Stage("handoff", "Handoff", f"{count(due, 'trigger')} due" if due else "no trigger due"),
    )


def is_detailed(batch: Batch, document: Document) -> bool:
    """Whether a batch's record and verdicts are spelt out on the pages."""
    return batch.in_model or len(document.batches) <= DETAILED_BATCHES
