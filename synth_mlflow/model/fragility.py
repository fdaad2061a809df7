"""How fragile the choice of a ratio is: sharp, flat, or no peak at all, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from synth_mlflow.data.mixes import percent
from synth_mlflow.model.axes import RATIO, Axis
from synth_mlflow.model.inference import Vector

Shape = Literal["sharp", "flat", "no peak"]
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

    *No peak*: no ratio is significantly different from the best. *Sharp*: all neighbours are. *Flat*: one is not.

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
    words: Shape = "no peak" if plateau.all() else "flat" if plateau[neighbours].any() else "sharp"
    drops = {place: float(scores[peak] - scores[place]) for place in neighbours}
    again, cost = float(probabilities[peak]), miss_cost(ratios, scores, peak)
    told = {"peak": axis.words(ratios[peak]), "again": percent(round(again, 2)), "cost": f"{cost:.2g}"}
    told["off"] = f"{MISS:g} off it costs" if axis.name == "weight" else "ten points off it cost"
    told["again_words"] = _AGAIN.format(**told)
    beside = "both neighbours score" if len(neighbours) > 1 else "its only neighbour scores"
    sentence = axis.spoken(_SENTENCES[words]).format(**told, beside=beside)
    advice = axis.spoken(_ADVICE[words]) + _edge(ratios, peak, words, axis)
    return Fragility(words, sentence, advice, again, drops.get(peak - 1), drops.get(peak + 1), cost)


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
    "flat": (
        "The peak at {peak} is flat: a neighbour is not significantly different from it, and {off} "
        "about {cost}. {again_words}"
    ),
    "no peak": (
        "There is no peak: no ratio is significantly different from the best. {peak} scores highest. {again_words}"
    ),
}
_AGAIN = (
    "Whoever sweeps these rows again, on as many other evaluation rows, finds the highest score at {peak} with "
    "probability {again}."
)
_ADVICE: dict[Shape, str] = {
    "sharp": "Keep the ratio exact, and sweep again when data or generator change.",
    "flat": "Another ratio of the plateau does nearly as well, and a second sweep may well choose one.",
    "no peak": "To distinguish ratios, freeze more evaluation rows.",
}


def _edge(ratios: tuple[float, ...], peak: int, words: Shape, axis: Axis) -> str:
    if peak < len(ratios) - 1 or words == "no peak":
        return ""
    greatest = axis.words(ratios[peak])
    return f" {greatest[:1].upper()}{greatest[1:]} is the greatest {axis.noun} swept: sweep greater ones too."
