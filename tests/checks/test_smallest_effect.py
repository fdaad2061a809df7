"""What a check says it would have found in four of five cases, on simulated data: right within the stated factor."""

import numpy as np
import pandas as pd
import pytest

from synth_mlflow.checks import Metric, judge
from synth_mlflow.checks._columns import column_probes
from synth_mlflow.checks._smallest_effect import level_of_each, smallest_column_distance, smallest_effect
from synth_mlflow.checks.fidelity import Fidelity
from synth_mlflow.checks.utility import Utility, _Comparison, _probes, _smallest
from synth_mlflow.data.columns import normalise, schema_of
from synth_mlflow.data.task import Task

FACTOR = 1.3
N = 400
fidelity, utility = Fidelity(), Utility()


def shares_found(found_at, effect: float) -> tuple[float, float]:
    """How often the effect is found when it is a factor smaller, and a factor larger."""
    return found_at(effect / FACTOR), found_at(effect * FACTOR)


@pytest.mark.parametrize(("error", "gain"), [(0.004, 0.3), (0.02, 0.2), (0.04, 0.3)])
def test_utility_finds_the_share_that_it_states(error, gain):
    rng, task = np.random.default_rng(3), Task("y", "binary")

    def compared(drop: float) -> _Comparison:
        synthetic = 0.5 + gain - drop + error * rng.normal()
        return _Comparison("all rows", 500, 0.5 + gain, synthetic, 0.5, error, 30.0, {})

    def found_at(lost: float) -> float:
        every = (_probes([compared(lost * gain)], task, utility.defaults) for _ in range(300))
        return np.mean([judge(one, "", utility.defaults["alpha"]).verdict == "fail" for one in every])

    whole = compared(0)
    share = _smallest(whole, _probes([whole], task, utility.defaults), utility.defaults)["detectable_gain_share"]
    assert found_at(1 - share) == pytest.approx(0.8, abs=0.08)
    low, high = shares_found(found_at, 1 - share)
    assert low < 0.65 and high > 0.85


@pytest.mark.slow
def test_fidelity_finds_the_distance_of_a_column_that_it_states():
    names = ["c0", "c1"]

    def probes(seed: int, distance: float) -> list[Metric]:
        rng = np.random.default_rng(seed)
        real, batch = rng.random((2, N, len(names)))
        lowered = (batch[:, 0] > 0.5) & (rng.random(N) < 2 * distance)  # the two laws differ most at one half
        batch[lowered, 0] -= 0.5
        sides = [normalise(pd.DataFrame(side, columns=names)) for side in (real, batch)]
        found = column_probes(*sides, schema_of(sides[0]), fidelity.defaults, rng)
        return [one for one in found if one.name == "column_distance"]

    null = probes(0, 0.0)
    alpha = fidelity.defaults["alpha"]
    stated = smallest_column_distance(null[0], N, N, level_of_each(null, alpha))

    def found_at(distance: float) -> float:
        every = (judge(tuple(probes(seed, distance)), "", alpha) for seed in range(40))
        return np.mean([one.verdict == "fail" for one in every])

    low, high = shares_found(found_at, stated)
    assert low < 0.8 and high > 0.85


def test_where_the_limit_or_the_floor_is_higher_it_decides():
    assert smallest_effect(0.01, alpha=1e-4, limit=0.3) == pytest.approx(0.3 + 0.0084, abs=1e-3)
    assert smallest_effect(0.01, alpha=1e-4, limit=0.0, floor=0.4) == pytest.approx(0.4 + 0.0084, abs=1e-3)


def test_groups_that_widen_the_floor_widen_what_is_stated():
    probe = Metric("column_distance", 0.0, 0.1, column="c", floor=0.12, p_value=1.0)
    wide = Metric("column_distance", 0.0, 0.1, column="c", floor=0.36, p_value=1.0)
    assert smallest_column_distance(wide, N, N, 1e-3) > 2 * smallest_column_distance(probe, N, N, 1e-3)


@pytest.mark.slow
def test_both_checks_state_it_on_their_run(evidence, ruled):
    _, of_fidelity = ruled(fidelity, evidence)
    _, of_utility = ruled(utility, evidence)
    assert 0.7 < of_fidelity.metrics["detectable_classifier_auc"] < 0.8
    assert 0.1 < of_fidelity.metrics["detectable_column_distance"] < 0.2
    assert of_utility.metrics["detectable_gain_share"] < 0.8
    assert all("in four of five cases" in one.words for one in (of_fidelity, of_utility))
