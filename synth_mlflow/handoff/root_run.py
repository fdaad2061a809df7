"""What the run above all six stages says: its name, its tags and its numbers tell the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from synth_mlflow.handoff.document import Document
from synth_mlflow.handoff.draft_handoff import DraftHandoff
from synth_mlflow.handoff.formatting import value_words
from synth_mlflow.sweep.explain import in_short
from synth_mlflow.tracking import names

STAGE = float(names.STAGE_NUMBERS["workflow"])


@dataclass(frozen=True)
class RootResult:
    """The result of one pass through all stages."""

    title: str
    description: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]

    @property
    def all_tags(self) -> dict[str, str]:
        """The tags, with those that the UI shows as name and description."""
        return {names.TAG_NAME: self.title, names.TAG_NOTE: self.description, **self.tags}


def result_of(document: Document) -> RootResult:
    """What a handoff comes to."""
    sweep, verdicts = document.sweep, [batch.verdict for batch in document.batches if batch.retracted is None]
    score, gain = sweep.estimate.score, sweep.chosen_point.gain
    words = in_short(value_words(sweep, sweep.chosen), sweep.metric, score.value, None if gain is None else gain.value)
    inside = [batch.batch for batch in document.batches_in_model()]
    metrics = {
        names.M_CHOSEN: sweep.chosen_share,
        names.M_RATIO: sweep.chosen_share,
        names.M_SCORE: score.value,
        names.M_SCORE_LOW: score.low,
        names.M_SCORE_HIGH: score.high,
        names.M_GAIN: 0.0 if gain is None else gain.value,
        names.M_BASELINE: sweep.at(0.0).score.value,
    }
    return RootResult(
        f"{document.header.project}: {words}, {_passed(verdicts)}",
        f"**{words}, {_passed(verdicts)}.** One pass through all six stages. The score is the one that is expected on "
        f"new data; real rows alone reach {sweep.at(0.0).score.value:.4f} where {sweep.chosen_point.score.value:.4f} "
        "was measured. Begin reading at the run of the stage `handoff` below.",
        {names.TAG_RATIO: f"{sweep.chosen_share:g}", names.TAG_BATCHES: " ".join(inside), **_verdict_tag(verdicts)},
        {names.M_STAGE: STAGE, **metrics, **_counts(verdicts)},
    )


def result_without_model(drafted: DraftHandoff) -> RootResult:
    """What is said where no model came of it."""
    stopped = drafted.stopped
    verdicts = [one.verdict for one in stopped.verdicts]
    return RootResult(
        f"{stopped.experiment}: no model yet, {_passed(verdicts)}",
        f"**No model yet, {_passed(verdicts)}.** Why, and what may help, stands in the run of the stage `draft` below.",
        {names.TAG_DRAFT: "true", **_verdict_tag(verdicts)},
        {names.M_STAGE: STAGE, **_counts(verdicts)},
    )


def _passed(verdicts: Sequence[str]) -> str:
    return f"{verdicts.count('pass')} of {len(verdicts)} batch{'' if len(verdicts) == 1 else 'es'} passed"


def _counts(verdicts: Sequence[str]) -> dict[str, float]:
    return {names.M_BATCHES: float(len(verdicts)), names.M_PASSED: float(verdicts.count("pass"))}


def _verdict_tag(verdicts: Sequence[str]) -> dict[str, str]:
    """How many batches got each verdict."""
    return {names.TAG_VERDICT: ", ".join(f"{n} {verdict}" for verdict, n in Counter(verdicts).most_common())}
