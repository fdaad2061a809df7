"""A baseline that is perfect or at chance is told with the columns that make it so."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.sweep.baseline import baseline_warning, measure_baseline

SPEC = ModelSpec("lightgbm", {"num_iterations": 10, "num_leaves": 4, "min_data_in_leaf": 5})


def warned(rows: pd.DataFrame, kind, metric: str) -> str:
    rows, task = normalise(rows), Task("y", kind)
    sides = rows.iloc[:400].reset_index(drop=True), rows.iloc[400:].reset_index(drop=True)
    return baseline_warning(measure_baseline(*sides, task, metric, SPEC, repeats=3, n_jobs=1), *sides, task, 0)


@pytest.fixture
def world() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=600), rng.normal(size=600)
    return pd.DataFrame({"x": x, "noise": noise, "y": np.where(x + rng.normal(size=600) > 0, "yes", "no")})


def test_a_baseline_that_learned_something_is_not_warned_of(world):
    assert warned(world, "binary", "roc_auc") == ""
    assert warned(world.assign(y=world["x"] + world["noise"] / 3), "regression", "r2") == ""


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "accuracy"])
def test_a_column_that_knows_the_target_is_named(world, metric):
    told = warned(world.assign(paid=(world["y"] == "yes") * 10), "binary", metric)
    assert "baseline of 1.0000 is the best score there is" in told and "score: 'paid' 1.0000, " in told


@pytest.mark.parametrize(("kind", "metric"), [("binary", "roc_auc"), ("binary", "neg_log_loss"), ("regression", "r2")])
def test_a_target_that_nothing_tells_is_said(world, kind, metric):
    y = np.random.default_rng(5).permutation(world["x" if kind == "regression" else "y"].to_numpy())
    told = warned(world.assign(y=y), kind, metric)
    assert "a constant prediction (" in told and "Single columns alone score: '" in told
