"""Each trigger is due, not due or cannot tell, with its numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from synth_mlflow.plugins import find, installed
from synth_mlflow.triggers import CurrentState, Drift, ProductionValue, RecordedState

RECORDED = RecordedState(
    generators={"forest": ("1.2.0",), "my-sim": ("2024-11",)},
    statement_digest="ab" * 32,
    n_real_rows=6_400,
    n_expected_rows=1_600,
    metric="average_precision",
    expected=(0.91, 0.90, 0.92),
    environment={"python": "3.11.9", "lightgbm": "4.7.0"},
)
KNOWN = {"forest": "1.9.1", "my-sim": "2024-11"}


def ask(name, threshold, recorded=RECORDED, **present):
    return find("triggers", name).load().evaluate(threshold, recorded, CurrentState(**present))


def production(*values, n_rows=1_600):
    return tuple(ProductionValue(value, n_rows) for value in values)


def test_the_statements_keys_are_plugins():
    assert set(installed("triggers")) == {"generator", "new_real_rows", "metric_drop", "task", "environment"}


@pytest.mark.parametrize(
    ("threshold", "versions", "state"),
    [
        ("major", KNOWN, "not due"),
        ("major", {**KNOWN, "forest": "2.0"}, "due"),
        ("minor", KNOWN, "due"),
        ("minor", {**KNOWN, "forest": "1.2.7"}, "not due"),
        ("any", {**KNOWN, "forest": "1.2.7"}, "due"),
        ("major", {"forest": "1.2.0"}, "cannot tell"),
        ("major", {"forest": "2.0.0"}, "due"),
        ("major", {}, "cannot tell"),
    ],
)
def test_generator(threshold, versions, state):
    assert ask("generator", threshold, generators=versions).state == state


def test_generator_without_a_known_version_says_what_to_give():
    assert "--generator-version my-sim=VERSION" in ask("generator", "major", generators={"forest": "1.2.0"}).reason


def test_generator_is_judged_against_all_versions_that_made_batches():
    recorded = replace(RECORDED, generators={"forest": ("1.2.0", "2.0.0")})
    assert ask("generator", "major", recorded, generators={"forest": "2.1"}).state == "not due"


def test_generator_of_a_model_without_batches_is_never_due():
    assert ask("generator", "any", replace(RECORDED, generators={})).state == "not due"


@pytest.mark.parametrize(
    ("n_new", "state"), [(0, "not due"), (1_279, "not due"), (1_280, "due"), (9_000, "due"), (None, "cannot tell")]
)
def test_new_real_rows(n_new, state):
    assert ask("new_real_rows", 0.2, n_new_rows=n_new).state == state


def test_new_real_rows_tell_the_share_and_the_drift():
    state = ask("new_real_rows", 0.2, n_new_rows=640, drift=Drift(1e-9, ("age", "region")))
    assert (state.state, state.condition) == ("not due", "new real rows reach 20 % of the known ones")
    assert "640 new beside 6,400 known rows, 10.0 %" in state.reason
    assert "they differ from the known ones in age, region (p = 1e-09" in state.reason


def test_new_real_rows_without_drift_say_so():
    assert "do not differ measurably" in ask("new_real_rows", 0.2, n_new_rows=640, drift=Drift(0.4)).reason


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ((0.91,), "not due"),
        ((0.95,), "not due"),
        ((0.895,), "not due"),  # below the interval, but less than 0.02 below the estimate
        ((0.89,), "not due"),  # 2.8 standard errors: once may be chance
        ((0.89, 0.91, 0.89), "due"),  # twice is not
        ((0.89, 0.91, 0.91, 0.89), "not due"),
        ((0.91, 0.91, 0.88), "due"),  # 4.2 standard errors
        ((0.80, 0.91), "not due"),  # it has recovered
        ((), "cannot tell"),
        ((float("nan"),), "cannot tell"),
    ],
)
def test_metric_drop(values, state):
    assert ask("metric_drop", 0.02, production=production(*values)).state == state


def test_metric_drop_on_few_rows_is_noise():
    assert ask("metric_drop", 0.02, production=production(0.86, n_rows=50)).state == "not due"
    assert ask("metric_drop", 0.02, production=production(0.86, n_rows=1_600)).state == "due"


def test_metric_drop_worked_by_hand():
    # sigma = 0.01 / 1.96 * sqrt(1 + 1600 / 1600) = 0.007215; 0.03 / 0.007215 = 4.16
    assert "lies 0.03 below, 4.2 standard errors" in ask("metric_drop", 0.02, production=production(0.88)).reason


def test_metric_drop_seldom_cries_wolf_in_a_year_of_weekly_values():
    rng, alarms, metric_drop = np.random.default_rng(7), 0, find("triggers", "metric_drop").load()
    for _ in range(100):
        score = 0.91 + rng.normal(0, 0.01)
        recorded = replace(RECORDED, expected=(score, score - 0.0196, score + 0.0196))
        year = production(*(0.91 + rng.normal(0, 0.01, size=52)))
        alarms += any(
            metric_drop.evaluate(0.001, recorded, CurrentState(production=year[: week + 1])).state == "due"
            for week in range(52)
        )
    assert alarms <= 20  # 10 are expected; *below the interval* would raise 61


def test_metric_drop_within_the_estimated_interval_is_never_due():
    wide = replace(RECORDED, expected=(0.91, 0.80, 0.99))
    assert ask("metric_drop", 0.02, wide, production=production(0.85, 0.85, 0.85)).state == "not due"


def test_metric_drop_against_a_estimate_without_width():
    exact = replace(RECORDED, expected=(0.91, 0.91, 0.91))
    assert ask("metric_drop", 0.02, exact, production=production(0.88)).state == "due"


def test_metric_drop_notices_a_forgotten_sign():
    errors = replace(RECORDED, metric="neg_root_mean_squared_error", expected=(-3.0, -3.2, -2.8))
    state = ask("metric_drop", 0.5, errors, production=production(3.1))
    assert state.state == "cannot tell"
    assert "wrong sign" in state.reason


def test_metric_drop_before_a_handoff():
    state = ask("metric_drop", 0.02, replace(RECORDED, expected=None), production=production(0.9))
    assert (state.state, "synth-mlflow report" in state.reason) == ("cannot tell", True)


@pytest.mark.parametrize(
    ("statement", "columns", "state", "words"),
    [
        ("ab" * 32, "11" * 32, "not due", "the columns are the same"),
        ("ab" * 32, None, "not due", "the columns were not compared"),
        ("cd" * 32, "11" * 32, "due", "the digest of the statement is cdcdcdcdcdcd, abababababab was frozen"),
        ("ab" * 32, "22" * 32, "due", "the digest of the columns of the real rows is 222222222222"),
        (None, "22" * 32, "due", "columns"),
        (None, "11" * 32, "cannot tell", "--statement"),
    ],
)
def test_task(statement, columns, state, words):
    found = ask(
        "task", "any", replace(RECORDED, schema_digest="11" * 32), statement_digest=statement, schema_digest=columns
    )
    assert found.state == state
    assert words in found.reason


@pytest.mark.parametrize(
    ("threshold", "environment", "state"),
    [
        ("major", {"python": "3.11.2", "lightgbm": "4.9.0", "numpy": "3.0"}, "not due"),
        ("major", {"python": "3.12.0", "lightgbm": "4.7.0"}, "due"),
        ("major", {"python": "3.11.9", "lightgbm": "5.0"}, "due"),
        ("minor", {"python": "3.11.9", "lightgbm": "4.8.0"}, "due"),
        ("any", {"python": "3.11.9", "lightgbm": "4.7"}, "not due"),
        ("major", {"python": "3.11.9"}, "due"),
        ("major", {}, "cannot tell"),
    ],
)
def test_environment(threshold, environment, state):
    assert ask("environment", threshold, environment=environment).state == state


def test_environment_that_is_gone_is_named():
    assert (
        "lightgbm 4.7.0 made the model, none is installed"
        in ask("environment", "major", environment={"python": "3.11.1"}).reason
    )


@pytest.mark.parametrize(
    ("name", "threshold"),
    [
        ("generator", "huge"),
        ("generator", ["major"]),
        ("environment", True),
        ("task", "major"),
        ("new_real_rows", 0),
        ("new_real_rows", "0.2"),
        ("new_real_rows", True),
        ("metric_drop", -0.1),
        ("metric_drop", float("nan")),
    ],
)
def test_thresholds_without_sense_are_refused(name, threshold):
    with pytest.raises(ValueError, match=r"was found; .* needed"):
        find("triggers", name).load().condition(threshold)


@pytest.mark.parametrize(
    ("name", "ask_for"),
    [
        ("generator", "--generator-version forest=VERSION"),
        ("new_real_rows", "synth-mlflow check --new-data FILE"),
        ("metric_drop", "synth-mlflow log-production --metric VALUE --n ROWS"),
        ("task", "synth-mlflow check --statement problem.md"),
        ("environment", "synth-mlflow check"),
    ],
)
def test_cannot_tell_says_what_to_give(name, ask_for):
    threshold = {"new_real_rows": 0.2, "metric_drop": 0.02, "task": "any"}.get(name, "major")
    state = ask(name, threshold)
    assert (state.name, state.state) == (name, "cannot tell")
    assert ask_for in state.reason


def test_rows_that_cannot_be_counted_are_not_said_to_be_missing():
    found = ask("new_real_rows", 0.2, rows_refused="new.csv lacks column 'age'.")
    assert (found.state, found.reason.startswith("new.csv lacks column 'age'.")) == ("cannot tell", True)


def test_a_single_far_value_is_not_counted_among_others():
    assert "of the newest" not in ask("metric_drop", 0.02, production=production(0.5)).reason
    assert "2 of the newest 2 lie" in ask("metric_drop", 0.02, production=production(0.5, 0.5)).reason
