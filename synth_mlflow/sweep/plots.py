"""The picture of a sweep: the curve with its intervals and controls, and beside it what more real rows would give."""

from __future__ import annotations

from dataclasses import replace
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from synth_mlflow.data.mixing import percent
from synth_mlflow.sweep.plan import source_name

if TYPE_CHECKING:
    from synth_mlflow.sweep.curve import Curve


Percents = npt.NDArray[np.float64]

BLUE, ORANGE, GREEN, PURPLE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
)  # Okabe and Ito: for every kind of colour vision
GREY = "#666666"
_RIVAL_STYLES = ("-", "--", "-.", ":")
_SHIFT = 0.6  # percent points: error bars of two arms stand beside each other


def curve_figure(curve: Curve, success_line: float | None = None) -> Figure:
    """Draw a curve.

    Parameters
    ----------
    curve : Curve
    success_line : float, optional
        The score that the statement asks for.
    """
    figure = Figure(figsize=(11.0, 5.2), dpi=120, layout="constrained")
    axes, beside = figure.subplots(1, 2, width_ratios=[2.2, 1.0])
    percents = np.array([100 * point.ratio for point in curve.points])
    _shade_plateau(axes, curve, percents)
    _draw_placebo(axes, curve, percents)
    _draw_extra(axes, curve, percents)
    _draw_rivals(axes, curve)
    _draw_scores(axes, curve, percents)
    if success_line is not None:
        axes.axhline(success_line, color=GREEN, linestyle="-.", linewidth=1.4, label="asked for")
    _mark_choice(axes, curve)
    _label(axes, curve, percents)
    _draw_learning(beside, curve)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8.5)
    return figure


def sources_figure(curve: Curve) -> Figure:
    """Draw every source that was swept in a panel of its own, on one scale."""
    sources = curve.by_source()
    figure = Figure(figsize=(3.6 * len(sources) + 1.0, 4.2), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(sources), sharey=True)
    for axes, (source, points) in zip(panels, sources.items(), strict=True):
        own = replace(curve, points=points, rivals={})
        percents = np.array([100 * point.ratio for point in points])
        _shade_plateau(axes, own, percents)
        _draw_placebo(axes, own, percents)
        _draw_scores(axes, own, percents)
        if source == curve.source:
            _mark_choice(axes, own)
        axes.set_title(source_name(source), loc="left", fontsize=11)
        axes.set_xticks(percents, [_tick(curve, point.ratio) for point in points])
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", alpha=0.25)
    panels[0].set_ylabel(f"{curve.metric}, {curve.n_evaluation:,} evaluation rows")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _shade_plateau(axes: Axes, curve: Curve, percents: Percents) -> None:
    """Each ratio of the plateau owns the strip up to half-way to its neighbours."""
    edges = np.r_[percents[0], (percents[1:] + percents[:-1]) / 2, percents[-1]]
    margin = 0.03 * (percents[-1] - percents[0])
    edges[0], edges[-1] = edges[0] - margin, edges[-1] + margin
    label: str | None = "not significantly different from the best"
    for place, point in enumerate(curve.points):
        if point.in_plateau:
            axes.axvspan(edges[place], edges[place + 1], color=BLUE, alpha=0.07, linewidth=0, label=label)
            label = None
    axes.set_xlim(edges[0], edges[-1])


def _draw_placebo(axes: Axes, curve: Curve, percents: Percents) -> None:
    shown = [(x, p.placebo, p.placebo_low, p.placebo_high) for x, p in zip(percents, curve.points, strict=True)]
    _draw_arm(axes, np.array(shown), _SHIFT, ORANGE, "s", "placebo: duplicated real rows")


def _draw_extra(axes: Axes, curve: Curve, percents: Percents) -> None:
    """What further real rows would have given, where enough were held back."""
    shown = [
        (x, p.extra, p.extra_low, p.extra_high)
        for x, p in zip(percents, curve.points, strict=True)
        if p.extra is not None and p.extra_low is not None and p.extra_high is not None
    ]
    if shown:
        _draw_arm(axes, np.array(shown), -_SHIFT, PURPLE, "^", "held-back real rows added")


def _draw_rivals(axes: Axes, curve: Curve) -> None:
    """The other sources, thin: what they would have given."""
    for (source, points), style in zip(curve.rivals.items(), cycle(_RIVAL_STYLES)):
        percents, scores = [100 * point.ratio for point in points], [point.score for point in points]
        axes.plot(percents, scores, color=GREY, linestyle=style, linewidth=1.2, marker=".", label=source_name(source))


