"""Identifiers that repeat by nature may repeat in a batch as well, and no more often than in as many real rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.checks import Metric
from synth_mlflow.checks._tables import Tables
from synth_mlflow.checks.fidelity import Fidelity, _repeated, name_probes


def mails(n_rows: int, n_people: int, rng: np.random.Generator) -> pd.DataFrame:
    """As many rows of people who come back."""
    return pd.DataFrame({"mail": [f"user{n}@shop.example" for n in rng.integers(0, n_people, n_rows)]})


def repeats(batch: pd.DataFrame, real: pd.DataFrame) -> Metric:
    """What fidelity says of repeated values."""
    tables = Tables(batch, real, real.iloc[:50])
    return next(iter(name_probes(tables, frozenset({"mail"}), Fidelity.defaults, np.random.default_rng(0))))


def test_the_share_of_as_many_rows_is_that_of_hand() -> None:
    share, _ = _repeated(np.array([2, 1, 1]), 0)
    assert share == pytest.approx(0.5)
    share, _ = _repeated(np.array([2, 1, 1]), 2)  # one of six pairs of rows is equal
    assert share == pytest.approx(1 / 6)
    assert _repeated(np.array([], dtype=np.int64), 0) == (0.0, 0.0)


@pytest.mark.parametrize("n_rows", [100, 300, pytest.param(2_000, marks=pytest.mark.slow)])
def test_further_real_rows_repeat_as_often(n_rows: int) -> None:
    rngs = [np.random.default_rng(seed) for seed in range(100)]
    found = [repeats(mails(n_rows, 1_250, rng), mails(360, 1_250, rng)) for rng in rngs]
    assert sum(one.value > max(one.limit, one.floor) for one in found) <= 4  # 1 of 100 by chance


@pytest.mark.parametrize(("n_people", "n_rows"), [(1_250, 300), (10**9, 2_000)])
def test_a_batch_that_gives_each_twice_fails(n_people: int, n_rows: int) -> None:
    rng = np.random.default_rng(1)
    once = mails(n_rows // 2, n_people, rng)
    metric = repeats(pd.concat([once, once]), mails(360, n_people, rng))
    assert metric.value > max(metric.limit, metric.floor)
    assert "of the batch stand in more than one row" in metric.note
