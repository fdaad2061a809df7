"""What repeats that share rows hide: exact for a score that is linear in the rows, and known at both ends."""

import numpy as np
import pytest

from synth_mlflow.sweep.inference import inflation, linear_inflation, uncertainty
from synth_mlflow.sweep.plan import ALL_ROWS, FitKey, fit_rows

N_REAL, N_SUPPLY = 60, 180


def _means(seed, mix, ratios, repeats):
    """Mean of a normal number a row, of the mix with all rows and of each repeat, at every ratio."""
    rows = np.random.default_rng(seed).normal(size=N_REAL + N_SUPPLY)
    batches = np.zeros(N_SUPPLY)

    def mean(ratio, repeat):
        return rows[fit_rows(FitKey("synthetic", ratio, repeat), N_REAL, batches, mix, seed).all].mean()

    return np.array([[mean(ratio, n) for ratio in ratios] for n in (ALL_ROWS, *range(repeats))])


@pytest.mark.slow
@pytest.mark.parametrize("mix", ["augment", "replace"])
def test_linear_scores_vary_by_what_is_said(mix):
    ratios = (0.0, 0.25, 0.5, 0.75)
    found = np.array([_means(seed, mix, ratios, 8) for seed in range(1_500)])
    found[:, :, 1:] -= found[:, :, :1]
    fresh, repeats = found[:, 0].var(axis=0, ddof=1), found[:, 1:].var(axis=1, ddof=1).mean(axis=0)
    said = [linear_inflation("synthetic", ratio, N_REAL, N_SUPPLY, mix) for ratio in ratios]
    assert fresh / repeats == pytest.approx(said, rel=0.12)


def test_more_synthetic_rows_than_are_needed_share_less():
    few, many = (linear_inflation("synthetic", 0.75, N_REAL, n, "augment") for n in (180, 1_800))
    assert few == pytest.approx(4) and many < 2.5


@pytest.mark.parametrize("arm", ["synthetic", "placebo", "extra"])
def test_variance_is_never_made_smaller(arm):
    ratios = (1e-9, 0.1, 0.5, 0.9)
    assert all(inflation(arm, ratio, 100, 2_000, mix) >= 1 for ratio in ratios for mix in ("augment", "replace"))


def test_the_first_score_and_the_gains_over_it_are_inflated_apart():
    repeats = np.random.default_rng(0).normal(size=(50, 2))
    still = np.zeros((10, 2))
    plain, wider = uncertainty(still, repeats), uncertainty(still, repeats, np.array([4.0, 9.0]))
    score, gain = np.array([1.0, 0]), np.array([-1.0, 1])
    assert wider.standard_error(score) == pytest.approx(2 * plain.standard_error(score))
    assert wider.standard_error(gain) == pytest.approx(3 * plain.standard_error(gain))
