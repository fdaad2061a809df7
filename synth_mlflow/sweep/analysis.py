"""The scores of every mix as one vector, with what they vary by: on the stated question, and for other real rows.

The stated question is the expected score on new data of the model trained on *these* real rows, with other draws of
synthetic rows of *these* batches and other seeds. Its answer is the mean over the fits on all real rows; it varies by
the evaluation rows (paired bootstrap of that mean) and by the draws, whose covariance is divided by their number. What
other real rows would give is read off the fits on parts of them, and varies more.

The score on each slice at every ratio, and whether its few rows can say anything of a gain.

Read the fits of a sweep into a curve: intervals, choice, fragility, correction and what it is worth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from synth_mlflow.errors import UsageError
from synth_mlflow.sweep.bootstrap import FAST, Resampled, resample
from synth_mlflow.sweep.curve import Curve, Point, SlicePoint, judge_fragility
from synth_mlflow.sweep.evaluator import Evaluator
from synth_mlflow.sweep.explain import decide
from synth_mlflow.sweep.inference import (
    Searched,
    Uncertainty,
    Vector,
    inflation,
    max_t,
    peak_probabilities,
    uncertainty,
)
from synth_mlflow.sweep.learning_curve import LearningCurve, learning_curve
from synth_mlflow.sweep.plan import ALL_ROWS, DESIGN, LEARNING_SHARES, REPEAT_SHARE, Fit, FitKey, SweepPlan, all_rows
from synth_mlflow.sweep.score_interval import difference_half_width, least_detectable, least_error, score_interval
from synth_mlflow.sweep.selection import RULE_WORDS, Choice, Chooser, Corrected, assurance, correct, objections

Fits = Mapping[FitKey, Fit]


@dataclass(frozen=True)
class Measured:
    """Baseline, synthetic arm, placebo of each of its places, arm of held-back real rows.

    The synthetic arm is ordered by ratio, then by source; sources share placebos, which stand there once for each.
    """

    keys: tuple[FitKey, ...]
    scores: Vector
    """Of shape (n_scores,): mean over the fits on all real rows."""
    draws: Vector
    """(n_draws, n_scores): each of those fits."""
    parts: Vector
    """(n_parts, 1 + n_places): fits on parts of the real rows, of the baseline and ``part_places``."""
    resampled: Resampled
    """Of ``scores``, over draws of the evaluation rows."""
    at_hand: Uncertainty
    """Of ``scores``, on the stated question."""
    recipe: Uncertainty
    """Of the baseline and ``part_places``, on another draw of every row."""
    part_places: tuple[int, ...]
    """The baseline, and what of the synthetic arm was fitted on parts of the real rows too: all but mixes that do not
    lead."""


def measure(bench: Evaluator, plan: SweepPlan, fits: Fits, supply: Mapping[str, int]) -> Measured:
    """Read the fits of a whole sweep.

    Parameters
    ----------
    bench : Evaluator
    plan : SweepPlan
    fits : mapping of FitKey to Fit
    supply : mapping of str to int
        Synthetic rows at hand of each source of the plan.

    Raises
    ------
    UsageError
        If the score is undefined in most draws of the evaluation rows.
    """
    keys = score_keys(bench, plan)
    last = n_candidates(plan) + 1
    places = [place for place in range(last) if place == 0 or plan.leads(keys[place].source)]
    in_parts = [keys[place] for place in places]
    draws = np.array([[fits[replace(key, repeat=n)].score for key in keys] for n in all_rows(plan.repeats)])
    parts = np.array([[fits[replace(key, repeat=n)].score for key in in_parts] for n in range(plan.repeats)])
    rng = np.random.default_rng([plan.seed, 1])
    drawn = resample_draws(bench, plan, fits, keys, np.ones(len(bench.truth), dtype=bool), rng, n_outside=last)
    inflations = np.array([_inflation(bench, plan, fits[key], supply) for key in in_parts])
    recipe = uncertainty(drawn.mean.inside[:, places], parts, inflations, _noise(plan, fits, tuple(in_parts)))
    at_hand = of_mean(drawn, draws).at_least(least_error(bench.metric, bench.sizes()))
    return Measured(keys, draws.mean(axis=0), draws, parts, drawn.mean, at_hand, recipe, tuple(places))


def n_candidates(plan: SweepPlan) -> int:
    """What can be chosen besides the baseline: every ratio of every source, of mixes that do not lead only one."""
    return len(plan.cells)


def score_keys(bench: Evaluator, plan: SweepPlan) -> tuple[FitKey, ...]:
    """The first fit on all real rows of every score."""
    synthetic = [FitKey("synthetic", ratio, ALL_ROWS, source) for ratio, source in plan.cells]
    placebo = [FitKey("placebo", key.ratio, ALL_ROWS) for key in synthetic]
    extra = [FitKey("extra", ratio, ALL_ROWS) for ratio in plan.extra_ratios(bench.n_real, bench.n_extra)]
    return (FitKey("synthetic", 0.0, ALL_ROWS), *synthetic, *placebo, *extra)


@dataclass(frozen=True)
class Drawn:
    """Scores over draws of the evaluation rows: of the mean over the fits, and of each fit less its score there."""

    mean: Resampled
    noise: Vector | None
    """(n_fits, n_scores, n_draws); None where only one fit of each mix was looked at."""


def resample_draws(
    bench: Evaluator,
    plan: SweepPlan,
    fits: Fits,
    keys: tuple[FitKey, ...],
    rows: npt.NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    n_outside: int = 0,
) -> Drawn:
    """Score the mean over fits on the same draws of some evaluation rows, each fit once.

    Where predictions were kept of one fit of each mix alone, or the scorer is slow, that one stands for all of them:
    a single model meets the evaluation rows with more noise than the mean of several, so that errs on the safe side.
    """
    once = list(dict.fromkeys(keys))
    repeats = [ALL_ROWS]
    if bench.metric in FAST and all(fits[replace(k, repeat=n)].predictions.size for k in once for n in all_rows(2)):
        repeats = list(all_rows(plan.repeats))
    predictions = [fits[replace(key, repeat=n)].predictions[rows] for key in once for n in repeats]
    groups = None if bench.groups is None else bench.groups[rows]
    draws = resample(
        bench.metric,
        bench.task,
        bench.truth[rows],
        predictions,
        rng,
        n_outside=n_outside * len(repeats),
        groups=groups,
    )
    inside = draws.inside.reshape(len(draws.inside), len(once), len(repeats))
    outside = draws.outside.reshape(len(draws.outside), n_outside, len(repeats)).mean(axis=2)
    places = [once.index(key) for key in keys]
    mean = Resampled(inside.mean(axis=2)[:, places], outside)
    noise = None
    if len(repeats) > 1:
        noise = np.moveaxis(inside[:, places] - inside[:, places].mean(axis=0), 0, 2).swapaxes(0, 1)
    return Drawn(mean, noise)


def of_mean(drawn: Drawn, draws: Vector) -> Uncertainty:
    """What the mean over the fits on all real rows varies by.

    Parameters
    ----------
    drawn : Drawn
    draws : array of shape (n_draws, n_scores)
        Scores of those fits on the evaluation rows themselves.
    """
    single = uncertainty(drawn.mean.inside, draws, noise=drawn.noise)
    return Uncertainty(single.evaluation, single.recipe / len(draws), len(draws))


def _inflation(bench: Evaluator, plan: SweepPlan, fit: Fit, supply: Mapping[str, int]) -> float:
    """By how much more a mix would vary on other rows than parts that share rows do."""
    key = fit.key
    if plan.axis.name in ("ratio", "mix"):
        return inflation(key.arm, key.ratio, bench.n_real, supply[key.source], plan.mix)
    share = fit.n_added / (fit.n_real + fit.n_added)
    return inflation(key.arm, share, bench.n_real, supply[key.source], plan.mix, plan.axis.weight(key.ratio) or 1.0)


def _noise(plan: SweepPlan, fits: Fits, keys: tuple[FitKey, ...]) -> Vector | None:
    """What the evaluation rows make of each part: (n_parts, n_scores, n_draws); None where it is not known."""
    drawn = [[fits[replace(key, repeat=n)].noise for key in keys] for n in range(plan.repeats)]
    sizes = {len(each) for row in drawn for each in row}
    return np.array(drawn) if len(sizes) == 1 and 0 not in sizes else None


MIN_ROWS = 20
"""Below, a bootstrap knows too few rows to tell how far a score moves."""
MIN_CLASS_ROWS = 5
"""Of each class that the slice holds, in a classification."""


def slice_points(bench: Evaluator, plan: SweepPlan, fits: Fits, name: str) -> list[SlicePoint]:
    """Of the baseline and every candidate, each against the baseline.

    Without an interval where the slice is too small to show anything, without a score where that is undefined.
    """
    keys = score_keys(bench, plan)[: n_candidates(plan) + 1]
    rows = bench.slices[name]
    n_rows = int(rows.sum())
    draws = np.array([[fits[replace(key, repeat=n)].slices[name] for key in keys] for n in all_rows(plan.repeats)])
    if not np.isfinite(draws).all():
        return [SlicePoint(n_rows, None, None, None, None)] * len(keys)
    scores = draws.mean(axis=0)
    uncertain = _uncertain(bench, plan, fits, rows, draws) if _is_large(bench, rows) else None
    return [_slice_point(bench, name, uncertain, scores, place) for place in range(len(keys))]


def _is_large(bench: Evaluator, rows: npt.NDArray[np.bool_]) -> bool:
    """Whether a bootstrap of the slice's rows, or of its groups, can know what they vary by."""
    sizes = bench.sizes(rows)
    return sizes.n_units >= MIN_ROWS and (sizes.n_least >= MIN_CLASS_ROWS or not bench.task.is_classification)


