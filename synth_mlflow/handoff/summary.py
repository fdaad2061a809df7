"""What every format of the document shows: the six stages as a table of contents, and how much of each.

The document's answer, in sentences that are computed from its numbers.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, get_args

from synth_mlflow.handoff.document import Batch, CurvePoint, Document, Estimate, Success, Sweep, Verdict
from synth_mlflow.handoff.formatting import count, decimals, interval, line, number, percents, signed, value_words

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
class CheckTotals:
    """How often one check gave each verdict."""

    check: str
    counts: Counter[str]


def tallies(document: Document) -> tuple[CheckTotals, ...]:
    """One tally for each check that any batch has, in the order of their first appearance."""
    counts: dict[str, Counter[str]] = {}
    for batch in document.batches:
        for check in batch.checks:
            counts.setdefault(check.name, Counter())[check.verdict] += 1
    return tuple(CheckTotals(name, counted) for name, counted in counts.items())


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
        "gain_places": decimals(point.gain for point in sweep.points),
        "slice_places": decimals(row.gain for row in sweep.slices),
    }


def is_detailed(batch: Batch, document: Document) -> bool:
    """Whether a batch's record and verdicts are spelt out on the pages."""
    return spelt_out(batch.in_model, len(document.batches))


def spelt_out(in_model: bool, n_batches: int) -> bool:
    """Whether the pages spell out a batch of a project with so many of them."""
    return in_model or n_batches <= DETAILED_BATCHES


