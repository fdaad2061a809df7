"""Read the fits of a sweep into a curve: intervals, choice, fragility, correction and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from synth_mlflow.errors import UsageError
from synth_mlflow.model.bench import Bench
from synth_mlflow.model.choice import RULE_WORDS, Choice, Chooser, Corrected, correct
from synth_mlflow.model.curve import Curve, Point, SlicePoint
from synth_mlflow.model.decision import decide
from synth_mlflow.model.fragility import judge_fragility
from synth_mlflow.model.guardrail import assurance, objections
from synth_mlflow.model.inference import Uncertainty, Vector, max_t, peak_probabilities, uncertainty
from synth_mlflow.model.learning import LearningCurve, learning_curve
from synth_mlflow.model.overlap import inflation
from synth_mlflow.model.plan import ALL_ROWS, LEARNING_SHARES, REPEAT_SHARE, Fit, FitKey, SweepPlan
from synth_mlflow.model.resampling import Resampled, resample

Fits = Mapping[FitKey, Fit]


def read_curve(bench: Bench, plan: SweepPlan, fits: Fits, supply: Mapping[str, int]) -> Curve:
    """The curve of a sweep whose fits are all there.

    Parameters
    ----------
    bench : Bench
    plan : SweepPlan
    fits : mapping of FitKey to Fit
    supply : mapping of str to int
        Synthetic rows at hand of each source of the plan.
    """
    reading = _read(bench, plan, fits, supply)
    choice, own = reading.choice, reading.places(reading.winner)
    ratios, scores = plan.ratios, reading.scores[own]
    corrected = correct(reading.chooser, choice, reading.scores, reading.resampled.inside, reading.resampled.outside)
    probabilities = peak_probabilities(scores, reading.uncertain.of(own))
    peak, plateau = int(scores.argmax()), choice.plateau[own]
    points = _points(reading, reading.winner)
    chosen = points[own.index(choice.chosen)]
    halves = bench.halves
    if not np.isfinite([corrected.score, corrected.gain]).all():
        corrected, halves = _uncorrected(chosen), f"{bench.halves} {UNCORRECTED}"
    curve = Curve(
        metric=bench.metric,
        points=points,
        chosen=chosen.ratio,
        peak=ratios[peak],
        plateau=[ratio for ratio, inside in zip(ratios, plateau, strict=True) if inside],
        rule=RULE_WORDS[plan.rule],
        fragility=judge_fragility(ratios, scores, peak, plateau, probabilities),
        naive=float(reading.scores[choice.chosen]),
        corrected=corrected.score,
        corrected_gain=corrected.gain,
        smallest_detectable=reading.chooser.smallest_detectable(reading.uncertain),
        learning=_learning(reading),
        mix=plan.mix,
        seed=plan.seed,
        n_evaluation=len(bench.truth),
        halves=halves,
        decision="",
        source=reading.winner,
        rivals={source: _points(reading, source) for source in plan.sources if source != reading.winner},
        guardrail=_assurance(plan, chosen),
    )
    return replace(curve, decision=decide(curve))


def _assurance(plan: SweepPlan, point: Point) -> str:
    return assurance(plan.guardrail, point.slices) if plan.guardrail and point.ratio else ""


UNCORRECTED = (
    "The score could not be corrected for the choice, since no draw of the rows leaves every class on both sides; "
    "the low end of its interval stands in."
)


def _uncorrected(point: Point) -> Corrected:
    """The low ends are what luck cannot have made."""
    return Corrected(point.low, point.gain_low)


@dataclass(frozen=True)
class _Reading:
    """The scores as one vector: baseline, synthetic arm, placebo of each of its places, arm of held-back real rows.

    The synthetic arm is ordered by ratio, then by source; sources share placebos, which stand there once for each.
    """

    bench: Bench
    plan: SweepPlan
    fits: Fits
    keys: tuple[FitKey, ...]
    scores: Vector
    repeats: Vector
    """(n_repeats, n_scores)"""
    resampled: Resampled
    uncertain: Uncertainty
    """Of another draw of every row; what the rule decides by is the uncertainty over draws of the rows at hand."""
    chooser: Chooser
    choice: Choice
    p_values: Vector
    """Of every ratio above 0 against the baseline."""
    slices: Mapping[str, list[SlicePoint]]

    @property
    def n_candidates(self) -> int:
        return _n_candidates(self.plan)

    @property
    def winner(self) -> str:
        """The source that was chosen, or the one with the highest score where none was."""
        place = self.choice.chosen or 1 + int(self.scores[1 : self.n_candidates + 1].argmax())
        return self.keys[place].source

    def places(self, source: str) -> list[int]:
        """Where the baseline and the ratios of one source stand."""
        return [0, *(i for i in range(1, self.n_candidates + 1) if self.keys[i].source == source)]

    def interval(self, place: int, against: int | None = None) -> tuple[float, float, float]:
        contrast = _contrast(len(self.scores), place, against)
        value, half = float(contrast @ self.scores), self.uncertain.half_width(contrast)
        return value, value - half, value + half if against is not None else min(value + half, self.bench.best_score)

    def extra_interval(self, ratio: float) -> tuple[float, float, float] | tuple[None, None, None]:
        key = FitKey("extra", ratio, ALL_ROWS)
        return self.interval(self.keys.index(key)) if key in self.keys else (None, None, None)

    def placebo_of(self, place: int) -> int:
        return place + self.n_candidates if place else 0


def _read(bench: Bench, plan: SweepPlan, fits: Fits, supply: Mapping[str, int]) -> _Reading:
    keys = _keys(bench, plan)
    scores = np.array([fits[key].score for key in keys])
    repeats = np.array([[fits[replace(key, repeat=n)].score for key in keys] for n in range(plan.repeats)])
    resampled = _resampled(bench, plan, fits, keys)
    shared = _inflation(bench, plan, keys, supply)
    at_hand = uncertainty(resampled.inside, repeats)
    candidates = range(1, _n_candidates(plan) + 1)
    slices = {name: _slice_points(bench, plan, fits, name, shared) for name in bench.slices}
    allowed = np.array([not _forbidden(plan, slices, place) for place in candidates])
    amounts = [key.ratio for key in keys[: len(candidates) + 1]]
    chooser = Chooser.build(plan.rule, len(candidates), at_hand, allowed, amounts)
    against_baseline = np.array([_contrast(len(keys), place, 0) for place in candidates])
    return _Reading(
        bench,
        plan,
        fits,
        keys,
        scores,
        repeats,
        resampled,
        uncertainty(resampled.inside, repeats, shared, _noise(plan, fits, keys)),
        chooser,
        chooser.choose(scores),
        max_t(scores, against_baseline, at_hand).p_values,
        slices,
    )


def _n_candidates(plan: SweepPlan) -> int:
    """What can be chosen besides the baseline: every ratio of every source."""
    return (len(plan.ratios) - 1) * len(plan.sources)


def _keys(bench: Bench, plan: SweepPlan) -> tuple[FitKey, ...]:
    above = [ratio for ratio in plan.ratios if ratio]
    synthetic = [FitKey("synthetic", ratio, ALL_ROWS, source) for ratio in above for source in plan.sources]
    placebo = [FitKey("placebo", key.ratio, ALL_ROWS) for key in synthetic]
    extra = [FitKey("extra", ratio, ALL_ROWS) for ratio in plan.extra_ratios(bench.n_real, bench.n_extra)]
    return (FitKey("synthetic", 0.0, ALL_ROWS), *synthetic, *placebo, *extra)


def _inflation(bench: Bench, plan: SweepPlan, keys: tuple[FitKey, ...], supply: Mapping[str, int]) -> Vector:
    """By how much more each arm would vary on another draw than repeats that share rows do."""
    at_hand = [bench.n_extra if key.arm == "extra" else supply[key.source] for key in keys]
    return np.array(
        [inflation(key.arm, key.ratio, bench.n_real, n, plan.mix) for key, n in zip(keys, at_hand, strict=True)]
    )


def _noise(plan: SweepPlan, fits: Fits, keys: tuple[FitKey, ...]) -> Vector | None:
    """What the evaluation rows make of each repeat: (n_repeats, n_scores, n_draws); None where it is not known."""
    drawn = [[fits[replace(key, repeat=n)].noise for key in keys] for n in range(plan.repeats)]
    sizes = {len(each) for row in drawn for each in row}
    return np.array(drawn) if len(sizes) == 1 and 0 not in sizes else None


def _resampled(bench: Bench, plan: SweepPlan, fits: Fits, keys: tuple[FitKey, ...]) -> Resampled:
    """Scores over draws of the evaluation rows, each fit's once."""
    once = list(dict.fromkeys(keys))
    rng = np.random.default_rng([plan.seed, 1])
    predictions = [fits[key].predictions for key in once]
    n_outside = _n_candidates(plan) + 1  # the arms that can be chosen
    found = resample(bench.metric, bench.task, bench.truth, predictions, rng, n_outside=n_outside)
    return replace(found, inside=found.inside[:, [once.index(key) for key in keys]])