def _uncertain(
    bench: Evaluator, plan: SweepPlan, fits: Fits, rows: npt.NDArray[np.bool_], draws: Vector
) -> Uncertainty | None:
    keys = score_keys(bench, plan)[: draws.shape[1]]
    drawn = resample_draws(bench, plan, fits, keys, rows, np.random.default_rng([plan.seed, 2]))
    try:
        return of_mean(drawn, draws)
    except UsageError:  # a slice may be too small for an interval; the evaluation set may not
        return None


def _slice_point(bench: Evaluator, name: str, uncertain: Uncertainty | None, scores: Vector, place: int) -> SlicePoint:
    n_rows = int(bench.slices[name].sum())
    score, gain = float(scores[place]), float(scores[place] - scores[0])
    if uncertain is None:
        return SlicePoint(n_rows, score, gain, None, None)
    contrast = np.zeros(len(scores))
    contrast[place] += 1.0
    contrast[0] -= 1.0
    error, freedom = uncertain.standard_error(contrast), uncertain.freedom(contrast)
    half = difference_half_width(bench.metric, error, bench.sizes(bench.slices[name]), freedom) if place else 0.0
    return SlicePoint(n_rows, score, gain, gain - half, gain + half)


def analyse_sweep(bench: Evaluator, plan: SweepPlan, fits: Fits, supply: Mapping[str, int]) -> Curve:
    """The curve of a sweep whose fits are all there.

    Parameters
    ----------
    bench : Evaluator
    plan : SweepPlan
    fits : mapping of FitKey to Fit
    supply : mapping of str to int
        Synthetic rows at hand of each source of the plan.
    """
    reading = _read(bench, plan, fits, supply)
    choice, own = reading.choice, reading.places(reading.winner)
    ratios, scores = tuple(reading.measured.keys[place].ratio for place in own), reading.scores[own]
    drawn = reading.measured.resampled
    corrected = correct(reading.chooser, choice, reading.scores, drawn.inside, drawn.outside)
    probabilities = peak_probabilities(scores, reading.measured.at_hand.of(own))
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
        rule=plan.axis.spoken(RULE_WORDS[plan.rule]),
        fragility=judge_fragility(ratios, scores, peak, plateau, probabilities, plan.axis),
        naive=float(reading.scores[choice.chosen]),
        corrected=corrected.score,
        corrected_gain=corrected.gain,
        smallest_detectable=_smallest_detectable(reading),
        learning=_learning(reading),
        mix=plan.mix,
        seed=plan.seed,
        n_evaluation=len(bench.truth),
        halves=halves,
        decision="",
        source=reading.winner,
        rivals={source: _points(reading, source) for source in plan.sources if source != reading.winner},
        guardrail=_assurance(plan, chosen),
        design=DESIGN,
        axis=plan.axis,
    )
    return replace(curve, decision=decide(curve))


