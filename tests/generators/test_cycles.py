"""Hours, weekdays and last digits that are far from even survive; where they are even nothing changes."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import Task
from synth_mlflow.generators._numeric import Cycle, Numbers, Smoothing
from synth_mlflow.generators.bayes_net import BayesNet
from synth_mlflow.generators.forest import Forest
from synth_mlflow.generators.gaussian_copula import GaussianCopula

DIGITS = Cycle(10, 1, 0, is_of_time=False)
HOURS = Cycle(1_440, 60, 0, is_of_time=True)


def test_the_nearest_value_of_a_part_by_hand() -> None:
    steps = np.array([12.0, 19.0, 3.0, 98.0])
    assert DIGITS.snap(steps, np.ones(4, dtype=np.int64), 0.0, 99.0).tolist() == [
        11.0,
        21.0,
        1.0,
        91.0,
    ]  # 101 would leave the range
    assert HOURS.snap(np.array([61.0, 1_439.0]), np.zeros(2, dtype=np.int64), 0.0, 5_000.0).tolist() == [1.0, 1_499.0]


def test_even_parts_are_none_and_small_ones_are_put_together() -> None:
    steps, counts = np.arange(200.0), np.full(200, 10)
    assert DIGITS.uneven(steps, counts) is None
    assert DIGITS.uneven(steps[:39], np.where(steps[:39] % 10 == 1, 99, 1)) is None  # fewer than four turns
    few = np.where(steps % 10 == 1, 90, np.where(steps % 10 == 2, 1, 10))
    parts = DIGITS.uneven(steps, few)
    assert parts is not None
    assert set(parts[steps % 10 == 2]) == {1}  # 20 rows join the largest part
    two = DIGITS.uneven(steps, np.where(steps % 10 == 4, 1, few))
    assert two is not None
    assert set(two[np.isin(steps % 10, [2, 4])]) == {10}  # 40 rows are a group
    assert (parts[steps % 10 == 3] == 3).all()


def test_numbers_with_even_digits_are_drawn_as_ever() -> None:
    values = np.random.default_rng(0).integers(0, 2_000, 900).astype(np.float64)
    with_cycle, without = (Numbers.of(values, Smoothing(), cycle) for cycle in (DIGITS, None))
    draws = [one.redraw(values, np.random.default_rng(1)) for one in (with_cycle, without)]
    assert np.array_equal(*draws)


def busy_days() -> pd.DataFrame:
    """Calls by day, few of them at weekends, during office hours; prices that seldom end in anything but 9."""
    rng = np.random.default_rng(0)
    day = pd.Timestamp("2021-01-04") + pd.to_timedelta(rng.integers(0, 500, 2_000), "D")
    day = day[(day.day_of_week < 5) | (rng.random(2_000) < 0.1)][:1_200]
    price = rng.integers(10, 400, len(day)) * 10 + np.where(rng.random(len(day)) < 0.8, 9, rng.integers(1, 9, len(day)))
    hour = pd.to_timedelta(rng.integers(8, 17, len(day)) * 60 + rng.integers(0, 60, len(day)), "m")
    return normalise(
        pd.DataFrame({"day": day, "call": day + hour, "price": price, "y": rng.choice(["a", "b"], len(day))})
    )


@pytest.mark.parametrize("generator", [Forest(), GaussianCopula(), BayesNet()], ids=repr)
def test_generators_keep_uneven_parts(generator) -> None:
    real = busy_days()
    drawn = generator.fit(real, Task("y", "binary"), np.random.default_rng(1)).sample(2_000, np.random.default_rng(2))
    shares = pd.DataFrame(
        {
            name: [
                (rows["day"].dt.day_of_week > 4).mean(),
                rows["call"].dt.hour.between(8, 16).mean(),
                (rows["price"] % 10 == 9).mean(),
            ]
            for name, rows in (("real", real), ("drawn", drawn))
        }
    )
    assert (shares["real"] - shares["drawn"]).abs().max() < 0.06
    unseen = ~drawn["price"].isin(real["price"])
    assert unseen.mean() > 0.05  # digits are kept, values are not


@pytest.mark.parametrize("as_number", [False, True])
def test_what_falls_on_a_weekend_and_is_booked_on_monday_stays_so(as_number: bool) -> None:
    rng = np.random.default_rng(0)
    day = pd.Series(pd.Timestamp("2021-01-04") + pd.to_timedelta(rng.integers(0, 900, 260), "D"))
    booked = day + pd.to_timedelta(np.where(day.dt.day_of_week > 4, 7 - day.dt.day_of_week, 0), "D")
    values = booked.dt.strftime("%y%m%d").astype(int) if as_number else booked
    real = normalise(pd.DataFrame({"booked": values, "y": rng.choice(["a", "b"], 260)}))
    drawn = Forest().fit(real, Task("y", "binary"), np.random.default_rng(1)).sample(1_000, np.random.default_rng(2))
    found = (
        drawn["booked"] if not as_number else pd.to_datetime(drawn["booked"].astype(str).str.zfill(6), format="%y%m%d")
    )
    assert found.dt.day_of_week.max() < 5
    assert abs((found.dt.day_of_week == 0).mean() - (booked.dt.day_of_week == 0).mean()) < 0.08


def test_endings_of_two_digits_are_kept_and_rounding_alone_is_none() -> None:
    rng = np.random.default_rng(0)
    prices = rng.integers(9, 40, 2_000) * 100.0 + rng.choice([99, 95, 49, 90, 0], 2_000, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    found = Numbers.of(prices, Smoothing(atom_rows=10_000, spike_rows=10_000), DIGITS)
    drawn = found.redraw(prices, rng)
    assert found.cycle == Cycle(100, 1, 0, is_of_time=False)
    assert np.mean(drawn % 100 == 99) == pytest.approx(0.4, abs=0.03)
    assert np.isin(drawn % 100, [99, 95, 49, 90, 0]).mean() > 0.97
    rounded = np.where(rng.random(2_000) < 0.6, rng.integers(9, 40, 2_000) * 50.0, rng.integers(500, 2_000, 2_000))
    assert Numbers.of(rounded, Smoothing(), DIGITS).cycle == DIGITS
