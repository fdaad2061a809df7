"""The scores of every mix as one vector, with what they vary by: on the stated question, and for other real rows.

The stated question is the expected score on new data of the model trained on *these* real rows, with other draws of
synthetic rows of *these* batches and other seeds. Its answer is the mean over the fits on all real rows; it varies by
the evaluation rows (paired bootstrap of that mean) and by the draws, whose covariance is divided by their number. What
other real rows would give is read off the fits on parts of them, and varies more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from synth_mlflow.model.bench import Bench
from synth_mlflow.model.inference import Uncertainty, Vector, uncertainty
from synth_mlflow.model.overlap import inflation
from synth_mlflow.model.plan import ALL_ROWS, Fit, FitKey, SweepPlan, all_rows
from synth_mlflow.model.resampling import FAST, Resampled, resample

Fits = Mapping[FitKey, Fit]


@dataclass(frozen=True)
class Measured:
    """Baseline, synthetic arm, placebo of each of its places, arm of held-back real rows.

    The synthetic arm is ordered by ratio, then by source; sources share placebos, which stand there once for each.
    """

    keys: tuple[FitKey, ...]
    scores: Vector
    """Of shape (n_scores,): mean over the fits on all real rows."""
    draws: Vector
    """(n_draws, n_scores): each of those fits."""
    parts: Vector
    """(n_parts, 1 + n_places): fits on parts of the real rows, of the baseline and ``part_places``."""
    resampled: Resampled
    """Of ``scores``, over draws of the evaluation rows."""
    at_hand: Uncertainty
    """Of ``scores``, on the stated question."""
    recipe: Uncertainty
    """Of the baseline and ``part_places``, on another draw of every row."""
    part_places: tuple[int, ...]
    """The baseline, and what of the synthetic arm was fitted on parts of the real rows too: all but mixes that do not
    lead."""


def measure(bench: Bench, plan: SweepPlan, fits: Fits, supply: Mapping[str, int]) -> Measured:
    """Read the fits of a whole sweep.

    Parameters
    ----------
    bench : Bench
    plan : SweepPlan
    fits : mapping of FitKey to Fit
    supply : mapping of str to int
        Synthetic rows at hand of each source of the plan.

    Raises
    ------
    UsageError
        If the score is undefined in most draws of the evaluation rows.
    """
    keys = score_keys(bench, plan)
    last = n_candidates(plan) + 1
    places = [place for place in range(last) if place == 0 or plan.leads(keys[place].source)]
    in_parts = [keys[place] for place in places]
    draws = np.array([[fits[replace(key, repeat=n)].score for key in keys] for n in all_rows(plan.repeats)])
    parts = np.array([[fits[replace(key, repeat=n)].score for key in in_parts] for n in range(plan.repeats)])
    rng = np.random.default_rng([plan.seed, 1])
    drawn = resample_draws(bench, plan, fits, keys, np.ones(len(bench.truth), dtype=bool), rng, n_outside=last)
    inflations = np.array([_inflation(bench, plan, fits[key], supply) for key in in_parts])
    recipe = uncertainty(drawn.mean.inside[:, places], parts, inflations, _noise(plan, fits, tuple(in_parts)))
    at_hand = of_mean(drawn, draws)
    return Measured(keys, draws.mean(axis=0), draws, parts, drawn.mean, at_hand, recipe, tuple(places))


def n_candidates(plan: SweepPlan) -> int:
    """What can be chosen besides the baseline: every ratio of every source, of mixes that do not lead only one."""
    return len(plan.cells)


def score_keys(bench: Bench, plan: SweepPlan) -> tuple[FitKey, ...]:
    """The first fit on all real rows of every score."""
    synthetic = [FitKey("synthetic", ratio, ALL_ROWS, source) for ratio, source in plan.cells]
    placebo = [FitKey("placebo", key.ratio, ALL_ROWS) for key in synthetic]
    extra = [FitKey("extra", ratio, ALL_ROWS) for ratio in plan.extra_ratios(bench.n_real, bench.n_extra)]
    return (FitKey("synthetic", 0.0, ALL_ROWS), *synthetic, *placebo, *extra)


@dataclass(frozen=True)
class Drawn:
    """Scores over draws of the evaluation rows: of the mean over the fits, and of each fit less its score there."""

    mean: Resampled
    noise: Vector | None
    """(n_fits, n_scores, n_draws); None where only one fit of each mix was looked at."""


def resample_draws(
    bench: Bench,
    plan: SweepPlan,
    fits: Fits,
    keys: tuple[FitKey, ...],
    rows: npt.NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    n_outside: int = 0,
) -> Drawn:
    """Score the mean over fits on the same draws of some evaluation rows, each fit once.

    Where predictions were kept of one fit of each mix alone, or the scorer is slow, that one stands for all of them:
    a single model meets the evaluation rows with more noise than the mean of several, so that errs on the safe side.
    """
    once = list(dict.fromkeys(keys))
    repeats = [ALL_ROWS]
    if bench.metric in FAST and all(fits[replace(k, repeat=n)].predictions.size for k in once for n in all_rows(2)):
        repeats = list(all_rows(plan.repeats))
    predictions = [fits[replace(key, repeat=n)].predictions[rows] for key in once for n in repeats]
    groups = None if bench.groups is None else bench.groups[rows]
    found = resample(
        bench.metric,
        bench.task,
        bench.truth[rows],
        predictions,
        rng,
        n_outside=n_outside * len(repeats),
        groups=groups,
    )
    inside = found.inside.reshape(len(found.inside), len(once), len(repeats))
    outside = found.outside.reshape(len(found.outside), n_outside, len(repeats)).mean(axis=2)
    places = [once.index(key) for key in keys]
    mean = Resampled(inside.mean(axis=2)[:, places], outside)
    noise = None
    if len(repeats) > 1:
        noise = np.moveaxis(inside[:, places] - inside[:, places].mean(axis=0), 0, 2).swapaxes(0, 1)
    return Drawn(mean, noise)


def of_mean(drawn: Drawn, draws: Vector) -> Uncertainty:
    """What the mean over the fits on all real rows varies by.

    Parameters
    ----------
    drawn : Drawn
    draws : array of shape (n_draws, n_scores)
        Scores of those fits on the evaluation rows themselves.
    """
    single = uncertainty(drawn.mean.inside, draws, noise=drawn.noise)
    return Uncertainty(single.evaluation, single.recipe / len(draws), len(draws))


def _inflation(bench: Bench, plan: SweepPlan, fit: Fit, supply: Mapping[str, int]) -> float:
    """By how much more a mix would vary on other rows than parts that share rows do."""
    key = fit.key
    if plan.axis.name in ("ratio", "mix"):
        return inflation(key.arm, key.ratio, bench.n_real, supply[key.source], plan.mix)
    share = fit.n_added / (fit.n_real + fit.n_added)
    return inflation(key.arm, share, bench.n_real, supply[key.source], plan.mix, plan.axis.weight(key.ratio) or 1.0)


def _noise(plan: SweepPlan, fits: Fits, keys: tuple[FitKey, ...]) -> Vector | None:
    """What the evaluation rows make of each part: (n_parts, n_scores, n_draws); None where it is not known."""
    drawn = [[fits[replace(key, repeat=n)].noise for key in keys] for n in range(plan.repeats)]
    sizes = {len(each) for row in drawn for each in row}
    return np.array(drawn) if len(sizes) == 1 and 0 not in sizes else None
