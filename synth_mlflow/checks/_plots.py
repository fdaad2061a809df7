"""The pictures of the checks: built as figures, saved by whoever logs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

from synth_mlflow.data.grids import floats_of
from synth_mlflow.metrics.distances import SPLIT_ROWS, Bools
from synth_mlflow.metrics.encoding import MISSING, coded_labels
from synth_mlflow.metrics.null_distribution import N_SPLITS, NullDistribution, Places, split_floor

Floats = npt.NDArray[np.float64]

REAL, SYNTHETIC, BAND, BAD = "#4d4d4d", "#0072b2", "#bdbdbd", "#d55e00"  # M. Okabe, K. Ito: safe for every eye
STRONG = ("#d55e00", "#0072b2", "#009e73", "#cc79a7")
N_BINS, N_LEVELS = 24, 10
DRAWN_POINTS = 1_000  # of a curve on logarithmic axes: more than the picture has dots from left to right
LEFT, RIGHT, BOTTOM, TOP = 0.45, 0.1, 0.55, 0.25  # inches beside a panel, for labels of up to 14 characters and a title


def panels(n: int, *, columns: int = 4, width: float = 3.0, height: float = 2.3) -> tuple[Figure, list[Axes]]:
    """A grid of small axes without a frame on top and right; width and height of each in inches, labels included."""
    columns = min(columns, max(n, 1))
    rows = -(-max(n, 1) // columns)
    figure = Figure(figsize=(width * columns, height * rows))
    axes = [figure.add_axes(_box(place, rows, columns, width, height)) for place in range(n)]
    for ax in axes:
        tidy(ax)
    return figure, axes


def _box(place: int, rows: int, columns: int, width: float, height: float) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of a panel, in parts of the figure.

    The room for labels is fixed: a layout that measures every label takes half of the time of the picture.
    """
    row, column = divmod(place, columns)
    left, bottom = column * width + LEFT, (rows - 1 - row) * height + BOTTOM
    inside = width - LEFT - RIGHT, height - BOTTOM - TOP
    return (
        left / (width * columns),
        bottom / (height * rows),
        inside[0] / (width * columns),
        inside[1] / (height * rows),
    )


def tidy(ax: Axes) -> None:
    """Small print, and no lines that say nothing."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=7)


def marginals(
    real: pd.DataFrame,
    batch: pd.DataFrame,
    columns: Sequence[str],
    notes: Mapping[str, str],
    rng: np.random.Generator,
    groups: Places | None = None,
) -> Figure:
    """Shares of each column's bins, with the band where 99 of 100 draws of real rows lie."""
    figure, axes = panels(len(columns))
    for ax, name in zip(axes, columns, strict=True):
        binned = _binned(real[name], batch[name])
        shares, reach = binned.shares, binned.reach(len(batch), rng, groups)
        (_draw_bins if binned.ordered else _draw_levels)(ax, shares, reach)
        ax.set_ylim(bottom=0)
        ax.yaxis.set_major_locator(MaxNLocator(4))
        bad = notes.get(name, "")
        ax.set_title(f"{name}{': ' + bad if bad else ''}", fontsize=8, color=BAD if bad else "black", loc="left")
    if axes:
        axes[0].legend(fontsize=6, frameon=False)
    return figure


HEAT_COLUMNS = 60
CELL = 0.34  # inches
LETTER = 0.062  # inches, at 7 points
MAX_LETTERS = 32


def heat(values: Floats, names: Sequence[str], title: str, beyond: Bools) -> Figure:
    """A square matrix of differences, white at zero, with a dot where a pair lies beyond the noise floor.

    Of more than `HEAT_COLUMNS` columns those with the largest differences are shown: pictures of all would need memory
    with the square of their number.
    """
    if len(names) > HEAT_COLUMNS:
        title = f"{title}\n({HEAT_COLUMNS} of {len(names):,} columns: the largest differences)"
        shown = np.sort(np.argsort(-np.abs(values).max(axis=1), kind="stable")[:HEAT_COLUMNS])
        values, beyond = values[np.ix_(shown, shown)], beyond[np.ix_(shown, shown)]
        names = [names[place] for place in shown]
    side, beside = max(1.7, CELL * len(names)), _beside(names)
    figure, ax = _framed((side, side), left=beside, right=0.9, bottom=beside, top=0.55)
    reach = max(float(np.abs(values).max(initial=0.0)), 0.05)
    image = ax.imshow(values, cmap="RdBu_r", vmin=-reach, vmax=reach)
    shown_names = [_cut(name) for name in names]
    ax.set_xticks(range(len(names)), shown_names, rotation=90, fontsize=7)
    ax.set_yticks(range(len(names)), shown_names, fontsize=7)
    rows, columns = np.nonzero(beyond & ~np.eye(len(names), dtype=bool))
    ax.plot(columns, rows, "o", mfc=REAL, mec="white", mew=0.5, ms=3.5, ls="none")
    _title(figure, f"{title}\n(dots: beyond what real rows show against real rows)")
    box = ax.get_position()
    scale = figure.add_axes((box.x1 + 0.15 / figure.get_figwidth(), box.y0 + 0.15 * box.height, 0.02, 0.7 * box.height))
    figure.colorbar(image, cax=scale).ax.tick_params(labelsize=7)
    return figure


