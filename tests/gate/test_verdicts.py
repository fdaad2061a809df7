"""The gate believes recorded evidence alone: no tag, no other policy, no changed file opens it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from synth_mlflow.checks import Metric, as_json
from synth_mlflow.data.digests import canonical_json
from synth_mlflow.errors import EvidenceError, GateError
from synth_mlflow.gate.policy import check_version, policy_of
from synth_mlflow.gate.verdicts import checks_by_batch, recomputed_verdict, recorded_verdict, require_open
from synth_mlflow.tracking import names
from synth_mlflow.tracking.write import NewRun, create_run, set_tags, writing

GOOD = Metric("ks_distance", 0.01, limit=0.1, p_value=0.5)
BAD = Metric("ks_distance", 0.90, limit=0.1, p_value=1e-9, column="age")


@pytest.fixture
def project(frozen):
    return frozen.project


@pytest.fixture
def batch(frozen, project, customers):
    made_by = {"generator": "law", "version": "1", "params": {}, "seed": 2, "slice": None, "purpose": "more"}
    with frozen.batch(**made_by) as b:
        b.write(customers(50, seed=2))
    return project.batch(b.batch.batch)


@pytest.fixture
def policy(project):
    """Two checks are enough to see how verdicts are put together."""
    return replace(policy_of(project.problem().statement), required=("fidelity", "utility"))


@pytest.fixture
def judged(project, batch, policy):
    """Writes one check run as `validate` does, with made-up probes."""

    def write(check, *probes, inconclusive="", verdict="pass", policy=policy, digest=batch.digest):
        key = f"{check}-{verdict}-{policy.digest}"
        new = NewRun(check, check, key, {names.TAG_CHECK: check})
        with writing(project.server, create_run(project.server, new, parent=batch.run.run_id)) as draft:
            draft.param(names.P_CHECK, check)
            draft.param(names.P_CHECK_VERSION, check_version(check))
            draft.param(names.P_EVALUATION_DIGEST, batch.run.params[names.P_EVALUATION_DIGEST])
            draft.param(names.P_POLICY, policy.digest)
            draft.param(names.P_BATCH_DIGEST, digest)
            draft.param(names.P_VERDICT, verdict)
            evidence = {"probes": [as_json(probe) for probe in probes], "inconclusive": inconclusive}
            draft.text(names.A_PROBES, canonical_json(evidence))
        return draft.run_id

    return write


@pytest.fixture
def verdict(project, batch, policy):
    def look(policy=policy, how=recomputed_verdict):
        checks = checks_by_batch(project).get(batch.run.run_id, [])
        found = project.batch(batch.id)
        return how(project, found, policy, checks) if how is recomputed_verdict else how(found, policy, checks)

    return look


def test_all_required_checks_open_the_gate(project, batch, policy, judged, verdict):
    judged("fidelity", GOOD)
    assert (verdict().verdict, verdict().gate_open) == ("unvalidated", False)
    judged("utility", GOOD)
    assert (verdict().verdict, verdict().gate_open) == ("pass", True)
    assert verdict(how=recorded_verdict).verdict == "pass"
    require_open(project, [batch], policy)


def test_one_failed_check_shuts_it_with_the_reason(project, batch, policy, judged):
    judged("fidelity", BAD, GOOD, verdict="fail")
    judged("utility", GOOD)
    with pytest.raises(
        GateError, match=r"closed for 1 of 1 batches:\n  - law-.* \(fail\): fidelity: ks_distance of 'age'"
    ):
        require_open(project, [batch], policy)


def test_nothing_checked_is_not_open(project, batch, policy):
    with pytest.raises(GateError, match=r"\(unvalidated\): not checked under the policy in force: fidelity, utility"):
        require_open(project, [batch], policy)


def test_editing_a_tag_opens_nothing(project, batch, policy, judged, verdict):
    failed = judged("fidelity", BAD, verdict="fail")
    judged("utility", GOOD)
    for run_id in (failed, batch.run.run_id):
        set_tags(project.server, run_id, {names.TAG_VERDICT: "pass", names.TAG_REASON: "fine"})
    assert (verdict().verdict, verdict(how=recorded_verdict).verdict) == ("fail", "fail")


@pytest.mark.slow
def test_hiding_a_failed_check_leaves_the_gate_shut(project, judged, verdict):
    failed = judged("fidelity", BAD, verdict="fail")
    judged("utility", GOOD)
    project.server.client.delete_tag(failed, names.TAG_CHECK)
    assert verdict().verdict == "unvalidated"


@pytest.mark.slow
def test_checks_of_other_rows_or_another_policy_do_not_count(policy, judged, verdict):
    judged("fidelity", GOOD, digest="ab" * 32)
    judged("utility", GOOD, policy=replace(policy, accepted={"utility": "few rows"}))
    assert verdict().reasons == ("not checked under the policy in force: fidelity, utility",)


def test_a_changed_policy_shuts_the_gate_until_it_is_validated_anew(policy, judged, verdict):
    for check in policy.required:
        judged(check, GOOD)
    stricter = replace(policy, accepted={"utility": "few rows"})
    assert (verdict().gate_open, verdict(stricter).verdict) == (True, "unvalidated")


def test_the_newest_check_counts(judged, verdict):
    judged("utility", GOOD)
    judged("fidelity", GOOD)
    judged("fidelity", BAD, verdict="fail")
    assert verdict().verdict == "fail"


def test_probes_that_give_another_verdict_are_broken_evidence(project, batch, policy, judged):
    judged("fidelity", BAD, verdict="pass")
    judged("utility", GOOD)
    with pytest.raises(EvidenceError, match="recorded the verdict 'pass', its statistics give 'fail'"):
        require_open(project, [batch], policy)


def test_a_changed_probes_file_is_detected(project, batch, policy, judged):
    run_id = judged("fidelity", BAD, verdict="fail")
    stored = Path(project.server.client.get_run(run_id).info.artifact_uri.removeprefix("file://")) / names.A_PROBES
    stored.write_text(json.dumps({"probes": [as_json(GOOD)], "inconclusive": ""}))
    with pytest.raises(EvidenceError, match=r"evidence.json of run .* has sha256 .*someone changed it"):
        require_open(project, [batch], policy)


@pytest.mark.parametrize("tag", ["true", "false"])
def test_a_retracted_batch_never_passes(project, batch, policy, judged, verdict, tag):
    for check in policy.required:
        judged(check, GOOD)
    set_tags(project.server, batch.run.run_id, {names.TAG_RETRACTED: tag})
    if tag == "false":  # somebody edits the tag back; the retraction itself is a parameter
        project.server.client.log_param(batch.run.run_id, names.P_RETRACTION, "wrong seed, Ann")
    assert (verdict().verdict, verdict().retracted, verdict().gate_open) == ("pass", True, False)
    with pytest.raises(GateError, match="it was retracted") as told:
        require_open(project, [project.batch(batch.id)], policy)
    assert f"`synth-mlflow trace {batch.id}`" in told.value.fix and "validate" not in told.value.fix


def test_inconclusive_opens_only_where_people_accepted_it_beforehand(policy, judged, verdict):
    accepting = replace(policy, accepted={"utility": "too few rows to tell, Ann agreed"})
    for some in (policy, accepting):
        judged("fidelity", GOOD, policy=some)
        judged("utility", inconclusive="only 4 rows", verdict="inconclusive", policy=some)
    assert (verdict().verdict, verdict().reasons) == ("inconclusive", ("utility: only 4 rows",))
    assert (verdict(accepting).verdict, verdict(accepting).gate_open) == ("pass", True)
    assert (
        "utility is inconclusive, accepted beforehand: too few rows to tell, Ann agreed" in verdict(accepting).reasons
    )
    assert verdict(accepting, recorded_verdict).gate_open


def test_accepting_doubt_does_not_accept_failure(policy, judged, verdict):
    accepting = replace(policy, accepted={"fidelity": "we do not mind"})
    judged("fidelity", BAD, verdict="fail", policy=accepting)
    judged("utility", GOOD, policy=accepting)
    assert verdict(accepting).verdict == "fail"
