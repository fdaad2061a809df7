"""Searches for the closest rows, beside looking at every pair."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from synth_mlflow.metrics import closest_places
from synth_mlflow.metrics.closest_places import Coded, most_shared_places, nearest_distances, nearest_places


def every_pair(queries, partners, k):
    """By double precision, of equal distances the lower place."""
    apart = ((queries[:, None].astype(np.float64) - partners[None]) ** 2).sum(axis=2)
    return np.argsort(apart, axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("kind", ["spread", "labels beside numbers", "on a grid", "far from the origin", "all equal"])
@pytest.mark.parametrize("n_block", [3, 64, 8_192])
def test_the_nearest_are_those_of_every_pair(monkeypatch, kind, n_block):
    monkeypatch.setattr(closest_places, "GROUP_ROWS", n_block)
    monkeypatch.setattr(closest_places, "ASKED", 20)
    monkeypatch.setattr(closest_places, "DECIDED", 7)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(330, 4)).astype(np.float32)
    if kind == "labels beside numbers":
        rows[:, :3] = rng.integers(0, 2, (330, 3))
        rows[:2, 2] = 0.3  # queries that have neither of the values of partners
    elif kind == "on a grid":
        rows = np.round(rows)
    elif kind == "far from the origin":
        rows += 300  # whose squares have no digits left for small differences in single precision
    elif kind == "all equal":
        rows[:] = 2.5
    queries, partners = rows[:30], rows[30:]
    assert nearest_places(queries, partners, 5).tolist() == every_pair(queries, partners, 5).tolist()


def test_distances_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    queries, partners = rng.normal(size=(40, 9)).astype(np.float32), rng.normal(size=(900, 9)).astype(np.float32)
    expected = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(partners).kneighbors(queries)[0]
    assert nearest_distances(queries, partners, 5).tolist() == expected.tolist()


@pytest.mark.parametrize("n_block", [3, 64, 8_192])
@pytest.mark.parametrize("n_joint", [1, 20, 320])
def test_those_that_share_most_are_those_of_every_pair(monkeypatch, n_block, n_joint):
    monkeypatch.setattr(closest_places, "BLOCK_PARTNERS", n_block)
    monkeypatch.setattr(closest_places, "BLOCK_QUERIES", 7)
    monkeypatch.setattr(closest_places, "MAX_JOINT", n_joint)
    rng = np.random.default_rng(0)
    weights = [np.array([1.0, 2.0, 4.0]), np.array([8.0, 16.0]), np.arange(5) * 32.0]  # whose sums are exact
    columns = [Coded(rng.integers(0, len(each), 300), each) for each in weights]
    queries, partners = np.arange(250, 300), slice(40, 250)
    equal = [
        (each.codes[queries, None] == each.codes[partners]) * each.weights[each.codes[partners]] for each in columns
    ]
    expected = np.argsort(-np.sum(equal, axis=0), axis=1, kind="stable")[:, :4]
    assert most_shared_places(columns, queries, partners, 4).tolist() == expected.tolist()


def test_fewer_partners_than_asked_for_are_all_of_them():
    columns = [Coded(np.array([0, 1, 0]), np.array([1.0, 2.0]))]
    assert most_shared_places(columns, np.array([2]), slice(0, 2), 5).tolist() == [[0, 1]]
