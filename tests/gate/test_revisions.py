"""What a later statement asks less, and when a doubt was accepted: told with their times."""

from pathlib import Path

import pytest

from synth_mlflow.checks import Metric, as_json
from synth_mlflow.data.digests import canonical_json
from synth_mlflow.gate.policy import policy_of
from synth_mlflow.gate.revisions import (
    accepted_after,
    accepted_since,
    changed_facts,
    changed_thresholds,
    loosened_after,
    revisions_of,
)
from synth_mlflow.handoff.build import _policy, _problem, warnings_of
from synth_mlflow.handoff.collect import gather_material
from synth_mlflow.tracking import names
from synth_mlflow.tracking.write import NewRun, create_run, writing
from synth_mlflow.workflow import Workflow


@pytest.fixture
def revise(tmp_path: Path):
    """Records the statement again, with other facts under `validation`."""

    def write(workflow: Workflow, validation: str) -> None:
        path = tmp_path / "problem.md"
        lines = [line for line in path.read_text().splitlines() if not line.startswith("validation:")]
        lines.insert(1, f"validation: {validation}")
        path.write_text("\n".join(lines) + "\n")
        workflow.define(path)

    return write


def judged(workflow: Workflow, check: str, verdict: str, parent: str, batch: str) -> None:
    """A check run under the statement in force, as `validate` writes it."""
    policy = policy_of(workflow.project.problem().statement)
    new = NewRun(check, check, f"{check} {verdict} {policy.digest}", {names.TAG_CHECK: check})
    with writing(workflow.project.server, create_run(workflow.project.server, new, parent=parent)) as draft:
        draft.param(names.P_CHECK, check)
        draft.param(names.P_BATCH, batch)
        draft.param(names.P_BATCH_DIGEST, "0" * 64)
        draft.param(names.P_POLICY, policy.digest)
        draft.param(names.P_THRESHOLDS, dict(policy.thresholds[check]))
        draft.param(names.P_VERDICT, verdict)
        draft.text(names.A_PROBES, canonical_json({"probes": [as_json(Metric("x", 1.0, 0.5))], "inconclusive": ""}))


def checks(workflow: Workflow, verdict: str):
    return workflow.project.reader.finished(where=f"params.`{names.P_VERDICT}` = '{verdict}'")


def test_a_doubt_that_is_accepted_once_it_is_known_was_not_accepted_beforehand(frozen, revise):
    parent = frozen.project.evaluation_set().run.run_id
    revise(frozen, '{accept_inconclusive: {utility: "we watch it"}}')
    judged(frozen, "utility", "inconclusive", parent, "a")
    early = revisions_of(frozen.project)
    assert accepted_after(early, "utility", checks(frozen, "inconclusive")) == ""
    judged(frozen, "fidelity", "inconclusive", parent, "a")
    revise(frozen, '{accept_inconclusive: {utility: "we watch it", fidelity: "cold start"}}')
    late = revisions_of(frozen.project)
    known = [run for run in checks(frozen, "inconclusive") if run.params[names.P_CHECK] == "fidelity"]
    assert accepted_after(late, "fidelity", known) == late[-1].at
    assert accepted_since(late, "utility") == early[-1]
    assert accepted_since(late, "privacy") is None


@pytest.mark.slow
def test_an_acceptance_that_was_taken_back_begins_anew(frozen, revise):
    for words in ('{accept_inconclusive: {utility: "a"}}', "{}", '{accept_inconclusive: {utility: "b"}}'):
        revise(frozen, words)
    revisions = revisions_of(frozen.project)
    assert accepted_since(revisions, "utility") == revisions[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("later", "told"),
    [
        ("{fidelity: {classifier_auc: 0.9}}", "classifier_auc from 0.7 to 0.9"),
        ("{fidelity: {clean_share: 0.1}}", "clean_share from 0.5 to 0.1"),
        ("{fidelity: {alpha: 0.0001}}", "alpha from 0.005 to 0.0001"),
    ],
)
def test_a_failure_before_a_looser_threshold_is_told(frozen, revise, later, told):
    judged(frozen, "fidelity", "fail", frozen.project.evaluation_set().run.run_id, "forest-1a2b")
    revise(frozen, later)
    revisions = revisions_of(frozen.project)
    (found,) = loosened_after(revisions, checks(frozen, "fail"))
    assert found.changes == (told,)
    assert found.words.startswith("The check fidelity of batch forest-1a2b failed on 20")
    assert changed_facts(*revisions) == "validation"


@pytest.mark.parametrize("later", ["{fidelity: {classifier_auc: 0.6}}", "{fidelity: {clean_share: 0.9}}"])
def test_a_tighter_threshold_is_no_loosening(frozen, revise, later):
    judged(frozen, "fidelity", "fail", frozen.project.evaluation_set().run.run_id, "a")
    revise(frozen, later)
    assert loosened_after(revisions_of(frozen.project), checks(frozen, "fail")) == []


@pytest.mark.slow
def test_thresholds_other_than_the_default_stand_with_the_time_of_their_change(frozen, revise):
    assert list(changed_thresholds(revisions_of(frozen.project))) == []
    revise(frozen, "{fidelity: {classifier_auc: 0.9}}")
    since = revisions_of(frozen.project)[-1].at
    revise(frozen, "{fidelity: {classifier_auc: 0.9}, utility: {gain_share: 0.9}}")
    told = dict(changed_thresholds(revisions_of(frozen.project)))
    assert told["fidelity"] == f"classifier_auc 0.9 (default 0.7), since {since[:10]} {since[11:16]} UTC"
    assert told["utility"].startswith("gain_share 0.9 (default 0.8), since")


def test_the_handoff_tells_revisions_thresholds_and_failures(done, revise):
    batch = done.project.batches()[0]
    before = gather_material(done.project)
    assert not {fact.name for fact in _problem(before.problem, before.revisions).facts} & {"revision 1"}
    judged(done, "fidelity", "fail", batch.run.run_id, batch.id)
    revise(done, '{fidelity: {classifier_auc: 0.9}, accept_inconclusive: {utility: "we watch it"}}')
    material = gather_material(done.project)
    facts = {fact.name: fact.value for fact in _problem(material.problem, material.revisions).facts}
    assert facts["revision 2"].endswith("changed: validation") and " UTC, sha256 " in facts["revision 1"]
    asked = {fact.name: fact.value for fact in _policy(material.policy, material.revisions)}
    assert asked["fidelity: thresholds other than the default"].startswith("classifier_auc 0.9 (default 0.7), since 20")
    assert asked["utility may be inconclusive"].startswith("we watch it (accepted since 20")
    assert any("failed on" in told and "classifier_auc from 0.7 to 0.9" in told for told in warnings_of(material))
