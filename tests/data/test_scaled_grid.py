"""Standardised whole numbers are found again, and other decimals are not taken for them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.backends.base import GenerationRequest, installed_maker
from synth_mlflow.checks import CheckInput
from synth_mlflow.checks._tables import judged_tables
from synth_mlflow.data.columns import normalise
from synth_mlflow.data.scaled_grid import ScaledUnit
from synth_mlflow.data.task import Task
from synth_mlflow.generators._encoding import encode
from synth_mlflow.generators._numeric import Smoothing


def scaled(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()


def unit_of(values: np.ndarray) -> ScaledUnit | None:
    return ScaledUnit.of(*np.unique(values, return_counts=True))


@pytest.mark.parametrize("seed", range(5))
def test_standardised_whole_numbers_keep_their_grid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = rng.integers(0, 10 ** rng.integers(2, 5), 400).astype(float)
    values = scaled(whole)
    unit = unit_of(values)
    assert unit is not None
    np.testing.assert_allclose(np.diff(unit.places(values)), np.diff(whole))
    np.testing.assert_array_equal(unit.values(unit.places(values)), values)


@pytest.mark.parametrize("seed", range(5))
def test_other_decimals_have_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=500)
    for values in (np.append(drawn, drawn[:9]), np.log(rng.integers(1, 900, 500)), np.sqrt(rng.integers(1, 900, 500))):
        assert unit_of(values) is None


def test_a_generator_hands_out_values_of_the_grid_and_missing_ones() -> None:
    values = scaled(np.random.default_rng(1).integers(20, 70, 300).astype(float))
    rows = pd.DataFrame({"age": np.append(values, np.nan)})
    columns, codes = encode(rows, {"age": "number"}, Smoothing(), None)
    np.testing.assert_array_equal(columns["age"].decode(codes["age"]), rows["age"])


def test_checks_take_numbers_that_differ_by_dust_for_equal() -> None:
    values = scaled(np.random.default_rng(1).integers(20, 70, 300).astype(float))
    rows = pd.DataFrame({"age": values, "y": np.arange(300) % 2})
    dusty = rows.assign(age=np.nextafter(values, np.inf))
    tables = judged_tables(CheckInput(dusty, rows, rows, Task("y", "binary"), "roc_auc", 0))
    pd.testing.assert_frame_equal(tables.batch, tables.members)
    far = judged_tables(CheckInput(rows.assign(age=values + 0.01), rows, rows, Task("y", "binary"), "roc_auc", 0))
    np.testing.assert_array_equal(far.batch["age"], values + 0.01)


def test_a_column_that_follows_from_32_bit_floats_has_32_bits_too() -> None:
    rng = np.random.default_rng(1)
    pay = rng.integers(0, 900, 400).astype(np.float32) / np.float32(10)
    rows = normalise(pd.DataFrame({"pay": pay, "squared": pay**2, "y": rng.integers(0, 2, 400)}))
    drawn = fit_and_draw(rows)
    for name in ("pay", "squared"):
        np.testing.assert_array_equal(drawn[name].astype("float32").astype("float64"), drawn[name])
    assert (np.round(drawn["pay"], 1).astype("float32") == drawn["pay"]).all()


def fit_and_draw(rows: pd.DataFrame) -> pd.DataFrame:
    pieces: list[pd.DataFrame] = []
    wanted = GenerationRequest(200, 1, Task("y", "binary"), None, ())
    installed_maker("forest", {}).run(rows, wanted, pieces.append)
    return pd.concat(pieces, ignore_index=True)
