"""Settling the model's parameters on real rows alone."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.model.settings import GRID, ROUNDS, settle


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """A small table on which LightGBM's defaults learn nothing: 35 rows, 20 of which a leaf must hold."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(35, 2))
    return normalise(pd.DataFrame(X, columns=["a", "b"]).assign(y=(X[:, 0] > 0).astype(int), z=X[:, 0]))


@pytest.mark.parametrize(("task", "metric"), [(Task("y", "binary"), "roc_auc"), (Task("z", "regression"), "r2")])
def test_small_table_gets_careful_settings(rows, task, metric):
    settings = settle(ModelSpec(), task, metric, rows, n_jobs=1)
    assert settings.spec.params["min_data_in_leaf"] == 5
    assert len(settings.trials) == len(GRID) * len(ROUNDS)
    assert "35 real training rows alone" in settings.words
    assert settings == settle(ModelSpec(), task, metric, rows, n_jobs=2)


@pytest.mark.parametrize("spec", [ModelSpec(params={"num_leaves": 9}), ModelSpec("sklearn.linear_model:Ridge")])
def test_given_settings_are_kept(rows, spec):
    settings = settle(spec, Task("z", "regression"), "r2", rows)
    assert settings.spec is spec
    assert settings.trials == ()


def test_class_of_one_row_can_be_settled(rows):
    rare = rows.assign(y=[1] + [0] * 34)
    assert settle(ModelSpec(), Task("y", "binary"), "accuracy", rare, n_jobs=1).trials
