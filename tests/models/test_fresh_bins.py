"""On small tables every fit bins its own rows, so that ratio 0 is the recorded baseline, to the last digit."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.sweep.baseline import measure_baseline
from synth_mlflow.sweep.plan import FitKey, SweepPlan
from synth_mlflow.sweep.runner import run_sweep

TASK = Task("bought", "binary")
SPEC = ModelSpec("lightgbm", {"num_iterations": 20, "min_data_in_leaf": 5})


def test_ratio_0_is_the_baseline(customers: Callable[..., pd.DataFrame]) -> None:
    real, evaluation, other = (normalise(customers(n, seed)) for n, seed in ((90, 1), (200, 2), (270, 3)))
    other["age"] += 60  # bins that real rows alone would never have
    baseline = measure_baseline(real, evaluation, TASK, "roc_auc", SPEC, repeats=3, seed=0)
    plan = SweepPlan(ratios=(0.0, 0.75), repeats=3, seed=0)
    outcome = run_sweep(real, other, evaluation, TASK, "roc_auc", SPEC, plan)
    curve = outcome.curve
    assert curve.points[0].of_model == baseline.score
    parts = [outcome.fits[FitKey("synthetic", 0.0, n)].score for n in range(3)]
    assert parts == list(baseline.repeats)
