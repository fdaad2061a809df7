"""The score on each slice at every ratio, and whether its few rows can say anything of a gain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from synth_mlflow.errors import UsageError
from synth_mlflow.model.bench import Bench
from synth_mlflow.model.curve import SlicePoint
from synth_mlflow.model.inference import Uncertainty, Vector
from synth_mlflow.model.measured import Fits, n_candidates, of_mean, resample_draws, score_keys
from synth_mlflow.model.plan import SweepPlan, all_rows
from synth_mlflow.model.score_interval import difference_half_width

MIN_ROWS = 20
"""Below, a bootstrap knows too few rows to tell how far a score moves."""
MIN_CLASS_ROWS = 5
"""Of each class that the slice holds, in a classification."""


def slice_points(bench: Bench, plan: SweepPlan, fits: Fits, name: str) -> list[SlicePoint]:
    """Of the baseline and every candidate, each against the baseline.

    Without an interval where the slice is too small to show anything, without a score where that is undefined.
    """
    keys = score_keys(bench, plan)[: n_candidates(plan) + 1]
    rows = bench.slices[name]
    n_rows = int(rows.sum())
    draws = np.array([[fits[replace(key, repeat=n)].slices[name] for key in keys] for n in all_rows(plan.repeats)])
    if not np.isfinite(draws).all():
        return [SlicePoint(n_rows, None, None, None, None)] * len(keys)
    scores = draws.mean(axis=0)
    uncertain = _uncertain(bench, plan, fits, rows, draws) if _is_large(bench, rows) else None
    return [_point(bench, name, uncertain, scores, place) for place in range(len(keys))]


def _is_large(bench: Bench, rows: npt.NDArray[np.bool_]) -> bool:
    """Whether a bootstrap of the slice's rows, or of its groups, can know what they vary by."""
    sizes = bench.sizes(rows)
    return sizes.n_units >= MIN_ROWS and (sizes.n_least >= MIN_CLASS_ROWS or not bench.task.is_classification)


def _uncertain(
    bench: Bench, plan: SweepPlan, fits: Fits, rows: npt.NDArray[np.bool_], draws: Vector
) -> Uncertainty | None:
    keys = score_keys(bench, plan)[: draws.shape[1]]
    drawn = resample_draws(bench, plan, fits, keys, rows, np.random.default_rng([plan.seed, 2]))
    try:
        return of_mean(drawn, draws)
    except UsageError:  # a slice may be too small for an interval; the evaluation set may not
        return None


def _point(bench: Bench, name: str, uncertain: Uncertainty | None, scores: Vector, place: int) -> SlicePoint:
    n_rows = int(bench.slices[name].sum())
    score, gain = float(scores[place]), float(scores[place] - scores[0])
    if uncertain is None:
        return SlicePoint(n_rows, score, gain, None, None)
    contrast = np.zeros(len(scores))
    contrast[place] += 1.0
    contrast[0] -= 1.0
    error, freedom = uncertain.standard_error(contrast), uncertain.freedom(contrast)
    half = difference_half_width(bench.metric, error, bench.sizes(bench.slices[name]), freedom) if place else 0.0
    return SlicePoint(n_rows, score, gain, gain - half, gain + half)