def bars(
    names: Sequence[str],
    values: Floats,
    *,
    title: str,
    label: str,
    floors: Floats | None = None,
    limit: float | None = None,
) -> Figure:
    """Horizontal bars, longest on top; with what real rows show, and the limit."""
    order = np.argsort(values)[::-1][:15][::-1]
    shown = [_cut(names[place]) for place in order]
    width = 6.1 - _beside(shown) - (0.1 if limit is None else 1.1)
    inside = width, max(0.26 * len(order) + 0.4, 0.6)
    figure, ax = _framed(inside, left=_beside(shown), right=6.2 - _beside(shown) - width, bottom=0.45, top=0.5)
    tidy(ax)
    places = np.arange(len(order))
    if floors is not None:
        ax.barh(places, floors[order], color=BAND, height=0.9, label="real rows, 99 %")
    ax.barh(places, values[order], color=SYNTHETIC, height=0.5)
    ax.set_yticks(places, shown)
    if limit is not None:
        ax.axvline(limit, color=BAD, lw=1.2, label="limit")
        ax.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    ax.set_xlabel(label, fontsize=8)
    _title(figure, title)
    return figure


def _framed(
    inside: tuple[float, float], *, left: float, right: float, bottom: float, top: float
) -> tuple[Figure, Axes]:
    """A figure of one panel; width and height of the panel and the room around it in inches.

    The room is fixed, as in :func:`panels`: a layout that measures every label draws the picture twice.
    """
    width, height = left + inside[0] + right, bottom + inside[1] + top
    figure = Figure(figsize=(width, height))
    return figure, figure.add_axes((left / width, bottom / height, inside[0] / width, inside[1] / height))


def _beside(names: Sequence[str]) -> float:
    """Inches that names in small print take beside an axis."""
    return 0.2 + LETTER * max((len(_cut(name)) for name in names), default=0)


def _cut(name: str) -> str:
    return name if len(name) <= MAX_LETTERS else f"{name[: MAX_LETTERS - 1]}…"


def _title(figure: Figure, words: str) -> None:
    """A title of the figure: one of the axes would be cut where they are narrow."""
    figure.suptitle(words, fontsize=9, x=0.02, y=1 - 0.08 / figure.get_figheight(), ha="left", va="top")


@dataclass(frozen=True)
class Dots:
    """One series of a dot plot, with a whisker to either side of each dot."""

    label: str
    values: Sequence[float]
    reach: Sequence[float]
    colour: str


def dots(names: Sequence[str], series: Sequence[Dots], limits: Sequence[float], *, title: str, label: str) -> Figure:
    """One line a name, one dot a series, and the limit that the batch must reach."""
    beside = _beside(names)
    figure, ax = _framed((4.6 - beside, 0.45 * len(names) + 0.3), left=beside, right=1.6, bottom=0.5, top=0.35)
    tidy(ax)
    at = np.arange(len(names))[::-1]
    for place, one in enumerate(series):
        y = at + 0.12 * (len(series) - 1 - 2 * place)
        ax.errorbar(one.values, y, xerr=one.reach, fmt="o", ms=5, capsize=2, color=one.colour, label=one.label)
    ax.plot(limits, at, "|", ms=16, mew=2, color=BAD, label="limit for the batch")
    ax.set_yticks(at, [_cut(name) for name in names])
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xlabel(label, fontsize=8)
    _title(figure, title)
    ax.legend(
        fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=0.6, labelspacing=0.9
    )
    return figure


