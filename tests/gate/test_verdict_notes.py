"""A verdict noted on its batch says what the check runs say, saves reading them, and opens no gate."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from synth_mlflow import Workflow
from synth_mlflow.errors import EvidenceError
from synth_mlflow.gate.policy import Policy, policy_of
from synth_mlflow.gate.verdicts import (
    CheckVerdict,
    Verdict,
    check_runs,
    contradicted_notes,
    newest_notes,
    note_verdict,
    noted_verdict,
    recorded_verdicts,
    verdicts_under,
)
from synth_mlflow.tracking import names
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import StoredBatch
from synth_mlflow.tracking.write import add_params


@pytest.fixture
def project(demo_workflow: Workflow) -> Project:
    return demo_workflow.project


@pytest.fixture
def batch(project: Project) -> StoredBatch:
    return project.batches()[0]


def policy_in(project: Project) -> Policy:
    return policy_of(project.problem().statement)


def verdict_of(batch: StoredBatch, *reasons: str, word: str = "fail") -> Verdict:
    checks = tuple(
        CheckVerdict(name, word, reasons, f"run of {name}")  # type: ignore[arg-type]
        for name in ("contamination", "fidelity", "utility", "privacy")
    )
    return Verdict(batch.id, word, reasons, checks)  # type: ignore[arg-type]


def test_validate_notes_what_the_check_runs_say(project: Project, batch: StoredBatch) -> None:
    policy = policy_in(project)
    noted = noted_verdict(batch, policy)
    assert noted is not None and noted.verdict == "pass"
    runs = check_runs(project, policy_in(project), [batch])[batch.run.run_id]
    assert {check.run_id for check in noted.checks} == {run.run_id for run in runs}
    assert not list(contradicted_notes(batch.run, runs))


def test_a_batch_without_a_note_is_read_from_its_checks(project: Project, batch: StoredBatch) -> None:
    bare = {name: value for name, value in batch.run.params.items() if not name.startswith(names.P_SUMMARY_PREFIX)}
    old = StoredBatch(replace(batch.run, params=bare))
    policy = policy_in(project)
    assert noted_verdict(old, policy) is None
    assert verdicts_under(project, policy, [old])[0].checks
    assert len(check_runs(project, policy_in(project), [old])[batch.run.run_id]) == 4


def test_a_note_under_another_policy_hides_no_check_run(project: Project, batch: StoredBatch) -> None:
    other = replace(policy_in(project), accepted={"utility": "a statement that people have changed since"})
    first = f"{names.P_SUMMARY_PREFIX}1"
    noted = json.loads(batch.run.params[first])
    told = json.dumps({"policy": other.digest, "checks": noted["checks"][:1]})
    old = StoredBatch(replace(batch.run, params={**batch.run.params, first: told}))
    assert len(check_runs(project, other, [old])[batch.run.run_id]) == 1
    assert len(check_runs(project, policy_in(project), [old])[batch.run.run_id]) == 4


def test_it_is_noted_once_and_anew_when_it_changes(project: Project, batch: StoredBatch) -> None:
    policy = policy_in(project)
    for reasons in (["a"], ["a"], ["b"]):
        note_verdict(project, project.batch(batch.id), policy, verdict_of(batch, *reasons))
    found = project.batch(batch.id)
    assert [name for name in found.run.params if name.startswith(names.P_SUMMARY_PREFIX)] == [
        f"{names.P_SUMMARY_PREFIX}{number}" for number in (1, 2, 3)
    ]
    noted = noted_verdict(found, policy)
    assert noted is not None and noted.checks[0].reasons == ("b",)


def test_two_who_note_at_once_lose_nothing(project: Project, batch: StoredBatch) -> None:
    policy = policy_in(project)
    note_verdict(project, batch, policy, verdict_of(batch, "mine"))
    note_verdict(project, batch, policy, verdict_of(batch, "theirs"))  # who has not seen the other's
    noted = noted_verdict(project.batch(batch.id), policy)
    assert noted is not None and noted.checks[0].reasons == ("theirs",)


def test_long_reasons_are_cut_until_they_fit(project: Project, batch: StoredBatch) -> None:
    policy = policy_in(project)
    note_verdict(project, batch, policy, verdict_of(batch, *(f"{at} {'x' * 5_000}" for at in range(30))))
    noted = noted_verdict(project.batch(batch.id), policy)
    assert noted is not None and noted.verdict == "fail"
    assert noted.checks[0].reasons[-1] == "and 27 more, in the check's run"


def test_nothing_is_noted_while_a_check_is_missing(project: Project, batch: StoredBatch) -> None:
    policy = policy_in(project)
    whole = verdict_of(batch, "new")
    note_verdict(project, batch, policy, replace(whole, checks=whole.checks[:2]))
    assert project.batch(batch.id).run.params == batch.run.params


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "[]", "{", '{"policy": "p"}', '{"policy": "p", "checks": [{"check": 1}]}'])
def test_what_is_no_note_is_passed_over_and_found(project: Project, batch: StoredBatch, text: str) -> None:
    add_params(project.server, batch.run.run_id, {f"{names.P_SUMMARY_PREFIX}2": text})
    found = project.batch(batch.id)
    assert len(newest_notes(found.run)) == 1
    assert recorded_verdicts(project, [found])[0].verdict == "pass"
    runs = check_runs(project, policy_in(project), [found])[batch.run.run_id]
    assert list(contradicted_notes(found.run, runs)) == ["a verdict noted on it cannot be read"]


@pytest.fixture
def forged(project: Project, batch: StoredBatch) -> Iterator[Callable[[str, str], list[str]]]:
    def forge(old: str, new: str) -> list[str]:
        text = batch.run.params[f"{names.P_SUMMARY_PREFIX}1"]
        assert old in text
        add_params(project.server, batch.run.run_id, {f"{names.P_SUMMARY_PREFIX}2": text.replace(old, new)})
        runs = check_runs(project, policy_in(project), [batch])[batch.run.run_id]
        return list(contradicted_notes(project.batch(batch.id).run, runs))

    yield forge


def test_a_forged_note_is_found(forged: Callable[[str, str], list[str]]) -> None:
    found = forged('"verdict":"pass"', '"verdict":"fail"')
    assert len(found) == 4 and "the noted verdict 'fail' of contamination is not what run" in found[0]


def test_a_note_of_a_check_that_is_gone_is_found(forged: Callable[[str, str], list[str]], batch: StoredBatch) -> None:
    first = json.loads(batch.run.params[f"{names.P_SUMMARY_PREFIX}1"])["checks"][0]["run_id"]
    assert forged(first, "0" * 32) == [f"a verdict noted on it names the check run {'0' * 32}, which is gone"]


@pytest.mark.slow
def test_a_note_says_nothing_once_a_check_is_deleted(demo_workflow: Workflow, batch: StoredBatch) -> None:
    project = demo_workflow.project
    check = check_runs(project, policy_in(project), [batch])[batch.run.run_id][0]
    project.server.client.delete_run(check.run_id)
    assert demo_workflow.status().verdicts[0].verdict == "unvalidated"
    with pytest.raises(EvidenceError, match=f"names the check run {check.run_id}, which is gone"):
        demo_workflow.report()
    assert any("which is gone" in finding.what for finding in demo_workflow.verify().findings)