def _forbidden(plan: SweepPlan, slices: Mapping[str, list[SlicePoint]], place: int) -> str:
    """Why the guardrail does not let one ratio be chosen."""
    if plan.guardrail is None:
        return ""
    return objections(plan.guardrail, {name: points[place] for name, points in slices.items()})


def _contrast(n_scores: int, place: int, against: int | None) -> Vector:
    contrast = np.zeros(n_scores)
    contrast[place] = 1.0
    if against is not None:
        contrast[against] -= 1.0
    return contrast


def _points(reading: _Reading, source: str) -> tuple[Point, ...]:
    """The points of one source, the baseline first."""
    places = reading.places(source)
    probabilities = peak_probabilities(reading.scores[places], reading.uncertain.of(places))
    return tuple(_point(reading, place, float(p)) for place, p in zip(places, probabilities, strict=True))


def _point(reading: _Reading, place: int, peak_probability: float) -> Point:
    fit, placebo = reading.fits[reading.keys[place]], reading.placebo_of(place)
    score, low, high = reading.interval(place)
    gain, gain_low, gain_high = reading.interval(place, 0)
    placebo_score, placebo_low, placebo_high = reading.interval(placebo)
    over, over_low, over_high = reading.interval(place, reading.chooser.best_placebo(reading.scores))
    extra, extra_low, extra_high = reading.extra_interval(reading.keys[place].ratio)
    model_half = reading.uncertain.model_half_width(_contrast(len(reading.scores), place, None))
    return Point(
        ratio=reading.keys[place].ratio,
        n_real=fit.n_real,
        n_synthetic=fit.n_added,
        score=score,
        low=low,
        high=high,
        gain=gain,
        gain_low=gain_low,
        gain_high=gain_high,
        p_value=float(reading.p_values[place - 1]) if place else 1.0,
        helps=bool(place and reading.choice.helps[place - 1]),
        in_plateau=bool(reading.choice.plateau[place]),
        peak_probability=peak_probability,
        model_low=score - model_half,
        model_high=min(score + model_half, reading.bench.best_score),
        placebo=placebo_score,
        placebo_low=placebo_low,
        placebo_high=placebo_high,
        over_placebo=over,
        over_placebo_low=over_low,
        over_placebo_high=over_high,
        extra=extra,
        extra_low=extra_low,
        extra_high=extra_high,
        forbidden=_forbidden(reading.plan, reading.slices, place) if place else "",
        repeats=tuple(reading.repeats[:, place].tolist()),
        placebo_repeats=tuple(reading.repeats[:, placebo].tolist()),
        slices={name: points[place] for name, points in reading.slices.items()},
        recalls=_recalls(reading.bench, fit),
    )


