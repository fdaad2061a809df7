"""Tables for the generators' tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import Task

SHARED = Path(__file__).resolve().parents[3] / "shared"
N_ROWS = 600


@pytest.fixture(scope="session")
def mixed() -> pd.DataFrame:
    """Every kind of column, each with and without missing values, identifiers, constants and an empty column."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=N_ROWS)
    day = pd.to_timedelta(rng.integers(0, 500, N_ROWS), unit="D")
    second = pd.to_timedelta(rng.integers(0, 10**7, N_ROWS), unit="s")

    def with_gaps(values: object, share: float = 0.1) -> pd.Series:
        return pd.Series(values, dtype=object).where(rng.random(N_ROWS) >= share)

    return normalise(
        pd.DataFrame(
            {
                "customer_id": np.arange(1_000, 1_000 + N_ROWS),
                "uuid": [f"{rng.integers(16**12):012x}" for _ in range(N_ROWS)],
                "price": np.round(np.exp(x), 2),
                "dose": with_gaps(x * 3),
                "visits": rng.poisson(3, N_ROWS),
                "children": with_gaps(rng.poisson(1, N_ROWS)),
                "smoker": rng.random(N_ROWS) < 0.3,
                "consent": with_gaps(rng.random(N_ROWS) < 0.5),
                "region": rng.choice(["north", "south", "east"], N_ROWS, p=[0.6, 0.3, 0.1]),
                "channel": with_gaps(rng.choice(["web", "shop"], N_ROWS)),
                "opened": pd.Timestamp("2023-01-01") + day,
                "seen": pd.Series(pd.Timestamp("2024-01-01") + second).where(rng.random(N_ROWS) > 0.1),
                "currency": "EUR",
                "empty": np.nan,
                "churned": np.where(x + 0.5 * rng.normal(size=N_ROWS) > 0, "yes", "no"),
            }
        )
    )


@pytest.fixture(scope="session")
def churn() -> Task:
    return Task("churned", "binary")


@pytest.fixture(scope="session")
def adult() -> pd.DataFrame:
    path = SHARED / "data" / "adult.csv"
    if not path.exists():
        pytest.skip(f"{path} is not there: the shared tables are not part of the package")
    return normalise(pd.read_csv(path)).sample(4_000, random_state=1).reset_index(drop=True)