def _smallest_detectable(reading: _Analysis) -> float:
    """By the errors that were measured, and by what any model with such a gain would change at the least."""
    chooser, at_hand, bench = reading.chooser, reading.measured.at_hand, reading.bench
    least = least_detectable(bench.metric, bench.sizes(), chooser.deviations(reading.best, at_hand))
    return max(chooser.smallest_detectable(reading.best, at_hand), least)


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
class _Analysis:
    """What was measured, and what was decided by it."""

    bench: Evaluator
    plan: SweepPlan
    fits: Fits
    measured: Measured
    chooser: Chooser
    choice: Choice
    p_values: Vector
    """Of every ratio above 0 against the baseline."""
    slices: Mapping[str, list[SlicePoint]]

    @property
    def scores(self) -> Vector:
        return self.measured.scores

    @property
    def n_candidates(self) -> int:
        return n_candidates(self.plan)

    @property
    def best(self) -> int:
        """The place that was chosen, or that of the highest score with synthetic rows where none was."""
        return self.choice.chosen or 1 + int(self.scores[1 : self.n_candidates + 1].argmax())

    @property
    def winner(self) -> str:
        """The source that was chosen, or the one with the highest score where none was."""
        return self.measured.keys[self.best].source

    def places(self, source: str) -> list[int]:
        """Where the baseline and the ratios of one source stand."""
        keys = self.measured.keys
        return [0, *(i for i in range(1, self.n_candidates + 1) if keys[i].source == source)]

    def interval(self, place: int, against: int | None = None) -> tuple[float, float, float]:
        contrast, uncertain = _contrast(len(self.scores), place, against), self.measured.at_hand
        value, error = float(contrast @ self.scores), uncertain.standard_error(contrast)
        metric, sizes, freedom = self.bench.metric, self.bench.sizes(), uncertain.freedom(contrast)
        if against is None:
            return value, *score_interval(metric, value, error, sizes, freedom, self.bench.best_score)
        half = difference_half_width(metric, error, sizes, freedom) if place != against else 0.0
        return value, value - half, value + half

    def model_interval(self, place: int) -> tuple[float, float]:
        """Of the published model itself."""
        contrast, score = _contrast(len(self.scores), place, None), self.fits[self.measured.keys[place]].score
        error = self.measured.at_hand.model_error(contrast)
        return score_interval(self.bench.metric, score, error, self.bench.sizes(), best=self.bench.best_score)

    def extra_interval(self, ratio: float) -> tuple[float, float, float] | tuple[None, None, None]:
        key = FitKey("extra", ratio, ALL_ROWS)
        keys = self.measured.keys
        return self.interval(keys.index(key)) if key in keys else (None, None, None)

    def recipe_interval(self, place: int) -> tuple[float, float] | tuple[None, None]:
        """Of the gain that other rows of this kind would give."""
        if place not in self.measured.part_places:
            return None, None
        contrast = _contrast(len(self.measured.part_places), self.measured.part_places.index(place), 0)
        gain, half = float(self.scores[place] - self.scores[0]), self.measured.recipe.half_width(contrast)
        return gain - half, gain + half

    def placebo_of(self, place: int) -> int:
        return place + self.n_candidates if place else 0


