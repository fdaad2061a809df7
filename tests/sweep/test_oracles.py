"""Planted oracles at small size; `tests/benchmarks/sweep_oracles.py` simulates them at full size."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.mixing import FitRows
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.sweep.plan import SweepPlan
from synth_mlflow.sweep.runner import run_sweep

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "sweep_oracles.py"


@pytest.fixture(scope="module")
def oracles():
    """The benchmark script as a module."""
    spec = importlib.util.spec_from_file_location("sweep_oracles", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    monkeypatch.undo()


@pytest.mark.slow
@pytest.mark.parametrize(("bias", "best"), [(0.365, 0.75), (0.447, 0.5), (0.632, 0.25), (1.0, 0.1)])
def test_plateau_holds_the_best_share_of_the_closed_form(oracles, bias, best):
    plan = replace(oracles.PLAN, ratios=tuple(sorted({0.0, 0.25, 0.5, 0.75, best})))
    projects = [oracles.closed_form(bias, plan)(seed) for seed in range(3)]
    assert sum(best in project.plateau for project in projects) >= 2
    assert all(project.true_gain >= 0 for project in projects)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["wrong rule", "random labels"])
def test_worthless_rows_are_never_chosen(oracles, how):
    assert [oracles.classification(how, oracles.PLAN)(seed).chosen for seed in range(4)] == [0, 0, 0, 0]


@pytest.mark.slow
def test_more_of_the_true_process_is_the_peak(oracles):
    projects = [oracles.classification("true process", oracles.PLAN)(seed) for seed in range(4)]
    assert [project.peak for project in projects] == [0.75] * 4
    assert any(project.chosen > 0 for project in projects)


@pytest.mark.slow
def test_intervals_cover_where_other_rows_replace_the_real_ones(oracles):
    projects = [oracles.classification("true process", oracles.REPLACE)(seed) for seed in range(6)]
    assert all(project.true_gain >= 0 for project in projects)  # these very rows may be better or worse than others
    assert oracles.coverage_of_recipe(projects) > 0.8
    assert oracles.coverage_of_models(projects) > 0.8


def test_projects_are_read_from_the_store_and_tabulated(oracles, tmp_path, monkeypatch):
    monkeypatch.setattr(oracles, "ORACLES", {"b = 1": (oracles.closed_form(1.0, oracles.PLAN), 0.0)})
    first = oracles.simulate(2, "", tmp_path / "store.jsonl")
    monkeypatch.setattr(oracles, "ORACLES", {"b = 1": (None, 0.0)})  # nothing is simulated again
    again = oracles.simulate(2, "", tmp_path / "store.jsonl")
    assert again == first
    assert list(oracles.table(again))[2].startswith("| b = 1 | 100% |")


def test_inverted_labels_are_never_chosen_with_lightgbm():
    rng, rows = np.random.default_rng(0), []
    for n_rows, sign in ((120, 1), (360, -1), (1_500, 1)):
        X = rng.normal(size=(n_rows, 4))
        label = (sign * X.sum(axis=1) + rng.logistic(size=n_rows) > 0).astype(int)
        rows.append(normalise(pd.DataFrame(X, columns=list("abcd")).assign(y=label)))
    spec = ModelSpec(params={"num_leaves": 4, "min_data_in_leaf": 5, "n_estimators": 20})
    curve = run_sweep(*rows, Task("y", "binary"), "roc_auc", spec, SweepPlan(repeats=4, n_jobs=1)).curve
    assert (curve.chosen, curve.peak) == (0, 0)


def test_lightgbm_with_one_leaf_a_cell_is_the_model_of_the_closed_form(oracles):
    rng = np.random.default_rng(0)
    cells, labels = np.repeat(np.arange(200), 5), rng.normal(size=1_000)
    params = {
        "objective": "regression",
        "num_leaves": 200,
        "min_data_in_leaf": 1,
        "min_sum_hessian_in_leaf": 0,
        "learning_rate": 1.0,
        "max_bin": 202,
        "min_data_in_bin": 1,
        "verbosity": -1,
        "num_threads": 1,
    }
    booster = lightgbm.train(params, lightgbm.Dataset(cells[:, None].astype(float), labels), 1)
    table = oracles.CellMeans(cells, labels, np.arange(200))
    means = table.predictions(FitRows(np.arange(1_000), np.empty(0, dtype=int)), 0)
    assert np.allclose(booster.predict(np.arange(200.0)[:, None]), means, atol=0.02)
