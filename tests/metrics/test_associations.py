"""Correlations, shared bins and contingency."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from synth_mlflow.data.columns import normalise
from synth_mlflow.metrics import associations
from synth_mlflow.metrics.associations import (
    SharedBins,
    compared_pairs,
    contingency_distance,
    correlation,
    correlations,
    joint_shares,
    pair_counts,
    ranks,
)


def _table(n: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = np.where(rng.random(n) < 0.1, np.nan, x + rng.normal(size=n))
    return pd.DataFrame({"x": x, "y": y, "sign": np.where(x > 0, "plus", "minus")})


def test_correlations_of_a_matrix_are_those_of_pairs():
    rows = _table(300)
    found = correlations(rows[["x", "y"]].to_numpy())
    assert found[0, 1] == pytest.approx(correlation(rows["x"], rows["y"]), abs=1e-12)
    assert found[0, 0] == pytest.approx(1)


def test_spearman_is_scipys():
    rows = _table(200)[["x"]].assign(z=lambda t: t["x"] ** 3)
    assert correlation(rows["x"], rows["z"], "spearman") == pytest.approx(1)
    noisy = _table(200).dropna()
    expected = stats.spearmanr(noisy["x"], noisy["y"]).statistic
    assert correlation(noisy["x"], noisy["y"], "spearman") == pytest.approx(expected)
    assert correlations(ranks(noisy[["x", "y"]].to_numpy()))[0, 1] == pytest.approx(expected)


def test_a_constant_has_no_correlation():
    assert np.isnan(correlation(pd.Series([1.0, 1.0]), pd.Series([1.0, 2.0])))
    assert correlations(np.array([[1.0, 1.0], [1.0, 2.0]]))[0, 1] == 0


def test_contingency_distance_by_hand():
    real = pd.Series(["a", "a", "b", "b"]), pd.Series(["x", "x", "y", "y"])
    broken = pd.Series(["a", "a", "b", "b"]), pd.Series(["x", "y", "x", "y"])
    assert contingency_distance(real, real) == 0
    assert contingency_distance(real, broken) == 0.5


def test_one_outlier_does_not_move_shared_bins():
    real = _table(1000)
    batch = _table(1000, seed=1)
    before = contingency_distance((real["x"], real["sign"]), (batch["x"], batch["sign"]))
    batch.loc[0, "x"] = 60.0
    after = contingency_distance((real["x"], real["sign"]), (batch["x"], batch["sign"]))
    assert abs(after - before) < 0.005


def test_joint_shares_are_a_cross_table():
    rows = _table(500)
    bins = SharedBins.learn(rows, n_bins=4)
    shares = joint_shares(bins.codes(rows), bins.widths)
    width = int(bins.widths[0])
    expected = pd.crosstab(bins.codes(rows)[:, 0], bins.codes(rows)[:, 1], normalize=True)
    block = shares[:width, width : width + int(bins.widths[1])]
    assert np.allclose(block[block.sum(1) > 0][:, block.sum(0) > 0], expected.to_numpy())
    assert pair_counts(bins.codes(rows), bins.widths, 0, 1).tolist() == (block * 500).round().ravel().tolist()


def _other(n: int) -> pd.DataFrame:
    rows = _table(n, 1)
    return rows.assign(sign=np.random.default_rng(2).permutation(rows["sign"]))


def test_a_pair_that_broke_is_far_and_no_table_is_far_from_itself():
    bins = SharedBins.learn(_table(500), n_bins=4)
    first, second = bins.codes(_table(500)), bins.codes(_other(500))
    assert np.allclose(compared_pairs(first, first, bins.widths).distance, 0)
    distance = pd.DataFrame(compared_pairs(first, second, bins.widths).distance, bins.columns, bins.columns)
    assert distance.loc["x", "sign"] > 0.3 > 0.1 > distance.loc["x", "y"]


def test_strips_of_columns_give_the_same_as_all_at_once(monkeypatch):
    bins = SharedBins.learn(_table(500), n_bins=4)
    codes = bins.codes(_table(500)), bins.codes(_other(400))
    whole = compared_pairs(*codes, bins.widths)
    monkeypatch.setattr(associations, "STRIP_CELLS", 60)
    assert len(associations._strips(bins.widths)) > 1
    parts = compared_pairs(*codes, bins.widths)
    assert np.array_equal(parts.distance, whole.distance)
    assert all(map(np.array_equal, parts.association, whole.association))


def test_cramers_v_is_high_for_a_function_and_zero_for_noise():
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({"a": rng.integers(0, 4, 5000).astype(str), "noise": rng.integers(0, 4, 5000).astype(str)})
    rows["copy"] = rows["a"]
    bins = SharedBins.learn(rows)
    codes = bins.codes(rows)
    found = pd.DataFrame(compared_pairs(codes, codes[:4000], bins.widths).association[0])
    found.index = found.columns = pd.Index(bins.columns)
    assert found.loc["a", "copy"] == pytest.approx(1)
    assert found.loc["a", "noise"] < 0.05


def test_bins_have_names():
    bins = SharedBins.learn(pd.DataFrame({"x": [1.0, 2.0, 3.0, 4.0], "c": ["u", "u", "v", None]}), n_bins=2)
    assert [bins.name("x", code) for code in range(3)] == ["below 2.5", "from 2.5", "missing"]
    assert bins.name("c", 0) == "u"


def test_a_column_that_is_mostly_one_value_still_has_two_bins():
    rows = normalise(pd.DataFrame({"late": [0] * 90 + [1] * 6 + [2] * 4, "who": ["a"] * 90 + ["b"] * 10}))
    bins = SharedBins.learn(rows, n_bins=4)
    assert bins.edges["late"].tolist() == [1.0]
    codes = bins.codes(rows)
    assert compared_pairs(codes, codes, bins.widths).association[1][0, 1] > 0.9
