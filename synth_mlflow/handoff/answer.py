"""The document's answer, in sentences that are computed from its numbers."""

from __future__ import annotations

from dataclasses import dataclass

from synth_mlflow.handoff.document import CurvePoint, Document, Estimate, Success, Sweep
from synth_mlflow.handoff.wording import count, decimals, interval, line, number, percents, signed, value_words

OTHERS_NAMED = 6  # ratios of a plateau; of more, the two ends
_NOTHING = Estimate(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Answer:
    """What a reader takes away who reads nothing else."""

    outcome: str
    """``success`` or ``no success``, with ``, not certain`` where the interval holds the threshold."""
    headline: str
    verdict: str
    """The outcome's numbers."""
    sentences: tuple[str, ...]
    """The choice, its fragility, what is in the model."""


def answer(document: Document) -> Answer:
    """Word the result of the project."""
    sweep = document.sweep
    point = sweep.chosen_point
    sentences = (_choice(document, point), _shape(sweep), _content(document))
    return Answer(document.success.outcome, _headline(sweep), success_words(document.success), sentences)


def success_words(success: Success) -> str:
    """What was asked for, what was measured, and whether the interval agrees, as two sentences.

    Examples
    --------
    >>> success_words(Success("gain_at_least", 0.02, 0.03, 0.021, 0.039))
    'The statement asks for a gain of at least 0.02; corrected for the choice, +0.030 was measured. The whole interval, +0.021 to +0.039, meets it.'
    """  # noqa: E501
    is_gain = success.kind == "gain_at_least"
    asked = f"The statement asks for a {'gain' if is_gain else 'score'} of at least {number(success.threshold)}"
    if is_gain and success.low == success.high == 0:
        return f"{asked}; real rows alone gain nothing."
    span = Estimate(success.measured, success.low, success.high)
    places = decimals([span])
    measured = signed(success.measured, places) if is_gain else number(success.measured, places)
    words = interval(span, places, difference=is_gain)
    if success.certain:
        end = f"The whole interval, {words}, {'meets it' if success.met else 'lies below it'}."
    else:
        end = f"The threshold lies inside the interval, {words}: new data may decide otherwise."
    return f"{asked}; corrected for the choice, {measured} was measured. {end}"


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
        return f"cannot be told from the peak; the rule takes {value_words(sweep, sweep.chosen)}"
    if more > 0:
        return f"cannot be told from the peak, and needs {more:,} synthetic rows more than the chosen one"
    return f"cannot be told from the peak; the rule takes {value_words(sweep, sweep.chosen)}"


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
    metric = line(document.sweep.metric)
    places = decimals([point.score, point.gain])
    score = f"{metric} is {number(point.score.value, places)} ({interval(point.score, places)})"
    if point.gain is None:
        return f"{_none_chosen(document.sweep)}, so the model is trained on real rows alone: {score}."
    return (
        f"With {count(point.n_synthetic, 'synthetic row')} beside {count(point.n_real, 'real row')}, {score}, "
        f"against {number(document.sweep.at(0.0).score.value, places)} from real rows alone: a gain of "
        f"{signed(point.gain.value, places)} ({interval(point.gain, places, difference=True)})."
    )


def _none_chosen(sweep: Sweep) -> str:
    helping = [point for point in sweep.points if point.helps]
    if not helping:
        return f"No {sweep.noun} is shown to help"
    if all(point.forbidden for point in helping):
        return f"The guardrail shuts out every {sweep.noun} that helps"
    return f"No {sweep.noun} that helps satisfies the rule"


def _shape(sweep: Sweep) -> str:
    peak = value_words(sweep, sweep.peak)
    if sweep.shape == "sharp":
        return f"The curve has a sharp peak at {peak}: what was swept beside it is measurably worse."
    if sweep.shape == "no peak":
        return f"The curve has no peak: no {sweep.noun} differs significantly from the best."
    others = [ratio for ratio in sweep.plateau if ratio != sweep.peak]
    named = percents(others) if sweep.noun == "ratio" else ", ".join(value_words(sweep, each) for each in others)
    if len(others) > OTHERS_NAMED:
        ends = value_words(sweep, min(others)), value_words(sweep, max(others))
        named = f"{len(others)} others from {ends[0]} to {ends[1]}"
    beside = f"; the difference from {named} is not significant" if others else ""
    return f"The curve is flat around its peak at {peak}{beside}."


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
