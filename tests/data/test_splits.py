"""Cuts: the share that was asked for, and never two copies of a row or two rows of a group on both sides."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_mlflow.data.slices import Slice
from synth_mlflow.data.splits import cut
from synth_mlflow.data.statement import Evaluation
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError

BINARY, NUMBER = Task("y", "binary"), Task("y", "regression")
SHARES = st.floats(0.1, 0.9)
SEEDS = st.integers(0, 2**32)


def rows_of(*y, **columns):
    return pd.DataFrame({"y": y, "id": np.arange(len(y)), **columns})


def sides(rows, split):
    return rows.iloc[split.evaluation], rows.iloc[split.training]


@given(st.lists(st.sampled_from("aab"), min_size=20, max_size=200), SHARES, SEEDS)
def test_each_class_has_its_share_within_one_row(labels, share, seed):
    rows = rows_of(*labels)
    split = cut(rows, BINARY, Evaluation(share=share), {}, seed)
    held_out = rows.iloc[split.evaluation]["y"].value_counts()
    for label, count in rows["y"].value_counts().items():
        assert abs(held_out.get(label, 0) - share * count) <= 1


@given(st.lists(st.integers(0, 5), min_size=12, max_size=120), SHARES, SEEDS)
def test_copies_of_a_row_stay_on_one_side(values, share, seed):
    rows = pd.DataFrame({"y": np.tile([0.0, 1.0], 500)[: len(values)], "x": values})
    try:
        split = cut(rows, NUMBER, Evaluation(share=share), {}, seed)
    except UsageError:
        assert rows.drop_duplicates().shape[0] < 12  # too few different rows for both sides
        return
    held_out, rest = sides(rows, split)
    assert held_out.merge(rest, on=["y", "x"]).empty
    assert split.n_duplicates == int(rows.duplicated().sum())


@given(st.lists(st.integers(0, 9), min_size=60, max_size=200), st.floats(0.2, 0.8), SEEDS)
def test_groups_stay_whole_and_near_the_share(more, share, seed):
    groups = [*more, *range(10)]
    rows = rows_of(*groups, g=groups)
    split = cut(rows, NUMBER, Evaluation(share=share, group="g"), {}, seed)
    held_out, rest = sides(rows, split)
    assert not set(held_out["g"]) & set(rest["g"])
    assert abs(len(held_out) - share * len(rows)) <= rows["g"].value_counts().max()


@given(st.lists(st.integers(0, 30), min_size=10, max_size=100, unique=False), SHARES)
def test_the_latest_rows_are_held_out_and_a_moment_is_never_parted(days, share):
    rows = rows_of(*days, t=pd.Timestamp("2024-01-01") + pd.to_timedelta(days, unit="D"))
    try:
        held_out, rest = sides(rows, cut(rows, NUMBER, Evaluation(share=share, time="t"), {}, 0))
    except UsageError:
        return
    assert held_out["t"].min() > rest["t"].max()
    assert len(held_out) >= round(share * len(rows)) - 1


@given(st.lists(st.integers(0, 9), min_size=60, max_size=200), st.floats(0.2, 0.8), SEEDS)
def test_by_group_and_time_held_out_rows_are_of_other_groups_and_later(more, share, seed):
    groups = [*more, *range(10)]
    rows = rows_of(*groups, g=groups, t=np.random.default_rng(seed).integers(0, 12, len(groups)))
    split = cut(rows, NUMBER, Evaluation(share=share, group="g", time="t"), {}, seed)
    held_out, rest = sides(rows, split)
    assert not set(held_out["g"]) & set(rest["g"]) and held_out["t"].min() > rest["t"].max()
    assert sorted([*split.evaluation, *split.training, *split.unused]) == list(range(len(rows)))
    assert f"{len(split.unused):,} of {len(rows):,} rows lie between" in split.how


def test_by_group_and_time_as_few_rows_as_possible_are_left_out():
    rows = rows_of(*np.arange(400), g=np.repeat(np.arange(20), 20), t=np.tile(np.arange(20), 20))
    split = cut(rows, NUMBER, Evaluation(share=0.25, group="g", time="t"), {}, 0)
    assert len(split.evaluation) / (len(split.evaluation) + len(split.training)) == pytest.approx(0.25, abs=0.02)
    assert len(split.unused) / len(rows) == pytest.approx(0.464, abs=0.02)  # 2 a (1 - a), a = 0.366


@given(SEEDS, st.sampled_from([{}, {"group": "g"}, {"time": "id"}]))
def test_both_sides_are_the_whole_table_and_the_seed_decides(seed, way):
    rows = rows_of(*"ab" * 50, g=np.repeat(np.arange(10), 10))
    split, again = (cut(rows, BINARY, Evaluation(**way), {}, seed) for _ in range(2))
    assert sorted([*split.evaluation, *split.training]) == list(range(100))
    assert np.array_equal(split.evaluation, again.evaluation)


def test_another_seed_holds_out_other_rows():
    rows = rows_of(*"ab" * 50)
    first, second = (cut(rows, BINARY, Evaluation(), {}, seed).evaluation for seed in (1, 2))
    assert not np.array_equal(first, second)


def test_every_slice_is_held_out_in_the_same_share():
    rows = rows_of(*"ab" * 200, age=np.arange(400))
    part = Slice.parse("age < 20")
    held_out = rows.iloc[cut(rows, BINARY, Evaluation(share=0.5), {"young": part}, 3).evaluation]
    assert part.mask(held_out.reset_index(drop=True)).sum() == 10
    assert (held_out["y"] == "a").sum() == 100


def test_numbers_are_stratified_by_tenths_when_asked():
    rows = rows_of(*np.arange(100.0))
    held_out = rows.iloc[cut(rows, NUMBER, Evaluation(share=0.5, stratify=True), {}, 0).evaluation]
    assert list(np.histogram(held_out["y"], bins=10, range=(0, 100))[0]) == [5] * 10


@pytest.mark.parametrize(
    ("plan", "task", "how"),
    [
        (Evaluation(), BINARY, "25% of the rows, at random with seed 7, stratified by target"),
        (Evaluation(stratify=False), BINARY, "25% of the rows, at random with seed 7"),
        (Evaluation(), NUMBER, "25% of the rows, at random with seed 7"),
        (Evaluation(share=0.125), NUMBER, "12.5% of the rows, at random with seed 7"),
        (Evaluation(group="g"), BINARY, "whole groups of 'g' up to 25% of the rows, at random with seed 7"),
        (Evaluation(time="id"), BINARY, "the latest rows, from id = 30 on"),
        (
            Evaluation(time="id", group="g"),
            BINARY,
            "rows of 3 groups of 'g', drawn at random with seed 7, from id = 25 on; training rows are of other groups "
            "and earlier; 20 of 40 rows lie between (earlier rows of these groups, later rows of the others) and are "
            "used by neither side",
        ),
    ],
)
def test_the_way_is_told_in_words(plan, task, how):
    rows = rows_of(*[0, 1] * 20, g=np.tile(np.arange(8), 5))
    assert cut(rows, task, plan, {}, 7).how == how


@pytest.mark.parametrize(
    ("rows", "plan", "message"),
    [
        (rows_of(*[0, 1] * 9), Evaluation(group="grop"), "no column 'grop'"),
        (rows_of(*[0, 1] * 9), Evaluation(time="idd"), "no column 'idd'. Did you mean 'id'"),
        (rows_of(*[0, 1] * 9, t=["x"] * 18), Evaluation(time="t"), "'t' cannot order the rows by time: .*type str"),
        (rows_of(0, 1, 0, t=[1.0, None, 2.0]), Evaluation(time="t"), "holds 1 missing values"),
        (rows_of(0, 1, 0, t=[1, 1, 1]), Evaluation(time="t"), "leaves 0 for training and 3 for evaluation"),
        (rows_of(0, 1, 0, g=[1, 1, 1]), Evaluation(group="g"), "leaves 3 for training and 0 for evaluation"),
        (pd.DataFrame({"y": [0] * 8}), Evaluation(), "leaves 8 for training and 0 for evaluation"),
        (rows_of(0), Evaluation(share=0.1), "cutting 1 rows"),
    ],
)
def test_cuts_that_cannot_be_made_are_refused(rows, plan, message):
    with pytest.raises(UsageError, match=message):
        cut(rows, BINARY, plan, {}, 0)


def test_rows_without_a_group_are_one_group():
    rows = rows_of(*[0, 1] * 10, g=[None] * 10 + list("ab") * 5)
    held_out, rest = sides(rows, cut(rows, BINARY, Evaluation(share=0.5, group="g"), {}, 0))
    assert held_out["g"].isna().sum() in {0, 10}
    assert len(rest)
