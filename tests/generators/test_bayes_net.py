"""The Bayesian network, and its privacy against the claimed ε."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_mlflow.data.columns import conform, schema_of
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError
from synth_mlflow.generators.bayes_net import BayesNet, choose, dependence, dependence_sensitivity, noisy_counts

LABEL = Task("y", "binary")


def chain(n_rows: int = 3_000) -> pd.DataFrame:
    """``b`` copies ``a`` nine times in ten, ``y`` is their exclusive or."""
    rng = np.random.default_rng(0)
    a = rng.random(n_rows) < 0.4
    b = a ^ (rng.random(n_rows) < 0.1)
    return pd.DataFrame({"a": a, "b": b, "z": rng.normal(size=n_rows), "y": a ^ b})


def test_two_parents_hold_an_exclusive_or() -> None:
    drawn = BayesNet().fit(chain(), LABEL, np.random.default_rng(0)).sample(3_000, np.random.default_rng(1))
    assert (drawn["y"] == (drawn["a"] ^ drawn["b"])).all()
    assert drawn["a"].mean() == pytest.approx(chain()["a"].mean(), abs=0.03)


def test_noise_has_the_likelihood_ratio_of_its_epsilon() -> None:
    epsilon, rng = 1.2, np.random.default_rng(0)
    table, neighbour = np.array([10, 10]), np.array([9, 11])
    hits = [
        np.mean((noisy[:, 0] >= 10) & (noisy[:, 1] <= 10))
        for noisy in (noisy_counts(np.tile(counts, (200_000, 1)), epsilon, rng) for counts in (table, neighbour))
    ]
    assert np.log(hits[0] / hits[1]) == pytest.approx(epsilon, abs=0.03)


def test_noise_is_centred_and_of_the_right_size() -> None:
    noise = noisy_counts(np.zeros(100_000, dtype=np.int64), 1.0, np.random.default_rng(0))
    ratio = np.exp(-0.5)
    assert noise.mean() == pytest.approx(0.0, abs=0.05)
    assert noise.var() == pytest.approx(2 * ratio / (1 - ratio) ** 2, rel=0.05)


def test_the_exponential_mechanism_keeps_its_epsilon() -> None:
    rng = np.random.default_rng(0)
    shares = [
        np.mean([choose(np.array(scores), 1.0, 1.0, rng) == 0 for _ in range(20_000)])
        for scores in ([1.0, 0.0], [0.0, 1.0])
    ]
    assert np.log(shares[0] / shares[1]) == pytest.approx(0.5, abs=0.05)
    assert np.log(shares[0] / shares[1]) < 1.0


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=2, max_size=12),
    st.tuples(st.integers(0, 3), st.integers(0, 2)),
)
def test_no_replaced_row_changes_the_score_by_more_than_its_sensitivity(
    rows: list[tuple[int, int]], other: tuple[int, int]
) -> None:
    def counts(cells: list[tuple[int, int]]) -> np.ndarray:
        table = np.zeros((4, 3), dtype=np.int64)
        np.add.at(table, tuple(np.array(cells).T), 1)
        return table

    change = abs(dependence(counts(rows)) - dependence(counts([other, *rows[1:]])))
    assert change <= dependence_sensitivity(len(rows)) + 1e-12


def test_the_record_says_what_the_claim_needs() -> None:
    claim = BayesNet(epsilon=2.0).fit(chain(), LABEL, np.random.default_rng(0)).notes["differential_privacy"]
    spent = sum(part["times"] * part["epsilon_each"] for part in claim["mechanisms"].values())
    assert spent == pytest.approx(2.0)
    assert (claim["epsilon"], claim["delta"], claim["unit"]) == (2.0, 0.0, "one row, replaced by another")
    assert "levels" in claim["taken_as_public"]


def test_private_identifiers_do_not_shun_those_of_members() -> None:
    members = chain(900).assign(id=np.arange(100, 1_000))
    drawn = BayesNet(epsilon=1.0).fit(members, LABEL, np.random.default_rng(0)).sample(500, np.random.default_rng(1))
    assert drawn["id"].is_unique
    assert drawn["id"].isin(members["id"]).sum() > 400


def test_private_noise_does_not_come_from_the_seed() -> None:
    one, two = (BayesNet(epsilon=1.0).fit(chain(), LABEL, np.random.default_rng(0)) for _ in range(2))
    assert not one.sample(500, np.random.default_rng(1)).equals(two.sample(500, np.random.default_rng(1)))


def test_private_rows_have_the_right_kinds_and_much_of_the_structure(mixed: pd.DataFrame, churn: Task) -> None:
    drawn = BayesNet(epsilon=1.0).fit(mixed, churn, np.random.default_rng(0)).sample(400, np.random.default_rng(1))
    pd.testing.assert_frame_equal(conform(drawn, schema_of(mixed)), drawn)
    copied = (
        BayesNet(epsilon=20.0).fit(chain(), LABEL, np.random.default_rng(0)).sample(3_000, np.random.default_rng(1))
    )
    assert np.mean(copied["y"] == (copied["a"] ^ copied["b"])) > 0.9


def test_numbers_between_private_bounds_are_even() -> None:
    members = pd.DataFrame({"x": np.append(np.zeros(900), np.arange(101.0)), "y": np.arange(1_001) % 2 == 0})
    drawn = BayesNet(epsilon=50.0).fit(members, LABEL, np.random.default_rng(0)).sample(2_000, np.random.default_rng(1))
    assert drawn["x"].between(0, 100).all()
    assert drawn["x"].nunique() > 50


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("inf"), float("nan")])
def test_a_wrong_epsilon_is_refused(epsilon: float) -> None:
    with pytest.raises(UsageError, match="needed a number above 0"):
        BayesNet(epsilon=epsilon)


def test_a_slice_with_epsilon_is_refused() -> None:
    with pytest.raises(UsageError, match="would be told"):
        BayesNet(epsilon=1.0).fit(chain(), LABEL, np.random.default_rng(0), slice=Slice.parse("a == true"))


def test_texts_with_epsilon_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot be private"):
        BayesNet(epsilon=1.0, text="resample")
