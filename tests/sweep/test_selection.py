"""The rule: what counts as help, what is in the plateau, which ratio is taken, and the correction for having chosen."""

import numpy as np
import pytest

from synth_mlflow.sweep.curve import judge_fragility, miss_cost
from synth_mlflow.sweep.inference import Uncertainty
from synth_mlflow.sweep.selection import Chooser, correct

ERROR = 0.01
UNCERTAIN = Uncertainty(np.eye(7) * ERROR**2 / 2, np.zeros((7, 7)), 8)
"""Baseline, three ratios, three placebos; every difference has the standard error 0.01."""


def scores(synthetic, placebo=(0.5, 0.5, 0.5)):
    """With a baseline of 0.5."""
    return np.array([0.5, *synthetic, *placebo])


@pytest.mark.parametrize(
    ("rule", "chosen"), [("highest", 3), ("plateau", 2), ("peak", 3), ("one-standard-error", 3), ("least", 1)]
)
def test_rules_differ_on_a_slow_rise(rule, chosen):
    choice = Chooser.build(rule, 3, UNCERTAIN).choose(scores([0.53, 0.60, 0.612]))
    assert choice.chosen == chosen
    assert choice.helps.all()
    assert choice.plateau.tolist() == [False, False, True, True]


@pytest.mark.parametrize("rule", ["highest", "plateau", "peak", "one-standard-error", "least"])
def test_no_rule_takes_what_its_placebo_gives_too(rule):
    choice = Chooser.build(rule, 3, UNCERTAIN).choose(scores([0.55, 0.56, 0.57], placebo=(0.55, 0.55, 0.56)))
    assert choice.chosen == 0
    assert choice.peak == 3


@pytest.mark.parametrize(
    ("synthetic", "chosen"),
    [
        ([0.53, 0.58, 0.60], 3),  # a fifth of the gain would be lost
        ([0.53, 0.596, 0.60], 2),  # 4 % of the gain are lost, for two thirds of the synthetic rows
        ([0.596, 0.55, 0.60], 1),
        ([0.53, 0.60, 0.55], 2),
        ([0.50, 0.49, 0.505], 0),
    ],
)
def test_highest_takes_a_smaller_ratio_only_where_it_loses_little(synthetic, chosen):
    assert Chooser.build("highest", 3, UNCERTAIN).choose(scores(synthetic)).chosen == chosen


def test_what_the_test_has_beaten_is_not_among_the_best():
    choice = Chooser.build("highest", 3, UNCERTAIN).choose(scores([0.5, 0.5, 0.5225]))
    assert choice.helps.tolist() == [False, False, True]
    assert not choice.plateau[0] and choice.plateau[3]


def test_smallest_detectable_gain_is_found_in_four_of_five_cases():
    rng, chooser = np.random.default_rng(5), Chooser.build("highest", 3, UNCERTAIN)
    gain = chooser.smallest_detectable(3, UNCERTAIN)
    rows = scores([0.4, 0.4, 0.5 + gain], (0.0, 0.0, 0.0)) + rng.normal(scale=ERROR / np.sqrt(2), size=(4_000, 7))
    assert np.mean([chooser.choose(row).helps[2] for row in rows]) == pytest.approx(0.8, abs=0.02)


def test_few_rows_that_differ_set_a_least_error():
    few = Uncertainty(np.eye(7) * 1e-8, np.zeros((7, 7)), 8)
    assert Chooser.build("highest", 3, few).choose(scores([0.5, 0.5, 0.51])).chosen == 3
    widened = few.at_least(ERROR)
    choice = Chooser.build("highest", 3, widened).choose(scores([0.5, 0.5, 0.51]))
    assert choice.chosen == 0 and choice.plateau.all()
    contrast = np.array([-1.0, 0, 0, 1, 0, 0, 0])
    assert widened.standard_error(contrast) == pytest.approx(ERROR, rel=1e-3)
    assert widened.standard_error(np.abs(contrast) / 2) == few.standard_error(np.abs(contrast) / 2)
    assert UNCERTAIN.at_least(ERROR / 2) is UNCERTAIN


def test_noise_is_no_help():
    assert Chooser.build("least", 3, UNCERTAIN).choose(scores([0.505, 0.51, 0.515])).chosen == 0


def test_guardrail_forbids_a_ratio():
    allowed = np.array([True, False, True])
    choice = Chooser.build("plateau", 3, UNCERTAIN, allowed).choose(scores([0.53, 0.60, 0.612]))
    assert choice.chosen == 3


def test_null_claims_help_as_rarely_as_estimated():
    rng, chooser = np.random.default_rng(0), Chooser.build("least", 3, UNCERTAIN)
    noise = rng.normal(scale=ERROR / np.sqrt(2), size=(4_000, 7))
    noise[:, 4:] -= 1  # a placebo that never stands in the way: the test against the baseline alone decides
    assert np.mean([chooser.choose(row).chosen > 0 for row in noise]) == pytest.approx(0.05, abs=0.012)


@pytest.mark.parametrize("best", [0, 1])
def test_plateau_holds_the_best_as_often_as_estimated(best):
    rng, chooser = np.random.default_rng(3), Chooser.build("least", 3, UNCERTAIN)
    true = np.where(np.arange(7) == best, 1e-4, 0.0)  # all but equal: the hardest case
    rows = true + rng.normal(scale=ERROR / np.sqrt(2), size=(4_000, 7))
    assert np.mean([chooser.choose(row).plateau[best] for row in rows]) == pytest.approx(0.95, abs=0.012)


