"""The forest."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import GeneratorError, UsageError
from synth_mlflow.generators import Sampler, _trees
from synth_mlflow.generators._trees import Leaves, grow_regressor
from synth_mlflow.generators.forest import Forest

INCOME = Task("income", "binary")


@pytest.fixture(scope="module")
def sampler(adult: pd.DataFrame) -> Sampler:
    return Forest().fit(adult, INCOME, np.random.default_rng(0))


@pytest.fixture(scope="module")
def drawn(sampler: Sampler) -> pd.DataFrame:
    return sampler.sample(4_000, np.random.default_rng(1))


def test_fixed_combinations_survive(adult: pd.DataFrame, drawn: pd.DataFrame) -> None:
    pairs = ["education", "education_num"]
    known = set(adult[pairs].itertuples(index=False, name=None))
    assert np.mean([pair in known for pair in drawn[pairs].itertuples(index=False, name=None)]) > 0.99


def test_structure_beyond_correlation_survives(adult: pd.DataFrame, drawn: pd.DataFrame) -> None:
    husbands = [frame.query("relationship == 'Husband'")["sex"].eq("Male").mean() for frame in (adult, drawn)]
    assert husbands[1] == pytest.approx(husbands[0], abs=0.02)
    rates = [frame["income"].eq(">50K").groupby(frame["education"]).mean() for frame in (adult, drawn)]
    common = adult["education"].value_counts().head(3).index
    assert (rates[0] - rates[1])[common].abs().max() < 0.06


def test_missing_values_stay_where_they_were(adult: pd.DataFrame, drawn: pd.DataFrame) -> None:
    both = [frame[frame["workclass"].isna()]["occupation"].isna().mean() for frame in (adult, drawn)]
    assert both[1] == pytest.approx(both[0], abs=0.05)


def test_fine_values_of_members_are_not_handed_out(adult: pd.DataFrame, drawn: pd.DataFrame) -> None:
    fine = adult["fnlwgt"][adult["fnlwgt"].map(adult["fnlwgt"].value_counts()) == 1]
    assert fine.isin(drawn["fnlwgt"]).mean() < 0.06


def test_without_privacy_they_are(adult: pd.DataFrame) -> None:
    members = adult.head(1_000)
    drawn = Forest(privacy=0.0).fit(members, INCOME, np.random.default_rng(0)).sample(1_000, np.random.default_rng(1))
    assert drawn["fnlwgt"].isin(members["fnlwgt"]).all()


def test_a_rare_slice_is_filled_and_follows_its_rows(adult: pd.DataFrame) -> None:
    chosen = Slice.parse("age >= 75")
    share = chosen.mask(adult).mean()
    assert share < 0.01
    sampler = Forest().fit(adult, INCOME, np.random.default_rng(0), slice=chosen)
    drawn = sampler.sample(1_000, np.random.default_rng(1))
    assert chosen.mask(drawn).all()
    hours = drawn["hours_per_week"].mean()
    assert abs(hours - adult["hours_per_week"][chosen.mask(adult)].mean()) < abs(hours - adult["hours_per_week"].mean())


def test_a_slice_that_is_hardly_ever_drawn_is_refused_with_the_numbers() -> None:
    rng = np.random.default_rng(0)
    members = pd.DataFrame({"x": rng.normal(size=3_000), "y": rng.random(3_000) < 0.5})
    edge = float(members["x"].max())
    sampler = Forest().fit(members, Task("y", "binary"), rng, slice=Slice.parse(f"x >= {edge!r}"))
    with pytest.raises(GeneratorError, match=r"drawn rows lay in it .*; 1 real rows do"):
        sampler.sample(1_000, rng)


@pytest.mark.slow
def test_wide_tables_look_at_the_columns_that_matter() -> None:
    rng = np.random.default_rng(0)
    members = pd.DataFrame(rng.normal(size=(300, 50)), columns=[f"c{i}" for i in range(50)])
    members["c49"] = members["c3"] + 0.1 * rng.normal(size=300)
    drawn = Forest().fit(members, Task("c0", "regression"), rng).sample(300, rng)
    assert np.corrcoef(drawn["c3"], drawn["c49"])[0, 1] > 0.8


def test_columns_of_a_wide_table_keep_what_they_have_in_common_with_the_class() -> None:
    rng = np.random.default_rng(1)
    label = rng.choice(["a", "b", "c", "d"], 180)
    codes = pd.Series(label).map({"a": 0, "b": 3, "c": 1, "d": 2}).to_numpy()
    columns = {f"c{at}": (codes * (at % 5) + 4 * rng.normal(size=180)).round() for at in range(40)}  # each says little
    members = pd.DataFrame({**columns, "label": label})
    drawn = Forest().fit(members, Task("label", "multiclass"), rng).sample(2_000, rng)
    of_real, of_drawn = (rows.groupby("label")[["c4", "c39"]].mean() for rows in (members, drawn))
    assert np.abs(of_real - of_drawn).to_numpy().max() < 2.5  # of means from 0 to 12
    assert drawn["label"].value_counts(normalize=True).between(0.15, 0.35).all()


@pytest.mark.parametrize("privacy", [-0.1, 1.1, float("nan")])
def test_a_wrong_privacy_is_refused(privacy: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        Forest(privacy=privacy)


def test_thread_counts_change_nothing(adult: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    batches = []
    for n_threads in (1, 3):
        monkeypatch.setattr(os, "cpu_count", lambda n_threads=n_threads: n_threads)
        sampler = Forest().fit(adult.head(500), INCOME, np.random.default_rng(0))
        batches.append(sampler.sample(200, np.random.default_rng(1)))
    pd.testing.assert_frame_equal(*batches)


@pytest.mark.slow
def test_lightgbm_is_imported_late() -> None:
    script = "import sys, synth_mlflow.generators.forest; sys.exit('lightgbm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_tree_of_many_rows_splits_by_a_sample_and_holds_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(4_000, 2)).astype(np.float32)
    outcome = (matrix[:, :1] > 0).astype(np.float64)
    monkeypatch.setattr(_trees, "MAX_TREE_ROWS", 4_000)
    whole = grow_regressor(matrix, outcome, min_leaf=20, significance=6.0, seed=1)
    monkeypatch.setattr(_trees, "MAX_TREE_ROWS", 500)
    sampled = grow_regressor(matrix, outcome, min_leaf=20, significance=6.0, seed=1)
    assert (whole.tree_.n_node_samples[0], sampled.tree_.n_node_samples[0]) == (4_000, 500)
    assert abs(whole.tree_.threshold[0] - sampled.tree_.threshold[0]) < 0.05
    leaves = Leaves.of(sampled, matrix, outcome[:, 0])
    assert leaves.counts.sum() == 4_000 and leaves.counts[leaves.counts > 0].min() >= 20
