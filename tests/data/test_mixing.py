"""Mixes: counts that add up, draws that use no row twice, refusals that give both numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synth_mlflow.data.mixing import check_kinds, check_supply, draw_duplicates, draw_order, mix_counts, read_ratios
from synth_mlflow.errors import GateError, UsageError


@pytest.mark.parametrize(
    ("ratio", "mix", "counts"),
    [
        (0, "augment", (100, 0)),
        (0.25, "augment", (100, 33)),
        (0.75, "augment", (100, 300)),
        (0.75, "replace", (25, 75)),
    ],
)
def test_counts_of_a_mix(ratio, mix, counts):
    assert mix_counts(ratio, 100, mix) == counts


@given(st.floats(0, 0.95), st.integers(1, 100_000))
def test_counts_give_the_ratio_within_one_row(ratio, n_real):
    kept, added = mix_counts(ratio, n_real, "augment")
    assert kept == n_real
    assert abs(added - ratio * (kept + added)) <= 1
    assert sum(mix_counts(ratio, n_real, "replace")) == n_real


def test_ratios_are_sorted_unique_and_hold_the_baseline():
    assert read_ratios([0.75, 0.25, 0.25]) == (0.0, 0.25, 0.75)


@pytest.mark.parametrize(
    ("ratios", "message"),
    [([1.0], r"ratio 1 \(100 %\) lies outside"), ([-0.1, 0.5], "ratio -0.1"), ([0], "no ratio above 0")],
)
def test_impossible_ratios_are_refused(ratios, message):
    with pytest.raises(UsageError, match=message):
        read_ratios(ratios)


def test_unknown_mix_is_refused():
    with pytest.raises(UsageError, match="Did you mean 'replace'"):
        mix_counts(0.5, 10, "replac")


def test_too_few_synthetic_rows_are_refused_with_both_numbers():
    with pytest.raises(GateError, match="ratio 75 % needs 13,500 synthetic rows, 9,800 passed the gate") as refusal:
        check_supply([0, 0.25, 0.75], 4_500, 9_800, generator="forest")
    assert refusal.value.fix == "Generate 3,700 more: `synth-mlflow generate forest --rows 3700`."
    check_supply([0, 0.25, 0.75], 4_500, 13_500)


@pytest.mark.parametrize(
    ("ratio", "mix", "found"),
    [
        (0.9999, "replace", "ratio 99.99 % of 900 real rows is 0 real and 900 synthetic ones"),
        (0.0001, "augment", "ratio 0.01 % of 900 real rows is 900 real and 0 synthetic ones"),
    ],
)
def test_ratio_that_rounds_to_rows_of_one_kind_is_refused(ratio, mix, found):
    with pytest.raises(UsageError, match=found):
        check_kinds([0.0, ratio], 900, mix)
    check_kinds([0.0, 0.25, 0.999], 900, mix)


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=200), st.integers(0, 9))
def test_draw_order_uses_each_row_once_and_batches_in_proportion(batches, seed):
    labels = np.array(batches)
    order = draw_order(labels, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(labels)))
    half = order[: len(order) // 2]
    for batch in np.unique(labels):
        assert abs((labels[half] == batch).sum() - (labels == batch).sum() / 2) <= 2


def test_draw_order_is_random_within_a_batch():
    first, second = (draw_order(np.zeros(50), np.random.default_rng(seed)) for seed in (1, 2))
    assert not np.array_equal(first, second)


@given(st.integers(1, 40), st.integers(0, 200))
def test_duplicates_are_spread_evenly(n_real, n_rows):
    drawn = draw_duplicates(np.arange(n_real) + 7, n_rows, np.random.default_rng(0))
    counts = np.bincount(drawn - 7, minlength=n_real)
    assert len(drawn) == n_rows
    assert counts.max() - counts.min() <= 1