@pytest.mark.slow
def test_correction_takes_the_luck_out():
    """Three ratios of equal worth: the best of them looks better than it is, by luck alone."""
    rng, naive, corrected = np.random.default_rng(1), [], []
    for _ in range(60):
        rows = rng.normal(size=(400, 7)) * 0.3 + np.array([0, 1, 1, 1, -1, -1, -1])
        weights = rng.multinomial(400, np.full(400, 1 / 400), size=150)
        inside = weights @ rows / 400
        outside = (weights == 0) @ rows / (weights == 0).sum(axis=1, keepdims=True)
        chooser = Chooser.build("peak", 3, Uncertainty(np.cov(rows, rowvar=False) / 400, np.zeros((7, 7)), 8))
        choice = chooser.choose(rows.mean(axis=0))
        naive.append(rows.mean(axis=0)[choice.chosen] - 1)
        corrected.append(correct(chooser, choice, rows.mean(axis=0), inside, outside).score - 1)
    assert np.mean(naive) > 0.008
    assert abs(np.mean(corrected)) < np.mean(naive) / 4


def test_a_metric_that_is_higher_on_fewer_rows_does_not_raise_the_corrected_score():
    noise = np.random.default_rng(4).normal(scale=0.01, size=(200, 1))
    chooser, found = Chooser.build("peak", 3, UNCERTAIN), scores([0.5, 0.7, 0.5])
    draws = found + noise
    corrected = correct(chooser, chooser.choose(found), found, draws, draws[:, :4] + 0.2)
    assert corrected.score == pytest.approx(found[chooser.choose(found).chosen])
    assert corrected.gain == pytest.approx(found[chooser.choose(found).chosen] - found[0])


def test_baseline_was_not_chosen_for_its_score_and_keeps_it():
    noise = np.random.default_rng(4).normal(scale=0.1, size=(20, 1))
    chooser, draws = Chooser.build("peak", 3, UNCERTAIN), scores([0.5, 0.5, 0.5]) + noise
    found = scores([0.5, 0.5, 0.5])
    corrected = correct(chooser, chooser.choose(found), found, draws, draws[:, :4] + 0.2)
    assert (corrected.score, corrected.gain) == (found[0], 0.0)


@pytest.mark.parametrize(
    ("values", "plateau", "words"),
    [
        ([0.5, 0.7, 0.6, 0.5], [False, True, False, False], "sharp"),
        ([0.5, 0.7, 0.69, 0.5], [False, True, True, False], "flat"),
        ([0.5, 0.51, 0.5, 0.5], [True, True, True, True], "no peak"),
    ],
)
def test_fragility_in_words(values, plateau, words):
    probabilities = np.array([0.0, 0.8, 0.2, 0.0])
    found = judge_fragility((0.0, 0.25, 0.5, 0.75), np.array(values), 1, np.array(plateau), probabilities)
    assert found.words == words
    assert found.drop_below == pytest.approx(values[1] - values[0])
    assert "80 %" in found.sentence
    assert found.miss_cost >= 0


@pytest.mark.parametrize(("plateau", "again"), [([False, True, False, False], 0.3), ([False, True, False, True], 0.6)])
def test_a_peak_that_another_sweep_may_find_elsewhere_is_not_sharp(plateau, again):
    values, probabilities = np.array([0.5, 0.7, 0.6, 0.69]), np.array([0.0, again, 0.0, 1 - again])
    found = judge_fragility((0.0, 0.25, 0.5, 0.75), values, 1, np.array(plateau), probabilities)
    assert found.words == "uncertain"
    assert "sharp" not in found.sentence and f"{again:.0%}".replace("%", " %") in found.sentence


def test_peak_at_the_edge_asks_for_greater_ratios():
    found = judge_fragility((0.0, 0.5), np.array([0.5, 0.7]), 1, np.array([False, True]), np.array([0.0, 1.0]))
    assert "50 % is the greatest ratio swept" in found.advice
    assert found.drop_above is None


@pytest.mark.parametrize(
    ("ratios", "values", "peak", "cost"),
    [
        ((0.0, 0.25, 0.5), [0.5, 0.75, 0.5], 1, 0.04),  # 4 · 0.1²
        ((0.0, 0.5), [0.5, 0.7], 1, 0.04),  # a line
        ((0.0, 0.1, 0.5), [0.7, 0.69, 0.6], 0, 0.01),  # an edge
    ],
)
def test_missing_the_peak_costs_what_the_parabola_says(ratios, values, peak, cost):
    assert miss_cost(ratios, np.array(values), peak) == pytest.approx(cost)


@pytest.mark.parametrize(
    ("scores", "plateau", "words"),
    [([0.5, 0.7, 0.6], [False, True, False], "both neighbours score"), ([0.5, 0.7], [False, True], "only neighbour")],
)
def test_sharp_peak_counts_its_neighbours(scores, plateau, words):
    ratios = (0.0, 0.25, 0.5)[: len(scores)]
    found = judge_fragility(ratios, np.array(scores), 1, np.array(plateau), np.full(len(scores), 0.5))
    assert words in found.sentence