def _draw_arm(axes: Axes, shown: Percents, shift: float, color: str, marker: str, label: str) -> None:
    """Rows of ``shown`` are percent, score, low, high."""
    percents, scores, low, high = shown.T
    axes.errorbar(
        percents + shift,
        scores,
        yerr=[scores - low, high - scores],
        color=color,
        linestyle="--",
        marker=marker,
        markersize=4.5,
        linewidth=1.3,
        elinewidth=0.8,
        capsize=2.5,
        label=label,
    )


def _draw_scores(axes: Axes, curve: Curve, percents: Percents) -> None:
    low, high = [point.low for point in curve.points], [point.high for point in curve.points]
    axes.fill_between(percents, low, high, color=BLUE, alpha=0.13, linewidth=0, label="95 %, expected score")
    model = [point.model_low for point in curve.points], [point.model_high for point in curve.points]
    axes.fill_between(percents, *model, color=BLUE, alpha=0.25, linewidth=0, label="95 %, this very model")
    scores = [point.score for point in curve.points]
    label = source_name(curve.source) if curve.rivals else "synthetic rows added"
    axes.plot(percents, scores, color=BLUE, marker="o", linewidth=2.0, label=label)
    n_repeats = len(curve.points[0].repeats)
    axes.scatter(
        np.repeat(percents, n_repeats),
        [score for point in curve.points for score in point.repeats],
        color=BLUE,
        s=9,
        alpha=0.35,
        linewidth=0,
        label="single fits",
    )


def _mark_choice(axes: Axes, curve: Curve) -> None:
    point = curve.at(curve.chosen)
    label = f"chosen: {curve.words(curve.chosen)}"
    axes.axvline(100 * point.ratio, color=GREY, linewidth=1.0, linestyle=":")
    axes.plot(
        [100 * point.ratio],
        [point.score],
        marker="o",
        markersize=13,
        markerfacecolor="none",
        markeredgecolor="black",
        markeredgewidth=1.6,
        linestyle="none",
        label=label,
    )
    if point.ratio:
        corrected = "corrected for the choice"
        axes.plot([100 * point.ratio], [curve.corrected], marker="_", markersize=18, color="black", label=corrected)


def _draw_learning(axes: Axes, curve: Curve) -> None:
    """Scores of real rows alone, and where more of them would reach the chosen mix."""
    learning, n_real = curve.learning, curve.learning.n_rows[-1]
    axes.plot(learning.n_rows, learning.scores, color=GREY, marker="o", markersize=4.5, linewidth=1.6)
    if curve.chosen and learning.words:
        reached = curve.at(curve.chosen).score
        span = np.array([[learning.worth - learning.worth_low], [learning.worth_high - learning.worth]])
        axes.errorbar(
            [n_real + learning.worth],
            [reached],
            xerr=np.maximum(span, 0.0),
            color=BLUE,
            marker="D",
            markersize=6,
            capsize=3,
        )
        axes.plot([n_real, n_real + learning.worth], [learning.scores[-1], reached], color=GREY, linestyle=":")
    axes.set_title(_worth(curve), loc="left", fontsize=10)
    axes.set_xlabel("real rows alone")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


def _worth(curve: Curve) -> str:
    """How many further real rows the chosen mix is worth, in two lines at most."""
    learning = curve.learning
    if not curve.chosen:
        return "What real rows alone give"
    if not learning.words:
        return "What more real rows give:\ntoo uncertain to compare with the mix"
    return (
        f"Worth about {learning.worth:,.0f} more real rows\n({learning.worth_low:,.0f} to {learning.worth_high:,.0f})"
    )


def _label(axes: Axes, curve: Curve, percents: Percents) -> None:
    axes.set_xticks(percents, [_tick(curve, point.ratio) for point in curve.points])
    axes.set_xlabel(_swept(curve))
    axes.set_ylabel(f"{curve.metric}, {curve.n_evaluation:,} evaluation rows")
    axes.set_title(_title(curve), loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)


def _title(curve: Curve) -> str:
    if curve.chosen == 0:
        return "Chosen: no synthetic rows"
    point = curve.at(curve.chosen)
    interval = f"{point.gain_low:+.3g} to {point.gain_high:+.3g}"
    chosen = curve.words(curve.chosen) if curve.axis.name == "weight" else f"{curve.words(curve.chosen)} synthetic"
    return f"Chosen: {chosen}, {point.gain:+.3g} ({interval})"


def _tick(curve: Curve, value: float) -> str:
    return f"{value:.4g}" if curve.axis.name == "weight" else percent(value)


def _swept(curve: Curve) -> str:
    """What the points of the axis are."""
    if curve.axis.name == "weight":
        return f"weight of each of {curve.axis.rows:,} synthetic rows"
    if curve.axis.name == "slice":
        return f"synthetic rows among those of slice {curve.axis.slice}"
    return "synthetic rows in the training mix"