def low_rate_roc(attacks: Mapping[str, Floats], is_member: Bools, dealt: Bools) -> Figure:
    """True against false positives on logarithmic axes, where the leaks that matter show; strongest attacks first.

    Parameters
    ----------
    attacks : mapping of str to array of shape (n_targets,)
    is_member : array of shape (n_targets,)
    dealt : array of shape (n_deals, n_targets)
        Random memberships: what they find is the band.
    """
    figure = Figure(figsize=(6.6, 4.6))
    ax = figure.add_axes((0.12, 0.1, 0.61, 0.83))  # beside the legend, whose names are known
    tidy(ax)
    lowest = 0.5 / max(int((~is_member).sum()), 1)
    for place, (name, scores) in enumerate(attacks.items()):
        hits = is_member[np.argsort(-scores, kind="stable")]
        start = max(int(np.argmax(~hits)) - 1, 0)  # before any control is accused the line would climb the axis
        shown = start + np.unique(np.geomspace(1, len(hits) - start, DRAWN_POINTS).astype(np.int64)) - 1
        x = np.maximum(np.cumsum(~hits)[shown] / max(int((~is_member).sum()), 1), lowest)
        y = np.maximum(np.cumsum(hits)[shown] / max(int(is_member.sum()), 1), lowest)
        strong = place < len(STRONG)
        colour, width = (STRONG[place], 1.6) if strong else (BAND, 0.9)
        label = name.replace("_", " ") if strong else "weaker attacks" if place == len(STRONG) else None
        ax.plot(x, y, label=label, color=colour, lw=width, zorder=3 if strong else 2)
    wrong, low, high = _guessing(dealt, lowest)
    ax.fill_between(wrong, low, high, color=BAND, alpha=0.5, lw=0, label="guessing, 99 %")
    ax.set(xscale="log", yscale="log", xlim=(lowest, 1), ylim=(lowest, 1.2))
    for axis in (ax.xaxis, ax.yaxis):  # powers of ten as plain numbers, without ticks between them
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter("{x:g}")
    ax.set_xlabel("controls wrongly accused (share)", fontsize=8)
    ax.set_ylabel("members found (share)", fontsize=8)
    ax.set_title("Membership attacks at low false-positive rates", fontsize=9, loc="left")
    ax.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _guessing(dealt: Bools, lowest: float) -> tuple[Floats, Floats, Floats]:
    """Controls accused, and the least and most members that 99 of 100 random memberships find meanwhile."""
    n_control = int((~dealt).sum(axis=1).min())  # deals of whole groups differ a little in size
    accused = np.unique(np.geomspace(1, n_control, 60).astype(np.int64))
    points = []
    for one in dealt:
        controls = np.flatnonzero(~one)[accused - 1]
        points.append(np.cumsum(one)[controls] / one.sum())
    low, high = np.quantile(np.stack(points), [0.005, 0.995], axis=0)
    return accused / n_control, np.maximum(low, lowest), np.maximum(high, lowest)


@dataclass(frozen=True)
class _Binned:
    names: list[str]
    real: Places
    """Bin of each real row; -1 for missing numbers."""
    batch: Places
    ordered: bool

    @property
    def shares(self) -> _Shares:
        """Of real rows and batch."""
        return _Shares(self.names, self._shares(self.real), self._shares(self.batch))

    def reach(self, n_batch: int, rng: np.random.Generator, groups: Places | None) -> Floats:
        """Of the band around the real shares: that of independent rows, or measured on splits of whole groups."""
        if groups is None:
            shares = self._shares(self.real)
            return NullDistribution(
                np.zeros_like(shares), np.sqrt(shares * (1 - shares)), N_SPLITS, two_sided=True
            ).upper(len(self.real), max(n_batch, 1))

        def between(first: Places, second: Places) -> Floats:
            return self._shares(self.real[second]) - self._shares(self.real[first])

        floor = split_floor(between, min(len(self.real), SPLIT_ROWS), rng, n_all=len(self.real), groups=groups)
        return floor.symmetric().upper(len(self.real), max(n_batch, 1))

    def _shares(self, bins: Places) -> Floats:
        return np.asarray(np.bincount(bins[bins >= 0], minlength=len(self.names)) / max(len(bins), 1))


@dataclass(frozen=True)
class _Shares:
    names: list[str]
    real: Floats
    batch: Floats


def _draw_bins(ax: Axes, shares: _Shares, reach: Floats) -> None:
    at = np.arange(len(shares.names))
    low, high = np.maximum(shares.real - reach, 0), shares.real + reach
    ax.fill_between(at, low, high, step="mid", color=BAND, lw=0, label="real, 99 % band")
    ax.step(at, shares.batch, where="mid", color=SYNTHETIC, lw=1.2, label="batch")
    shown = np.unique(np.linspace(0, len(at) - 1, 4).astype(int))
    ax.set_xticks(shown, [shares.names[place] for place in shown])


