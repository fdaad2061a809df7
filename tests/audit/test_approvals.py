"""What somebody with EDIT rights, or with the files, can do to approved data, and what loads and `verify` say of it."""

from __future__ import annotations

import io
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import shop
from copied_project import with_paths
from test_forgeries import forge

from synth_mlflow import EvidenceError, GateError, Workflow, load_batch
from synth_mlflow.data.digests import file_digest
from synth_mlflow.tracking import names
from synth_mlflow.tracking.known_runs import bundle_parts, write_bundle
from synth_mlflow.tracking.read import PARENT, StoredRun
from synth_mlflow.tracking.stored import StoredBatch

NAME = "shop/young@approved"


@pytest.fixture
def mine(frozen_folder: Path, done_folder: Path, tmp_path: Path) -> Workflow:
    """A project with files of its own, whose batch is approved as `young`."""
    shutil.copytree(frozen_folder, tmp_path / "both")  # the folder in which `done` keeps its artifacts
    shutil.copy(done_folder / "mlflow.db", tmp_path / "both" / "mlflow.db")
    uri = with_paths(tmp_path / "both", frozen_folder)
    mlflow.set_tracking_uri(uri)
    workflow = Workflow("shop", uri)
    workflow.approve(workflow.project.batches()[0].id, name="young", by="Ada Lind")
    return workflow


@pytest.fixture
def batch(mine: Workflow) -> StoredBatch:
    """The batch that is approved."""
    return mine.project.batches()[0]


@pytest.fixture
def approval(mine: Workflow, batch: StoredBatch) -> StoredRun:
    """The run of its approval."""
    return mine.project.reader.finished("approval")[0]


@pytest.fixture
def sql(mine: Workflow) -> Callable[..., None]:
    """Runs one statement on the database behind the server."""

    def sql(statement: str, *values: object) -> None:
        with sqlite3.connect(mine.project.server.tracking_uri.removeprefix("sqlite:///")) as database:
            assert database.execute(statement, values).rowcount > 0

    return sql


def said(workflow: Workflow) -> str:
    found = Workflow("shop", workflow.project.server.tracking_uri).verify().findings
    return "\n".join(finding.what for finding in found)


def file_of(run: StoredRun, path: str) -> Path:
    return Path(run.artifact_uri.removeprefix("file://")) / path


def name_approval(workflow: Workflow, subject: str, approval: str, version: int) -> None:
    """Write what makes an approval count, as anybody with EDIT can."""
    client, seal = workflow.project.server.client, workflow.project.reader.run(approval).params[names.P_SEAL]
    client.log_param(subject, names.P_APPROVAL_PREFIX + approval, seal)
    client.log_param(workflow.project.problems()[0].run_id, f"{names.P_APPROVED_PREFIX}young/{version}", approval)


@pytest.mark.slow
def test_changed_rows(mine: Workflow, batch: StoredBatch, sql: Callable[..., None]) -> None:
    path = file_of(batch.run, names.A_BATCH)
    rows = pd.read_parquet(path)
    rows.assign(age=18).to_parquet(path)
    with pytest.raises(EvidenceError, match=r"batch/data.parquet of run .* someone changed it"):
        load_batch(NAME)
    param = names.P_ARTIFACT_PREFIX + names.A_BATCH
    change = "UPDATE params SET value = ? WHERE run_uuid = ? AND key = ?"
    sql(change, file_digest(path), batch.run.run_id, param)
    with pytest.raises(EvidenceError, match="was changed: its parameters and metrics give the seal"):
        load_batch(NAME)


@pytest.mark.parametrize(
    "param",
    [
        names.P_SIGNED_BY,
        *(pytest.param(p, marks=pytest.mark.slow) for p in (names.P_APPROVED_DIGEST, names.P_APPROVED_VERSION)),
    ],
)
def test_an_edited_approval(mine: Workflow, approval: StoredRun, sql: Callable[..., None], param: str) -> None:
    sql("UPDATE params SET value = '7' WHERE run_uuid = ? AND key = ?", approval.run_id, param)
    with pytest.raises(EvidenceError, match=r"does not count as approved|was changed"):
        load_batch(NAME)
    assert "seal" in said(mine)


