"""Settling the model's parameters on real rows alone."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.models.base import fit
from synth_mlflow.models.tuning import GRID, ROUNDS, coarse, settle


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """A small table on which LightGBM's defaults learn nothing: 35 rows, 20 of which a leaf must hold."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(35, 2))
    return normalise(pd.DataFrame(X, columns=["a", "b"]).assign(y=(X[:, 0] > 0).astype(int), z=X[:, 0]))


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("params", [coarse(params) for params in GRID])
def test_coarse_settings_fit_and_do_not_depend_on_the_number_of_threads(params):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(4_000, 4))
    town = rng.choice(list("abcdefgh"), 4_000)
    label = X[:, 0] + (town == "a") + rng.logistic(size=4_000) > 0
    table = normalise(pd.DataFrame(X, columns=list("abcd")).assign(town=town, y=label.astype(int)))
    models = [fit(ModelSpec(params=params), Task("y", "binary"), table, seed=3, n_threads=n) for n in (1, 2)]
    said, too = (model.predict(table) for model in models)
    assert np.array_equal(said, too)
    assert ("use_quantized_grad" in params) == (params.get("bagging_freq") is None)