def _draw_levels(ax: Axes, shares: _Shares, reach: Floats) -> None:
    at = np.arange(len(shares.names))
    low = np.maximum(shares.real - reach, 0)
    ax.bar(at, shares.real + reach - low, bottom=low, width=0.8, color=BAND, label="real, 99 % band")
    ax.plot(at, shares.batch, "o", ms=3.5, color=SYNTHETIC, label="batch")
    ax.set_xticks(at, shares.names, rotation=40, ha="right", fontsize=6)


def _binned(real: pd.Series, batch: pd.Series) -> _Binned:
    if pd.api.types.is_datetime64_any_dtype(real.dtype):
        return _binned_numbers(real, batch, lambda value: str(pd.Timestamp(int(value), unit="us").date()))
    if pd.api.types.is_numeric_dtype(real.dtype) and not pd.api.types.is_bool_dtype(real.dtype):
        return _binned_numbers(real, batch, _number_name(floats_of(real)))
    sides = coded_labels(real), coded_labels(batch)
    top = pd.Index(sides[0][1][pd.Series(sides[0][0]).value_counts().index[:N_LEVELS]])
    codes = [np.asarray(top.get_indexer(pd.Index(texts, dtype=object)))[side] for side, texts in sides]
    names = ["missing" if name == MISSING else str(name)[:14] for name in top]
    if any((side < 0).any() for side in codes):
        names, codes = [*names, "other"], [np.where(side < 0, len(top), side) for side in codes]
    return _Binned(names, codes[0], codes[1], ordered=False)


def _number_name(values: Floats) -> Callable[[float], str]:
    """Names for numbers with digits enough to tell them apart: three, and more where the spread is small."""
    present = values[~np.isnan(values)]
    largest, spread = (float(np.max(np.abs(present))), float(np.ptp(present))) if len(present) else (1.0, 1.0)
    digits = 3 + max(0, int(np.log10(max(largest, 1e-300) / max(spread, largest * 1e-6, 1e-300))))
    return lambda value: f"{float(f'{value:.{digits}g}'):,.12g}"


def _binned_numbers(real: pd.Series, batch: pd.Series, name: Callable[[float], str]) -> _Binned:
    sides = floats_of(real), floats_of(batch)
    present = sides[0][~np.isnan(sides[0])]
    if not len(present):
        codes = [np.where(np.isnan(side), 0, 1) for side in sides]
        return _Binned(["missing", "present"], codes[0], codes[1], ordered=False)
    low, high = np.quantile(present, [0.005, 0.995])
    values = np.unique(present[(present >= low) & (present <= high)])
    if len(values) <= N_LEVELS:
        return _binned_levels(sides, values, name)
    edges = _edges(values, float(low), float(high))
    codes = [np.where(np.isnan(side), -1, np.digitize(side, edges)) for side in sides]
    names = [name(edges[min(place, len(edges) - 1)]) for place in range(len(edges) + 1)]
    return _Binned(names, codes[0], codes[1], ordered=True)


def _edges(values: Floats, low: float, high: float) -> Floats:
    """Edges of bins of one width; of whole numbers each bin holds as many, or the shape would be that of the bins."""
    if np.all(values == np.round(values)):
        width = np.ceil((high - low + 1) / (N_BINS - 2))
        return np.asarray(np.arange(np.floor(low), np.ceil(high) + width, width))
    return np.linspace(low, high if high > low else low + 1, N_BINS - 1)


def _binned_levels(sides: tuple[Floats, Floats], values: Floats, name: Callable[[float], str]) -> _Binned:
    """Few different numbers: a place for each, one for the batch's further ones, and one for missing."""
    names = [name(value) for value in values]
    codes = []
    for side in sides:
        place = np.searchsorted(values, np.nan_to_num(side)).clip(max=len(values) - 1)
        known = values[place] == side
        codes.append(np.where(np.isnan(side), len(values), np.where(known, place, len(values) + 1)))
    extra = [
        text for at, text in enumerate(("missing", "other")) if any((code == len(values) + at).any() for code in codes)
    ]
    if extra == ["other"]:
        codes = [np.minimum(code, len(values)) for code in codes]
    return _Binned([*names, *extra], codes[0], codes[1], ordered=False)