@pytest.mark.slow
def test_edited_tags_change_nothing(mine: Workflow, approval: StoredRun, batch: StoredBatch) -> None:
    client = mine.project.server.client
    client.set_tag(approval.run_id, names.TAG_APPROVED, "old/9")
    client.set_tag(batch.run.run_id, names.TAG_APPROVED, "old/9")
    client.set_tag(batch.run.run_id, names.TAG_VERDICT, "fail")
    assert load_batch(NAME).version.address == "shop/young/1"
    client.set_tag(batch.run.run_id, names.TAG_RETRACTED, "true")  # a tag shuts the gate, and opens none
    with pytest.raises(GateError, match="was retracted"):
        load_batch(NAME)


@pytest.mark.slow
def test_a_copied_approval_does_not_count(mine: Workflow, approval: StoredRun) -> None:
    copy = forge(mine, approval, {names.P_APPROVED_VERSION: "2"})
    assert load_batch(NAME).version.address == "shop/young/1"
    with pytest.raises(EvidenceError, match="does not name it"):
        load_batch("shop/young/2")
    assert "it does not count" in said(mine)
    name_approval(mine, approval.params[names.P_APPROVED_RUN], copy, 2)  # as good as an approval, of rows that passed
    assert load_batch(NAME).version.address == "shop/young/2"


@pytest.mark.slow
def test_an_approval_of_a_batch_that_did_not_pass(mine: Workflow, approval: StoredRun) -> None:
    made = mine.generate("bootstrap_noise", rows=50, purpose="junk")
    stated = {
        names.P_APPROVED_RUN: made.run_id,
        names.P_APPROVED_DIGEST: made.digest,
        names.P_BATCHES: made.batch,
        names.P_BATCH_DIGESTS: made.digest[:16],
        names.P_APPROVED_VERSION: "2",
    }
    name_approval(mine, made.run_id, forge(mine, approval, stated), 2)
    with pytest.raises(GateError, match=r"the gate of batch .* is closed \(unvalidated\)"):
        load_batch(NAME)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names_file", "refusal"),
    [
        ("the first", r"gate of batch .* is closed .*not checked"),
        ("none", r"has content digest .*someone changed it"),
        ("the copy's", r"has content digest .*someone changed it"),
    ],
)
def test_other_rows_under_the_digest_of_the_batch(
    mine: Workflow, approval: StoredRun, batch: StoredBatch, names_file: str, refusal: str
) -> None:
    """The copy of a batch with another file, and under it the checks of the first, moved or forged to name any file."""
    content = io.BytesIO()
    shop.customers(1000, 77).to_parquet(content)
    copy = forge(mine, batch.run, files={names.A_BATCH: content.getvalue()})
    client, file = mine.project.server.client, mine.project.reader.run(copy).artifacts[names.A_BATCH]
    for check in mine.project.reader.checks_of([batch.run.run_id]):
        moved = check.run_id
        if names_file != "the first":
            kept = {name: value for name, value in check.params.items() if name != names.P_BATCH_FILE}
            moved = forge(mine, replace(check, params=kept), {} if names_file == "none" else {names.P_BATCH_FILE: file})
            client.delete_run(check.run_id)
        client.set_tag(moved, PARENT, copy)
    client.delete_run(batch.run.run_id)
    stated = {names.P_APPROVED_RUN: copy, names.P_APPROVED_VERSION: "2"}
    name_approval(mine, copy, forge(mine, approval, stated), 2)
    with pytest.raises((GateError, EvidenceError), match=refusal):
        load_batch(NAME)
    assert "has content digest" in said(mine)


@pytest.mark.slow
def test_rows_of_a_retracted_batch_under_another_name(mine: Workflow, batch: StoredBatch) -> None:
    """Whoever retracts a copy retracts these rows, also where its stage was edited, or its run was deleted."""
    copy = forge(mine, batch.run)
    client = mine.project.server.client
    client.log_param(copy, names.P_RETRACTION, '{"at":"2026-01-01T00:00:00+00:00","by":"Ann","reason":"units"}')
    client.set_tag(copy, names.TAG_STAGE, "ratio")
    with pytest.raises(GateError, match=r"its rows are those of batch .*, which was retracted by Ann"):
        load_batch(NAME)
    client.delete_run(copy)
    with pytest.raises(GateError, match="which was retracted by Ann"):
        load_batch(NAME)