def _read(bench: Evaluator, plan: SweepPlan, fits: Fits, supply: Mapping[str, int]) -> _Analysis:
    measured = measure(bench, plan, fits, supply)
    n_scores, candidates = len(measured.scores), range(1, n_candidates(plan) + 1)
    slices = {name: slice_points(bench, plan, fits, name) for name in bench.slices}
    allowed = np.array([not _forbidden(plan, slices, place) for place in candidates])
    amounts = [key.ratio for key in measured.keys[: len(candidates) + 1]]
    searched = _searched(plan)
    chooser = Chooser.build(plan.rule, len(candidates), measured.at_hand, allowed, amounts, searched)
    against_baseline = np.array([_contrast(n_scores, place, 0) for place in candidates])
    p_values = max_t(measured.scores, against_baseline, measured.at_hand, searched=searched).p_values
    return _Analysis(bench, plan, fits, measured, chooser, chooser.choose(measured.scores), p_values, slices)


def _searched(plan: SweepPlan) -> Searched | None:
    """What a search of mixes has compared, as places among the candidates."""
    if plan.axis.screened is None:
        return None
    cells = list(enumerate(plan.cells))
    kinds = tuple(place for place, (ratio, _) in cells if ratio == plan.axis.screened)
    return Searched(kinds, tuple(place for place, (_, source) in cells if plan.leads(source)))


