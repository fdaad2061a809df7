"""Say in words what a sweep decided, and whether it reached what was asked.

Whether a sweep is what the statement calls a success: the only judge of it.

The decision of a sweep in a few plain sentences with the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from synth_mlflow.errors import UsageError, closest
from synth_mlflow.sweep.curve import Curve, Point
from synth_mlflow.sweep.inference import ALPHA
from synth_mlflow.sweep.plan import source_name

Kind = Literal["gain_at_least", "at_least"]


@dataclass(frozen=True)
class Success:
    """What the statement calls a success, and what was measured against it."""

    kind: Kind
    threshold: float
    measured: float
    """The gain or the score at the chosen ratio, corrected for selection bias."""
    low: float
    """95 % interval of the expected score on new data, or of its gain, moved to the corrected estimate."""
    high: float

    @property
    def met(self) -> bool:
        """Whether the corrected estimate reaches the threshold; NaN never does."""
        return self.measured >= self.threshold

    @property
    def certain(self) -> bool:
        """Whether the whole interval lies on the same side of the threshold."""
        return self.low >= self.threshold if self.met else self.high < self.threshold

    @property
    def outcome(self) -> str:
        """``success`` or ``no success``, with ``, not certain`` where the interval holds the threshold."""
        return f"{'success' if self.met else 'no success'}{'' if self.certain else ', not certain'}"


def judge_success(curve: Curve, thresholds: Mapping[str, float]) -> Success:
    """Hold the corrected gain, or the corrected score, against what the statement demands.

    Parameters
    ----------
    curve : Curve
    thresholds : mapping
        ``{"gain_at_least": x}`` or ``{"at_least": x}``.

    Raises
    ------
    UsageError
        If it is neither.
    """
    point = curve.at(curve.chosen)
    if thresholds.keys() == {"gain_at_least"}:
        luck = point.gain - curve.corrected_gain
        needed = float(thresholds["gain_at_least"])
        return Success("gain_at_least", needed, curve.corrected_gain, point.gain_low - luck, point.gain_high - luck)
    if thresholds.keys() == {"at_least"}:
        luck = point.score - curve.corrected
        return Success("at_least", float(thresholds["at_least"]), curve.corrected, point.low - luck, point.high - luck)
    hint = closest(next(iter(thresholds), ""), ["gain_at_least", "at_least"])
    raise UsageError(f"success {dict(thresholds)!r} is neither `gain_at_least` nor `at_least`. {hint}")


BEST_MIXES = 3  # that a decision names, of those that a search has compared

Shown = Literal["better", "worse", "not shown"]


def shown(low: float, high: float) -> Shown:
    """What an interval of a difference shows.

    >>> shown(0.01, 0.03), shown(-0.03, -0.01), shown(-0.01, 0.03)
    ('better', 'worse', 'not shown')
    """
    return "better" if low > 0 else "worse" if high < 0 else "not shown"


def decide(curve: Curve) -> str:
    """What to do, what it brings, how sure that is, whom it hurts, and what it is worth."""
    point = curve.at(curve.chosen)
    sentences = (
        [_yes(curve, point), _against_duplicates(point), _controls(curve, point), _elsewhere(point)]
        if point.ratio
        else [_no(curve), _shut(curve)]
    )
    sentences += [_sources(curve), curve.guardrail, _slices(point)]
    sentences.append(_rising(curve, point if point.ratio else _best(curve)))
    sentences.append(curve.fragility.sentence)
    if point.ratio:
        sentences += [curve.fragility.advice, curve.learning.words]
    return " ".join(sentence for sentence in sentences if sentence)


def with_losses(curve: Curve) -> str:
    """The decision, and which ratios have no say in it since a fit of theirs failed."""
    lost = [f"{curve.words(each.ratio)} was left out: {each.reason.rstrip('.')}." for each in curve.failed]
    return " ".join([curve.decision, *lost])


def _yes(curve: Curve, point: Point) -> str:
    words = (
        f"{_use(curve, point)} ({point.n_synthetic:,} beside {point.n_real:,} real ones): the expected "
        f"{curve.metric} on new data goes from {curve.points[0].score:.4g} to {point.score:.4g}, a gain of "
        f"{_interval(point)}; corrected for having been chosen, the score is {curve.corrected:.4g}."
    )
    if shown(point.gain_low, point.gain_high) == "better":
        return words
    return f"{words} The two-sided interval reaches 0; {_test(curve, point)} shows a gain."


def _use(curve: Curve, point: Point) -> str:
    """What to train on, named as the axis has it."""
    if curve.axis.name == "weight":
        return f"Use synthetic rows with {curve.words(point.ratio)}"
    if curve.axis.name == "slice":
        return f"Use synthetic rows for {curve.words(point.ratio)}"
    return f"Use {curve.words(point.ratio)} synthetic rows{_of(curve)}"


def _test(curve: Curve, point: Point) -> str:
    words = f"the one-sided test of all ratios together, which decides, (p = {point.p_value:.2g})"
    return curve.axis.spoken(words)


def _against_duplicates(point: Point) -> str:
    """How the synthetic rows stand against as many duplicated real rows."""
    return {
        "better": f"As many duplicated real rows do worse: the synthetic ones score {_over(point)} above them.",
        "worse": f"As many duplicated real rows do better: the synthetic ones score {_over(point)} beside them.",
        "not shown": (
            f"Against as many duplicated real rows the difference is {_over(point)}, "
            + ("above 0 by the one-sided test." if point.helps else "which shows neither to be better.")
        ),
    }[shown(point.over_placebo_low, point.over_placebo_high)]


def _over(point: Point) -> str:
    low, high = point.over_placebo_low, point.over_placebo_high
    return f"{point.over_placebo:+.3g} (95 % interval {low:+.3g} to {high:+.3g})"


def _controls(curve: Curve, point: Point) -> str:
    if point.extra is None:
        return ""
    return f"As many further real rows change the score by {point.extra - curve.points[0].score:+.3g}."


def _elsewhere(point: Point) -> str:
    """The second question: the same recipe, other rows."""
    low, high = point.recipe_gain_low, point.recipe_gain_high
    if low is None or high is None:
        return ""
    outcome_text = {
        "better": "a gain is shown",
        "worse": "a loss is shown",
        "not shown": "neither gain nor loss is shown",
    }
    return (
        "All this holds for these real rows and batches; for other real and synthetic rows of this kind "
        f"{outcome_text[shown(low, high)]} (95 % interval of the change {low:+.3g} to {high:+.3g})."
    )


def _of(curve: Curve) -> str:
    if curve.axis.name == "mix":
        return f", of which {source_name(curve.source)}"
    return f" of {source_name(curve.source)}" if curve.rivals else ""


def _sources(curve: Curve) -> str:
    """What each source reaches, where several were swept."""
    if not curve.rivals:
        return ""
    best = {source: max(points[1:], key=lambda p: p.score) for source, points in curve.by_source().items()}
    if curve.axis.name == "mix":
        top = sorted(best.items(), key=lambda item: -item[1].score)[:BEST_MIXES]
        named = [f"{source_name(source)} ({p.score:.4g} at {curve.words(p.ratio)})" for source, p in top]
        return f"Of {len(best)} mixes, these score highest: {'; '.join(named)}. One test covers them all."
    parts = [f"{source_name(source)} {p.score:.4g} at {curve.words(p.ratio)}" for source, p in best.items()]
    return f"Highest scores by source: {', '.join(parts)}; one test covers them all."


def _no(curve: Curve) -> str:
    best = _best(curve)
    opening = f"Use no synthetic rows: {curve.metric} is {curve.points[0].score:.4g} without them."
    mix = curve.words(best.ratio)
    if best.helps:
        why = best.forbidden or curve.axis.spoken("no ratio that helps satisfies the rule")
        return f"{opening} {mix} gains {_interval(best)}, but {why}."
    if best.p_value <= ALPHA:
        return (
            f"{opening} {mix} gains {_interval(best)}, but is not shown to add information. {_against_duplicates(best)}"
        )
    changed = f"{opening} The best mix, {mix}, changes the expected score by {_interval(best)}"
    unseen = f"a gain of {curve.smallest_detectable:.2g} would have been found with 80 % probability."
    return {
        "better": f"{changed}; alone that would be a gain, but {_test(curve, best)} shows none: {unseen}",
        "worse": f"{changed}: it is worse.",
        "not shown": f"{changed}: neither gain nor loss is shown; {unseen}",
    }[shown(best.gain_low, best.gain_high)]


def _shut(curve: Curve) -> str:
    """That the guardrail would have let no ratio be chosen, whatever it gained."""
    swept = [p for points in curve.by_source().values() for p in points[1:]]
    if any(p.helps for p in swept) or not all(p.forbidden for p in swept):
        return ""
    every = curve.axis.spoken("The guardrail shuts out every ratio")
    return f"{every}; {curve.words(swept[0].ratio)}, since {swept[0].forbidden}."


def _best(curve: Curve) -> Point:
    """The highest score with synthetic rows, of any source; of those that help or else gain, if any does."""
    swept = [p for points in curve.by_source().values() for p in points[1:]]
    gaining = [p for p in swept if p.p_value <= ALPHA]
    return max([p for p in swept if p.helps] or gaining or swept, key=lambda point: point.score)


def _rising(curve: Curve, point: Point) -> str:
    """The slice that gains most at one ratio, if its interval lies above 0; the whole set may hide it."""
    rising = [
        (part.gain, part.gain_low, part.gain_high, name)
        for name, part in point.slices.items()
        if part.gain is not None and part.gain_low is not None and part.gain_high is not None and part.gain_low > 0
    ]
    if not rising:
        return ""
    gain, low, high, name = max(rising)
    return f"Slice {name!r} gains {gain:.3g} at {curve.words(point.ratio)} (95 % interval {low:+.3g} to {high:+.3g})."


def _slices(point: Point) -> str:
    """The slice that loses most, if its interval lies below 0."""
    falling = {
        name: part.gain
        for name, part in point.slices.items()
        if part.gain is not None and part.gain_high is not None and part.gain_high < 0
    }
    if not falling:
        return ""
    name = min(falling, key=lambda key: falling[key])
    return f"It costs slice {name!r} {-falling[name]:.3g}."


def _interval(point: Point) -> str:
    return f"{point.gain:+.3g} (95 % interval {point.gain_low:+.3g} to {point.gain_high:+.3g})"


def in_short(chosen: str, metric: str, score: float, gain: float | None) -> str:
    """The result of a sweep in a name: what was chosen, its score, and what that gains over real rows alone.

    >>> in_short("25 %", "r2", 0.92734, 0.0212), in_short("0 %", "neg_mean_absolute_error", -20345.6, None)
    ('25 %, r2 0.927 (+0.021)', '0 %, neg_mean_absolute_error -20,346')
    """
    return f"{chosen}, {metric} {_brief(score)}{'' if gain is None else f' ({_brief(gain, sign=True)})'}"


def _brief(value: float, *, sign: bool = False) -> str:
    style = ",.0f" if abs(value) >= 1000 else ".3f" if abs(value) >= 0.01 or value == 0 else ".2g"
    return format(value, f"{'+' if sign else ''}{style}")
