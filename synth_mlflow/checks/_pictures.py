"""The pictures of the checks: built as figures, saved by whoever logs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from synth_mlflow.measures.attacks import Bools
from synth_mlflow.measures.encoding import MISSING, labels, numbers

Floats = npt.NDArray[np.float64]

REAL, SYNTHETIC, BAND, BAD = "#4d4d4d", "#0072b2", "#bdbdbd", "#d55e00"  # M. Okabe, K. Ito: safe for every eye
STRONG = ("#d55e00", "#0072b2", "#009e73", "#cc79a7")
N_BINS, N_LEVELS = 24, 10
BAND_DEVIATIONS = 2.58  # 99 %


def panels(n: int, *, columns: int = 4, width: float = 3.0, height: float = 2.3) -> tuple[Figure, list[Axes]]:
    """A grid of small axes without a frame on top and right."""
    columns = min(columns, max(n, 1))
    rows = -(-max(n, 1) // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    axes = [figure.add_subplot(rows, columns, place + 1) for place in range(n)]
    for ax in axes:
        tidy(ax)
    return figure, axes


def tidy(ax: Axes) -> None:
    """Small print, and no lines that say nothing."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=7)


def marginals(real: pd.DataFrame, batch: pd.DataFrame, columns: Sequence[str], notes: Mapping[str, str]) -> Figure:
    """Shares of each column's bins, with the band where 99 of 100 fresh real samples of this size would lie."""
    figure, axes = panels(len(columns))
    for ax, name in zip(axes, columns, strict=True):
        shares = _shares(real[name], batch[name])
        p = np.clip(shares.real, 0, 1)  # rounding
        reach = BAND_DEVIATIONS * np.sqrt(p * (1 - p) * (1 / max(len(real), 1) + 1 / max(len(batch), 1)))
        (_draw_bins if shares.ordered else _draw_levels)(ax, shares, reach)
        ax.set_ylim(bottom=0)
        bad = notes.get(name, "")
        ax.set_title(f"{name}{': ' + bad if bad else ''}", fontsize=8, color=BAD if bad else "black", loc="left")
    if axes:
        axes[0].legend(fontsize=6, frameon=False)
    return figure


def heat(values: Floats, names: Sequence[str], title: str) -> Figure:
    """A square matrix of differences, white at zero."""
    side = max(3.5, 0.34 * len(names) + 1.8)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    ax = figure.add_subplot()
    reach = max(float(np.abs(values).max(initial=0.0)), 0.05)
    image = ax.imshow(values, cmap="RdBu_r", vmin=-reach, vmax=reach)
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    ax.set_yticks(range(len(names)), names, fontsize=7)
    ax.set_title(title, fontsize=9, loc="left")
    figure.colorbar(image, ax=ax, shrink=0.7).ax.tick_params(labelsize=7)
    return figure


def bars(names: Sequence[str], values: Floats, *, title: str, label: str) -> Figure:
    """Horizontal bars, longest on top."""
    order = np.argsort(values)[::-1][:15][::-1]
    figure = Figure(figsize=(5.5, 0.26 * len(order) + 1.1), layout="constrained")
    ax = figure.add_subplot()
    tidy(ax)
    ax.barh([names[place] for place in order], values[order], color=SYNTHETIC)
    ax.set_xlabel(label, fontsize=8)
    ax.set_title(title, fontsize=9, loc="left")
    return figure


@dataclass(frozen=True)
class Dots:
    """One series of a dot plot, with a whisker to either side of each dot."""

    label: str
    values: Sequence[float]
    reach: Sequence[float]
    colour: str


