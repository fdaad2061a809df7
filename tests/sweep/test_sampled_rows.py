"""The sample of real rows that fits take: none of few rows, the same each time, never without rare classes."""

from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import BOOSTED, ModelSpec, Task
from synth_mlflow.sweep import sampled_rows as module
from synth_mlflow.sweep.baseline import LEARNED_SHARES, Baseline, sample_loss
from synth_mlflow.sweep.sampled_rows import sampled_added, sampled_rows

SPEC = ModelSpec(BOOSTED, {})


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 1_000)
    monkeypatch.setattr(module, "MIN_PART_ROWS", 40)


def table(n_rows, n_rare):
    rows = pd.DataFrame({"x": np.arange(n_rows), "who": np.arange(n_rows) // 7, "y": "no"})
    rows.loc[: n_rare - 1, "y"] = "yes"
    return rows


def test_few_rows_are_all_taken():
    assert sampled_rows(table(1_000, 300), Task("y", "binary"), SPEC, {}) is None


def test_many_rows_give_a_sample_without_a_row_twice_and_the_same_each_time():
    found, again = (sampled_rows(table(5_000, 2_000), Task("y", "binary"), SPEC, {}) for _ in range(2))
    assert len(np.unique(found)) == 1_000 and np.array_equal(found, again) and (np.diff(found) > 0).all()


@pytest.mark.parametrize(("n_rare", "n_rows"), [(80, 2_500), (30, None)])
def test_a_rare_class_makes_the_sample_larger(n_rare, n_rows):
    found = sampled_rows(table(5_000, n_rare), Task("y", "binary"), SPEC, {})
    assert (found is None) if n_rows is None else (len(found) == n_rows)


def test_so_does_a_slice():
    rows = table(5_000, 2_000)
    found = sampled_rows(rows, Task("y", "binary"), SPEC, {"first": Slice.parse("x < 100")})
    assert len(found) == 2_000


def test_groups_stay_whole():
    rows = table(5_000, 2_000)
    found = sampled_rows(rows, Task("y", "binary", group="who"), SPEC, {})
    assert 1_000 <= len(found) < 1_007
    assert rows["who"].iloc[found].nunique() == rows["who"].isin(rows["who"].iloc[found]).sum() // 7


def test_models_of_others_take_every_row():
    assert sampled_rows(table(5_000, 2_000), Task("y", "binary"), ModelSpec("their:model", {}), {}) is None


@pytest.mark.parametrize("share", [0.1, 1 / 3, 0.999])
def test_every_batch_gives_its_share_and_never_too_few(share):
    origin = pd.Series(np.repeat(["a", "b", "c"], [1, 100, 1_000]))
    taken = origin.iloc[sampled_added(origin, share)].value_counts()
    assert all(
        share * n <= taken[batch] <= min(n, share * n + 2) for batch, n in {"a": 1, "b": 100, "c": 1_000}.items()
    )


@pytest.mark.parametrize(("height", "exponent"), [(0.02, 0.5), (0.3, 0.1), (0.0, 1.0)])
def test_the_loss_is_read_off_a_power_law(height, exponent):
    scores = [0.8 - height * share**-exponent for share in (*LEARNED_SHARES, 1.0)]
    unused = dict.fromkeys(field.name for field in fields(Baseline))
    found = Baseline(**{**unused, "score": scores[-1], "learning": tuple(scores[:-1]), "n_real": 1_000})
    assert sample_loss(found, 8_000) == pytest.approx(height * (1 - 8**-exponent), abs=0.001)
