"""Approved data by name: versions, who may load them, and what a load leaves on the run that reads."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
import shop

from synth_mlflow import EvidenceError, GateError, UsageError, Workflow, load_batch, load_mix
from synth_mlflow.data.digests import row_hashes, table_digest
from synth_mlflow.data.tables import restore
from synth_mlflow.stages import approve as approve_stage
from synth_mlflow.stages.approved_data import load_approved
from synth_mlflow.stages.approved_rows import ORIGIN
from synth_mlflow.stages.chosen_mix import final_of
from synth_mlflow.tracking import names
from synth_mlflow.tracking.approvals import counted_approvals
from synth_mlflow.tracking.batch_dataset import from_synthetic_batch
from synth_mlflow.tracking.project import Project
from synth_mlflow.tracking.stored import StoredBatch

DEMO = "demo-breast-cancer"


@pytest.fixture
def batch(done: Workflow) -> StoredBatch:
    """The batch that passed; MLflow's own tracking URI is that of its project."""
    mlflow.set_tracking_uri(done.project.server.tracking_uri)
    return done.project.batches()[0]


@pytest.mark.slow
def test_the_rows_are_exact_and_the_run_says_what_it_read(done: Workflow, batch: StoredBatch) -> None:
    approved = done.approve(batch.id, name="young", by="Ada Lind", role="data owner")
    assert (approved.address, approved.version, approved.digest) == ("shop/young/1", 1, batch.digest)
    mlflow.set_experiment("theirs")
    with mlflow.start_run() as run:
        found = load_batch("shop/young@approved")
    rows = found.to_pandas()
    assert table_digest(restore(rows, found.schema), found.schema) == batch.digest
    pd.testing.assert_frame_equal(rows, pd.read_parquet(found.path))
    assert (len(found), found.n_left_out, found.version.by) == (1000, 0, "Ada Lind")
    assert found.version.logged_on == run.info.run_id and found.record.batch == batch.id
    (given,) = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("shop/young/1", batch.digest[:32])
    assert pl.from_pandas(rows).shape == found.to_polars().shape and len(next(found.batches(10))["age"]) == 10
    assert "Ada Lind (data owner)" in found._repr_html_()
    assert load_batch("shop/young/1", deep=True).version.logged_on is None
    assert "**APPROVED** as shop/young/1" in done.project.reader.run(batch.run.run_id).tags[names.TAG_NOTE]
    assert not done.verify().findings


@pytest.mark.slow
def test_the_same_rows_are_approved_once(done: Workflow, batch: StoredBatch) -> None:
    first = done.approve(batch.run.run_id[:10], name="young")
    assert done.approve(batch.id, name="young", by="Ben") == first
    assert done.approve(batch.id, name="other").version == 1
    assert len(done.project.reader.finished("approval")) == 2


@pytest.mark.slow
def test_versions(done: Workflow, batch: StoredBatch) -> None:
    """A second batch of the same name is version 2; each version stays what it was."""
    law = {"generator": "law", "version": "1", "params": {"rate": 3}, "seed": 5, "slice": None}
    with done.batch(**law, purpose="more rows", source="none") as b:
        b.write(shop.customers(1000, 5))
    assert b.batch is not None
    with pytest.raises(GateError, match=r"the gate is closed for 1 of 1 batches:\n.*unvalidated"):
        done.approve(b.batch, name="young")
    done.approve(batch.id, name="young")
    done.validate(b.batch)
    assert done.approve(b.batch, name="young").version == 2
    assert load_batch("shop/young@approved").record.batch == b.batch.batch
    assert load_batch("shop/young/1").record.batch == batch.id
    done.retract(b.batch, reason="wrong units", by="Ann")
    with pytest.raises(GateError, match=r"shop/young/2 is not handed out.*retracted by Ann.*wrong units"):
        load_batch("shop/young@approved")  # and not version 1, which nobody has asked for
    assert load_batch("shop/young/1").record.batch == batch.id
    assert done.approve(batch.id, name="young").version == 3
    assert load_batch("shop/young@approved").version.address == "shop/young/3"


@pytest.mark.slow
def test_a_killed_approval_is_completed(done: Workflow, batch: StoredBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*args: object) -> None:
        raise KeyboardInterrupt

    for step in ("write_bundle", "add_params"):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(approve_stage, step, killed)
            done.approve(batch.id, name="young")
        with pytest.raises(GateError, match=r"nothing was approved as 'young'|does not count"):
            load_batch("shop/young@approved")
    assert done.approve(batch.id, name="young").version in (1, 2)
    assert len(done.project.reader.finished("approval")) == 1 and not done.verify().findings


