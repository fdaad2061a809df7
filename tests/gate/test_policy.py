"""The policy: what a statement may ask for, and every refusal of what makes no sense."""

import json

import pytest

from synth_mlflow.data.statement import QUESTIONS, parse_statement
from synth_mlflow.errors import StatementError
from synth_mlflow.gate.policy import FALSE_ALARM_RATE, load_check, looser_than_default, policy_of

PROSE = "".join(f"## {question}\nAn answer.\n" for question in QUESTIONS)


def policy(validation="{}", privacy="relevant"):
    return policy_of(
        parse_statement(
            f"---\nname: n\ndata: d.csv\ntarget: y\ntask: binary\nmetric: roc_auc\nsuccess: {{at_least: 0.5}}\n"
            f"gap: cold start\nprivacy: '{privacy}'\nvalidation: {validation}\n---\n{PROSE}"
        )
    )


def test_without_a_word_every_check_has_its_defaults():
    found = policy()
    assert found.required == ("contamination", "fidelity", "utility", "privacy")
    assert found.accepted == {}
    assert {found.alpha(name) for name in found.required} == {FALSE_ALARM_RATE}
    assert all(found.thresholds[name] == dict(load_check(name).defaults) for name in found.required)


def test_privacy_is_required_where_it_matters_or_is_asked_for():
    assert policy(privacy="not relevant: made up").required == ("contamination", "fidelity", "utility")
    assert "privacy" in policy("{required: [privacy]}", privacy="not relevant: made up").required


def test_overrides_change_one_threshold_and_the_digest():
    name, default = next(iter(load_check("fidelity").defaults.items()))
    stricter = policy(f"{{fidelity: {{{name}: {default / 2}}}, utility: {{alpha: 0.05}}}}")
    assert stricter.thresholds["fidelity"] == {**load_check("fidelity").defaults, name: default / 2}
    assert (stricter.alpha("utility"), stricter.digest != policy().digest) == (0.05, True)


def test_contamination_is_required_whatever_is_said_and_its_thresholds_can_be_tightened():
    stricter = policy("{contamination: {attack_auc: 0.52, alpha: 0.01}}", privacy="not relevant: made up")
    assert stricter.required[0] == "contamination"
    assert (stricter.thresholds["contamination"]["attack_auc"], stricter.alpha("contamination")) == (0.52, 0.01)


def test_the_same_policy_has_the_same_digest():
    assert policy("{required: [fidelity]}").digest == policy().digest


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        ("{fidelty: {}}", "names 'fidelty', which is no check. Did you mean 'fidelity'"),
        ("{required: [likeness]}", "names 'likeness', which is no check"),
        ("{required: privacy}", "needs a list of checks, found 'privacy'"),
        ("{required: [3]}", "needs a list of checks"),
        ("{privacy: {alpha: 0}}", "`validation.privacy.alpha` needs a rate between 0 and 0.5, found 0"),
        ("{privacy: {alpha: 0.7}}", "needs a rate between"),
        ("{privacy: {alpha: .nan}}", "needs a number"),
        ("{privacy: {alpha: yes}}", "needs a number"),
        ("{fidelity: 3}", "`validation.fidelity` needs `threshold: number` pairs"),
        ("{fidelity: {no_such: 1}}", "`validation.fidelity` has no threshold 'no_such'"),
        (
            "{fidelity: {classifier_auc: 65}}",
            "`validation.fidelity.classifier_auc` needs a number from 0 to 1",
        ),
        ("{utility: {gain_share: -0.1}}", "`validation.utility.gain_share` needs a number from 0 to 1, found -0.1"),
        ("{utility: {detectable_share: 1}}", "nobody can see a batch that has lost nothing"),
        ("{accept_inconclusive: privacy}", "needs a reason for each check"),
        ("{accept_inconclusive: {privacy: ' '}}", "needs a reason for each check"),
        ("{accept_inconclusive: {contamination: why}}", "without its verdict no score of the project holds"),
        ("{contamination: {alpha: 0.001}}", "can be tightened only, and the default is 0.005"),
        ("{contamination: {near_rows_unexplained: 0.9}}", "can be tightened only, and the default is 0.5"),
        ("{accept_inconclusive: {privcy: why}}", "'privcy', which is no check. Did you mean 'privacy'"),
    ],
)
def test_policies_without_sense_are_refused(validation, message):
    with pytest.raises(StatementError, match=message):
        policy(validation)


def test_thresholds_of_a_check_that_nobody_has_to_pass_are_refused():
    made_up = "not relevant: made up"
    with pytest.raises(StatementError, match=r"`validation.privacy` sets thresholds of a check that no batch"):
        policy("{privacy: {attack_auc: 0.6}}", privacy=made_up)
    assert policy("{required: [privacy], privacy: {attack_auc: 0.6}}", privacy=made_up).required[-1] == "privacy"


@pytest.mark.parametrize("value", [".nan", ".inf", "-.inf", "yes", "'0.1'", "null"])
def test_thresholds_that_nothing_could_exceed_are_refused(value):
    name = next(iter(load_check("fidelity").defaults))
    with pytest.raises(StatementError, match=f"`validation.fidelity.{name}` needs a number, found"):
        policy(f"{{fidelity: {{{name}: {value}}}}}")


def test_what_is_looser_than_the_default_is_named_and_what_is_stricter_is_not():
    asked = {
        "fidelity": {"column_distance": 0.3, "clean_share": 0.9, "alpha": 0.001},
        "utility": {"gain_share": 0.5},
        "accept_inconclusive": {"utility": "few rows"},
    }
    assert looser_than_default(policy(json.dumps(asked))) == (
        "fidelity alpha 0.001 (default 0.005)",
        "fidelity column_distance 0.3 (default 0.1)",
        "utility gain_share 0.5 (default 0.8)",
        "utility may be inconclusive",
    )
    assert looser_than_default(policy("{fidelity: {column_distance: 0.05}}")) == ()
    assert looser_than_default(policy("{required: [review], review: {alpha: 0.01}}")) == ()  # more answers are needed
