"""Numbers on their grid."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from synth_mlflow.data.grids import grid_step, on_grid
from synth_mlflow.generators._encoding import encode
from synth_mlflow.generators._numeric import Numbers, Smoothing

FREE = Smoothing(atoms_per_member=np.inf)


@pytest.mark.parametrize(
    ("values", "step"),
    [([1.0, 20.0], 1.0), ([0.5, 2.0], 0.1), ([1e9 + 0.25], 0.01), ([1e15 + 1.0], 1.0), ([np.pi], None)],
)
def test_the_grid_is_found(values: list[float], step: float | None) -> None:
    assert grid_step(np.array(values)) == pytest.approx(step)


@given(st.lists(st.integers(-(10**7), 10**7), min_size=1, max_size=20), st.integers(0, 4))
def test_numbers_on_a_grid_stay_where_they_are(ticks: list[int], decimals: int) -> None:
    values = np.round(np.array(ticks) / 10.0**decimals, decimals)
    step = grid_step(values)
    assert step is not None
    np.testing.assert_array_equal(on_grid(values, step), values)


def test_shared_values_are_kept_and_others_hardly_ever() -> None:
    rng = np.random.default_rng(0)
    fine = rng.normal(size=500)
    present = np.concatenate([np.zeros(300), fine])
    drawn = Numbers.of(present, Smoothing()).redraw(present, rng)
    assert (drawn[:300] == 0.0).all()
    assert not np.isin(drawn[300:], fine).any()


def test_the_distribution_stays() -> None:
    rng = np.random.default_rng(0)
    present = rng.lognormal(sigma=1.5, size=4_000)
    drawn = Numbers.of(present, Smoothing()).redraw(present, rng)
    assert ks_2samp(present, drawn).statistic < 0.01
    assert present.min() <= drawn.min() <= drawn.max() <= present.max()


def test_rounding_habits_stay() -> None:
    rng = np.random.default_rng(0)
    exact = rng.integers(0, 10**7, 2_000).astype(float)
    rounded = np.round(rng.integers(0, 10**7, 2_000), -3).astype(float)
    present = np.concatenate([exact, rounded])
    drawn = Numbers.of(present, Smoothing()).redraw(present, rng)
    assert abs(np.mean(drawn % 1_000 == 0) - np.mean(present % 1_000 == 0)) < 0.01


def test_counts_that_go_evenly_are_not_handed_out_and_habits_are() -> None:
    rng = np.random.default_rng(0)
    ages = np.clip(np.round(rng.gamma(9, 4.5, 8_000)), 17, 90)
    drawn = Numbers.of(ages, Smoothing()).redraw(ages, rng)
    assert 0.3 < np.mean(drawn != ages) < 0.8
    assert np.abs(drawn - ages)[ages < 60].max() <= 3
    assert ks_2samp(ages, drawn).statistic < 0.02
    hours = np.where(rng.random(8_000) < 0.6, rng.choice([20, 35, 38, 40, 45, 50], 8_000), np.round(ages))
    habits = Numbers.of(hours, Smoothing()).redraw(hours, rng)
    assert np.mean(habits != hours) < 0.05


def test_a_table_hands_out_few_counts_for_its_members() -> None:
    rng = np.random.default_rng(0)
    habits = pd.DataFrame({f"c{at}": rng.choice(40, 1_500, p=rng.dirichlet(np.full(40, 3.0))) for at in range(12)})
    coarse = pd.DataFrame({"side": rng.integers(0, 2, 1_500)})
    rows, kinds = pd.concat([habits, coarse], axis=1), dict.fromkeys([*habits, "side"], "integer")
    columns = [encode(rows, kinds, by, None)[0].values() for by in (FREE, Smoothing())]
    atoms = [sum(one.numbers.n_atoms for one in side) for side in columns]
    assert atoms[0] > 0.15 * len(rows) > 0.09 * len(rows) >= atoms[1] > 0.05 * len(rows)
    side = encode(rows, kinds, Smoothing(), None)[0]["side"].numbers
    np.testing.assert_array_equal(side.redraw(coarse["side"], rng), coarse["side"])


def test_ordinary_numbers_have_no_habit() -> None:
    present = np.random.default_rng(0).integers(0, 10**7, 5_000).astype(float)
    assert set(Numbers.of(present, Smoothing()).loose) == {1}


def test_a_single_value_is_drawn_again() -> None:
    numbers = Numbers.of(np.array([2.5]), Smoothing())
    assert numbers.redraw(np.array([2.5, 2.5]), np.random.default_rng(0)).tolist() == [2.5, 2.5]