def _recalls(bench: Bench, fit: Fit) -> dict[str, float]:
    """Share of each class that is predicted as such."""
    if not bench.classes:
        return {}
    truth = bench.truth
    hits = fit.predictions.argmax(axis=1) == truth
    return {str(label): float(hits[truth == code].mean()) for code, label in enumerate(bench.classes) if code in truth}


def _slice_points(bench: Bench, plan: SweepPlan, fits: Fits, name: str, shared: Vector) -> list[SlicePoint]:
    """The score on one slice at every ratio, each against ratio 0."""
    keys = _keys(bench, plan)[: _n_candidates(plan) + 1]
    rows = bench.slices[name]
    scores = np.array([fits[key].slices[name] for key in keys])
    repeats = np.array([[fits[replace(key, repeat=n)].slices[name] for key in keys] for n in range(plan.repeats)])
    n_rows = int(rows.sum())
    if not np.isfinite(scores).all() or not np.isfinite(repeats).all():
        return [SlicePoint(n_rows, None, None, None, None)] * len(keys)
    predictions = [fits[key].predictions[rows] for key in keys]
    rng = np.random.default_rng([plan.seed, 2])
    resampled = resample(bench.metric, bench.task, bench.truth[rows], predictions, rng)
    try:
        uncertain = uncertainty(resampled.inside, repeats, shared[: len(keys)])
    except UsageError:  # a slice may be too small for an interval; the evaluation set may not
        return [SlicePoint(n_rows, float(s), float(s - scores[0]), None, None) for s in scores]
    points = []
    for place, score in enumerate(scores):
        half = uncertain.half_width(_contrast(len(keys), place, 0))
        gain = float(score - scores[0])
        points.append(SlicePoint(n_rows, float(score), gain, gain - half, gain + half))
    return points


def _learning(reading: _Reading) -> LearningCurve:
    plan, fits, n_real = reading.plan, reading.fits, reading.bench.n_real
    repeats = np.array([[fits[FitKey("real", s, n)].score for s in LEARNING_SHARES] for n in range(plan.repeats)])
    repeats = np.column_stack([repeats, reading.repeats[:, 0]])
    sizes = np.round(np.array([*LEARNING_SHARES, REPEAT_SHARE]) * n_real)
    chosen = reading.choice.chosen
    error = reading.uncertain.standard_error(_contrast(len(reading.scores), chosen, 0)) if chosen else 0.0
    gain = float(reading.scores[chosen] - reading.scores[0])
    rng = np.random.default_rng([plan.seed, 3])
    return learning_curve(sizes, repeats, (n_real, float(reading.scores[0])), (gain, error), rng)
