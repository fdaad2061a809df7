"""Declared constraints: kept in every row of every built-in generator, by construction or by rejection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import conform, normalise, schema_of
from synth_mlflow.data.constraints import parse_constraints
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import GeneratorError, UsageError
from synth_mlflow.generators._constraints import ConstrainedSampler, fit_within
from synth_mlflow.plugins import find, installed

BUILT_IN = sorted(name for name, plugin in installed("generators").items() if plugin.origin == "built in")
LATE = Task("late", "binary")
DECLARED = (
    "ordered <= shipped",
    "shipped < paid",
    "total = net + tax - rebate",
    "fixed(city, region, zone)",
    "parts <= items",
    "items >= 1",
    'ordered >= "2023-01-01"',
)


@pytest.fixture(scope="module")
def orders() -> pd.DataFrame:
    """Orders: dates in order, a sum, cities in their regions, counts within counts; with missing values."""
    rng = np.random.default_rng(0)
    n_rows = 800
    ordered = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 700, n_rows), unit="D")
    shipped = ordered + pd.to_timedelta(rng.integers(0, 5, n_rows), unit="D")
    paid = pd.Series(shipped + pd.to_timedelta(rng.exponential(30, n_rows) * 1_440 + 1, unit="min")).dt.floor("min")
    net, tax = np.round(rng.lognormal(4, 1, n_rows), 2), np.round(rng.lognormal(2, 1, n_rows), 2)
    rebate = np.round(rng.random(n_rows) * 5, 2)
    city = rng.choice(["York", "Leeds", "Bath", "Truro"], n_rows, p=[0.4, 0.4, 0.15, 0.05])
    items = 1 + rng.poisson(4, n_rows)
    frame = pd.DataFrame(
        {
            "id": [f"O-{i:05d}" for i in range(n_rows)],
            "total": np.round(net + tax - rebate, 2),
            "net": net,
            "tax": tax,
            "rebate": rebate,
            "ordered": ordered,
            "shipped": pd.Series(shipped).where(rng.random(n_rows) > 0.1),
            "paid": paid.where(paid > shipped),
            "city": pd.Series(city, dtype=object).where(rng.random(n_rows) > 0.05),
            "region": np.where(np.isin(city, ["York", "Leeds"]), "north", "south"),
            "zone": np.where(np.isin(city, ["York", "Leeds"]), 1, 2),
            "items": items,
            "parts": pd.Series(rng.binomial(items, 0.6), dtype=float).where(rng.random(n_rows) > 0.1),
            "late": rng.random(n_rows) < 0.3,
        }
    )
    frame.loc[frame["shipped"].isna(), "paid"] = pd.NaT
    return normalise(frame)


def fit(name: str, members: pd.DataFrame, declared: tuple[str, ...] = DECLARED, **options: Any) -> ConstrainedSampler:
    where = options.pop("where", None)
    sampler = fit_within(
        find("generators", name).load()(),
        members,
        LATE,
        np.random.default_rng(0),
        slice=None if where is None else Slice.parse(where),
        constraints=parse_constraints(declared),
        **({"may_construct": True} | options),
    )
    assert isinstance(sampler, ConstrainedSampler)
    return sampler


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_row_keeps_every_constraint(name: str, orders: pd.DataFrame) -> None:
    sampler = fit(name, orders)
    drawn = sampler.sample(500, np.random.default_rng(1))
    pd.testing.assert_frame_equal(conform(drawn, schema_of(orders)), drawn)
    assert len(drawn) == 500
    assert parse_constraints(DECLARED).seen_in(orders).broken(drawn) == {}
    assert drawn["id"].is_unique
    assert np.abs(drawn.isna().mean() - orders.isna().mean()).max() < 0.08
    notes = sampler.notes["constraints"]
    assert notes["kept_by_construction"] == list(DECLARED[:5])
    assert notes["kept_by_rejection"] == list(DECLARED[5:])
    assert 0.4 < notes["acceptance_rate"] <= 1.0
    assert notes["rows_drawn"] >= 500


def test_what_a_sum_leaves_over_is_no_constant_column(orders: pd.DataFrame) -> None:
    assert "constant_columns" not in fit("gaussian_copula", orders).notes
    with_constant = normalise(orders.assign(currency="EUR"))
    assert fit("gaussian_copula", with_constant).notes["constant_columns"] == ["currency"]


def test_spans_are_those_of_the_members(orders: pd.DataFrame) -> None:
    drawn = fit("gaussian_copula", orders).sample(800, np.random.default_rng(1))
    days = [(frame["shipped"] - frame["ordered"]).dropna() / pd.Timedelta("1D") for frame in (orders, drawn)]
    assert set(days[1].unique()) == set(days[0].unique())
    assert days[1].mean() == pytest.approx(days[0].mean(), abs=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "where", ['shipped >= "2024-06-01"', "total > 200 and net > 150", 'city == "Truro"', "parts is missing"]
)
@pytest.mark.parametrize("name", ["forest", "gaussian_copula"])
def test_constraints_go_together_with_slices(name: str, where: str, orders: pd.DataFrame) -> None:
    drawn = fit(name, orders, where=where).sample(100, np.random.default_rng(1))
    assert Slice.parse(where).mask(drawn).all()
    assert parse_constraints(DECLARED).seen_in(orders).broken(drawn) == {}


@pytest.mark.slow
def test_same_seed_same_rows_and_pieces_have_unique_identifiers(orders: pd.DataFrame) -> None:
    first, again = (fit("forest", orders).sample(100, np.random.default_rng(1)) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    pieces = list(fit("forest", orders).chunks(900, np.random.default_rng(1), chunk_rows=400))
    assert [len(piece) for piece in pieces] == [400, 400, 100]
    assert pd.concat(pieces)["id"].is_unique


def test_what_would_follow_in_a_circle_is_left_to_rejection() -> None:
    rng = np.random.default_rng(0)
    low = rng.integers(0, 50, 300)
    members = pd.DataFrame({"a": low, "b": low + rng.integers(0, 2, 300), "late": rng.integers(1, 60, 300) + low})
    declared = ("a <= b", "b <= late", "a <= late")
    sampler = fit_within(
        find("generators", "forest").load()(),
        members,
        Task("late", "regression"),
        rng,
        slice=None,
        constraints=parse_constraints(declared),
        may_construct=True,
    )
    drawn = sampler.sample(200, rng)
    assert parse_constraints(declared).broken(drawn) == {}
    assert sampler.notes["constraints"]["kept_by_rejection"] == ["b <= late"]


def test_a_sum_that_is_coarser_than_its_parts_is_solved_for_a_part() -> None:
    rng = np.random.default_rng(0)
    first = np.round(rng.random(300) * 9, 1)
    whole = np.ceil(first) + rng.integers(0, 5, 300)
    members = normalise(pd.DataFrame({"whole": whole.astype(int), "first": first, "rest": np.round(whole - first, 1)}))
    members["late"] = rng.random(300) < 0.5
    drawn = fit("forest", members, ("whole = first + rest",)).sample(200, rng)
    assert parse_constraints(["whole = first + rest"]).broken(drawn) == {}
    assert drawn["whole"].dtype == "int64"


def test_rows_without_a_constraint_are_those_of_the_generator(orders: pd.DataFrame) -> None:
    orders = orders.drop(columns=["total", "zone", "region", "shipped", "paid"])  # they follow from others
    plain = find("generators", "forest").load()().fit(orders, LATE, np.random.default_rng(0))
    within = fit_within(
        find("generators", "forest").load()(),
        orders,
        LATE,
        np.random.default_rng(0),
        slice=None,
        constraints=parse_constraints([]),
        may_construct=True,
    )
    pd.testing.assert_frame_equal(
        plain.sample(50, np.random.default_rng(1)), within.sample(50, np.random.default_rng(1))
    )


def test_real_rows_that_break_a_constraint_are_counted(orders: pd.DataFrame) -> None:
    swapped = orders.copy()
    swapped.loc[:6, "shipped"] = swapped.loc[:6, "ordered"] - pd.Timedelta("1D")
    with pytest.raises(UsageError, match=r"'ordered <= shipped' is broken by 7 of 800 real rows"):
        fit("forest", swapped)


@dataclass(frozen=True)
class _Stubborn:
    """Draws rows that all break the constraint."""

    notes: Mapping[str, Any]

    def fit(self, *_: Any, **__: Any) -> _Stubborn:
        return self

    def sample(self, n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
        return pd.DataFrame({"a": np.full(n_rows, 2), "late": rng.random(n_rows) < 0.5})


def test_rows_that_are_never_drawn_end_in_an_error_with_the_numbers() -> None:
    members = pd.DataFrame({"a": np.ones(100, dtype=np.int64), "late": np.arange(100) % 2 == 0})
    sampler = fit_within(
        _Stubborn({}),  # type: ignore[arg-type]
        members,
        LATE,
        np.random.default_rng(0),
        slice=None,
        constraints=parse_constraints(["a <= 1"]),
        may_construct=False,
    )
    with pytest.raises(GeneratorError, match=r"0 of [\d,]+ drawn rows keep all constraints .*'a <= 1' 0"):
        sampler.sample(100, np.random.default_rng(0))
