"""What a sweep found at every ratio, how firmly, and the ratio that it chose.

How fragile the choice of a ratio is: sharp, flat, or no peak at all, and what to do about it.

The result of a sweep: the score at every ratio with its uncertainty, and the choice with its reasons.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.mixing import percent
from synth_mlflow.sweep.axes import RATIO, Axis
from synth_mlflow.sweep.learning_curve import LearningCurve
from synth_mlflow.sweep.plan import source_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from synth_mlflow.sweep.inference import Vector


Shape = Literal["sharp", "uncertain", "flat", "no peak"]
SHARP = 0.5  # a peak that is as likely as not to be another one is not sharp
MISS = 0.1  # ten percent points: as near as people keep a ratio over the months


@dataclass(frozen=True)
class Fragility:
    """The verdict in words, and the numbers behind it."""

    words: Shape
    sentence: str
    """What was found."""
    advice: str
    """What to do about it."""
    peak_probability: float
    """How often the peak would be the peak again on other evaluation rows, with other draws of the synthetic ones."""
    drop_below: float | None
    """Score lost by going to the next smaller ratio; None where there is none."""
    drop_above: float | None
    """Score lost by going to the next greater ratio; None where there is none."""
    miss_cost: float
    """Score lost ten percent points off the peak, by the parabola through it and its nearest ratios."""


def judge_fragility(
    ratios: tuple[float, ...],
    scores: Vector,
    peak: int,
    plateau: npt.NDArray[np.bool_],
    probabilities: Vector,
    axis: Axis = RATIO,
) -> Fragility:
    """Judge the neighbourhood of the peak.

    *No peak*: no ratio is significantly different from the best. *Flat*: a neighbour is not. *Sharp*: all others are,
    and another sweep would find the same peak more often than not. *Uncertain*: the neighbours are, and it would not.

    Parameters
    ----------
    ratios : tuple of float
        Ascending, 0 first.
    scores, plateau, probabilities : arrays of shape (n_ratios,)
        Score of each, whether it may be the best, and how often it would be the peak under another draw.
    peak : int
        Place of the highest score.
    axis : Axis
        What the ratios are points of.
    """
    neighbours = [place for place in (peak - 1, peak + 1) if 0 <= place < len(ratios)]
    drops = {place: float(scores[peak] - scores[place]) for place in neighbours}
    again, cost = float(probabilities[peak]), miss_cost(ratios, scores, peak)
    words = _shape(plateau, neighbours, again)
    facts = {"peak": axis.words(ratios[peak]), "again": percent(round(again, 2)), "cost": f"{cost:.2g}"}
    facts["off"] = f"{MISS:g} off it costs" if axis.name == "weight" else "ten percentage points off it cost"
    facts["again_words"] = _AGAIN.format(**facts)
    beside = "both neighbours score" if len(neighbours) > 1 else "its only neighbour scores"
    sentence = axis.spoken(_SENTENCES[words]).format(**facts, beside=beside)
    edge = _edge(ratios, peak, words, axis)
    advice = edge if edge and words == "sharp" else " ".join(filter(None, (axis.spoken(_ADVICE[words]), edge)))
    return Fragility(words, sentence, advice, again, drops.get(peak - 1), drops.get(peak + 1), cost)


def _shape(plateau: npt.NDArray[np.bool_], neighbours: list[int], again: float) -> Shape:
    if plateau.all():
        return "no peak"
    if plateau[neighbours].any():
        return "flat"
    return "sharp" if plateau.sum() == 1 and again >= SHARP else "uncertain"


def miss_cost(ratios: Sequence[float], scores: Vector, peak: int) -> float:
    """Score lost by missing the peak by ten percent points, on the side where that costs more.

    Parameters
    ----------
    ratios : sequence of float
        Ascending.
    scores : array of shape (n_ratios,)
    peak : int
        Place of the highest score.

    Notes
    -----
    The curve near the peak is taken as the parabola through the peak and its two neighbours, or the two ratios nearest
    to a peak at the edge; through two ratios, as a line.

    Examples
    --------
    >>> round(miss_cost([0.0, 0.25, 0.5, 0.75], np.array([0.5, 0.7, 0.7, 0.5]), 1), 4)
    0.056
    """
    first = min(max(peak - 1, 0), max(len(ratios) - 3, 0))
    near = slice(first, first + 3)
    offsets, lost = np.array(ratios[near]) - ratios[peak], scores[peak] - scores[near]
    parabola = np.polyfit(offsets, lost, len(offsets) - 1)
    sides = [step for step, inside in ((-MISS, peak > 0), (MISS, peak < len(ratios) - 1)) if inside]
    return max(0.0, *(float(np.polyval(parabola, step) - parabola[-1]) for step in sides))


_SENTENCES: dict[Shape, str] = {
    "sharp": ("The peak at {peak} is sharp: {beside} measurably less, and {off} about {cost}. {again_words}"),
    "uncertain": (
        "Where the peak is remains uncertain: {peak} scores highest and {beside} measurably less, but another "
        "ratio may be as good. {again_words}"
    ),
    "flat": (
        "The peak at {peak} is flat: a neighbour is not significantly different from it, and {off} "
        "about {cost}. {again_words}"
    ),
    "no peak": (
        "There is no peak: no ratio is significantly different from the best. {peak} scores highest. {again_words}"
    ),
}
_AGAIN = (
    "In a second sweep of these rows, on as many other evaluation rows, {peak} would score highest with probability "
    "{again}."
)
_ADVICE: dict[Shape, str] = {
    "sharp": "Keep the ratio exact, and sweep again when data or generator change.",
    "uncertain": "To find the best ratio, freeze more evaluation rows; until then a second sweep may choose another.",
    "flat": "Another ratio of the plateau does nearly as well, and a second sweep may well choose one.",
    "no peak": "To distinguish ratios, freeze more evaluation rows.",
}


def _edge(ratios: tuple[float, ...], peak: int, words: Shape, axis: Axis) -> str:
    if peak < len(ratios) - 1 or words == "no peak":
        return ""
    greatest = axis.words(ratios[peak])
    return f"{greatest[:1].upper()}{greatest[1:]} is the greatest {axis.noun} swept: sweep greater ones too."


@dataclass(frozen=True)
class SlicePoint:
    """The score on one slice at one ratio; None where it is undefined."""

    n_rows: int
    score: float | None
    gain: float | None
    """Over the same slice at ratio 0."""
    gain_low: float | None
    gain_high: float | None


@dataclass(frozen=True)
class Point:
    """One ratio. Scores are means over the fits on all real rows: the expected score of a model of this mix.

    Intervals are for that expected score on new data, unless they say *model* (this very model) or *recipe* (other real
    and synthetic rows of this kind).
    """

    ratio: float
    n_real: int
    n_synthetic: int
    score: float
    low: float
    high: float
    gain: float
    """Over ratio 0."""
    gain_low: float
    gain_high: float
    p_value: float
    """Of the simultaneous test of all ratios against ratio 0."""
    helps: bool
    """Whether it beats ratio 0 and its placebo."""
    in_plateau: bool
    peak_probability: float
    model_low: float
    """Interval of this very model on further evaluation rows."""
    model_high: float
    placebo: float
    """Score with as many duplicated real rows in place of the synthetic ones."""
    placebo_low: float
    placebo_high: float
    over_placebo: float
    """Gain over the placebo of the same ratio."""
    over_placebo_low: float
    over_placebo_high: float
    extra: float | None
    """Score with as many held-back real rows in place of the synthetic ones; None where there were too few."""
    extra_low: float | None
    extra_high: float | None
    forbidden: str
    """Why the guardrail on slices does not let it be chosen; empty if it does."""
    repeats: tuple[float, ...]
    placebo_repeats: tuple[float, ...]
    slices: Mapping[str, SlicePoint]
    recalls: Mapping[str, float]
    """Share of each class that is predicted as such; empty for regression."""
    model_score: float | None = None
    """Of the published model of this ratio; None in curves of the first design, whose score was that of one model."""
    recipe_gain_low: float | None = None
    """Interval of the gain that other real and synthetic rows of this kind would give; None in the first design, whose
    every interval was such."""
    recipe_gain_high: float | None = None

    @property
    def of_model(self) -> float:
        """Score of the published model."""
        return self.score if self.model_score is None else self.model_score


@dataclass(frozen=True)
class FailedRatio:
    """A ratio that was left out since one of its fits failed."""

    ratio: float
    reason: str


@dataclass(frozen=True)
class Curve:
    """Scores over ratios, the chosen one, and why."""

    metric: str
    points: tuple[Point, ...]
    chosen: float
    peak: float
    plateau: list[float]
    """Every ratio that is not significantly different from the best."""
    rule: str
    """How the ratio was chosen, in words."""
    fragility: Fragility
    naive: float
    """Score at the chosen ratio."""
    corrected: float
    """That score, corrected for selection bias."""
    corrected_gain: float
    """Gain over ratio 0, corrected in the same way."""
    smallest_detectable: float
    """The gain that this evaluation set and these repeats would find with 80 % probability."""
    learning: LearningCurve
    mix: str
    seed: int
    n_evaluation: int
    """Rows of the frozen set that chose."""
    halves: str
    """In words, whether the same rows choose and confirm."""
    decision: str
    """A few plain sentences with the numbers."""
    failed: tuple[FailedRatio, ...] = ()
    source: str = ""
    """Whose synthetic rows the points are of; empty for all batches together."""
    rivals: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    """The points of every other source that was swept beside it, each with ratio 0; one test over all of them."""
    guardrail: str = ""
    """How the chosen ratio keeps the statement's guardrail, in words; empty without one, or without synthetic rows."""
    design: int = 1
    """Version of what was fitted and how it was read; see :data:`synth_mlflow.sweep.plan.DESIGN`."""
    axis: Axis = RATIO
    """What was swept: the ``ratio`` of a point is a value on this axis, such as a weight."""

    def words(self, point: float) -> str:
        """A value on the axis as people read it."""
        return self.axis.words(point)

    def share(self, point: Point) -> float:
        """The synthetic rows' share in the whole mix of a point; of the axes ``ratio`` and ``mix`` its ratio."""
        if self.axis.name in ("ratio", "mix"):
            return point.ratio
        return point.n_synthetic / (point.n_real + point.n_synthetic)

    @property
    def chosen_share(self) -> float:
        """The synthetic rows' share in the chosen mix."""
        return self.share(self.at(self.chosen))

    def frame(self) -> pd.DataFrame:
        """One row a ratio: ratio, score, low, high, gain, gain_low, gain_high, and more."""
        rows = [_record(point) for point in self.points]
        if self.rivals:
            rows = [record | {"source": source_name(self.source)} for record in rows]
            rows += [
                _record(point) | {"source": source_name(source)}
                for source, points in self.rivals.items()
                for point in points[1:]
            ]
        frame = pd.DataFrame(rows)
        first = ["ratio", "score", "low", "high", "gain", "gain_low", "gain_high"]
        return frame[first + [name for name in frame.columns if name not in first]]

    def at(self, ratio: float, source: str | None = None) -> Point:
        """The point of one ratio, by default of the source that won.

        Raises
        ------
        KeyError
            If it was not swept.
        """
        for point in self.points if source in (None, self.source) else self.rivals[source]:
            if math.isclose(point.ratio, ratio):
                return point
        raise KeyError(f"ratio {ratio} was not swept; swept were {[p.ratio for p in self.points]}")

    def by_source(self) -> dict[str, tuple[Point, ...]]:
        """The points of every source that was swept, the winner first."""
        return {self.source: self.points, **self.rivals}

    def figure(self) -> Figure:
        """The curve as a picture; see :func:`synth_mlflow.sweep.plots.curve_figure`."""
        from synth_mlflow.sweep.plots import curve_figure  # which imports this file

        return curve_figure(self)

    def to_json(self) -> dict[str, Any]:
        """As JSON values; a number that is not finite becomes None."""
        record: dict[str, Any] = _finite(asdict(self))
        return record

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Curve:
        """The inverse of :meth:`to_json`."""
        fields = dict(record)
        fields["points"] = tuple(_point(point) for point in record["points"])
        fields["rivals"] = {
            source: tuple(_point(point) for point in points) for source, points in record.get("rivals", {}).items()
        }
        fields["fragility"] = Fragility(**record["fragility"])
        learning: dict[str, Any] = {
            name: tuple(v) if isinstance(v, list) else v for name, v in record["learning"].items()
        }
        fields["learning"] = LearningCurve(**learning)
        fields["axis"] = Axis(**record.get("axis", {}))
        fields["failed"] = tuple(FailedRatio(**lost) for lost in record.get("failed", ()))
        return cls(**fields)

    def _repr_html_(self) -> str:
        columns = ["ratio", "score", "low", "high", "gain", "gain_low", "gain_high", "placebo", "helps", "in_plateau"]
        table = self.frame()[columns].to_html(index=False, float_format=lambda value: f"{value:.4g}")
        drawn = io.BytesIO()
        self.figure().savefig(drawn, format="png")
        picture = f'<img alt="the curve" src="data:image/png;base64,{base64.b64encode(drawn.getvalue()).decode()}">'
        return f"<p>{html.escape(self.decision)}</p>{picture}{table}"


def _record(point: Point) -> dict[str, Any]:
    nested = {"repeats", "placebo_repeats", "slices", "recalls"}
    record = {name: value for name, value in vars(point).items() if name not in nested}
    record |= {f"slice_{name}": part.score for name, part in point.slices.items()}
    return record | {f"recall_{name}": value for name, value in point.recalls.items()}


def _point(record: Mapping[str, Any]) -> Point:
    fields = dict(record)
    fields["slices"] = {name: SlicePoint(**part) for name, part in record["slices"].items()}
    for name in ("repeats", "placebo_repeats"):
        fields[name] = tuple(record[name])
    return Point(**fields)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
