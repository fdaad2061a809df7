"""The Gaussian copula."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp, spearmanr

from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError
from synth_mlflow.generators.gaussian_copula import GaussianCopula


def correlated(n_rows: int = 4_000) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a = rng.normal(size=n_rows)
    b = 0.7 * a + np.sqrt(1 - 0.49) * rng.normal(size=n_rows)
    c = np.where(0.8 * a + 0.6 * rng.normal(size=n_rows) > 0.5, "high", "low")
    return pd.DataFrame({"a": a, "b": np.exp(b), "c": pd.Series(c, dtype="str")})


def test_a_gaussian_law_comes_back() -> None:
    members = correlated()
    drawn = (
        GaussianCopula()
        .fit(members, Task("b", "regression"), np.random.default_rng(0))
        .sample(8_000, np.random.default_rng(1))
    )
    assert ks_2samp(members["b"], drawn["b"]).statistic < 0.03
    assert spearmanr(drawn["a"], drawn["b"]).statistic == pytest.approx(
        spearmanr(members["a"], members["b"]).statistic, abs=0.03
    )
    gap = drawn.groupby("c")["a"].mean() - members.groupby("c")["a"].mean()
    assert gap.abs().max() < 0.07


def test_the_rest_follows_the_slice() -> None:
    members = correlated()
    chosen = Slice.parse("a > 1.5")
    sampler = GaussianCopula().fit(members, Task("b", "regression"), np.random.default_rng(0), slice=chosen)
    drawn = sampler.sample(2_000, np.random.default_rng(1))
    assert np.log(drawn["b"]).mean() == pytest.approx(np.log(members["b"][chosen.mask(members)]).mean(), abs=0.1)


def test_full_shrinkage_makes_columns_independent() -> None:
    sampler = GaussianCopula(shrinkage=1.0).fit(correlated(), Task("b", "regression"), np.random.default_rng(0))
    drawn = sampler.sample(4_000, np.random.default_rng(1))
    assert abs(spearmanr(drawn["a"], drawn["b"]).statistic) < 0.05


def test_noise_columns_are_shrunk_away() -> None:
    rng = np.random.default_rng(0)
    members = pd.DataFrame(rng.normal(size=(60, 100)), columns=[f"c{i}" for i in range(100)])
    drawn = GaussianCopula().fit(members, Task("c0", "regression"), rng).sample(2_000, rng)
    off_diagonal = np.corrcoef(drawn.T)[~np.eye(100, dtype=bool)]
    assert np.abs(off_diagonal).max() < 0.2


@pytest.mark.parametrize("shrinkage", [-0.1, 1.5, "much"])
def test_a_wrong_shrinkage_is_refused(shrinkage: float | str) -> None:
    with pytest.raises(UsageError, match="between 0 and 1 or 'auto'"):
        GaussianCopula(shrinkage=shrinkage)
