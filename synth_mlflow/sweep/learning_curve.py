"""The learning curve of real rows, and how many more of them the chosen mix is worth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MAX_FACTOR = 10.0  # beyond this many times the rows at hand, an extrapolated curve says nothing
SAID_FACTOR = 1.5  # how far the ends of the interval may lie from the estimate where it is worth saying
_EXPONENTS = np.geomspace(0.1, 2.0, 200)
_DRAWS = 400

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LearningCurve:
    """Scores of models on real rows alone."""

    n_rows: tuple[int, ...]
    scores: tuple[float, ...]
    """Mean over the repeats; of the last point, the score on all real rows."""
    worth: float
    """How many more real rows would give the score of the chosen mix; capped at ten times the rows at hand."""
    worth_low: float
    worth_high: float
    words: str
    """Empty where the interval is too wide to say how many."""


def learning_curve(
    n_rows: Vector, repeats: Vector, all_rows: tuple[int, float], gain: tuple[float, float], rng: np.random.Generator
) -> LearningCurve:
    """Fit ``score = a − b · n^(−c)`` and read off where it reaches the chosen mix.

    Parameters
    ----------
    n_rows : array of shape (n_points,)
        Real rows at each point.
    repeats : array of shape (n_repeats, n_points)
        Scores of each repeat.
    all_rows : (int, float)
        All real rows, and the score on them.
    gain : (float, float)
        Gain of the chosen mix over that score, and its standard error.
    rng : numpy Generator
        Draws the repeats and the gain anew for the interval.

    Notes
    -----
    Power laws fit learning curves of tabular models well: T. Viering, M. Loog, IEEE TPAMI 45 (2023),
    doi:10.1109/TPAMI.2022.3220744.
    """
    sizes = np.r_[n_rows, all_rows[0]]
    means = np.r_[repeats.mean(axis=0), all_rows[1]]
    if gain[0] <= 0 and gain[1] == 0:
        return LearningCurve(_whole(sizes), _floats(means), 0.0, 0.0, 0.0, _NOTHING)
    worth = _worth(sizes, means, gain[0])
    again = [_worth(sizes, *_drawn(repeats, all_rows[1], gain, rng)) for _ in range(_DRAWS)]
    low, high = np.quantile(again, [0.025, 0.975])
    words = _words(worth, float(low), float(high), all_rows[0])
    return LearningCurve(_whole(sizes), _floats(means), worth, float(low), float(high), words)


_NOTHING = "No synthetic rows are used, so they are worth no real ones."


def _whole(sizes: Vector) -> tuple[int, ...]:
    return tuple(int(n) for n in sizes)


def _floats(values: Vector) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _drawn(repeats: Vector, score: float, gain: tuple[float, float], rng: np.random.Generator) -> tuple[Vector, float]:
    chosen = repeats[rng.integers(0, len(repeats), len(repeats))]
    return np.r_[chosen.mean(axis=0), score], float(rng.normal(*gain))


def _worth(sizes: Vector, scores: Vector, gain: float) -> float:
    """Further rows that raise the fitted curve by the gain, from where it stands at all real rows."""
    n = sizes[-1]
    if gain <= 0:
        return 0.0
    slope, exponent = power_law(sizes / n, scores)
    rest = slope - gain  # what the curve still has to climb to its asymptote, after the gain
    if rest <= 0:
        return float(MAX_FACTOR * n)
    return float(min((slope / rest) ** (1 / exponent) - 1, MAX_FACTOR) * n)


def power_law(sizes: Vector, scores: Vector) -> tuple[float, float]:
    """``b`` and ``c`` of ``a − b · n^(−c)``, by least squares over a grid of exponents; ``b`` is never negative."""
    falling = sizes[None, :] ** -_EXPONENTS[:, None]
    falling -= falling.mean(axis=1, keepdims=True)
    centred = scores - scores.mean()
    slopes = np.maximum(-(falling @ centred) / (falling**2).sum(axis=1), 0.0)
    errors = ((centred + slopes[:, None] * falling) ** 2).sum(axis=1)
    best = int(errors.argmin())
    return float(slopes[best]), float(_EXPONENTS[best])


def _words(worth: float, low: float, high: float, n_real: int) -> str:
    if not low * SAID_FACTOR >= worth >= high / SAID_FACTOR > 0 or high >= MAX_FACTOR * n_real:
        return ""
    return f"The chosen mix is worth about {worth:,.0f} further real rows (95 % interval {low:,.0f} to {high:,.0f})."
