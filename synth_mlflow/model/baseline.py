"""The real-only baseline on the frozen set, by the code that the sweep uses for ratio 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.model.bench import Bench
from synth_mlflow.model.constant import constant_prediction
from synth_mlflow.model.inference import Vector, uncertainty
from synth_mlflow.model.overlap import inflation
from synth_mlflow.model.plan import ALL_ROWS, REPEATS, FitKey, SweepPlan, baseline_keys
from synth_mlflow.model.resampling import resample
from synth_mlflow.model.score_interval import score_interval
from synth_mlflow.model.sweep import run_fits


@dataclass(frozen=True)
class Baseline:
    """The score of a model on real rows alone."""

    metric: str
    score: float
    low: float
    high: float
    """95 % interval on another draw of the training and evaluation rows."""
    model_low: float
    model_high: float
    """95 % interval of this very model on further evaluation rows."""
    repeats: tuple[float, ...]
    """Scores with 80 % of the training rows each."""
    slices: dict[str, float]
    """NaN where undefined."""
    n_real: int
    n_evaluation: int
    """Rows of the frozen set that were looked at."""
    smallest_detectable: float
    """About the gain that a sweep of three ratios on this set would find with 80 % probability."""
    halves: str
    """In words, whether the rows looked at will confirm too."""
    chance: float
    """What a constant prediction scores on these rows."""
    best: float
    """What predictions that are all right would score."""

    @property
    def share_of_best(self) -> float:
        """How far the score lies on the way from a constant prediction to the best there is: 0 to 1."""
        reach = self.best - self.chance
        return (self.score - self.chance) / reach if reach > 0 else float("nan")


def measure_baseline(
    real: pd.DataFrame,
    evaluation: pd.DataFrame,
    task: Task,
    metric: str,
    spec: ModelSpec,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    n_jobs: int = -1,
    slices: dict[str, Slice] | None = None,
) -> Baseline:
    """Fit on all real rows for the score, and on draws of 80 % of them for its interval.

    Parameters
    ----------
    real, evaluation : DataFrame
        Normalised tables of one schema: training rows, the frozen set.
    task : Task
    metric : str
        A scikit-learn scorer name.
    spec : ModelSpec
        The model with settled parameters.
    repeats, seed, n_jobs : int
        As in :class:`synth_mlflow.model.plan.SweepPlan`.

    Raises
    ------
    UsageError
        If the score is undefined, or the estimator fails.
    """
    plan = SweepPlan(ratios=(0.5,), repeats=repeats, seed=seed, n_jobs=n_jobs)
    bench = Bench.build(real, evaluation, task, metric, spec, slices=slices)
    fits = run_fits(bench, plan, baseline_keys(repeats), [], finished={}, keep=True)
    whole = fits.pop(FitKey("synthetic", 0.0, ALL_ROWS))
    again = np.array([fits[key].score for key in sorted(fits)])
    rng = np.random.default_rng([seed, 1])
    looked_at = [whole, fits[FitKey("synthetic", 0.0, 0)], fits[FitKey("synthetic", 0.0, 1)]]
    draws = resample(metric, task, bench.truth, [fit.predictions for fit in looked_at], rng, groups=bench.groups).inside
    shared = np.array([inflation("real", 0.0, len(real), 0, plan.mix)])
    noise = np.array([[fits[key].noise] for key in sorted(fits)])
    uncertain, alone = uncertainty(draws[:, :1], again[:, None], shared, noise if noise.size else None), np.ones(1)
    sizes, best = bench.sizes(), bench.best_score
    error, freedom = uncertain.standard_error(alone), uncertain.freedom(alone)
    return Baseline(
        metric,
        whole.score,
        *score_interval(metric, whole.score, error, sizes, freedom, best),
        *score_interval(metric, whole.score, uncertain.model_error(alone), sizes, best=best),
        tuple(again.tolist()),
        whole.slices,
        len(real),
        len(bench.truth),
        _smallest_detectable(draws[:, 1] - draws[:, 2]),
        bench.halves,
        _chance(bench, real),
        bench.best_score,
    )


def _chance(bench: Bench, real: pd.DataFrame) -> float:
    said = constant_prediction(real[bench.task.target], bench.classes, len(bench.truth))
    return bench.score(said, np.ones(len(bench.truth), dtype=np.bool_))


def power_words(smallest: float, asked: float | None = None) -> str:
    """What the frozen set can show, said before anything is spent on a sweep.

    Parameters
    ----------
    smallest : float
        The gain that would be found with 80 % probability.
    asked : float, optional
        The gain that the statement calls a success.

    Examples
    --------
    >>> power_words(0.031)
    'A sweep would find a gain of about 0.031 here in four of five cases, and smaller ones more seldom.'
    """
    if smallest <= 0:
        return (
            "Every draw of the real rows scores the same here: how great a gain a sweep would find cannot be told. "
            "More rows would help, or a metric that moves."
        )
    words = (
        f"A sweep would find a gain of about {smallest:.2g} here in four of five cases, and smaller ones more seldom"
    )
    if asked is None or smallest <= asked:
        return f"{words}."
    return (
        f"{words}: the {asked:.2g} that the statement asks for may go unseen. More evaluation rows before `freeze` "
        "would help."
    )


_DUNNETT = 2.06  # one-sided 5 % critical value of three comparisons with one control, known variance
_POWER = 0.84  # normal quantile of 80 %


def _smallest_detectable(difference: Vector) -> float:
    """From two fits on parts of the rows that stand for two ratios: they differ on the rows about as such models do."""
    return float((_DUNNETT + _POWER) * np.nanstd(difference, ddof=1))
