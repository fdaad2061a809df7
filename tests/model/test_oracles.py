"""Planted oracles at small size; `tests/benchmarks/sweep.py` simulates them at full size."""

import importlib.util
import sys
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from synth_mlflow.model.plan import FitRows

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "sweep.py"


@pytest.fixture(scope="module")
def bench():
    """The benchmark script as a module."""
    spec = importlib.util.spec_from_file_location("sweep_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    monkeypatch.undo()


@pytest.mark.parametrize(("bias", "best"), [(0.365, 0.75), (0.447, 0.5), (0.632, 0.25), (1.0, 0.0)])
def test_plateau_holds_the_best_share_of_the_closed_form(bench, bias, best):
    curves = [bench.closed_form(bias)(seed).curve for seed in range(3)]
    assert all(best in curve.plateau for curve in curves)
    assert all(curve.chosen <= best for curve in curves)


def test_exact_null_claims_no_gain(bench):
    assert [bench.classification("true", "replace", n_real=120)(seed).curve.chosen for seed in range(2)] == [0, 0]


def test_inverted_labels_are_never_chosen(bench):
    curve = bench.classification("inverted", n_real=120)(0).curve
    assert (curve.chosen, curve.peak) == (0, 0)


def test_lightgbm_with_one_leaf_a_cell_is_the_model_of_the_closed_form(bench):
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
    table = bench.CellMeans(cells, labels, np.arange(200))
    means = table.predictions(FitRows(np.arange(1_000), np.empty(0, dtype=int)), 0)
    assert np.allclose(booster.predict(np.arange(200.0)[:, None]), means, atol=0.02)
