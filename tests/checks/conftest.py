"""A small credit world whose law is known, and what generators do to it."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.checks import CheckInput, CheckResult, Judgement, judge
from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import Task

TASK = Task("default", "binary")


def draw(n: int, seed: int) -> pd.DataFrame:
    """Fresh rows of the true law: heaps, gaps, a heavy tail, dependent columns."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    income = np.round(np.exp(9 + age / 60 + rng.normal(0, 0.5, n)), 2)
    loan = np.where(rng.random(n) < 0.5, 1_000.0 * rng.integers(1, 9, n), np.round(rng.gamma(2, 2_000, n), 2))
    job = np.where(age > 64, "retired", rng.choice(["clerk", "smith", "nurse", "cook"], n, p=[0.5, 0.3, 0.15, 0.05]))
    risk = 1 / (1 + np.exp(-(loan / 2_500 - income / 12_000)))
    rows = pd.DataFrame({"age": age, "income": income, "loan": loan, "job": job})
    rows["opened"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D")
    rows["default"] = np.where(rng.random(n) < risk, "yes", "no")
    rows.loc[rng.random(n) < 0.1, "income"] = np.nan
    return normalise(rows)


@pytest.fixture(scope="session")
def members() -> pd.DataFrame:
    return draw(900, 0)


@pytest.fixture(scope="session")
def control() -> pd.DataFrame:
    return draw(700, 1)


@pytest.fixture(scope="session")
def fresh() -> pd.DataFrame:
    return draw(900, 2)


@pytest.fixture(scope="session")
def evidence(members, control, fresh) -> CheckInput:
    return CheckInput(fresh, members, control, TASK, "roc_auc", seed=0)


@pytest.fixture(scope="session")
def ruled() -> Callable[..., tuple[Judgement, CheckResult]]:
    """Run a check under its default policy and judge what it recorded."""

    def run(check, evidence) -> tuple[Judgement, CheckResult]:
        result = check.run(evidence, check.defaults)
        return judge(result.probes, result.inconclusive, check.defaults["alpha"]), result

    return run
