"""Dates that never lie before others in real rows never do in synthetic ones, with their usual distance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.constraints import Constraints, parse_constraints
from synth_mlflow.data.date_orders import date_orders
from synth_mlflow.data.task import Task
from synth_mlflow.generators._constraints import fit_within
from synth_mlflow.generators.bayes_net import BayesNet
from synth_mlflow.generators.forest import Forest
from synth_mlflow.generators.gaussian_copula import GaussianCopula

TASK = Task("y", "binary")
DAY = pd.Timedelta(days=1)


def orders(n_rows: int = 600, **columns: Any) -> pd.DataFrame:
    """An order on any day, a shipment one to five days later, and whether it was late."""
    rng = np.random.default_rng(0)
    gap = rng.integers(1, 6, n_rows)
    order = pd.Series(pd.Timestamp("2022-01-01") + pd.to_timedelta(rng.integers(0, 900, n_rows), "D"))
    frame = {"order": order, "ship": order + pd.to_timedelta(gap, "D"), "amount": rng.lognormal(3, 1, n_rows)}
    frame |= columns | {"y": np.where(rng.random(n_rows) < 0.15 * gap, "late", "ok")}
    return normalise(pd.DataFrame(frame))


def drawn(rows: pd.DataFrame, generator: Any, declared: str = "") -> tuple[pd.DataFrame, Any]:
    constraints = parse_constraints([declared]) if declared else Constraints()
    fitting, sampling = (np.random.default_rng(seed) for seed in (1, 2))
    sampler = fit_within(generator, rows, TASK, fitting, slice=None, constraints=constraints, may_construct=True)
    return sampler.sample(400, sampling), sampler.notes


@pytest.mark.parametrize("generator", [Forest(), GaussianCopula(), BayesNet()])
def test_a_shipment_follows_its_order_by_as_many_days_as_in_real_rows(generator):
    rows = orders()
    rows["twin"], rows["ship_month"] = rows["order"], rows["ship"].dt.month
    made, notes = drawn(normalise(rows), generator)
    days = (made["ship"] - made["order"]) / DAY
    assert days.between(1, 5).all() and days.nunique() == 5
    assert (made["twin"] == made["order"]).all() and (made["ship_month"] == made["ship"].dt.month).all()
    assert {"order <= ship", "twin follows from order"} <= set(notes["dependencies"]["found"])


def test_days_from_monday_to_friday_stay_so_whichever_of_the_two_they_are():
    rng, rows = np.random.default_rng(3), orders()
    weekday = rows["ship"].dt.day_of_week
    later = rows["ship"] + DAY * (7 - weekday).where(weekday > 4, 0)
    made, _ = drawn(rows.assign(ship=later), GaussianCopula())
    assert (made["ship"].dt.day_of_week < 5).all() and ((made["ship"] - made["order"]) / DAY).between(1, 7).all()
    week = pd.Series(pd.bdate_range("2022-01-03", periods=700))
    at = rng.integers(0, 600, len(rows))
    both = rows.assign(order=week.iloc[at].to_numpy(), ship=week.iloc[at + rng.integers(1, 4, len(at))].to_numpy())
    made, _ = drawn(normalise(both), GaussianCopula())
    assert (made[["order", "ship"]].apply(lambda dates: dates.dt.day_of_week) < 5).all(axis=None)
    assert ((made["ship"] - made["order"]) / DAY).between(1, 5).all()


def test_gaps_stay_gaps_and_moments_may_follow_days():
    rng, rows = np.random.default_rng(4), orders()
    sent = rows["ship"] + pd.to_timedelta(rng.integers(8 * 60, 18 * 60, len(rows)), "min")
    made, notes = drawn(normalise(rows.assign(ship=sent.where(rng.random(len(rows)) < 0.7))), GaussianCopula())
    assert notes["dependencies"]["found"] == ["order <= ship"]
    assert 0.2 < made["ship"].isna().mean() < 0.4 and (made["order"] == made["order"].dt.normalize()).all()
    assert ((made["ship"] - made["order"]).dropna() >= DAY).all()


def test_declared_orders_come_first_and_chains_are_kept():
    rows = orders()
    rows["back"] = rows["ship"] + DAY * np.random.default_rng(5).integers(0, 30, len(rows))
    made, notes = drawn(normalise(rows), GaussianCopula())
    assert ((made["order"] <= made["ship"]) & (made["ship"] <= made["back"])).all()
    assert notes["dependencies"]["found"] == ["order <= ship", "ship <= back"]
    made, notes = drawn(orders(), GaussianCopula(), "order <= ship")
    assert (made["order"] <= made["ship"]).all() and notes["constraints"]["kept_by_construction"] == ["order <= ship"]


def test_orders_that_chance_keeps_or_a_row_breaks_are_none():
    rows = orders()
    assert [found.text for found in date_orders(rows)] == ["order <= ship"]
    assert not date_orders(rows.assign(ship=rows["ship"] + 2_000 * DAY))  # after every order: nothing to keep
    assert not date_orders(rows.assign(ship=rows["ship"].where(rows.index > 0, rows["order"] - DAY)))
    assert not date_orders(rows.assign(person=rows.index % 5), group="person")  # five people say little
    assert not date_orders(rows.head(40)) and not date_orders(rows, without=["ship"])
    spaced = rows.rename(columns={"order": "order date"})
    assert [found.text for found in date_orders(spaced)] == ["`order date` <= ship"]
