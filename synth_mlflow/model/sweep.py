"""The ratio sweep: fits at every ratio, repeat and arm, in parallel and resumable, read into one curve."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from synth_mlflow.data.mixes import check_supply, percent
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import UsageError
from synth_mlflow.model.bench import Bench, Unscored
from synth_mlflow.model.curve import Curve
from synth_mlflow.model.plan import Fit, FitKey, SweepPlan, fit_rows, unfinished
from synth_mlflow.model.reading import read_curve

_FAILURES = (ValueError, TypeError, RuntimeError, ArithmeticError)  # what other people's estimators raise

OnFit = Callable[[FitKey, Fit], None]


@dataclass(frozen=True)
class SweepOutcome:
    """The curve, and every fit behind it."""

    curve: Curve
    fits: Mapping[FitKey, Fit]
    bench: Bench
    plan: SweepPlan
    batches: npt.NDArray[Any]
    """The batch of each synthetic row."""


def run_sweep(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    evaluation: pd.DataFrame,
    task: Task,
    metric: str,
    spec: ModelSpec,
    plan: SweepPlan,
    *,
    slices: Mapping[str, Slice] | None = None,
    batches: npt.ArrayLike | None = None,
    extra_real: pd.DataFrame | None = None,
    finished: Mapping[FitKey, Fit] | None = None,
    on_fit: OnFit | None = None,
) -> SweepOutcome:
    """Fit every ratio, repeat and arm, and read the curve.

    Parameters
    ----------
    real, synthetic, evaluation : DataFrame
        Normalised tables of one schema: training rows, rows of all batches that passed their gate, the frozen set.
    task : Task
    metric : str
        A scikit-learn scorer name.
    spec : ModelSpec
        The model with settled parameters; see :func:`synth_mlflow.model.settings.settle`.
    plan : SweepPlan
    slices : mapping of str to Slice, optional
        The score is followed on each.
    batches : array-like of shape (n_synthetic,), optional
        The batch of each synthetic row; every ratio takes the batches in proportion.
    extra_real : DataFrame, optional
        Held-back real rows: an arm that shows what real rows would have done in place of the synthetic ones.
    finished : mapping, optional
        Fits of a sweep that was killed, with the same inputs and plan; they are not repeated.
    on_fit : callable, optional
        Told of every new fit, in the driver's process, in the order in which they end.

    Raises
    ------
    GateError
        If a ratio needs more synthetic rows than there are.
    UsageError
        If a fit has no defined score, or the estimator fails.
    """
    check_supply(plan.ratios, len(real), len(synthetic), plan.mix)
    bench = Bench.build(real, evaluation, task, metric, spec, synthetic=synthetic, extra_real=extra_real, slices=slices)
    labels = np.zeros(len(synthetic)) if batches is None else np.asarray(batches)
    keys = plan.keys(bench.n_real, bench.n_extra)
    fits = run_fits(bench, plan, keys, labels, finished=finished or {}, on_fit=on_fit)
    return SweepOutcome(read_curve(bench, plan, fits), fits, bench, plan, labels)


def run_fits(
    bench: Bench,
    plan: SweepPlan,
    keys: list[FitKey],
    batches: npt.ArrayLike,
    *,
    finished: Mapping[FitKey, Fit],
    on_fit: OnFit | None = None,
) -> dict[FitKey, Fit]:
    """Run the fits that are missing, one thread each and as many at a time as the plan says; all share one table.

    Raises
    ------
    UsageError
        If a score is undefined, or the estimator fails; names the ratio and the arm.
    """
    fits = {key: finished[key] for key in keys if key in finished}
    jobs = (delayed(_fit)(bench, plan, key, batches) for key in unfinished(keys, finished))
    with threadpool_limits(limits=1):  # several threads a fit wait for each other on a busy machine
        for found in Parallel(n_jobs=plan.n_jobs, require="sharedmem", return_as="generator_unordered")(jobs):
            fit = _scored(bench, found)
            fits[fit.key] = fit
            if on_fit:
                on_fit(fit.key, fit)
    return fits


def _fit(bench: Bench, plan: SweepPlan, key: FitKey, batches: npt.ArrayLike) -> Unscored:
    """One fit; depends on nothing but its key, the plan's mix and seed, and the tables."""
    rows = fit_rows(key, bench.n_real, batches, plan.mix, plan.seed, bench.n_extra)
    try:
        return bench.fit(key, rows, plan.seed + key.repeat + 1)
    except _FAILURES as error:
        raise UsageError(
            f"the model could not be fitted ({_where(key, len(rows.real), len(rows.added))}): {error}",
            "Correct `model` in the problem statement.",
        ) from error


def _scored(bench: Bench, found: Unscored) -> Fit:
    where = _where(found.key, found.n_real, found.n_added)
    try:
        fit = bench.scored(found)
    except ValueError as error:  # as of a logarithm of negative predictions
        raise UsageError(
            f"{bench.metric} cannot be computed ({where}): {error}", "Take another metric, or another model."
        ) from error
    if not np.isfinite(fit.score):
        raise UsageError(
            f"{bench.metric} is undefined on the evaluation set ({where}).",
            "Take another metric, or more evaluation rows of every class.",
        )
    return fit


def _where(key: FitKey, n_real: int, n_added: int) -> str:
    return f"{key.arm} arm at {percent(key.ratio)}, {n_real:,} real and {n_added:,} added rows"
