"""The decision of a sweep in a few plain sentences with the numbers."""

from __future__ import annotations

from synth_mlflow.data.mixes import percent
from synth_mlflow.model.curve import Curve, Point, source_name
from synth_mlflow.model.inference import ALPHA


def decide(curve: Curve) -> str:
    """What to do, what it brings, how sure that is, whom it hurts, and what it is worth."""
    point = curve.at(curve.chosen)
    sentences = (
        [_yes(curve, point), _doubt(point), _controls(curve, point)] if point.ratio else [_no(curve), _shut(curve)]
    )
    sentences += [_sources(curve), curve.guardrail, _slices(point), _rising(point if point.ratio else _best(curve))]
    sentences.append(curve.fragility.sentence)
    if point.ratio:
        sentences += [curve.fragility.advice, curve.learning.words]
    return " ".join(sentence for sentence in sentences if sentence)


def with_losses(curve: Curve) -> str:
    """The decision of a curve, and which ratios it was made without, and why."""
    losses = [f"{percent(lost.ratio)} was left out: {lost.reason.rstrip('.')}." for lost in curve.failed]
    return " ".join([curve.decision, *losses])


def _yes(curve: Curve, point: Point) -> str:
    return (
        f"Use {percent(point.ratio)} synthetic rows{_of(curve)} ({point.n_synthetic:,} beside {point.n_real:,} real "
        f"ones): {curve.metric} goes from {curve.points[0].score:.4g} to {point.score:.4g}, a gain of "
        f"{_interval(point)}; "
        f"corrected for having been chosen, the score is {curve.corrected:.4g}."
    )


def _doubt(point: Point) -> str:
    """The rule tests redraws of the rows at hand; the interval is for new ones, and wider."""
    if point.gain_low > 0:
        return ""
    return "That holds when the rows at hand are drawn anew; with new real and synthetic rows it may be gone."


def _of(curve: Curve) -> str:
    return f" of {source_name(curve.source)}" if curve.rivals else ""


def _sources(curve: Curve) -> str:
    """What each source reaches, where several were swept."""
    if not curve.rivals:
        return ""
    best = {source: max(points[1:], key=lambda p: p.score) for source, points in curve.by_source().items()}
    told = [f"{source_name(source)} {p.score:.4g} at {percent(p.ratio)}" for source, p in best.items()]
    return f"Highest scores by source: {', '.join(told)}; one test covers them all."


def _controls(curve: Curve, point: Point) -> str:
    baseline = curve.points[0].score
    placebo = f"As many duplicated real rows change it by {point.placebo - baseline:+.3g}"
    if point.extra is None:
        return f"{placebo}."
    return f"{placebo}, as many further real rows by {point.extra - baseline:+.3g}."


def _no(curve: Curve) -> str:
    best = _best(curve)
    opening = f"Use no synthetic rows: {curve.metric} is {curve.points[0].score:.4g} without them."
    if best.helps and best.forbidden:
        return f"{opening} {percent(best.ratio)} gains {_interval(best)}, but {best.forbidden}."
    if best.helps:
        return f"{opening} {percent(best.ratio)} gains {_interval(best)}, but no ratio that helps satisfies the rule."
    if best.p_value <= ALPHA:
        best_placebo = max(point.placebo for point in curve.points[1:])
        return (
            f"{opening} {percent(best.ratio)} gains {_interval(best)}, but duplicated real rows gain "
            f"{best_placebo - curve.points[0].score:+.3g}, and the test does not tell the two apart: the synthetic "
            "rows are not shown to add information."
        )
    return (
        f"{opening} The best mix, {percent(best.ratio)}, changes it by {_interval(best)}, which cannot be told from "
        f"chance; a gain below {curve.smallest_detectable:.2g} could not be seen here."
    )


def _shut(curve: Curve) -> str:
    """That the guardrail would have let no ratio be chosen, whatever it gained."""
    swept = [p for points in curve.by_source().values() for p in points[1:]]
    if any(p.helps for p in swept) or not all(p.forbidden for p in swept):
        return ""
    return f"The guardrail shuts out every ratio; {percent(swept[0].ratio)}, since {swept[0].forbidden}."


def _best(curve: Curve) -> Point:
    """The highest score with synthetic rows, of any source; of those that help, if any does."""
    swept = [p for points in curve.by_source().values() for p in points[1:]]
    return max([p for p in swept if p.helps] or swept, key=lambda point: point.score)


def _rising(point: Point) -> str:
    """The slice that gains most at one ratio, if its interval lies above 0; the whole set may hide it."""
    rising = [
        (part.gain, part.gain_low, part.gain_high, name)
        for name, part in point.slices.items()
        if part.gain is not None and part.gain_low is not None and part.gain_high is not None and part.gain_low > 0
    ]
    if not rising:
        return ""
    gain, low, high, name = max(rising)
    return f"Slice {name!r} gains {gain:.3g} at {percent(point.ratio)} (95 % interval {low:+.3g} to {high:+.3g})."


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
