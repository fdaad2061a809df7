"""Checks are run again from rows and seed, which finds what somebody made of their runs with MLflow's client."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synth_mlflow import Workflow
from synth_mlflow.audit.recheck import compared
from synth_mlflow.checks import CheckResult, Metric
from synth_mlflow.errors import EvidenceError, GateError
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import seal_of


def forged(client, run, better):
    """A copy of a check's run whose tests all pass, sealed as if this product had written it."""
    params, metrics = dict(run.params), [(name, 0, value) for name, value in run.metrics.items()]
    new = client.create_run(run.experiment_id, tags=dict(run.tags)).info
    text = json.dumps(better, sort_keys=True, separators=(",", ":"))
    for path in run.artifacts:
        source = Path(run.artifact_uri.removeprefix("file://")) / path
        target = Path(new.artifact_uri.removeprefix("file://")) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode() if path == names.A_PROBES else source.read_bytes())
    params[names.P_ARTIFACT_PREFIX + names.A_PROBES] = hashlib.sha256(text.encode()).hexdigest()
    params |= {names.P_VERDICT: "pass", names.P_DECIDING: "[]"}
    params[names.P_SEAL] = seal_of(params, metrics)
    for name, value in params.items():
        client.log_param(new.run_id, name, value)
    for name, _, value in metrics:
        client.log_metric(new.run_id, name, value)
    client.set_terminated(new.run_id)
    return new.run_id


@pytest.fixture
def attacked(done, customers):
    """A project in which a batch that failed was made to pass with MLflow's client, and was swept."""
    bad = customers(1000, 7)
    bad["bought"] = np.random.default_rng(0).permutation(bad["bought"])
    law = {"generator": "law", "version": "1", "params": {}, "seed": 7, "slice": None}
    with done.batch(**law, purpose="more", source="none") as b:
        b.write(bad)
    assert done.validate(b.batch).verdict == "fail"
    reader, client = done.project.reader, done.project.server.client
    for run in reader.children(b.batch.run_id):
        if run.params[names.P_VERDICT] != "pass":
            kept = json.loads(reader.file(run, names.A_PROBES).read_text())
            for probe in kept["probes"]:
                probe["value"] = probe["limit"]
            forged(client, run, {**kept, "inconclusive": ""})
    again = Workflow("shop", done.project.server.tracking_uri)
    assert again.project.batches()[-1].id == b.batch.batch
    return again, b.batch.batch


@pytest.fixture
def inside(monkeypatch):
    """Makes a handoff say that a batch is inside its model, whatever ratio these few rows have chosen."""

    def inside(batch):
        monkeypatch.setattr("synth_mlflow.audit.sign._inside", lambda document: [batch.run.run_id])

    return inside


@pytest.mark.slow
def test_forged_checks_are_found_before_their_model_becomes_champion(attacked, inside):
    workflow, batch = attacked
    inside(workflow.project.batch(batch))
    with pytest.raises(EvidenceError, match=r"do not follow from their rows: somebody changed them.*\n  - "):
        workflow.sign("Ada", role="owner", champion=True)
    assert workflow.sign("Ada", role="owner").champion is None  # a signature alone says what was read
    found = workflow.verify(deep=True)
    wrong = [finding for finding in found.findings if "the rows give" in finding.what]
    assert wrong and {workflow.project.reader.run(each.run_id).tags[names.TAG_BATCH] for each in wrong} == {batch}
    assert len(found.rechecked) > 3 and not found.not_rechecked


@pytest.mark.slow
def test_a_champion_says_which_checks_were_run_again_and_one_by_chance_is_verified(done, inside):
    batch = done.project.batches()[0]
    inside(batch)
    signed = done.sign("Ada", role="owner", champion=True)
    run = done.project.reader.run(signed.run_id)
    checks = {check.run_id for check in done.project.reader.children(batch.run.run_id)}
    assert set(run.params[names.P_RECHECKED].split()) == checks
    found = done.verify()
    assert found.holds and len(found.rechecked) == 1 and not found.not_rechecked


def test_a_check_that_cannot_be_run_again_is_named(done, inside, monkeypatch):
    monkeypatch.setattr("synth_mlflow.audit.recheck.check_version", lambda name: "99")
    found = done.verify(deep=True)
    assert found.holds and not found.rechecked
    assert all("99 is installed" in why for why in found.not_rechecked.values()) and len(found.not_rechecked) == 3
    inside(done.project.batches()[0])
    with pytest.raises(GateError, match="no model becomes champion before its checks were run again"):
        done.sign("Ada", role="owner", champion=True)


PROBE = Metric("ks", 0.2, 0.1, column="age", floor=0.05, p_value=0.01)


@pytest.mark.parametrize(
    ("recorded", "said"),
    [
        (PROBE, []),
        (replace(PROBE, value=0.2 + 1e-9), []),
        (replace(PROBE, value=0.1), ["its test ks of 'age' says value 0.1, the rows give 0.2"]),
        (replace(PROBE, floor=None), ["its test ks of 'age' says floor None, the rows give 0.05"]),
        (replace(PROBE, limit=0.3), ["its test ks of 'age' says limit 0.3, the rows give 0.1"]),
    ],
)
def test_tests_are_compared_one_by_one(recorded, said):
    assert list(compared((recorded,), "", CheckResult((PROBE,)))) == said


def test_tests_that_are_missing_or_made_up_are_named():
    extra = replace(PROBE, column="income")
    assert [text.split(":")[0] for text in compared((extra,), "few rows", CheckResult((PROBE,)))] == [
        "its test ks of 'age' is missing",
        "its test ks of 'income' is none that the rows give",
        "it says 'few rows', the rows give 'no doubt'",
    ]
