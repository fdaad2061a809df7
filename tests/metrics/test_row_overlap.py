"""Rows that two tables share: copies are found, equal coarse rows of one distribution are not taken for copies."""

import numpy as np
import pytest

from synth_mlflow.metrics.row_pairs import are_mostly_of, shared_share


def test_each_row_of_the_other_table_counts_once():
    assert shared_share(np.array([1, 1, 2, 3], np.uint64), np.array([2, 1], np.uint64)) == 0.5
    assert shared_share(np.array([], np.uint64), np.array([2], np.uint64)) == 0.0


@pytest.mark.parametrize("n_kinds", [2, 30, 1_000, 2**50])
def test_two_draws_of_one_law_are_no_copies_and_a_shuffled_copy_is_one(n_kinds):
    rng = np.random.default_rng(n_kinds % 97)
    for _ in range(20):
        some, others = (rng.integers(0, n_kinds, size).astype(np.uint64) for size in rng.integers(10, 800, 2))
        assert not are_mostly_of(some, others)
        assert are_mostly_of(rng.permutation(some), some)


@pytest.mark.parametrize(("kept", "expected"), [(300, True), (230, True), (180, False), (20, False)])
def test_most_rows_of_a_table_that_repeats_none_are_enough(kept, expected):
    rng = np.random.default_rng(3)
    rows, fresh = rng.integers(0, 2**50, (2, 400)).astype(np.uint64)
    assert are_mostly_of(np.concatenate([rows[:kept], fresh[: 400 - kept]]), rows) is expected
