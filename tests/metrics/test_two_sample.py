"""The classifier test, the noise floor and the encoding."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.data.columns import normalise
from synth_mlflow.metrics.encoding import Encoding
from synth_mlflow.metrics.null_distribution import split_floor
from synth_mlflow.metrics.two_sample import classifier_floor, classifier_test


def _draw(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 4))


@pytest.mark.slow
def test_one_law_is_not_told_apart():
    found = [classifier_test(_draw(300, seed), _draw(300, 1000 + seed), seed=seed, n_rounds=10) for seed in range(30)]
    assert np.mean([one.auc for one in found]) == pytest.approx(0.5, abs=0.02)
    assert np.mean([one.p_value < 0.1 for one in found]) <= 0.2


def test_the_floor_of_the_classifier_is_measured():
    floor = classifier_floor(_draw(1_200, 5), seed=0)
    assert 0.51 < 0.5 + floor.upper(300, 300)[0] < 0.65
    assert floor.upper(1_200, 1_200)[0] == pytest.approx(floor.upper(300, 300)[0] / 2)


def test_a_shifted_column_is_found_and_named():
    shifted = _draw(400, 1) + np.array([0, 0, 2.0, 0])
    found = classifier_test(_draw(400, 0), shifted, seed=0)
    assert found.auc > 0.85
    assert found.importance.argmax() == 2
    assert found.p_value < 1e-9


def test_the_number_of_threads_changes_nothing():
    first, second = (classifier_test(_draw(300, 0), _draw(200, 1), seed=0, n_rounds=10, n_threads=n) for n in (1, 2))
    assert first.scores.tolist() == second.scores.tolist()


def test_the_floor_carries_over_to_other_sizes():
    values = np.random.default_rng(0).normal(size=4_000)
    floor = split_floor(
        lambda a, b: np.array([values[a].mean() - values[b].mean()]), 1_000, np.random.default_rng(1), n_splits=60
    ).symmetric()
    assert floor.spread[0] == pytest.approx(1, rel=0.25)
    assert floor.p_values(np.array([0.2]), 400, 400)[0] == pytest.approx(0.005, abs=0.01)


def test_points_measure_every_kind_of_column():
    rows = normalise(
        pd.DataFrame(
            {
                "number": [1.0, 2.0, 3.0, np.nan],
                "day": pd.date_range("2024-01-01", periods=4),
                "flag": [True, False, True, False],
                "word": ["a", "b", "a", "b"],
            }
        )
    )
    points = Encoding.learn(rows).points(rows)
    assert np.isfinite(points).all()
    assert np.square(points[0] - points[1]).sum() == pytest.approx(1 + 1 + 2 * 0.0625 + 0.0208, abs=0.1)


def test_unseen_levels_do_not_break_the_encoding():
    encoding = Encoding.learn(pd.DataFrame({"word": ["a", "a", "b", "b"]}))
    unseen = pd.DataFrame({"word": ["zebra", None]})
    assert encoding.features(unseen).tolist() == [[2.0], [2.0]]
    assert len(encoding.points(unseen)) == 2


def test_large_floors_are_measured_one_split_at_a_time_with_the_same_result(monkeypatch):
    values = np.random.default_rng(0).normal(size=(200, 3))

    def gap(first, second):
        return values[first].mean(axis=0) - values[second].mean(axis=0)

    together = split_floor(gap, 200, np.random.default_rng(1))
    monkeypatch.setattr("synth_mlflow.metrics.null_distribution.STREAMED_CELLS", 1)
    alone = split_floor(gap, 200, np.random.default_rng(1))
    np.testing.assert_allclose([alone.mean, alone.spread], [together.mean, together.spread])
