"""The verdict that recorded probes give."""

import json

import pytest

from synth_mlflow.checks import CheckResult, Metric, as_json, judge, probe_from_json, sanitize_metrics
from synth_mlflow.errors import EvidenceError

SMALL_AND_CERTAIN = Metric("ks_distance", 0.01, limit=0.1, p_value=1e-9)
LARGE_AND_CERTAIN = Metric("ks_distance", 0.30, limit=0.1, p_value=1e-9, column="age")
LARGE_BY_CHANCE = Metric("ks_distance", 0.30, limit=0.1, p_value=0.2)


@pytest.mark.parametrize(
    ("probes", "inconclusive", "verdict"),
    [
        ((SMALL_AND_CERTAIN, LARGE_BY_CHANCE), "", "pass"),
        ((SMALL_AND_CERTAIN, LARGE_AND_CERTAIN), "", "fail"),
        ((LARGE_AND_CERTAIN,), "too few rows", "fail"),
        ((SMALL_AND_CERTAIN,), "too few rows", "inconclusive"),
        ((Metric("ks_distance", None, limit=0.1),), "", "inconclusive"),
        ((Metric("ks_distance", 0.3, limit=0.1, floor=0.4, p_value=1e-9),), "", "pass"),  # real rows show as much
        ((Metric("ks_distance", 0.3, limit=0.1, floor=0.2),), "", "fail"),
        ((), "", "inconclusive"),
    ],
)
def test_a_probe_fails_only_when_it_is_both_significant_and_large(probes, inconclusive, verdict):
    assert judge(probes, inconclusive, 0.01).verdict == verdict


def test_holm_asks_more_of_each_probe_the_more_there_are():
    borderline = Metric("auc", 0.9, limit=0.5, p_value=0.004)
    others = tuple(Metric(f"other_{n}", 0.0, limit=0.5, p_value=0.5) for n in range(10))
    assert judge((borderline,), "", 0.005).verdict == "fail"
    assert judge((borderline, *others), "", 0.005).verdict == "pass"


def test_many_tests_of_one_question_take_nothing_from_another():
    borderline = Metric("copies", 0.9, limit=0.5, p_value=0.002, group="copies")
    others = tuple(Metric(f"attack_{n}", 0.0, limit=0.5, p_value=0.5) for n in range(40))
    assert judge((borderline, *others), "", 0.005).verdict == "fail"


def test_a_pass_tells_its_near_misses():
    near = Metric("copies", 0.9, limit=0.5, p_value=0.02, note="nine of ten")
    ruling = judge((SMALL_AND_CERTAIN, near, LARGE_BY_CHANCE), "", 0.005)
    assert ruling.verdict == "pass"
    assert [reason for reason in ruling.reasons if "near miss" in reason] == [
        "near miss: copies is 0.9 (limit 0.5): nine of ten"
    ]


def test_a_failing_reason_names_the_column():
    assert "'age'" in judge((LARGE_AND_CERTAIN,), "", 0.01).reasons[0]


def test_the_reason_farthest_beyond_its_limit_comes_first():
    gone = Metric("tails_kept", 0.0, limit=0.5, better="high", column="height", p_value=1e-9)
    far = Metric("rate", 0.4, limit=0.03, p_value=1e-9)
    reasons = judge((LARGE_AND_CERTAIN, far, gone), "", 0.01).reasons
    assert [reason.split()[0] for reason in reasons] == ["tails_kept", "rate", "ks_distance"]


def test_probes_survive_json():
    assert probe_from_json(json.loads(json.dumps(as_json(LARGE_AND_CERTAIN)))) == LARGE_AND_CERTAIN


def test_a_tampered_probe_is_refused():
    with pytest.raises(EvidenceError, match="not finite"):
        probe_from_json(as_json(LARGE_AND_CERTAIN) | {"value": float("nan")})
    with pytest.raises(EvidenceError, match="cannot be read"):
        probe_from_json({"verdict": "pass"})


@pytest.mark.parametrize("numbers", [{"value": float("nan")}, {"p_value": float("inf")}, {"limit": float("nan")}])
def test_a_number_that_is_none_does_not_pass(numbers):
    broken = Metric(**({"name": "their_score", "value": 0.1, "limit": 0.5} | numbers))
    kept = sanitize_metrics(CheckResult((broken, SMALL_AND_CERTAIN))).probes
    ruling = judge(kept, "", 0.01)
    assert ruling.verdict == "inconclusive"
    assert "their_score could not be computed" in ruling.reasons[0]
    assert probe_from_json(as_json(kept[0])) == kept[0]
