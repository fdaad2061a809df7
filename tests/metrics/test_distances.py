"""Distances and p-values of single columns."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from synth_mlflow.metrics.distances import (
    homogeneity_p_value,
    ks_distance,
    ks_p_value,
    label_counts,
    pool_rare,
    share_p_value,
    tv_distance,
)

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


@given(NUMBERS, NUMBERS)
def test_ks_distance_is_scipys(first, second):
    expected = stats.ks_2samp(first, second, method="asymp").statistic
    assert ks_distance(pd.Series(first), pd.Series(second)) == pytest.approx(expected, abs=1e-12)


def test_ks_distance_leaves_missing_values_out():
    assert ks_distance(pd.Series([1.0, np.nan, 2.0]), pd.Series([1.0, 2.0])) == 0
    assert np.isnan(ks_distance(pd.Series([np.nan]), pd.Series([1.0])))


def test_ks_distance_reads_dates():
    days = pd.Series(pd.date_range("2024-01-01", periods=4)).astype("datetime64[us]")
    assert ks_distance(days, days) == 0
    assert ks_distance(days, days + pd.Timedelta(days=2)) == 0.5


@pytest.mark.parametrize("distance", [0.03, 0.05, 0.08])
def test_ks_p_value_is_close_to_the_exact_one(distance):
    expected = stats.kstwobign.sf(distance * np.sqrt(500))
    assert ks_p_value(distance, 1000, 1000) == pytest.approx(expected, rel=0.15)


def test_tv_distance_by_hand():
    real = pd.Series(["a", "a", "b", "b", None])
    assert tv_distance(real, real) == 0
    assert tv_distance(real, pd.Series(["a", "a", "a", "b"])) == 0.25
    assert tv_distance(real, pd.Series(["c", "c"])) == 1
    assert np.isnan(tv_distance(real, real[4:]))


def test_homogeneity_is_scipys_where_no_label_is_rare():
    real, synthetic = np.array([30, 50, 20]), np.array([45, 80, 75])
    expected = stats.chi2_contingency(np.vstack([real, synthetic]), correction=False).pvalue
    assert homogeneity_p_value(real, synthetic) == pytest.approx(expected)


def test_homogeneity_holds_its_level_with_thousands_of_rare_labels():
    rng = np.random.default_rng(0)
    p_values = [
        homogeneity_p_value(*label_counts(*(pd.Series(rng.integers(0, 3_000, 2_000)) for _ in range(2))))
        for _ in range(20)
    ]
    assert min(p_values) > 1e-3


def test_pooling_keeps_every_row():
    real, synthetic = np.array([40, 1, 0, 3]), np.array([38, 0, 2, 4])
    pooled = pool_rare(real, synthetic)
    assert [side.sum() for side in pooled] == [44, 44]


def test_share_p_value_has_a_direction():
    assert share_p_value(50, 100, 10, 100, alternative="less") < 1e-6
    assert share_p_value(50, 100, 10, 100, alternative="greater") > 0.99
