"""Columns that several rows of a batch have from evaluation rows, while the others come from elsewhere."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.checks._common_columns import common_columns
from synth_mlflow.checks.contamination import Contamination
from synth_mlflow.data.columns import normalise
from synth_mlflow.metrics.shared_keys import KeyedRows

N_COLUMNS = 14
KEPT = (1, 4, 6, 7, 9, 10, 12)  # together they name a row, no four of them do
plugin = Contamination()


def coarse(n_rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng([seed, 1])
    return normalise(pd.DataFrame({f"c{at}": rng.integers(0, 12, n_rows) for at in range(N_COLUMNS)}))


@pytest.fixture(scope="module")
def tables():
    members, control, batch = (coarse(n, seed) for seed, n in enumerate((1_200, 600, 800)))
    return members, control, batch


def with_parts_of(rows: pd.DataFrame, batch: pd.DataFrame) -> pd.DataFrame:
    found = batch.copy()
    for at in KEPT:
        found.loc[: len(rows) - 1, f"c{at}"] = rows[f"c{at}"].to_numpy()
    return found


def test_the_columns_that_were_kept_are_found(tables):
    members, control, batch = tables
    rows = KeyedRows.of(members, control, with_parts_of(control[:14], batch))
    found = common_columns(rows, np.random.default_rng(0))
    assert found and all(len(one) >= 5 and set(one) <= set(KEPT) for one in found)


@pytest.mark.slow
def test_parts_of_evaluation_rows_fail_and_the_columns_are_named(tables, evidence, ruled):
    members, control, batch = tables
    task = replace(evidence.task, target="c0", kind="multiclass")
    found = replace(evidence, members=members, control=control, batch=with_parts_of(control[:14], batch), task=task)
    ruling, result = ruled(plugin, found)
    said = next(probe.note for probe in result.probes if probe.name == "common_columns")
    assert ruling.verdict == "fail" and "evaluation rows" in said and "'c1', 'c4', 'c6'" in said


@pytest.mark.slow
def test_parts_of_training_rows_and_other_rows_pass(tables, evidence, ruled):
    members, control, batch = tables
    task = replace(evidence.task, target="c0", kind="multiclass")
    for made in (batch, with_parts_of(members[:14], batch)):
        found = replace(evidence, members=members, control=control, batch=made, task=task)
        assert ruled(plugin, found)[0].verdict == "pass"


def test_tables_too_small_to_share_anything_have_no_sets(tables):
    members, control, batch = (rows[:2] for rows in tables)
    assert common_columns(KeyedRows.of(members, control, batch), np.random.default_rng(0)) == []
    narrow = [rows[["c0", "c1"]] for rows in tables]
    assert common_columns(KeyedRows.of(*narrow), np.random.default_rng(0)) == []
