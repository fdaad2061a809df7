"""What no check can open: retracted rows under another name, and batches of another evaluation set."""

from __future__ import annotations

import shutil
import sqlite3
import time

import pandas as pd
import pytest

from synth_mlflow import Workflow
from synth_mlflow.errors import GateError
from synth_mlflow.gate.in_force import rows_of_retracted
from synth_mlflow.gate.policy import load_check
from synth_mlflow.tracking import names

LAW = {"generator": "law", "version": "1", "params": {"rate": 3}, "slice": None}


def written(workflow, rows, *, seed=2, purpose="more rows"):
    with workflow.batch(**LAW, seed=seed, purpose=purpose, source="none") as b:
        b.write(rows)
    return b.batch


@pytest.fixture
def retracted(done, customers):
    """A project whose only batch was taken back; its rows."""
    done.retract(done.project.batches()[0].id, reason="wrong rate", by="Ada")
    return done, customers(1000, 2)


def test_retracted_rows_do_not_come_back_under_another_purpose_order_or_among_others(retracted, customers):
    workflow, rows = retracted
    name = workflow.project.batches()[0].id
    mixed = customers(1000, 5)
    mixed.iloc[:700] = rows.iloc[:700]
    some = pd.concat([rows.head(200), customers(800, 7)])
    for again in (rows, rows.sample(frac=1, random_state=1), rows.head(300), rows[rows.columns[::-1]], mixed, some):
        with pytest.raises(GateError, match=rf"not written: .*of batch {name}, which was retracted by Ada"):
            written(workflow, again.reset_index(drop=True), purpose="another purpose")
    assert len(workflow.project.batches()) == 1
    assert written(workflow, customers(1000, 6), seed=6).batch != name


def test_a_deleted_retraction_stands(retracted):
    workflow, rows = retracted
    workflow.project.server.client.delete_run(workflow.project.batches()[0].run.run_id)
    fresh = Workflow("shop", workflow.project.server.tracking_uri)
    with pytest.raises(GateError, match="which was retracted by Ada"):
        written(fresh, rows, purpose="again")


def copied_run(client, run_id, *, without):
    """What 20 lines of MLflow's client make of a run."""
    run = client.get_run(run_id)
    new = client.create_run(run.info.experiment_id, start_time=run.info.start_time - 9, tags=dict(run.data.tags))
    for key, value in run.data.params.items():
        if key not in without:
            client.log_param(new.info.run_id, key, value)
    for key, value in run.data.metrics.items():
        client.log_metric(new.info.run_id, key, value)
    shutil.copytree(*(one.info.artifact_uri.removeprefix("file://") for one in (run, new)), dirs_exist_ok=True)
    client.set_terminated(new.info.run_id, end_time=run.info.start_time - 1)
    return new.info.run_id


@pytest.mark.slow
def test_a_copied_run_does_not_lift_a_retraction(retracted):
    workflow, _ = retracted
    client, before = workflow.project.server.client, workflow.project.batches()[0]
    twin = copied_run(client, before.run.run_id, without=(names.P_RETRACTION,))
    client.set_tag(twin, names.TAG_RETRACTED, "false")
    for check in workflow.project.reader.children(before.run.run_id):
        client.set_tag(copied_run(client, check.run_id, without=()), "mlflow.parentRunId", twin)
    fresh = Workflow("shop", workflow.project.server.tracking_uri)
    assert fresh.project.batches()[0].run.run_id == twin
    for attempt in (lambda: fresh.sweep((0, 0.5), repeats=3, seed=8), lambda: fresh.validate(before.id)):
        with pytest.raises(GateError, match="which was retracted by Ada"):
            attempt()


def test_a_second_freeze_ends_what_rested_on_the_first(done, tmp_path):
    client, reader = done.project.server.client, done.project.reader
    for stage in ("problem", "evaluation_set", "baseline"):
        for run in reader.finished(stage):
            client.delete_run(run.run_id)
    again = Workflow("shop", done.project.server.tracking_uri)
    again.define(tmp_path / "problem.md")
    again.freeze(seed=1)
    old = again.project.batches()[0]
    assert list(again.batches()["verdict"]) == ["unvalidated"]
    for attempt in (
        lambda: again.sweep((0, 0.5), repeats=3),
        lambda: again.validate(old.id),
        lambda: again.training_data(0.5, batches=[old.id], run_id=old.run.run_id),
    ):
        with pytest.raises(GateError, match="made for another evaluation set"):
            attempt()
    with pytest.raises(GateError, match=r"newest sweep rests on evaluation set .* is in force"):
        again.report()
    with pytest.raises(GateError, match=r"handoff .* rests on evaluation set"):
        again.sign("Ada", role="owner", champion=True)
    assert again.validate() == again.validate()  # many are passed over with a line


@pytest.mark.slow
def test_retracted_rows_are_known_under_another_evaluation_set(done, customers, tmp_path):
    done.retract(done.project.batches()[0].id, reason="wrong rate", by="Ada")
    client = done.project.server.client
    for stage in ("problem", "evaluation_set", "baseline"):
        for run in done.project.reader.finished(stage):
            client.delete_run(run.run_id)
    again = Workflow("shop", done.project.server.tracking_uri)
    again.define(tmp_path / "problem.md")
    again.freeze(seed=1)
    with pytest.raises(GateError, match="which was retracted by Ada"):
        written(again, customers(1000, 2).sample(frac=1, random_state=2).reset_index(drop=True), purpose="again")


def test_no_retraction_costs_no_look_at_rows(frozen, customers, monkeypatch):
    batch = written(frozen, customers(50, 3))
    monkeypatch.setattr(type(frozen.project), "batch_rows", lambda *_: pytest.fail("rows were read"))
    assert rows_of_retracted(frozen.project, frozen.project.batch(batch.batch)) == ""


def test_a_verdict_counts_only_for_the_version_of_its_check(done, monkeypatch):
    assert list(done.batches()["verdict"]) == ["pass"]
    monkeypatch.setattr(load_check("fidelity").__class__, "version", "99")
    assert list(done.batches()["verdict"]) == ["unvalidated"]
    with pytest.raises(GateError, match="not checked under the policy in force: fidelity"):
        done.sweep((0, 0.5), repeats=3, seed=8)


@pytest.mark.slow
def test_a_statement_dated_tomorrow_is_superseded(frozen, tmp_path):
    client, run = frozen.project.server.client, frozen.project.problem().run
    lax = copied_run(client, run.run_id, without=())
    tomorrow = int((time.time() + 86_400) * 1_000)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("UPDATE runs SET start_time = ? WHERE run_uuid = ?", (tomorrow, lax))
    assert frozen.project.problem().run.run_id == lax
    text = (tmp_path / "problem.md").read_text().replace("They come one a day.", "They come one a week.")
    (tmp_path / "problem.md").write_text(text)
    mine = frozen.define(tmp_path / "problem.md")
    assert mine.run.run_id != lax and Workflow("shop", frozen.project.server.tracking_uri).project.problem() == mine
