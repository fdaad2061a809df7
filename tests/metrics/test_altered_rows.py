"""Rows altered on purpose, and the score that recognises them."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.checks._evaluation_matches import ALTERATIONS, CopyScore, half_mixed, moved, one_changed
from synth_mlflow.metrics.row_closeness import Closeness
from synth_mlflow.metrics.row_pairs import closest_pairs


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
    return frame.assign(
        n=rng.integers(0, 100, size=300), e=rng.choice(["x", "y", "z"], size=300), f=rng.random(300) > 0.5
    )


def test_moved_numbers_stay_near_and_labels_stay(real):
    found = moved(real, np.arange(300), np.random.default_rng(1))
    apart = (found["a"] - real["a"]).abs()
    assert 0 < apart.max() < 0.3
    assert found[["e", "f"]].equals(real[["e", "f"]])
    assert found.dtypes.equals(real.dtypes)


def test_one_value_or_half_of_them_are_other_rows(real):
    places = np.arange(300)
    one, half = one_changed(real, places, np.random.default_rng(1)), half_mixed(real, places, np.random.default_rng(1))
    assert (one != real).sum(axis=1).max() == 1
    assert (half != real).sum(axis=1).max() == real.shape[1] // 2
    assert one.dtypes.equals(real.dtypes)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALTERATIONS)
def test_altered_copies_score_above_natural_pairs(real, kind):
    rng = np.random.default_rng(2)
    sources = rng.integers(300, size=200)
    made = ALTERATIONS[kind](real, sources, rng)
    pairs = closest_pairs(Closeness(real, 200, made), np.arange(500))
    natural, altered = pairs.part(slice(0, 300)), pairs.part(slice(300, 500))
    score = CopyScore.learn(natural, altered, sources)
    found = score.of(altered)
    assert (found.places == sources).mean() > 0.7
    assert np.median(found.scores) > np.quantile(score.of(natural).scores, 0.99)


def test_no_score_where_no_altered_row_is_close_to_its_source(real):
    rng = np.random.default_rng(3)
    made = real.iloc[rng.integers(300, size=50)].reset_index(drop=True)
    pairs = closest_pairs(Closeness(real, 200, made), np.arange(350))
    elsewhere = np.full(50, -1)
    assert CopyScore.learn(pairs.part(slice(0, 300)), pairs.part(slice(300, 350)), elsewhere) is None
