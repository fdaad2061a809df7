"""The final model: the chosen mix with every real row, the very fit that gave the published score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.model.bench import Bench
from synth_mlflow.model.boosted import BoostedModel
from synth_mlflow.model.fit import Model
from synth_mlflow.model.plan import ALL_ROWS, FitKey, SweepPlan, fit_rows
from synth_mlflow.model.raw_columns import RawPredictor
from synth_mlflow.model.sweep import SweepOutcome


@dataclass(frozen=True)
class Final:
    """The fitted model and the rows it has eaten."""

    model: Model
    ratio: float
    real_rows: npt.NDArray[np.int64]
    """Places in the real training table."""
    synthetic_rows: npt.NDArray[np.int64]
    """Places in the synthetic table, each once."""

    @property
    def predictor(self) -> RawPredictor | None:
        """What can be saved for ``loader_module``; None where the estimator is not LightGBM."""
        return self.model.predictor if isinstance(self.model, BoostedModel) else None


def fit_final(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    evaluation: pd.DataFrame,
    task: Task,
    metric: str,
    spec: ModelSpec,
    plan: SweepPlan,
    ratio: float,
    *,
    batches: npt.ArrayLike | None = None,
) -> Final:
    """Fit the mix of one ratio with every real row.

    Takes what :func:`synth_mlflow.model.sweep.run_sweep` took, so that the model is the one whose score the curve
    shows.

    Parameters
    ----------
    ratio : float
        Usually the curve's ``chosen``.
    """
    bench = Bench.build(real, evaluation, task, metric, spec, synthetic=synthetic)
    labels = np.zeros(len(synthetic)) if batches is None else np.asarray(batches)
    return _final(bench, plan, ratio, labels)


def final_of(outcome: SweepOutcome, ratio: float | None = None) -> Final:
    """The same from a sweep that has just ended, without encoding the tables again; by default its chosen ratio."""
    return _final(outcome.bench, outcome.plan, outcome.curve.chosen if ratio is None else ratio, outcome.batches)


def _final(bench: Bench, plan: SweepPlan, ratio: float, batches: npt.ArrayLike) -> Final:
    rows = fit_rows(FitKey("synthetic", ratio, ALL_ROWS), bench.n_real, batches, plan.mix, plan.seed)
    model = bench.trainer.model(rows, plan.seed + ALL_ROWS + 1)
    return Final(model, ratio, np.sort(rows.real), np.sort(rows.added - bench.n_real))