@pytest.mark.slow
def test_a_deleted_approval_brings_no_older_version_back(
    mine: Workflow, approval: StoredRun, batch: StoredBatch
) -> None:
    second = forge(mine, approval, {names.P_APPROVED_VERSION: "2"})
    name_approval(mine, batch.run.run_id, second, 2)
    mine.project.server.client.delete_run(second)
    with pytest.raises(EvidenceError, match=r"shop/young/2 .* does not count as approved: its run was deleted"):
        load_batch(NAME)
    assert load_batch("shop/young/1").version.run_id == approval.run_id
    assert f"its approval run {second} is gone" in said(mine)
    assert mine.approve(batch.id, name="old").version == 1


@pytest.mark.slow
def test_a_number_that_two_statements_give_away(mine: Workflow, approval: StoredRun) -> None:
    statement = mine.project.problems()[0]
    other = forge(mine, statement)
    mine.project.server.client.log_param(other, f"{names.P_APPROVED_PREFIX}young/1", "another")
    with pytest.raises(EvidenceError, match="belongs to another run, or to none"):
        load_batch(NAME)


@pytest.mark.slow
def test_a_deleted_check_or_batch(mine: Workflow, batch: StoredBatch) -> None:
    client, check = mine.project.server.client, mine.project.reader.checks_of([batch.run.run_id])[0]
    client.delete_run(check.run_id)
    with pytest.raises(GateError, match=f"not checked under the policy in force: {check.params[names.P_CHECK]}"):
        load_batch(NAME)
    client.restore_run(check.run_id)
    client.delete_run(batch.run.run_id)
    with pytest.raises(EvidenceError, match="the run of what it approves is gone"):
        load_batch(NAME)


@pytest.mark.slow
def test_evidence_that_is_none(
    mine: Workflow, batch: StoredBatch, approval: StoredRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over HTTP the files come out of one; what is in it is compared with the runs that they are from."""
    monkeypatch.setattr("synth_mlflow.tracking.known_runs.local_path", lambda uri: None)
    assert len(load_batch(NAME)) == 1000
    file_of(approval, names.A_APPROVED).write_bytes(b"junk")
    with pytest.raises(EvidenceError, match=r"approved/evidence.zip of run .* someone changed it"):
        load_batch(NAME)
    other = forge(mine, approval, {names.P_APPROVED_VERSION: "2"}, {names.A_APPROVED: b"junk"})
    name_approval(mine, approval.params[names.P_APPROVED_RUN], other, 2)
    with pytest.raises(EvidenceError, match="cannot be read, though it has the recorded sha256"):
        load_batch(NAME)
    locked = file_of(approval, names.A_APPROVED)
    write_bundle(mine.project.reader, bundle_parts([batch.run], [names.A_BATCH]), locked)
    content = bytearray(locked.read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.find(header) + flags] |= 1  # which says that it is encrypted
    third = forge(mine, approval, {names.P_APPROVED_VERSION: "3"}, {names.A_APPROVED: bytes(content)})
    name_approval(mine, approval.params[names.P_APPROVED_RUN], third, 3)
    with pytest.raises(EvidenceError, match="cannot be read, though it has the recorded sha256: RuntimeError"):
        load_batch(NAME)


@pytest.mark.slow
def test_rows_in_a_form_of_their_own(uri: str, tmp_path: Path) -> None:
    """Dates as texts: they come back as texts, and `verify` reads the batch by the schema of the project."""
    texts = [
        rows.assign(since=rows["since"].dt.strftime("%d.%m.%Y")) for rows in map(shop.customers, (600, 400), (1, 2))
    ]
    mlflow.set_tracking_uri(uri)
    workflow = Workflow("shop", uri)
    workflow.define(shop.write_shop(tmp_path, texts[0]))
    workflow.freeze()
    law = {"generator": "law", "version": "1", "params": {}, "seed": 2, "slice": None}
    with workflow.batch(**law, purpose="more rows", source="none") as b:
        b.write(texts[1])
    workflow.validate()
    assert b.batch is not None
    workflow.approve(b.batch, name="young")
    for deep in (False, True):
        rows = load_batch(NAME, deep=deep).to_pandas()
        pd.testing.assert_frame_equal(rows, texts[1].astype({"region": "str"}), check_dtype=False)
    assert workflow.verify().findings == ()
    assert workflow.trace(workflow.project.reader.finished("approval")[0].run_id).root.run_id == b.batch.run_id
