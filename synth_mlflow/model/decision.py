"""The decision of a sweep in a few plain sentences with the numbers."""

from __future__ import annotations

from synth_mlflow.data.mixes import percent
from synth_mlflow.model.curve import Curve, Point


def decide(curve: Curve) -> str:
    """What to do, what it brings, how sure that is, and what it is worth."""
    if curve.chosen == 0:
        return " ".join([_no(curve), curve.fragility.sentence])
    point = curve.at(curve.chosen)
    sentences = [
        f"Use {percent(point.ratio)} synthetic rows ({point.n_synthetic:,} to {point.n_real:,} real ones): "
        f"{curve.metric} rises from {curve.points[0].score:.4g} to {point.score:.4g}, a gain of {_interval(point)}.",
        f"As many duplicated real rows give {point.placebo - curve.points[0].score:+.3g}; "
        f"corrected for the choice the score is {curve.corrected:.4g}.",
        curve.fragility.sentence,
        curve.learning.words,
    ]
    return " ".join(sentences)


def _no(curve: Curve) -> str:
    best = max(curve.points[1:], key=lambda point: point.score)
    opening = f"Use no synthetic rows: {curve.metric} is {curve.points[0].score:.4g} without them."
    if best.p_value <= 0.05 and best.gain > 0:
        best_placebo = max(point.placebo for point in curve.points[1:])
        return (
            f"{opening} {percent(best.ratio)} gains {_interval(best)}, but duplicated real rows gain "
            f"{best_placebo - curve.points[0].score:+.3g}: the synthetic rows bring volume, no information."
        )
    return (
        f"{opening} The best mix, {percent(best.ratio)}, changes it by {_interval(best)}, which is not told from "
        f"chance; gains below {curve.smallest_detectable:.2g} could not be seen here."
    )


def _interval(point: Point) -> str:
    return f"{point.gain:+.3g} (95 % interval {point.gain_low:+.3g} to {point.gain_high:+.3g})"
