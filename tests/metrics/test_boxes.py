"""Groups of near rows, and how far from a query they lie at least."""

import numpy as np
import pytest

from synth_mlflow.metrics.boxes import Boxes


def rows_of(kind, n_rows, rng):
    rows = rng.normal(size=(n_rows, 5)).astype(np.float32)
    if kind == "labels":
        rows[:, 1:4] = rng.integers(0, 2, (n_rows, 3)) / np.sqrt(2)
    elif kind == "one value":
        rows[:] = 1.5
    return rows


@pytest.mark.parametrize("kind", ["numbers", "labels", "one value"])
def test_every_row_is_in_one_group_and_no_row_is_nearer_than_the_bound(kind):
    rng = np.random.default_rng(3)
    rows, queries = rows_of(kind, 500, rng), rng.normal(size=(40, 5)).astype(np.float32)
    boxes = Boxes.of(rows, 30)
    assert sorted(boxes.order.tolist()) == list(range(500))
    bounds = boxes.least_squares(queries)
    assert bounds.shape == (len(boxes.stops), 40)
    apart = ((queries[:, None].astype(np.float64) - rows[None]) ** 2).sum(axis=2)
    for group, own in enumerate(boxes.slices()):
        places = boxes.order[own]
        assert 0 < len(places) <= 30
        assert (bounds[group] <= apart[:, places].min(axis=1) + 1e-5).all()


def test_labels_split_a_group_before_numbers_that_are_wider():
    rng = np.random.default_rng(4)
    rows = np.column_stack([3 * rng.normal(size=64), np.repeat([0.0, 1.0], 32)]).astype(np.float32)
    boxes = Boxes.of(rows, 32)
    assert [set((boxes.order[own] // 32).tolist()) for own in boxes.slices()] == [{0}, {1}]
    assert boxes.least_squares(np.array([[0.0, 1.0]], np.float32))[:, 0].tolist() == [1.0, 0.0]


def test_one_row_is_a_group():
    assert Boxes.of(np.zeros((1, 2), np.float32), 8).stops.tolist() == [1]
