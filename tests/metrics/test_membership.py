"""Membership attacks on batches whose secret is known."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.metrics.intervals import inference_scores
from synth_mlflow.metrics.membership import (
    density_classifier,
    distance_attacks,
    meta_attack,
    near_copies,
    neighbours,
    outcome,
    subset_counts,
    true_positive_rate,
)
from synth_mlflow.metrics.row_pairs import count_values, exact_values, surplus_by_column
from synth_mlflow.metrics.two_sample import roc_area

N = 300
IS_MEMBER = np.arange(2 * N) < N


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return np.random.default_rng(0).random((2 * N, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def copies(points) -> np.ndarray:
    fresh = np.random.default_rng(1).random((N, 4)).astype(np.float32)
    return np.vstack([points[:30] + 1e-4, fresh[30:]])


@pytest.fixture(scope="module")
def fresh() -> np.ndarray:
    return np.random.default_rng(2).random((N, 4)).astype(np.float32)


def test_near_copies_are_found_and_only_they(points, copies):
    marks = near_copies(neighbours(points, copies), 0.2)
    assert marks[:30].all()
    assert marks[30:].mean() < 0.03


@pytest.mark.parametrize("name", ["closest_record", "neighbour_ratio", "reference_ratio"])
def test_distance_attacks_accuse_copied_members_first(name, points, copies):
    scores = distance_attacks(neighbours(points, copies))[name]
    found = outcome(name, scores, IS_MEMBER)
    assert found.rates[0].true_positive_rate > 0.08
    assert found.rates[0].p_value < 1e-5


def test_no_attack_finds_anything_in_a_fresh_draw(points, fresh):
    rng = np.random.default_rng(3)
    near = neighbours(points, fresh)
    scores = distance_attacks(near) | {
        "subset_counts": subset_counts(np.digitize(points, [0.5]), np.digitize(fresh, [0.5]), rng),
        "density_classifier": density_classifier(points.astype(float), fresh.astype(float), seed=0),
    }
    for name, score in scores.items():
        assert outcome(name, score, IS_MEMBER).p_value > 1e-3, name
    meta, folds = meta_attack(np.column_stack([*scores.values()]), IS_MEMBER, seed=0)
    assert outcome("meta", meta, IS_MEMBER, folds=folds).p_value > 1e-3


def test_the_meta_attack_is_as_good_as_its_best_part():
    rng = np.random.default_rng(4)
    good = IS_MEMBER + rng.normal(size=2 * N)
    meta, _ = meta_attack(np.column_stack([good, rng.normal(size=(2 * N, 5))]), IS_MEMBER, seed=0)
    assert roc_area(meta[IS_MEMBER], meta[~IS_MEMBER]) > 0.68


def test_ties_accuse_nobody():
    assert true_positive_rate(np.zeros(2 * N), IS_MEMBER, 0.01).true_positive_rate == 0
    assert roc_area(np.zeros(3), np.zeros(3)) == 0.5


def test_resampled_values_betray_members():
    rng = np.random.default_rng(5)
    targets = pd.DataFrame({"fine": rng.random(2 * N), "heap": rng.integers(0, 3, 2 * N).astype(float)})
    batch = targets[:N].sample(N, replace=True, random_state=0)
    counts = count_values(targets, batch, targets[:0])
    assert counts.reused[:N, 0].mean() > 0.5
    assert not counts.reused[N:].any()
    for scores in (exact_values(counts), surplus_by_column(counts).sum(axis=1)):
        assert outcome("values", scores, IS_MEMBER).p_value < 1e-9


def test_missing_values_betray_nobody():
    rows = pd.DataFrame({"a": [np.nan, 1.0, 2.0, np.nan]})
    counts = count_values(rows, rows, rows[:0])
    assert counts.reused[:, 0].tolist() == [False, True, True, False]
    assert surplus_by_column(counts)[0] == 0


def test_attribute_inference_tells_memory_from_knowledge():
    rng = np.random.default_rng(6)
    rows = pd.DataFrame({"x": rng.random(2 * N), "y": rng.random(2 * N), "ill": rng.choice(["yes", "no"], 2 * N)})
    memory = inference_scores(rows, rows[:N], "ill")
    assert memory[:N].mean() == 1
    assert 0.35 < memory[N:].mean() < 0.65
    numeric = inference_scores(rows, rows[:N], "y")
    assert numeric[:N].mean() == 0 > numeric[N:].mean()