def test_a_version_number_that_somebody_else_took_in_the_same_moment(
    done: Workflow, batch: StoredBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, asked = done.project.problems()[0].run_id, []
    plain = approve_stage.claimed_versions

    def late(runs: object, name: str) -> list[tuple[int, str]]:
        asked.append(name)
        found = plain(runs, name)  # type: ignore[arg-type]
        if len(asked) == 1:
            done.project.server.client.log_param(root, f"{names.P_APPROVED_PREFIX}young/1", "another")
        return found

    monkeypatch.setattr(approve_stage, "claimed_versions", late)
    assert done.approve(batch.id, name="young").version == 2
    assert load_batch("shop/young@approved").version.address == "shop/young/2"


@pytest.mark.slow
def test_two_approve_at_once(done: Workflow, batch: StoredBatch) -> None:
    uri, found = done.project.server.tracking_uri, []

    def one() -> None:
        found.append(Workflow("shop", uri).approve(batch.id, name="young"))

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = counted_approvals(done.project.reader.runs("problem", "batch", "sweep", "approval"))
    assert len(found) == 3 and len({each.version for each in counted}) == len(counted) >= 1
    assert load_batch("shop/young@approved").version.address == f"shop/young/{counted[-1].version}"


@pytest.mark.slow
def test_a_stricter_statement_closes_the_gate(done: Workflow, batch: StoredBatch, tmp_path: Path) -> None:
    done.approve(batch.id, name="young")
    text = (tmp_path / "problem.md").read_text()
    stricter = "validation: {fidelity: {classifier_auc: 0.51}}\n"
    (tmp_path / "problem.md").write_text(text.replace("gap: cold start\n", f"gap: cold start\n{stricter}"))
    done.define("problem.md")
    with pytest.raises(GateError, match=r"the gate of batch .* is closed .*not checked under the policy in force"):
        load_batch("shop/young@approved")


def test_a_newer_check_closes_no_gate(done: Workflow, batch: StoredBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    done.approve(batch.id, name="young")
    monkeypatch.setattr("synth_mlflow.gate.policy.check_version", lambda name: "99")
    assert len(load_batch("shop/young@approved")) == 1000
    with pytest.raises(GateError, match="not checked under the policy in force"):
        done.approve(batch.id, name="other")


def test_rows_that_equal_an_evaluation_row_are_left_out(
    done: Workflow, batch: StoredBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StoredBatch, "holds_no_evaluation_row", False)
    equal = lambda project, rows, frozen: rows["age"].to_numpy() == rows["age"].iloc[0]  # noqa: E731
    monkeypatch.setattr(Project, "equal_evaluation_rows", equal)
    done.approve(batch.id, name="young")
    found = load_batch("shop/young@approved")
    assert found.n_left_out > 0 and len(found) == len(found.to_pandas()) == found.to_arrow().num_rows
    assert found.to_pandas()["age"].ne(pd.read_parquet(found.path)["age"].iloc[0]).all()
    written = from_synthetic_batch(found.write("young.parquet"))  # its record is of what is in it
    assert written.profile["num_rows"] == len(found)
    assert pq.read_schema("young.parquet").metadata[b"synth_mlflow.record"].count(b"left_out") == 1


@pytest.mark.slow
def test_the_mix_of_a_sweep(demo_workflow: Workflow, tmp_path: Path) -> None:
    uri = demo_workflow.project.server.tracking_uri
    approved = demo_workflow.approve(mix=True, name="mix")
    assert demo_workflow.approve(approved.approves, name="mix") == approved
    mlflow.set_tracking_uri(uri)
    with mlflow.start_run() as run:
        found = load_mix(f"{DEMO}/mix@approved")
        data = demo_workflow.training_data()
    sweep = demo_workflow.project.reader.run(approved.approves)
    assert final_of(demo_workflow.project, sweep).metrics[names.M_REAL_ROWS] == (found.origin == "real").sum()
    assert sorted(row_hashes(found.to_pandas())) == sorted(
        row_hashes(data.rows)
    )  # which come in the order of their draw
    assert found.origin.tolist() == data.origin.tolist() and found.weights.tolist() == data.weights.tolist()
    assert found.target not in found.X and found.y.name == found.target and found.ratio == data.ratio
    inputs = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    assert {f"{DEMO}/mix/1", "real training rows"} < {each.dataset.name for each in inputs}
    table = pq.read_table(found.write(tmp_path / "mix.parquet"))
    assert table.column(ORIGIN).to_pylist() == found.origin.tolist()
    assert json.loads(table.schema.metadata[b"synth_mlflow.approval"])["approved"] == f"{DEMO}/mix/1"
    with pytest.raises(UsageError, match=r"is a mix of real and synthetic rows.\n`load_mix"):
        load_batch(f"{DEMO}/mix@approved")
    assert demo_workflow.retract(approved.batches[0], reason="x", by="Ann").approved == (f"{DEMO}/mix/1",)
    with pytest.raises(GateError, match="retracted by Ann"):
        load_mix(f"{DEMO}/mix/1")


def test_what_cannot_be_approved(done: Workflow, batch: StoredBatch) -> None:
    with pytest.raises(GateError, match="chose real rows alone"):
        done.approve(mix=True, name="mix")
    with pytest.raises(UsageError, match="no batch or sweep 'lawless'"):
        done.approve("lawless", name="x")
    with pytest.raises(UsageError, match="nothing was named"):
        done.approve(name="x")
    with pytest.raises(UsageError, match="is no name of approved data"):
        done.approve(batch.id, name="2nd")
    with pytest.raises(UsageError, match="an approval needs a role on one line"):
        done.approve(batch.id, name="x", role=" ")
    done.retract(batch.id, reason="x", by="Ann")
    with pytest.raises(GateError, match="it was retracted"):
        done.approve(batch.id, name="x")
    assert not done.project.reader.runs("approval")


def test_what_cannot_be_loaded(done: Workflow, batch: StoredBatch) -> None:
    done.approve(batch.id, name="young")
    for address, error, words in (
        ("shop/yuong@approved", GateError, "nothing was approved as 'yuong'.*Did you mean 'young'"),
        ("shop/young/2", GateError, "there is no version 2 of shop/young.\nVersions that count: shop/young/1"),
        ("elsewhere/young@approved", UsageError, "there is no experiment 'elsewhere'"),
        ("shop/young", UsageError, "no address"),
    ):
        with pytest.raises(error, match=words):
            load_batch(address)
    with pytest.raises(UsageError, match="is a batch"):
        load_mix("shop/young@approved")


@pytest.mark.slow
def test_the_same_name_in_another_experiment(done: Workflow, batch: StoredBatch) -> None:
    client = done.project.server.client
    approved = done.approve(batch.id, name="young")
    other = client.create_experiment("other", tags={names.TAG_SCHEMA: names.SCHEMA})
    for run_id in (approved.run_id, batch.run.run_id, done.project.problems()[0].run_id):
        run = client.get_run(run_id)
        copy = client.create_run(other, tags=dict(run.data.tags))
        for name, value in run.data.params.items():
            client.log_param(copy.info.run_id, name, value)
        client.set_terminated(copy.info.run_id)
    with pytest.raises((GateError, EvidenceError), match=r"nothing was approved|does not count"):
        load_batch("other/young@approved")
    assert load_approved("shop/young@approved").version.run_id == approved.run_id


@pytest.mark.slow
def test_the_commands(done: Workflow, batch: StoredBatch, call: Callable[..., tuple[int, str, str]]) -> None:
    at = ("--tracking-uri", done.project.server.tracking_uri)
    code, out, _ = call("approve", batch.id, "--as", "young", "--by", "Ada Lind", *at)
    assert code == 0 and "approved: shop/young/1, a batch of 1,000 rows, by Ada Lind (approver)" in out
    assert 'load_batch("shop/young@approved")' in out
    with mlflow.start_run() as run:
        pass
    code, out, _ = call("fetch", "shop/young@approved", "--output", "x.parquet", "--run", run.info.run_id, *at)
    assert code == 0 and f"dataset input of run {run.info.run_id}" in out
    assert from_synthetic_batch("x.parquet").digest == batch.digest[:32]
    code, out, _ = call("watch", "shop/young", *at)
    assert code == 0 and f"run {run.info.run_id}" in out and "called on a retraction: nothing" in out
    assert call("fetch", "shop/young@approved", "--output", "x.csv", *at)[0] == 2
    assert call("fetch", "shop/old@approved", "--output", "y.parquet", *at)[0] == 3 and not Path("y.parquet").exists()
    code, out, _ = call("retract", batch.id, "--reason", "x", "--by", "Ann", *at)
    assert code == 0 and "handed out no longer: shop/young/1" in out and run.info.run_id in out
    assert call("fetch", "shop/young@approved", "--output", "y.parquet", *at)[0] == 3


@pytest.mark.slow
def test_a_store_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow's store without a database, which has to be allowed since 3.17."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "mlruns").as_uri()
    mlflow.set_tracking_uri(uri)
    workflow = Workflow("shop", uri)
    workflow.define(shop.write_shop(tmp_path, shop.customers(600, 1)))
    workflow.freeze()
    law = {"generator": "law", "version": "1", "params": {"rate": 3}, "seed": 2, "slice": None}
    with workflow.batch(**law, purpose="more rows", source="none") as b:
        b.write(shop.customers(1000, 2))
    assert b.batch is not None
    workflow.validate()
    workflow.approve(b.batch, name="young")
    with mlflow.start_run() as run:
        assert len(load_batch("shop/young@approved")) == 1000
    assert [each.run_id for each in workflow.watch("young").versions[0].read_by] == [run.info.run_id]
    workflow.retract(b.batch, reason="x", by="Ann")
    with pytest.raises(GateError, match="retracted by Ann"):
        load_batch("shop/young@approved")
