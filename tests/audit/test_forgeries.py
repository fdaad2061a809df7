"""What somebody with MLflow's EDIT rights can write with the client alone, and which verb says so; see SECURITY.md."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synth_mlflow import Workflow
from synth_mlflow.data.digests import canonical_json, file_digest
from synth_mlflow.data.statement import parse_statement
from synth_mlflow.errors import EvidenceError, GateError, UsageError
from synth_mlflow.handoff.document import twin_digest
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import seal_of
from synth_mlflow.tracking.read import PARENT, StoredRun
from synth_mlflow.tracking.sign_offs import estimate_of, estimate_text


def newest(workflow: Workflow, stage: str) -> StoredRun:
    return workflow.project.reader.finished(stage)[-1]


def forge(
    workflow: Workflow,
    run: StoredRun,
    params: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> str:
    """A copy of a run with other parameters and files, and with digests and a seal that fit them."""
    client = workflow.project.server.client
    made = client.create_run(run.experiment_id, tags=dict(run.tags)).info
    there, here = (Path(uri.removeprefix("file://")) for uri in (run.artifact_uri, made.artifact_uri))
    told = {name: value for name, value in run.params.items() if not names.is_added_later(name)} | dict(params or {})
    for path in run.artifacts:
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).write_bytes((files or {}).get(path) or (there / path).read_bytes())
        told[names.P_ARTIFACT_PREFIX + path] = file_digest(here / path)
    values = workflow.project.reader.metric_values(run)
    for name, step, value in values:
        client.log_metric(made.run_id, name, value, step=max(step, 0))
    for name, value in {**told, names.P_SEAL: seal_of(told, values)}.items():
        client.log_param(made.run_id, name, value)
    client.set_terminated(made.run_id)
    return made.run_id


def again(workflow: Workflow) -> Workflow:
    """As another process sees it."""
    return Workflow("shop", workflow.project.server.tracking_uri)


def found(workflow: Workflow) -> str:
    return "\n".join(finding.what for finding in again(workflow).verify().findings)


@pytest.mark.slow
def test_another_version_as_champion(done: Workflow) -> None:
    client, ours = done.project.server.client, done.project.server.client.get_model_version("shop", "1")
    for maker in (None, ours.run_id):
        other = client.create_model_version("shop", ours.source, maker, tags=dict(ours.tags))
        client.set_registered_model_alias("shop", names.CHAMPION, other.version)
        assert f"models:/shop/{other.version} has the alias champion, and no sweep of this project made it" in found(
            done
        )
        with pytest.raises(UsageError, match="somebody else registered it" if maker else "without the run"):
            done.trace(f"models:/shop/{other.version}")


@pytest.mark.slow
def test_a_handoff_that_estimates_more_is_not_signed(done: Workflow) -> None:
    run = newest(done, "handoff")
    twin = json.loads(done.project.reader.file(run, names.A_HANDOFF_JSON).read_text())
    twin["sweep"]["estimate"]["score"]["value"] = 0.99
    twin["sha256"] = twin_digest(twin)
    score = [twin["sweep"]["estimate"]["score"][end] for end in ("value", "low", "high")]
    stated = {names.P_DOCUMENT: twin["sha256"], names.P_HOLDOUT_SCORE: canonical_json(score)}
    forge(done, run, stated, {names.A_HANDOFF_JSON: json.dumps(twin).encode()})
    with pytest.raises(EvidenceError, match=r"gives the expected score \(0.99, .*somebody changed it"):
        again(done).sign("Ann", role="owner")
    assert "states [0.99," in found(done)


def test_no_changed_model_becomes_champion(done: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth_mlflow.handoff.integrity.model_digest", lambda *_: "0" * 64)
    with pytest.raises(EvidenceError, match="someone changed the model"):
        done.sign("Ann", role="owner", champion=True)
    assert names.CHAMPION not in done.project.server.client.get_registered_model("shop").aliases


def test_a_sweep_without_its_model(done: Workflow) -> None:
    done.project.server.client.delete_run(newest(done, "final").run_id)
    assert "final model of sweep" in " ".join(again(done).status().broken)
    with pytest.raises(EvidenceError, match=r"final model of sweep .* is gone"):
        again(done).check()
    with pytest.raises(EvidenceError, match="is gone"):
        again(done).sign("Ann", role="owner")


@pytest.mark.parametrize(
    "content", [b"junk", *(pytest.param(c, marks=pytest.mark.slow) for c in (b"{}", b"[1]", b"\xff\xfe"))]
)
def test_a_curve_that_is_none(done: Workflow, content: bytes) -> None:
    run_id = forge(done, newest(done, "sweep"), files={names.A_CURVE: content})
    assert f"curve.json of run {run_id}" in " ".join(again(done).status().broken)
    with pytest.raises(EvidenceError, match=r"curve.json of run .* cannot be read, though it has the recorded sha256"):
        again(done).check()
    assert "cannot be read" in found(done)


@pytest.mark.slow
@pytest.mark.parametrize("path", [names.A_BATCH, names.A_RECORD, names.A_ROW_DIGESTS])
def test_a_batch_that_is_none(done: Workflow, path: str) -> None:
    run = newest(done, "batch")
    forge(done, run, files={path: b"junk"})
    done.project.server.client.delete_run(run.run_id)
    assert "cannot be read" in found(done) or "is no provenance record" in found(done)
    with pytest.raises((EvidenceError, GateError), match=r"cannot be read|the gate is closed"):
        again(done).sweep((0.0, 0.5), repeats=3, seed=9)


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        *(
            pytest.param(c, marks=pytest.mark.slow, id=i)
            for i, c in (("deep", b"[" * 100_000), ("odd", b'{"probes": [1]}'))
        ),
    ],
)
def test_a_check_without_statistics(done: Workflow, content: bytes) -> None:
    """Whoever may write runs can vouch for anything: each verb says whose file it is, and `verify` names it."""
    check = next(run for run in done.project.reader.runs() if run.stage == "fidelity")
    forge(done, check, files={names.A_PROBES: content})
    with pytest.raises(EvidenceError, match="cannot be read"):
        again(done).sweep((0.0, 0.5), repeats=3, seed=9)
    assert "cannot be read" in found(done)


@pytest.mark.parametrize(
    "told",
    [
        "gone",
        *(
            pytest.param(text, marks=pytest.mark.slow, id=name)
            for name, text in {
                "list": "[]",
                "null": "null",
                "other": '{"a": 1}',
                "numbers": '{"at": 1, "by": 2, "reason": 3}',
                "deep": "[" * 3000,
            }.items()
        ),
    ],
)
def test_a_retraction_that_nobody_wrote(done: Workflow, told: str) -> None:
    """A parameter is write-once: the gate stays shut, every verb goes on, and `verify` names it."""
    batch = done.project.batches()[0]
    done.project.server.client.log_param(batch.run.run_id, names.P_RETRACTION, told)
    assert f"{batch.id} by unknown on an unknown day: no reason can be read" in " ".join(again(done).status().retracted)
    assert again(done).batches()["retracted"].tolist() == [True] and again(done).trace(batch.id)
    with pytest.raises(GateError, match="retracted"):
        again(done).sweep((0.0, 0.5), repeats=3, seed=9)
    with pytest.raises(GateError, match="was retracted already: by unknown"):
        again(done).retract(batch.id, reason="wrong", by="Ada")
    assert f"its parameter {names.P_RETRACTION} is none that `retract` has written" in found(done)


@pytest.mark.slow
def test_a_set_with_digests_of_other_rows(done: Workflow) -> None:
    """What keeps evaluation rows out of training would find none of them."""
    client, run = done.project.server.client, newest(done, "evaluation_set")
    content = io.BytesIO()
    np.savez_compressed(content, **{side: kept[:1] for side, kept in done.project.row_digests(run).items()})
    statement, baseline = newest(done, "problem"), newest(done, "baseline")
    another = forge(done, run, files={names.A_ROW_DIGESTS: content.getvalue()})
    client.log_param(forge(done, statement), names.P_EVALUATION_RUN, another)
    client.set_tag(forge(done, baseline), PARENT, another)
    for each in (statement, run):
        client.delete_run(each.run_id)
    assert f"{names.A_ROW_DIGESTS} does not hold the digests of its evaluation rows" in found(done)


@pytest.mark.slow
def test_a_verdict_noted_by_hand_opens_nothing(done: Workflow) -> None:
    note = next(
        value for name, value in newest(done, "batch").params.items() if name.startswith(names.P_SUMMARY_PREFIX)
    )
    batch = done.generate("bootstrap_noise", rows=20, purpose="more")
    done.project.server.client.log_param(batch.run_id, f"{names.P_SUMMARY_PREFIX}1", note)
    with pytest.raises(GateError, match="the gate is closed for 1 of 1"):
        again(done).sweep((0.0, 0.5), repeats=3, batches=[batch])
    assert "a verdict noted on it names the check run" in found(done)


@pytest.mark.slow
def test_an_expected_score_that_was_stated_before_the_report(done: Workflow) -> None:
    stated = estimate_of(newest(done, "final"))
    assert stated is not None
    done.sweep((0.0, 0.5), repeats=3, n_jobs=1, seed=5)
    final = newest(done, "final")
    text = estimate_text(final, replace(stated, estimate=replace(stated.estimate, score=0.99)))
    done.project.server.client.log_param(final.run_id, names.P_HOLDOUT_ESTIMATE, text)
    assert "it states" in found(done)


@pytest.mark.slow
def test_a_looser_statement_is_named(done: Workflow, tmp_path: Path) -> None:
    run = newest(done, "problem")
    text = done.project.reader.file(run, names.A_STATEMENT).read_text()
    looser = text.replace("gap: cold start", "gap: cold start\nvalidation: {fidelity: {classifier_auc: 0.99}}")
    digest = parse_statement(looser, "problem.md").digest
    stated = {names.P_STATEMENT: digest, names.P_SUPERSEDES: run.run_id}
    forge(done, run, stated, {names.A_STATEMENT: looser.encode()})
    with pytest.raises(GateError, match="not checked under the policy in force"):
        again(done).sweep((0.0, 0.5), repeats=3, seed=9)
    again(done).validate()
    page = json.dumps(again(done).report().document.to_json())
    assert "classifier_auc" in page and "0.99" in page
