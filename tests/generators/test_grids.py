"""Grids of dates and numbers: learned only where they are no chance, kept by every generator, exact to 2^63."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise, schema_of
from synth_mlflow.data.grids import (
    Chain,
    ClockNumbers,
    DateNumbers,
    Lattice,
    MomentNumbers,
    Monthly,
    ShortDateNumbers,
    Weekdays,
    Wide,
    YearDayNumbers,
    moments_grid,
    whole_numbers_grid,
)
from synth_mlflow.data.task import Task
from synth_mlflow.generators._encoding import encode
from synth_mlflow.generators._numeric import Smoothing
from synth_mlflow.generators.bayes_net import BayesNet
from synth_mlflow.generators.bootstrap_noise import BootstrapNoise
from synth_mlflow.generators.forest import Forest
from synth_mlflow.generators.gaussian_copula import GaussianCopula
from synth_mlflow.generators.smote import Smote

N_ROWS = 250
GENERATORS = [Forest(), GaussianCopula(), BayesNet(), BayesNet(epsilon=3.0), Smote(), BootstrapNoise()]


def dates(texts: Any) -> np.ndarray:
    """Days since 1970."""
    return np.asarray(np.array(texts, dtype="datetime64[D]").astype(np.int64))


def grid_of(moments: Any) -> Chain:
    """What is learned of moments."""
    ticks = pd.to_datetime(pd.Series(moments)).to_numpy(dtype="datetime64[us]").astype(np.int64)
    return moments_grid(*np.unique(ticks, return_counts=True))


@pytest.mark.parametrize(
    ("grid", "value", "place"),
    [
        (Monthly(1), "2024-03-01", 650),
        (Monthly(0), "2024-02-29", 649),
        (Monthly(15), "2024-03-15", 650),
        (Weekdays((0, 1, 2, 3, 4)), "1970-01-05", 5),
        (Weekdays((6,)), "1970-01-04", 0),
    ],
)
def test_days_by_hand(grid: Any, value: str, place: int) -> None:
    day = dates([value])
    assert grid.places(day).tolist() == [place]
    assert grid.values(np.array([place])).tolist() == day.tolist()


@pytest.mark.parametrize(
    ("grid", "values", "next_values"),
    [
        (DateNumbers(has_day=True), [20240228, 19991231], [20240229, 20000101]),
        (DateNumbers(has_day=False), [202412, 196912], [202501, 197001]),
        (MomentNumbers(2), [2024022823, 1969123123], [2024022900, 1970010100]),
        (MomentNumbers(4), [202402282359], [202402290000]),
        (MomentNumbers(6), [20240228235959, 19991231000059], [20240229000000, 19991231000100]),
        (YearDayNumbers(), [2024366, 2023059], [2025001, 2023060]),
        (ClockNumbers(), [59, 1359, 2359], [100, 1400, 2400]),
        (ClockNumbers(has_seconds=True), [59, 135959], [100, 140000]),
        (ShortDateNumbers(), [240228, 991231, 691231], [240229, 101, 700101]),
        (Lattice(100, 99), [199], [299]),
    ],
)
def test_numbers_by_hand(grid: Any, values: list[int], next_values: list[int]) -> None:
    given = np.array(values)
    assert grid.values(grid.places(given)).tolist() == values
    assert grid.values(grid.places(given) + 1).tolist() == next_values


def test_chance_is_not_taken_for_a_grid() -> None:
    assert whole_numbers_grid(np.array([0, 2, 4]), np.array([50, 50, 50])) is None
    assert whole_numbers_grid(np.arange(0, 60, 2), np.ones(30, dtype=np.int64)) is not None
    few = grid_of(["2024-03-04", "2024-03-05", "2024-03-08"] * 30)  # no weekend in three days
    assert [type(grid) for grid in few.grids] == [Lattice]
    rng = np.random.default_rng(0)
    assert all(whole_numbers_grid(np.unique(rng.integers(0, 500, 60)), np.ones(60)) is None for _ in range(200))


def test_a_few_strays_do_not_hide_a_calendar() -> None:
    starts = pd.Series(np.repeat(pd.date_range("2015-01-01", periods=100, freq="MS"), 5))
    starts[7] = pd.Timestamp("2015-01-20 13:00")
    assert Monthly(1) in grid_of(starts).grids
    assert Monthly(1) not in grid_of(starts.where(starts.index % 50 > 0, starts + pd.Timedelta("9D"))).grids


def table() -> pd.DataFrame:
    """A column for each grid."""
    rng = np.random.default_rng(0)
    start, months = pd.Timestamp("2015-01-01"), rng.integers(0, 80, N_ROWS)
    days = pd.Series(rng.choice(pd.bdate_range("2018-01-01", periods=500), N_ROWS))
    every = pd.Series(start + pd.to_timedelta(rng.integers(0, 900, N_ROWS), "D"))
    gaps = pd.Series(rng.random(N_ROWS) < 0.2)
    minutes = rng.integers(0, 1440, N_ROWS)
    frame = pd.DataFrame(
        {
            "month_start": [start + pd.DateOffset(months=int(month)) for month in months],
            "quarter_end": [start + pd.offsets.QuarterEnd(int(month) // 3 + 1) for month in months],
            "trading_close": days + pd.Timedelta("16:30:00"),
            "quarter_hour": start + pd.to_timedelta(rng.integers(0, 30_000, N_ROWS) * 15, "m"),
            "yyyymmdd": every.dt.strftime("%Y%m%d").astype("int64"),
            "yyyymmdd_gaps": every.dt.strftime("%Y%m%d").astype("float64").mask(gaps),
            "yyyymm": every.dt.strftime("%Y%m").astype("int64"),
            "hhmm": minutes // 60 * 100 + minutes % 60,
            "hundreds": rng.lognormal(10, 1, N_ROWS).round(-2),
            "endings": rng.integers(1, 300, N_ROWS) + 0.99,
            "single": rng.normal(size=N_ROWS).astype("float32").astype("float64"),
            "odd": 2**61 + rng.integers(0, 10**6, N_ROWS) * 2 + 1,
            "wide": rng.integers(-(2**62), 2**62, N_ROWS),
            "y": rng.choice(["a", "b"], N_ROWS),
        }
    )
    return normalise(frame)


REAL = table()
RULES: dict[str, Callable[[pd.Series], pd.Series]] = {
    "month_start": lambda v: v.dt.day == 1,
    "quarter_end": lambda v: v.dt.is_quarter_end,
    "trading_close": lambda v: (v.dt.day_of_week < 5) & (v - v.dt.normalize() == pd.Timedelta("16:30:00")),
    "quarter_hour": lambda v: v.dt.minute.isin([0, 15, 30, 45]) & (v.dt.second == 0),
    "yyyymmdd": lambda v: pd.to_datetime(v.astype(str), format="%Y%m%d", errors="coerce").notna(),
    "yyyymmdd_gaps": lambda v: RULES["yyyymmdd"](v.dropna().astype("int64")),
    "yyyymm": lambda v: (v % 100).between(1, 12),
    "hhmm": lambda v: (v % 100 < 60) & (v < 2400),
    "hundreds": lambda v: v % 100 == 0,
    "endings": lambda v: (v * 100).round() % 100 == 99,
    "single": lambda v: v == v.astype("float32"),
    "odd": lambda v: v % 2 == 1,
}


@pytest.mark.parametrize(
    "generator", GENERATORS, ids=lambda g: f"{type(g).__name__}{getattr(g, 'epsilon', None) or ''}"
)
def test_every_generator_keeps_grid_range_and_type(generator: Any) -> None:
    task = Task("y", "binary", roles={"odd": "number", "wide": "number"})  # unique ones would be taken for identifiers
    sampler = generator.fit(REAL, task, np.random.default_rng(1))
    drawn = sampler.sample(400, np.random.default_rng(2))
    assert [name for name, holds in RULES.items() if not holds(drawn[name]).all()] == []
    numbers = drawn.drop(columns="y")
    assert (numbers.min() >= REAL[numbers.columns].min()).all() and (numbers.max() <= REAL[numbers.columns].max()).all()
    assert drawn.dtypes.equals(REAL.dtypes)


def test_grids_are_exact_there_and_back() -> None:
    kinds = schema_of(REAL).kinds
    columns, codes = encode(REAL, {name: kinds[name] for name in [*RULES, "y"]}, Smoothing(), "y")
    pd.testing.assert_frame_equal(
        pd.DataFrame({name: column.decode(codes[name]) for name, column in columns.items()}), REAL[list(columns)]
    )
    rng = np.random.default_rng(3)
    for values in (2**62 + rng.integers(0, 2**40, 50), np.array([-(2**63), 0, 2**63 - 1])):
        grid = whole_numbers_grid(np.unique(values), np.ones(50))
        assert grid is not None
        places = grid.places(values).astype(np.float64).astype(np.int64)
        found = grid.values(places)
        if isinstance(grid.grids[0], Wide):
            assert grid.places(found).tolist() == places.tolist()
        else:
            assert found.tolist() == values.tolist()


def test_a_shared_wide_number_is_kept_and_a_rare_one_is_not() -> None:
    rng = np.random.default_rng(4)
    keys = np.r_[np.repeat(2**61 + 12_345, 60), rng.integers(-(2**62), 2**62, 18)]  # of more, each names something
    rows = pd.DataFrame({"key": keys, "y": rng.choice(["a", "b"], 78)})
    drawn = Forest().fit(rows, Task("y", "binary"), rng).sample(1_000, rng)["key"]
    is_shared = drawn == 2**61 + 12_345
    assert 0.6 < is_shared.mean() < 0.9
    assert not drawn[~is_shared].isin(keys).any()
    assert len(np.unique(drawn[~is_shared] % 8)) == 8  # no trace of floats in the last bits


def test_large_class_labels_are_exact() -> None:
    rng = np.random.default_rng(5)
    rows = pd.DataFrame({"x": rng.normal(size=100), "y": rng.choice([2**60 + 1, 2**60 + 2], 100)})
    drawn = GaussianCopula().fit(rows, Task("y", "binary"), rng).sample(50, rng)
    assert set(drawn["y"]) == {2**60 + 1, 2**60 + 2}


def test_rounder_values_stay_as_frequent_on_a_coarse_grid() -> None:
    rng = np.random.default_rng(6)
    sulphur = rng.integers(20, 300, 600) + 0.5 * (rng.random(600) < 0.1)  # halves, most of them whole
    rows = pd.DataFrame({"sulphur": sulphur, "y": rng.choice(["a", "b"], 600)})
    for generator in (Forest(), GaussianCopula(), BayesNet()):
        drawn = generator.fit(rows, Task("y", "binary"), rng).sample(600, rng)["sulphur"]
        assert ((drawn * 2) % 1 == 0).all()
        assert 0.8 < (drawn % 1 == 0).mean() < 0.98
