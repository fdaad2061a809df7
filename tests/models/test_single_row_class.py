"""A class with one evaluation row: no draw has it on both sides, and still every number is finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.sweep.holdout import estimate_on_confirmation_split
from synth_mlflow.sweep.plan import SweepPlan
from synth_mlflow.sweep.runner import final_of, run_sweep

TASK = Task("grade", "multiclass")
SPEC = ModelSpec("lightgbm", {"num_iterations": 5, "min_data_in_leaf": 5})


def graded(n_rows: int, n_rare: int, seed: int) -> pd.DataFrame:
    """Grades 1 and 2 by a noisy number, and a few of grade 3."""
    x = np.random.default_rng(seed).normal(size=n_rows)
    grade = np.where(x + np.random.default_rng(seed + 1).normal(size=n_rows) > 0, 2, 1)
    grade[:n_rare] = 3
    return pd.DataFrame({"x": x, "grade": grade})


def test_every_number_is_finite_and_the_missing_correction_is_said() -> None:
    evaluation, real = graded(400, 1, 1), graded(120, 1, 2)
    real["x"] = real["x"].sample(frac=1, random_state=0, ignore_index=True)  # teaches nothing, so that made rows help
    plan = SweepPlan(ratios=(0.0, 0.75), repeats=8)
    outcome = run_sweep(real, graded(360, 0, 3), evaluation, TASK, "f1_macro", SPEC, plan)
    curve, model = outcome.curve, final_of(outcome).model
    assert curve.chosen == 0.75
    assert (curve.corrected, curve.corrected_gain) == (curve.at(0.75).low, curve.at(0.75).gain_low)
    assert "could not be corrected" in curve.halves
    said: Any = estimate_on_confirmation_split(curve, evaluation, TASK, model.classes, model.predict(evaluation))
    assert np.isfinite([said.score, said.low, said.high]).all()
    assert "could not be corrected" in said.words
