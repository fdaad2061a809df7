"""Columns that follow from others: found where they do without exception, kept in every row, and found nowhere else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.constraints import Constraints
from synth_mlflow.data.task import Task
from synth_mlflow.generators import _constraints
from synth_mlflow.generators._constraints import fit_within
from synth_mlflow.generators._dependencies import dependencies
from synth_mlflow.generators._followers import Line
from synth_mlflow.generators.bayes_net import BayesNet
from synth_mlflow.generators.forest import Forest
from synth_mlflow.generators.gaussian_copula import GaussianCopula

TASK = Task("y", "regression")
FOUND = {
    "band follows from inch",
    "cm follows from inch",
    "code follows from label",
    "month follows from the month of day",
    "month_name follows from the month of day",
    "total = net + 1.5 · tax",
    "trend_ads follows from trend",
    "year follows from the year of day",
}


def shop(n_rows: int = 900) -> pd.DataFrame:
    """Months and their names, bands and units of a number, codes and labels, a sum, and a calendar of prices."""
    rng = np.random.default_rng(0)
    day = pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 2_000, n_rows), "D")
    inch, trend = np.round(rng.normal(68, 4, n_rows), 1), rng.integers(1, 25, n_rows)
    net, tax = rng.integers(0, 50, n_rows), rng.poisson(20, n_rows) * 2
    code = rng.choice([11, 25, 407, 33], n_rows)
    frame = {
        "day": day, "month": day.month, "month_name": day.month_name(), "year": day.year,
        "inch": inch, "cm": np.round(inch * 2.54, 1), "band": pd.cut(inch, [0, 64, 68, 72, 99], labels=list("smlx")),
        "code": code, "label": pd.Series(code).map({11: "north", 25: "south", 407: "east", 33: "west"}),
        "net": net, "tax": tax, "total": net + 1.5 * tax,
        "trend": trend, "trend_ads": (trend * 37) % 23 * 10, "y": np.round(inch + net + rng.normal(0, 3, n_rows), 2),
    }  # fmt: skip
    return normalise(pd.DataFrame(frame))


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return shop()


def drawn(rows: pd.DataFrame, generator: Forest | GaussianCopula | BayesNet, n_rows: int = 500) -> pd.DataFrame:
    sampler = fit_within(
        generator, rows, TASK, np.random.default_rng(1), slice=None, constraints=Constraints(), may_construct=True
    )
    made = sampler.sample(n_rows, np.random.default_rng(2))
    assert "acceptance_rate" in sampler.notes["dependencies"]
    return made


def test_what_follows_from_what_is_found(rows: pd.DataFrame) -> None:
    assert {one.text for one in dependencies(rows, TASK, {"y"})} == FOUND


@pytest.mark.parametrize("generator", [Forest(), GaussianCopula(), BayesNet()], ids=lambda one: type(one).__name__)
def test_every_row_keeps_it(rows: pd.DataFrame, generator: Forest | GaussianCopula | BayesNet) -> None:
    made = drawn(rows, generator)
    assert made.dtypes.to_dict() == rows.dtypes.to_dict() and list(made) == list(rows)
    assert (made["month"] == made["day"].dt.month).all() and (made["year"] == made["day"].dt.year).all()
    assert (made["month_name"] == made["day"].dt.month_name()).all()
    assert np.abs(made["cm"] - made["inch"] * 2.54).max() <= 0.1001
    assert (made["band"] == pd.cut(made["inch"], [0, 64, 68, 72, 99], labels=list("smlx")).astype("str")).all()
    assert (made["total"] == made["net"] + 1.5 * made["tax"]).all() and made["total"].max() <= rows["total"].max()
    known = rows[["code", "label"]].drop_duplicates()
    assert len(made.merge(known)) == len(made)
    assert (made["trend_ads"] == (made["trend"] * 37) % 23 * 10).all()


@pytest.mark.slow
def test_independent_columns_and_one_exception_give_none(rows: pd.DataFrame) -> None:
    found = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shuffled = pd.DataFrame({name: rng.permutation(rows[name].to_numpy()[:120]) for name in rows})
        found += len(dependencies(normalise(shuffled), TASK, {"y"}))
    assert found == 0
    spoilt = rows.copy()
    spoilt.loc[0, "trend_ads"] = 999
    spoilt.loc[1, "total"] += 1
    assert {one.text for one in dependencies(spoilt, TASK, {"y"})} == FOUND - {
        "trend_ads follows from trend",
        "total = net + 1.5 · tax",
    }


def test_what_never_changes_within_a_person_is_no_law_of_all() -> None:
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(40), 30)
    height, weight = np.round(rng.normal(170, 9, 40), 1)[who], np.round(rng.normal(70, 9, 40), 1)[who]
    frame = {"who": [f"p{n}" for n in who], "height": height, "weight": weight, "y": rng.normal(size=1_200)}
    assert dependencies(normalise(pd.DataFrame(frame)), Task("y", "regression", "who"), {"y"}) == ()


def test_missing_values_go_together_or_nothing_follows() -> None:
    rows = shop()
    gone = np.random.default_rng(3).random(len(rows)) < 0.1
    both = rows.assign(**{name: rows[name].astype("float64").mask(gone) for name in ("trend", "trend_ads")})
    assert "trend_ads follows from trend" in {one.text for one in dependencies(both, TASK, {"y"})}
    made = drawn(both, Forest())
    assert made["trend"].isna().any() and (made["trend"].isna() == made["trend_ads"].isna()).all()
    curve = rows.assign(cm=rows["cm"].mask(gone))
    assert "cm follows from inch" not in {one.text for one in dependencies(curve, TASK, {"y"})}


def test_a_sum_that_most_draws_leave_is_left_to_the_generator(rows: pd.DataFrame, monkeypatch) -> None:
    monkeypatch.setattr(_constraints.ConstrainedSampler, "acceptance", lambda *_: 0.0)
    sampler = fit_within(
        GaussianCopula(),
        rows,
        TASK,
        np.random.default_rng(1),
        slice=None,
        constraints=Constraints(),
        may_construct=True,
    )
    assert not any(isinstance(step, Line) for step in sampler.steps) and len(sampler.steps) == len(FOUND) - 1


def test_dates_written_as_numbers_stay_dates_beside_the_dates_they_follow(rows: pd.DataFrame) -> None:
    written = pd.Series(rows["day"].dt.strftime("%Y%m%d").astype("int64"))
    both = normalise(pd.DataFrame({"day": rows["day"], "written": written, "y": rows["y"]}))
    assert {one.text for one in dependencies(both, TASK, {"y"})} == {"written follows from day"}
    made = drawn(both, Forest())
    assert (pd.to_datetime(made["written"].astype("str"), format="%Y%m%d") == made["day"]).all()
    assert (~made["day"].isin(rows["day"])).any()
