"""Bootstrap with noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError
from synth_mlflow.generators.bootstrap_noise import BootstrapNoise


def test_without_noise_rows_are_copies(adult: pd.DataFrame) -> None:
    sampler = BootstrapNoise(noise=0.0).fit(adult, Task("income", "binary"), np.random.default_rng(0))
    drawn = sampler.sample(200, np.random.default_rng(1))
    assert len(drawn.drop_duplicates().merge(adult.drop_duplicates())) == len(drawn.drop_duplicates())


def test_noise_moves_numbers_by_its_size() -> None:
    members = pd.DataFrame({"x": np.repeat([0.0, 1_000.0], 500), "y": np.repeat(["a", "b"], 500)})
    sampler = BootstrapNoise(noise=0.1).fit(members, Task("y", "binary"), np.random.default_rng(0))
    drawn = sampler.sample(4_000, np.random.default_rng(1))
    low = drawn["x"][drawn["y"] == "a"]
    assert low[low > 0].std() == pytest.approx(0.1 * 500 * np.sqrt(1 - 2 / np.pi), rel=0.1)
    assert (drawn["x"] % 1 == 0).all()


@pytest.mark.parametrize("noise", [-1.0, float("inf"), float("nan")])
def test_wrong_noise_is_refused(noise: float) -> None:
    with pytest.raises(UsageError, match="of at least 0"):
        BootstrapNoise(noise=noise)
