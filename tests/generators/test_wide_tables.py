"""Tables of many columns and few rows: what they say of a column must not describe their rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import ks_2samp

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import Task
from synth_mlflow.generators._latent_correlation import latent_correlation
from synth_mlflow.generators._smooth_quantiles import smooth_quantiles
from synth_mlflow.generators.gaussian_copula import GaussianCopula
from synth_mlflow.metrics.row_pairs import count_values, surplus_by_column
from synth_mlflow.metrics.two_sample import roc_area


def even_normals(n_rows: int) -> np.ndarray:
    return np.asarray(ndtri((np.arange(n_rows) + 0.5) / n_rows))


def drawn(values: np.ndarray, n_rows: int = 5_000, width: float = 0.0) -> np.ndarray:
    distinct, counts = np.unique(values, return_counts=True)
    ranks, quantiles = smooth_quantiles(distinct, counts.astype(np.float64), width)
    at = np.random.default_rng(1).uniform(ranks[0], ranks[-1], n_rows)
    return np.asarray(np.interp(at, ranks, quantiles))


def test_a_normal_distribution_is_a_line() -> None:
    values = 3.0 + 2.0 * even_normals(500)
    ranks, quantiles = smooth_quantiles(values, np.ones(500), 0.0)
    assert ndtr((quantiles - 3.0) / 2.0) == pytest.approx(ranks / 500, abs=0.0011)  # half a row


@pytest.mark.parametrize("of", [np.exp, lambda z: z + 4.0 * np.sign(z), lambda z: z**3, np.abs])
def test_other_distributions_come_back(of: object) -> None:
    values = np.sort(of(np.random.default_rng(0).standard_normal(1_000)))  # type: ignore[operator]
    again = drawn(values)
    assert ks_2samp(values, again).statistic < 0.05
    assert values[0] <= again.min() <= again.max() <= values[-1]


def test_an_empty_range_stays_empty_and_a_lone_value_inside_is_not_handed_out() -> None:
    values = np.sort(np.append(even_normals(400) + np.repeat([-5.0, 5.0], 200), 0.0))
    again = drawn(values)
    inside = values[(values != 0.0)]
    assert not ((again > inside[inside < 0].max()) & (again < inside[inside > 0].min())).any()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=300).filter(lambda values: len(set(values)) > 1))
def test_any_whole_numbers_give_ranks_that_ascend_and_values_within_their_range(values: list[int]) -> None:
    distinct, counts = np.unique(np.array(values, dtype=np.float64), return_counts=True)
    ranks, quantiles = smooth_quantiles(distinct, counts.astype(np.float64), 1.0)
    assert (np.diff(ranks) >= 0).all()
    assert 0 <= ranks[0] <= ranks[-1] <= len(values)
    assert distinct[0] <= quantiles.min() <= quantiles.max() <= distinct[-1]


def test_common_factors_are_found_among_noise() -> None:
    rng = np.random.default_rng(0)
    loadings = rng.choice([-0.7, 0.7], (3, 90)) * (rng.random((3, 90)) < 0.4)
    true = loadings.T @ loadings
    scale = np.sqrt(np.diag(true) + 1.0)
    true = (true + np.eye(90)) / np.outer(scale, scale)
    scores = rng.standard_normal((200, 90)) @ np.linalg.cholesky(true).T
    estimate = latent_correlation((scores - scores.mean(0)) / scores.std(0), None)
    pulled = latent_correlation(np.vstack([scores] * 5), None)  # ten rows a latent: as narrow tables have it
    assert np.linalg.norm(estimate - true) < 0.85 * np.linalg.norm(pulled - true)
    assert np.diag(estimate) == pytest.approx(1.0)


def wide(n_rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    latent = rng.standard_normal((n_rows, 4)) @ rng.normal(0, 0.4, (4, 120)) + rng.standard_normal((n_rows, 120))
    table = pd.DataFrame(np.round(latent, 2), columns=[f"x{at}" for at in range(120)])
    table[[f"x{at}" for at in range(0, 120, 10)]] = np.round(4 * latent[:, ::10])
    return normalise(table.assign(y=(latent[:, 0] > 0).astype(int)))


def test_values_of_many_columns_do_not_add_up_to_a_leak() -> None:
    rows = wide(600, 3)
    members, control = rows.iloc[:300].reset_index(drop=True), rows.iloc[300:].reset_index(drop=True)
    sampler = GaussianCopula().fit(members, Task("y", "binary"), np.random.default_rng(0))
    batch = sampler.sample(300, np.random.default_rng(1))
    surplus = surplus_by_column(count_values(rows, batch, rows.iloc[:0])).sum(axis=1)
    assert roc_area(surplus[:300], surplus[300:]) < 0.62  # 0.73 with a knot every eight rows
    assert max(ks_2samp(batch[name], control[name]).statistic for name in rows.columns[:-1]) < 0.2
