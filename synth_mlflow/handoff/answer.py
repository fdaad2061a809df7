"""The document's answer, in sentences that are computed from its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from synth_mlflow.handoff.document import Document, Estimate, Success
from synth_mlflow.handoff.wording import count, decimals, interval, line, number, percent, percents, signed

Outcome = Literal["success", "no success", "undecided"]


@dataclass(frozen=True)
class Answer:
    """What a reader takes away who reads nothing else."""

    outcome: Outcome
    headline: str
    sentences: tuple[str, ...]


def answer(document: Document) -> Answer:
    """Word the result of the project: the choice, the gain, the verdict, the fragility, what is in the model."""
    sweep = document.sweep
    outcome, verdict = judge_success(document.success, sweep.chosen_point.score, sweep.chosen_point.gain)
    sentences = (_choice(document), verdict, _shape(document), _content(document))
    return Answer(outcome, _headline(document), sentences)


def judge_success(success: Success, score: Estimate, gain: Estimate | None) -> tuple[Outcome, str]:
    """Hold the statement's threshold against the whole interval, not against its middle.

    Parameters
    ----------
    success : Success
    score, gain : Estimate
        Of the chosen ratio; a gain of None means that real rows alone were chosen, so nothing was gained.

    Returns
    -------
    (outcome, sentence)
        ``success`` if the interval lies at or above the threshold, ``no success`` if it lies below,
        ``undecided`` if it holds the threshold.

    Examples
    --------
    >>> judge_success(Success("gain_at_least", 0.02), Estimate(0.9, 0.8, 1.0), Estimate(0.03, 0.01, 0.05))[0]
    'undecided'
    """
    gained = success.kind == "gain_at_least"
    measured = (gain or Estimate(0.0, 0.0, 0.0)) if gained else score
    outcome: Outcome = "undecided"
    if measured.low >= success.threshold:
        outcome = "success"
    elif measured.high < success.threshold:
        outcome = "no success"
    return outcome, _verdict(outcome, success, measured)


def _verdict(outcome: Outcome, success: Success, measured: Estimate) -> str:
    what = "a gain" if success.kind == "gain_at_least" else "a score"
    asked = f"The statement asks for {what} of at least {number(success.threshold)}"
    if measured.low == measured.high:
        return f"{asked}; {number(measured.value)} was measured."
    places = decimals([measured])
    span = interval(measured, places, difference=success.kind == "gain_at_least")
    return {
        "success": f"{asked}: the whole interval, {span}, meets it.",
        "no success": f"{asked}: the whole interval, {span}, lies below it.",
        "undecided": f"{asked}, which lies inside the interval, {span}: these numbers cannot decide.",
    }[outcome]


def _headline(document: Document) -> str:
    chosen = document.sweep.chosen
    if chosen == 0:
        return "Real rows alone: no synthetic rows in the model"
    return f"{percent(chosen)} synthetic rows in the training mix"


def _choice(document: Document) -> str:
    sweep = document.sweep
    point = sweep.chosen_point
    places = decimals([point.score, point.gain])
    score = f"{line(sweep.metric)} is {number(point.score.value, places)} ({interval(point.score, places)})"
    if point.gain is None:
        return f"No ratio earned its place, so the model is trained on real rows alone: {score}."
    return (
        f"With {count(point.n_synthetic, 'synthetic row')} beside {count(point.n_real, 'real row')}, {score}, "
        f"against {number(document.baseline.score.value, places)} from real rows alone: a gain of "
        f"{signed(point.gain.value, places)} ({interval(point.gain, places, difference=True)})."
    )


def _shape(document: Document) -> str:
    sweep = document.sweep
    if sweep.is_flat:
        return (
            f"The curve is flat: {percents(sweep.plateau)} cannot be told apart from its peak at {percent(sweep.peak)}."
        )
    return f"The curve has a sharp peak at {percent(sweep.peak)}: every other ratio is measurably worse."


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
