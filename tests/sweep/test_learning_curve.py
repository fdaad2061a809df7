"""What a gain is worth in real rows: exact on an exact power law, silent where there is no gain."""

import numpy as np
import pytest

from synth_mlflow.sweep.learning_curve import learning_curve

SIZES = np.array([25.0, 50.0, 75.0, 80.0])


def law(n):
    """Error that falls as 1 / n."""
    return 0.9 - 5.0 / n


def worth(gain, error=0.0):
    """On 100 real rows."""
    repeats = np.tile(law(SIZES), (6, 1))
    return learning_curve(SIZES, repeats, (100, law(100)), (gain, error), np.random.default_rng(0))


@pytest.mark.parametrize("further", [20, 100, 300])
def test_exact_law_is_read_exactly(further):
    found = worth(law(100 + further) - law(100))
    assert found.worth == pytest.approx(further, rel=0.15)  # the exponent is on a grid
    assert found.n_rows == (25, 50, 75, 80, 100)


def test_interval_follows_the_gains_uncertainty():
    found = worth(0.01, error=0.003)
    assert found.worth_low < found.worth < found.worth_high


@pytest.mark.parametrize(("gain", "error", "is_said"), [(0.01, 0.0005, True), (0.01, 0.008, False), (0.2, 0.0, False)])
def test_worth_is_said_where_it_is_known_within_a_factor_of_a_half_more(gain, error, is_said):
    found = worth(gain, error)
    assert (f"about {found.worth:,.0f} further real rows" in found.words) is is_said


def test_gain_beyond_the_asymptote_is_capped():
    assert worth(0.2).worth == 1_000


def test_no_gain_is_worth_nothing():
    assert worth(0.0).worth == 0
    assert worth(-0.1, error=0.01).worth == 0


@pytest.mark.slow
def test_interval_holds_the_true_worth_as_often_as_estimated():
    """40 projects with noisy repeats and a noisy gain, worth 100 further rows; 95 % was expected."""
    rng, held = np.random.default_rng(2), 0
    for _ in range(40):
        repeats = law(SIZES) + rng.normal(scale=0.003, size=(8, 4)) + rng.normal(scale=0.003, size=(8, 1))
        gain = law(200) - law(100) + rng.normal(scale=0.004)
        found = learning_curve(SIZES, repeats, (100, law(100)), (gain, 0.004), rng)
        held += found.worth_low <= 100 <= found.worth_high
    assert held >= 35