OTHERS_NAMED = 6  # ratios of a plateau; of more, the two ends
_NOTHING = Estimate(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class HandoffSummary:
    """What a reader takes away who reads nothing else."""

    outcome: str
    """``success`` or ``no success``, with ``, not certain`` where the interval holds the threshold."""
    headline: str
    verdict: str
    """What was asked for, and whether it is reached; the numbers are in ``figures``."""
    figures: tuple[Figure, ...]
    sentences: tuple[str, ...]
    """The choice, its fragility, what is in the model, what to use, and when to train again."""


@dataclass(frozen=True)
class Figure:
    """One number of the first page: every score and gain has one interval, and stands there once."""

    name: str
    value: str
    more: str


def answer(document: Document) -> HandoffSummary:
    """Word the result of the project."""
    sweep = document.sweep
    point = sweep.chosen_point
    sentences = (_choice(document, point), _shape(sweep), _content(document), _use(sweep), _again(document))
    shown = tuple(sentence for sentence in sentences if sentence)
    success = document.success
    return HandoffSummary(success.outcome, _headline(sweep), _reached(success), _figures(document, point), shown)


def _reached(success: Success) -> str:
    """What was asked for and whether it is reached, without an interval: the figures have it.

    Examples
    --------
    >>> _reached(Success("gain_at_least", 0.02, 0.03, 0.021, 0.039))
    'The statement asks for a gain of at least 0.02. +0.030 is expected, and the whole interval reaches what was asked for.'
    """  # noqa: E501
    threshold_text, is_gain = _threshold_text(success), success.kind == "gain_at_least"
    if is_gain and success.low == success.high == 0:
        return f"{threshold_text}; real rows alone gain nothing."
    measured, _ = _measured(success)
    if not success.certain:
        end = "new data may decide otherwise: what was asked for lies inside the interval"
    else:
        end = f"the whole interval {'reaches' if success.met else 'lies below'} what was asked for"
    return f"{threshold_text}. {measured} is {'expected' if is_gain else 'measured'}, and {end}."


def _threshold_text(success: Success) -> str:
    what = "gain" if success.kind == "gain_at_least" else "score"
    return f"The statement asks for a {what} of at least {number(success.threshold)}"


def _measured(success: Success) -> tuple[str, str]:
    """The value that is judged, and its interval."""
    is_gain, span = success.kind == "gain_at_least", Estimate(success.measured, success.low, success.high)
    places = decimals([span])
    value = signed(span.value, places) if is_gain else number(span.value, places)
    return value, interval(span, places, difference=is_gain)


def _figures(document: Document, point: CurvePoint) -> tuple[Figure, ...]:
    sweep, score = document.sweep, document.sweep.estimate.score
    places = decimals([score])
    mixed = f"{point.n_synthetic:,} synthetic beside {point.n_real:,} real" if point.gain else "real rows alone"
    made, inside = len(document.batches), len(document.batches_in_model())
    return (
        Figure("Chosen" if sweep.axis == "weight" else "Chosen ratio", value_words(sweep, sweep.chosen), mixed),
        Figure(f"{line(sweep.metric, 40)} expected on new data", number(score.value, places), interval(score, places)),
        _gain_figure(document.success, point),
        Figure("Batches in the model", f"{inside:,}", f"of {made:,} made"),
    )


def _gain_figure(success: Success, point: CurvePoint) -> Figure:
    name = "Gain over real rows alone"
    if point.gain is None:
        return Figure(name, "none", "real rows alone were chosen")
    gain = point.gain
    if success.kind == "gain_at_least":  # corrected for the choice, as it is judged
        gain = Estimate(success.measured, success.low, success.high)
    places = decimals([gain])
    return Figure(name, signed(gain.value, places), interval(gain, places, difference=True))


def success_words(success: Success) -> str:
    """What was asked for, what was measured, and whether the interval agrees, as two sentences.

    Examples
    --------
    >>> success_words(Success("gain_at_least", 0.02, 0.03, 0.021, 0.039))
    'The statement asks for a gain of at least 0.02; corrected for the choice, +0.030 was measured. The whole interval, +0.021 to +0.039, meets it.'
    """  # noqa: E501
    threshold_text, is_gain = _threshold_text(success), success.kind == "gain_at_least"
    if is_gain and success.low == success.high == 0:
        return f"{threshold_text}; real rows alone gain nothing."
    measured, words = _measured(success)
    if success.certain:
        end = f"The whole interval, {words}, {'meets it' if success.met else 'lies below it'}."
    else:
        end = f"The threshold lies inside the interval, {words}: new data may decide otherwise."
    return f"{threshold_text}; corrected for the choice, {measured} was measured. {end}"


def why_not(point: CurvePoint, sweep: Sweep) -> str:
    """Why another ratio was taken; empty for the chosen one."""
    if point.ratio == sweep.chosen:
        return ""
    if point.gain is None:
        gain = sweep.chosen_point.gain or _NOTHING
        return f"the chosen {sweep.noun} gains {signed(gain.value, decimals([gain]))} over it"
    if not point.helps:
        return _no_help(point.gain, sweep.noun)
    if point.forbidden:
        return f"the guardrail shuts it out: {point.forbidden}"
    if point.ratio not in sweep.plateau:
        places = decimals([point.score])
        return f"measurably below the peak, by {number(sweep.at(sweep.peak).score.value - point.score.value, places)}"
    more = point.n_synthetic - sweep.chosen_point.n_synthetic
    if sweep.axis == "weight":
        return f"is not significantly different from the peak; the rule takes {value_words(sweep, sweep.chosen)}"
    if more > 0:
        return (
            f"is not significantly different from the peak, and needs {more:,} synthetic rows more than the chosen one"
        )
    return f"is not significantly different from the peak; the rule takes {value_words(sweep, sweep.chosen)}"


def _no_help(gain: Estimate, noun: str) -> str:
    places = decimals([gain])
    span = interval(gain, places, difference=True)
    if gain.high < 0:
        return f"worse than real rows alone, by {number(-gain.value, places)} ({span})"
    if gain.low > 0:
        return f"its gain ({span}) is not shown to be more than duplicated real rows or chance over all {noun}s give"
    return f"its gain is not significantly different from zero ({span})"


def _headline(sweep: Sweep) -> str:
    if sweep.chosen == 0:
        return "Real rows alone: no synthetic rows in the model"
    chosen = value_words(sweep, sweep.chosen)
    if sweep.axis == "weight":
        return f"Synthetic rows with {chosen} beside the real ones"
    if sweep.axis == "slice":
        return f"Synthetic rows for {chosen}"
    return f"{chosen} synthetic rows in the training mix{f', of which {sweep.source}' if sweep.source else ''}"


def _choice(document: Document, point: CurvePoint) -> str:
    if point.gain is None:
        return f"{_none_chosen(document.sweep)}, so the model is trained on real rows alone."
    return f"The model is trained on {count(point.n_real, 'real row')} and {count(point.n_synthetic, 'synthetic row')}."


def _none_chosen(sweep: Sweep) -> str:
    helping = [point for point in sweep.points if point.helps]
    if not helping:
        return f"No {sweep.noun} is shown to help"
    if all(point.forbidden for point in helping):
        return f"The guardrail shuts out every {sweep.noun} that helps"
    return f"No {sweep.noun} that helps satisfies the rule"


def _shape(sweep: Sweep) -> str:
    """How much the choice matters: whether another ratio would do as well."""
    peak = value_words(sweep, sweep.peak)
    if sweep.shape == "sharp" and sweep.peak == max(point.ratio for point in sweep.points):
        return (
            f"{peak} scores highest, by more than chance, and is the greatest {sweep.noun} that was tried: a greater "
            "one may do better."
        )
    if sweep.shape == "sharp":
        return f"Keep to {peak}: every other {sweep.noun} that was tried scores less, by more than chance."
    if sweep.shape == "no peak":
        return f"No {sweep.noun} scores better than another by more than chance; {peak} scores highest."
    if sweep.shape == "uncertain":
        return f"{peak} scores highest, but a second sweep may well find another {sweep.noun} best."
    others = [ratio for ratio in sweep.plateau if ratio != sweep.peak]
    named = percents(others) if sweep.noun == "ratio" else ", ".join(value_words(sweep, each) for each in others)
    if len(others) > OTHERS_NAMED:
        ends = value_words(sweep, min(others)), value_words(sweep, max(others))
        named = f"{len(others)} others from {ends[0]} to {ends[1]}"
    if not others:
        return f"{peak} scores highest."
    return f"The {sweep.noun} need not be exact: {peak} scores highest, and {named} may do as well."


def _content(document: Document) -> str:
    inside = document.batches_in_model()
    if not inside:
        return "The model holds no synthetic batch."
    rows = sum(batch.n_rows for batch in inside)
    verb = "is" if len(inside) == 1 else "are"
    made = count(len(document.batches), "batch")
    return (
        f"Of {made} made, {len(inside):,} {verb} in the model, holding {count(rows, 'row')} "
        f"from {', '.join(sorted({line(batch.generator) for batch in inside}))}."
    )


def _use(sweep: Sweep) -> str:
    return f"The model to use: {line(sweep.model_uri)}." if sweep.model_uri else ""


def _again(document: Document) -> str:
    """When to train again; the sixth part has the numbers."""
    due = [line(trigger.condition) for trigger in document.triggers if trigger.state == "due"]
    if due:
        return f"Train again now, since this has happened: {'; '.join(due)}."
    if not document.triggers:
        return ""
    return f"Train again when {'; or when '.join(line(trigger.condition) for trigger in document.triggers)}."
