"""A quantile function of few parameters: what wide tables can say of a column without describing their rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

Floats = npt.NDArray[np.float64]

N_BENDS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
"""How many points a curve may have, tried in this order."""
NEAR_ENOUGH = 0.7
"""Largest gap of ranks, in units of the root of the values: a fitted law has 0.9 in one of twenty samples
(H. W. Lilliefors, JASA 62, 1967)."""
MOST_DEVIATIONS = 2.5  # of a rank, in its standard deviations: in the tails a small gap of ranks is a large one
OUTERMOST = 2.0  # rows beyond the outermost point; with fewer, it would be the extreme value itself
N_POINTS = 201
EMPTY = 18.0  # times as wide as the spaces around it must an empty range be: once in 10^8 spaces by chance
AROUND = 8  # spaces on each side
MIN_PART_ROWS = 20  # with a curve of their own


def smooth_quantiles(values: Floats, counts: Floats, width: float) -> tuple[Floats, Floats]:
    """Ranks and the values that belong to them, of the curve with the fewest bends that fits.

    The curve is piecewise linear in the normal score of the rank and fitted by least squares: two points are a normal
    distribution. Each side of an empty range has a curve of its own, and a few rows far from all others have none. All
    of it lies between the least and the largest value, and hands out neither more often than its neighbours.

    Parameters
    ----------
    values, counts : arrays of shape (n_values,)
        Distinct values, ascending, and how often each occurs.
    width : float
        How far apart the values of the grid are; 0 for continuous ones. Rows of one value are spread evenly over it.

    Returns
    -------
    ranks, quantiles : arrays of shape (n_points,)
        Ranks ascend.
    """
    times = counts.astype(np.int64)
    within = np.arange(times.sum()) + 0.5 - np.repeat(np.cumsum(counts) - counts, times)
    rows = np.repeat(values, times) + (within / np.repeat(counts, times) - 0.5) * width
    parts = _parts(rows)
    starts = np.cumsum([0, *map(len, parts)])
    curves = [_fitted(part) for part in parts]
    ranks = np.concatenate([start + ranks for start, (ranks, _) in zip(starts[:-1], curves, strict=True)])
    quantiles = np.concatenate([quantiles for _, quantiles in curves])
    return ranks * (len(rows) / starts[-1]), np.clip(quantiles, values[0], values[-1])


def _parts(rows: Floats) -> list[Floats]:
    """The rows between ranges that chance would hardly leave empty; a few rows between two of them are left out."""
    spaces = np.diff(rows)
    if len(spaces) < 2 * MIN_PART_ROWS:
        return [rows]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(spaces, AROUND, mode="reflect"), 2 * AROUND + 1)
    around = np.sort(windows, axis=1)[:, :-2].mean(axis=1)  # but for itself, and for another empty range next to it
    starts = np.flatnonzero(spaces > EMPTY * np.maximum(around, 0.0)) + 1
    parts = [part for part in np.split(rows, starts) if len(part) >= MIN_PART_ROWS]
    return parts or [rows]


def _fitted(rows: Floats) -> tuple[Floats, Floats]:
    """Ranks from 0 to the number of rows, and a curve with as few bends as fit; ``rows`` ascend."""
    n_rows = len(rows)
    scores = ndtri((np.arange(n_rows) + 0.5) / n_rows)
    at = np.linspace(scores[0], scores[-1], N_POINTS)
    for n_bends in N_BENDS:
        curve = _curve(scores, rows, at, min(n_bends, n_rows))
        if n_bends >= n_rows or _is_near(curve, at, rows, scores):
            break
    shares = ndtr(at)
    return (shares - shares[0]) / np.ptp(shares) * n_rows, _reflected(curve, rows[0], rows[-1])


def _reflected(curve: Floats, low: float, high: float) -> Floats:
    """What would lie beyond the ends, as far inside of them."""
    inside = np.where(curve < low, 2.0 * low - curve, curve)
    return np.clip(np.where(inside > high, 2.0 * high - inside, inside), low, high)


def _curve(scores: Floats, values: Floats, at: Floats, n_bends: int) -> Floats:
    outermost = ndtri(min(OUTERMOST / len(scores), 0.25))
    bends = np.linspace(outermost, -outermost, n_bends)
    heights = np.linalg.lstsq(_hats(scores, bends), values, rcond=None)[0]
    return np.maximum.accumulate(_hats(at, bends) @ heights)


def _hats(at: Floats, bends: Floats) -> Floats:
    """The share of each bend in each place, shape (n_places, n_bends); beyond the last bend the line goes on."""
    right = np.clip(np.searchsorted(bends, at), 1, len(bends) - 1)
    share = (at - bends[right - 1]) / (bends[right] - bends[right - 1])
    hats = np.zeros((len(at), len(bends)))
    hats[np.arange(len(at)), right - 1] = 1.0 - share
    hats[np.arange(len(at)), right] = share
    return hats


def _is_near(curve: Floats, at: Floats, rows: Floats, scores: Floats) -> bool:
    """Whether the shares that lie below each value are about those among the rows."""
    shares = ndtr(scores)
    gaps = np.abs(ndtr(np.interp(rows, curve, at)) - shares) * np.sqrt(len(rows))
    return bool(gaps.max() <= NEAR_ENOUGH and (gaps / np.sqrt(shares * (1.0 - shares))).max() <= MOST_DEVIATIONS)