def _forbidden(plan: SweepPlan, slices: Mapping[str, list[SlicePoint]], place: int) -> str:
    """Why the guardrail does not let one ratio be chosen."""
    if plan.guardrail is None:
        return ""
    return objections(plan.guardrail, {name: points[place] for name, points in slices.items()})


def _contrast(n_scores: int, place: int, against: int | None) -> Vector:
    contrast = np.zeros(n_scores)
    contrast[place] += 1.0
    if against is not None:
        contrast[against] -= 1.0
    return contrast


def _points(reading: _Analysis, source: str) -> tuple[Point, ...]:
    """The points of one source, the baseline first."""
    places = reading.places(source)
    probabilities = peak_probabilities(reading.scores[places], reading.measured.at_hand.of(places))
    return tuple(_point(reading, place, float(p)) for place, p in zip(places, probabilities, strict=True))


def _point(reading: _Analysis, place: int, peak_probability: float) -> Point:
    measured, placebo = reading.measured, reading.placebo_of(place)
    fit = reading.fits[measured.keys[place]]
    score, low, high = reading.interval(place)
    gain, gain_low, gain_high = reading.interval(place, 0)
    placebo_score, placebo_low, placebo_high = reading.interval(placebo)
    over, over_low, over_high = reading.interval(place, placebo)
    extra, extra_low, extra_high = reading.extra_interval(measured.keys[place].ratio)
    recipe_low, recipe_high = reading.recipe_interval(place)
    model_low, model_high = reading.model_interval(place)
    return Point(
        ratio=measured.keys[place].ratio,
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
        model_low=model_low,
        model_high=model_high,
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
        repeats=tuple(measured.draws[:, place].tolist()),
        placebo_repeats=tuple(measured.draws[:, placebo].tolist()),
        slices={name: points[place] for name, points in reading.slices.items()},
        recalls=_recalls(reading.bench, fit),
        model_score=fit.score,
        recipe_gain_low=recipe_low,
        recipe_gain_high=recipe_high,
    )


def _recalls(bench: Evaluator, fit: Fit) -> dict[str, float]:
    """Share of each class that is predicted as such."""
    if not bench.classes:
        return {}
    truth = bench.truth
    hits = fit.predictions.argmax(axis=1) == truth
    return {str(label): float(hits[truth == code].mean()) for code, label in enumerate(bench.classes) if code in truth}


def _learning(reading: _Analysis) -> LearningCurve:
    plan, fits, n_real = reading.plan, reading.fits, reading.bench.n_real
    parts = np.array([[fits[FitKey("real", s, n)].score for s in LEARNING_SHARES] for n in range(plan.repeats)])
    parts = np.column_stack([parts, reading.measured.parts[:, 0]])
    sizes = np.round(np.array([*LEARNING_SHARES, REPEAT_SHARE]) * n_real)
    chosen, uncertain = reading.choice.chosen, reading.measured.at_hand
    error = uncertain.standard_error(_contrast(len(reading.scores), chosen, 0)) if chosen else 0.0
    gain = float(reading.scores[chosen] - reading.scores[0])
    rng = np.random.default_rng([plan.seed, 3])
    return learning_curve(sizes, parts, (n_real, float(reading.scores[0])), (gain, error), rng)
