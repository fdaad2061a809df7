"""The final model: the chosen mix with every real row, the very fit that gave the published score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.mixes import Places
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.model.bench import Bench
from synth_mlflow.model.boosted import BoostedModel
from synth_mlflow.model.fit import Model
from synth_mlflow.model.plan import ALL_ROWS, FitKey, SweepPlan
from synth_mlflow.model.raw_columns import RawPredictor
from synth_mlflow.model.sweep import SweepOutcome
from synth_mlflow.model.work import Work

SOURCE = "chosen"  # what the chosen source is called within one fit


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
    places: Places | None = None,
    source: str = SOURCE,
    inside: npt.NDArray[np.bool_] | None = None,
) -> Final:
    """Fit the mix of one ratio with every real row.

    Takes what :func:`synth_mlflow.model.sweep.run_sweep` took, so that the model is the one whose score the curve
    shows.

    Parameters
    ----------
    ratio : float
        Usually the curve's ``chosen``.
    places : array of int, optional
        Places of the synthetic rows that the chosen source has; by default all.
    source : str
        The chosen source; of the axis ``mix`` it says each batch's share.
    inside : array of shape (n_real,), optional
        Of the axis ``slice``: whether each real row lies in it.
    """
    bench = Bench.build(real, evaluation, task, metric, spec, synthetic=synthetic)
    labels = np.zeros(len(synthetic)) if batches is None else np.asarray(batches)
    sources = {} if places is None else {source: places}
    work = Work(bench.trainer, len(real), 0, labels, plan.mix, plan.seed, sources, axis=plan.axis, inside=inside)
    return _final(work, FitKey("synthetic", ratio, ALL_ROWS, source))


def final_of(outcome: SweepOutcome, ratio: float | None = None) -> Final:
    """The same from a sweep that has just ended, without encoding the tables again; by default its chosen ratio."""
    curve = outcome.curve
    return _final(outcome.work, FitKey("synthetic", curve.chosen if ratio is None else ratio, ALL_ROWS, curve.source))


def _final(work: Work, key: FitKey) -> Final:
    rows = work.rows(key)
    model = work.trainer.model(rows, work.seed + key.repeat + 1)
    return Final(model, key.ratio, np.sort(rows.real), np.sort(rows.added - work.n_real))