def dots(names: Sequence[str], series: Sequence[Dots], limits: Sequence[float], *, title: str, label: str) -> Figure:
    """One line a name, one dot a series, and the limit that the batch must reach."""
    figure = Figure(figsize=(6.2, 0.45 * len(names) + 1.3), layout="constrained")
    ax = figure.add_subplot()
    tidy(ax)
    at = np.arange(len(names))[::-1]
    for place, one in enumerate(series):
        y = at + 0.12 * (len(series) - 1 - 2 * place)
        ax.errorbar(one.values, y, xerr=one.reach, fmt="o", ms=5, capsize=2, color=one.colour, label=one.label)
    ax.plot(limits, at, "|", ms=16, mew=2, color=BAD, label="limit for the batch")
    ax.set_yticks(at, list(names))
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xlabel(label, fontsize=8)
    ax.set_title(title, fontsize=9, loc="left")
    ax.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def low_rate_roc(attacks: Mapping[str, Floats], is_member: Bools) -> Figure:
    """True against false positives on logarithmic axes, where the leaks that matter show; strongest attacks first."""
    figure = Figure(figsize=(6.6, 4.6), layout="constrained")
    ax = figure.add_subplot()
    tidy(ax)
    lowest = 0.5 / max(int((~is_member).sum()), 1)
    for place, (name, scores) in enumerate(attacks.items()):
        hits = is_member[np.argsort(-scores, kind="stable")]
        x = np.maximum(np.cumsum(~hits) / max(int((~is_member).sum()), 1), lowest)
        y = np.maximum(np.cumsum(hits) / max(int(is_member.sum()), 1), lowest)
        strong = place < len(STRONG)
        colour, width = (STRONG[place], 1.6) if strong else (BAND, 0.9)
        label = name.replace("_", " ") if strong else "weaker attacks" if place == len(STRONG) else None
        ax.plot(x, y, label=label, color=colour, lw=width, zorder=3 if strong else 2)
    ax.plot([lowest, 1], [lowest, 1], color=REAL, lw=0.8, ls="--", label="guessing")
    ax.set(xscale="log", yscale="log", xlim=(lowest, 1), ylim=(lowest, 1.2))
    ax.set_xlabel("controls wrongly accused (share)", fontsize=8)
    ax.set_ylabel("members found (share)", fontsize=8)
    ax.set_title("Membership attacks at low false-positive rates", fontsize=9, loc="left")
    ax.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


@dataclass(frozen=True)
class _Shares:
    names: list[str]
    real: Floats
    batch: Floats
    ordered: bool


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


def _shares(real: pd.Series, batch: pd.Series) -> _Shares:
    if pd.api.types.is_datetime64_any_dtype(real.dtype):
        return _binned(numbers(real), numbers(batch), lambda value: str(pd.Timestamp(int(value), unit="us").date()))
    if pd.api.types.is_numeric_dtype(real.dtype) and not pd.api.types.is_bool_dtype(real.dtype):
        return _binned(numbers(real), numbers(batch), _number_name(numbers(real)))
    first, second = pd.Series(labels(real)), pd.Series(labels(batch))
    top = first.value_counts().index[:N_LEVELS]
    counts = [side.value_counts(normalize=True).reindex(top, fill_value=0.0) for side in (first, second)]
    sides = [np.asarray(side.to_numpy(), dtype=np.float64) for side in counts]
    rest = [max(float(1 - side.sum()), 0.0) for side in sides]
    names = ["missing" if name == MISSING else str(name)[:14] for name in top]
    if max(rest) < 1e-9:
        return _Shares(names, sides[0], sides[1], ordered=False)
    return _Shares([*names, "other"], np.append(sides[0], rest[0]), np.append(sides[1], rest[1]), ordered=False)


def _number_name(values: Floats) -> Callable[[float], str]:
    """Names for numbers with digits enough to tell them apart: three, and more where the spread is small."""
    present = values[~np.isnan(values)]
    largest, spread = (float(np.max(np.abs(present))), float(np.ptp(present))) if len(present) else (1.0, 1.0)
    digits = 3 + max(0, int(np.log10(max(largest, 1e-300) / max(spread, largest * 1e-6, 1e-300))))
    return lambda value: f"{float(f'{value:.{digits}g}'):,.12g}"


def _binned(real: Floats, batch: Floats, name: Callable[[float], str]) -> _Shares:
    present = real[~np.isnan(real)]
    if not len(present):
        return _Shares(["missing"], np.array([1.0]), np.array([float(np.isnan(batch).mean())]), ordered=False)
    low, high = np.quantile(present, [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, N_BINS - 1)
    first, second = _bin_shares(real, edges), _bin_shares(batch, edges)
    names = [name(edges[min(place, len(edges) - 1)]) for place in range(N_BINS)]
    return _Shares(names, first, second, ordered=True)


def _bin_shares(values: Floats, edges: Floats) -> Floats:
    counts = np.bincount(np.digitize(values[~np.isnan(values)], edges), minlength=N_BINS)
    return np.asarray(counts / max(len(values), 1), dtype=np.float64)
