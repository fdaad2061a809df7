"""The standalone metrics equal SDMetrics' on the known-answer tables."""

import json
from pathlib import Path

import pandas as pd
import pytest

from synth_mlflow.metrics.associations import contingency_distance, correlation
from synth_mlflow.metrics.distances import ks_distance, tv_distance

ORACLES = Path(__file__).resolve().parents[3] / "shared" / "oracles" / "validation"
BATCHES = ("syn_ideal", "syn_gc", "syn_cart", "syn_smote", "syn_leak05", "syn_clean")

pytestmark = pytest.mark.skipif(not ORACLES.exists(), reason="the known-answer tables lie beside the project")


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    return pd.read_parquet(ORACLES / "real.parquet")


@pytest.fixture(scope="module")
def expected() -> dict:
    return json.loads((ORACLES / "parity_sdmetrics.json").read_text())["batches"]


@pytest.mark.parametrize("batch", BATCHES)
def test_columns(batch, real, expected):
    synthetic = pd.read_parquet(ORACLES / f"{batch}.parquet")
    for name, scores in expected[batch]["columns"].items():
        distance, key = (ks_distance, "KSComplement") if "KSComplement" in scores else (tv_distance, "TVComplement")
        assert 1 - distance(real[name], synthetic[name]) == pytest.approx(scores[key], abs=1e-9), name


@pytest.mark.slow
@pytest.mark.parametrize("batch", ["syn_ideal", "syn_clean"])
def test_pairs(batch, real, expected):
    synthetic = pd.read_parquet(ORACLES / f"{batch}.parquet")
    for pair, scores in expected[batch]["pairs"].items():
        first, second = pair.split("|")
        for method in {"Pearson", "Spearman"} & set(scores):
            found = correlation(synthetic[first], synthetic[second], method.lower())
            assert found == pytest.approx(scores[method]["synthetic"], abs=1e-9), pair
        for key in {"ContingencySimilarity", "ContingencySimilarity_shared10bins"} & set(scores):
            distance = contingency_distance((real[first], real[second]), (synthetic[first], synthetic[second]))
            assert 1 - distance == pytest.approx(scores[key], abs=1e-9), pair
