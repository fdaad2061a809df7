"""Panels: found where groups and times never meet twice, and nowhere else."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synth_mlflow.data.splits import Panel, panel_of, panel_words

DAYS = pd.date_range("2024-01-01", periods=12)
ROLES = {"patient": "category", "sex": "category", "day": "datetime", "bp": "number"}


def visits(rng: np.random.Generator) -> pd.DataFrame:
    who = [f"P{n:02d}" for n in range(40)]
    sex = dict(zip(who, rng.choice(["f", "m"], 40), strict=True))
    rows = [(name, sex[name], day, rng.normal(120, 10)) for name in who for day in DAYS if rng.random() < 0.7]
    return pd.DataFrame(rows, columns=["patient", "sex", "day", "bp"]).astype({"day": "datetime64[us]"})


def test_a_group_and_a_time_that_never_meet_twice_are_a_panel():
    rows = visits(np.random.default_rng(0))
    assert panel_of(rows, ROLES) == Panel("patient", "day", ("sex",))
    assert panel_of(rows, {**ROLES, "patient": "group key"}) is None
    numbered = rows.assign(patient_id=rows["patient"].str[1:].astype("int64")).drop(columns="patient")
    assert panel_of(numbered, {**ROLES, "patient_id": "number"}) == Panel("patient_id", "day", ("sex",))


def test_a_year_is_a_time_and_a_month_names_no_group():
    rows = pd.DataFrame({"firm": np.repeat(list("abcdefghij"), 20), "year": np.tile(np.arange(1935, 1955), 10)})
    many = rows.assign(firm=rows["firm"] + (rows["year"] % 3).astype(str), year=rows["year"] // 3)
    roles = {"firm": "category", "year": "number"}
    assert panel_of(rows, roles) == Panel("firm", "year", ())
    assert "--group" not in panel_words(rows, roles)  # ten firms are categories, also of a split by them
    assert "synth-mlflow freeze --group firm" in panel_words(many, roles)
    months = rows.rename(columns={"firm": "month"})
    assert panel_of(months, roles) is None and panel_words(months, roles) == ""


def test_one_row_that_stands_twice_or_independent_columns_are_none():
    rng = np.random.default_rng(1)
    rows = visits(rng)
    assert panel_of(pd.concat([rows, rows.head(1)], ignore_index=True), ROLES) is None
    found = [panel_of(rows.assign(patient=rng.permutation(rows["patient"])), ROLES) for _ in range(200)]
    assert found.count(None) == 200


def test_moments_that_are_all_different_say_nothing():
    rows = visits(np.random.default_rng(2))
    rows["day"] = rows["day"] + pd.to_timedelta(np.arange(len(rows)), "s")
    assert panel_of(rows, ROLES) is None


def test_whole_numbers_of_any_name_are_groups_where_others_are_constant_in_them():
    rows = visits(np.random.default_rng(3))
    rows["nr"] = rows.pop("patient").str[1:].astype("int64") * 17
    roles = {**ROLES, "nr": "number"}
    assert panel_of(rows, roles) == Panel("nr", "day", ("sex",))
    assert panel_of(rows.drop(columns="sex"), roles) is None  # it may be a measure
