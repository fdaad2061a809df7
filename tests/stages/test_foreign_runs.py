"""Odd and broken runs of somebody else: they are skipped and named, and no project needs another's files."""

from __future__ import annotations

import shutil
import time

import pytest
import shop
from mlflow.tracking import MlflowClient

from synth_mlflow import Workflow
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import is_gone


def odd_run(client, experiment, stage, params=()):
    tags = {names.TAG_SCHEMA: names.SCHEMA, names.TAG_STAGE: stage}
    run = client.create_run(experiment, tags=tags, run_name=f"odd {stage}")
    for name, value in dict(params).items():
        client.log_param(run.info.run_id, name, value)
    client.set_terminated(run.info.run_id)
    return run.info.run_id


STAGES = ["problem", "evaluation_set", "baseline", "batch", "sweep", "final", "handoff", "sign-off"]


@pytest.mark.slow
@pytest.mark.parametrize("experiment", ["0", "own"])
def test_odd_runs_change_no_answer(done, tmp_path, experiment):
    client = MlflowClient(done.project.server.tracking_uri)
    own = done.project.server.experiment_id
    before = done.status()
    ids = [odd_run(client, own if experiment == "own" else experiment, stage) for stage in STAGES]
    status = done.status()
    assert status.stages == before.stages and status.verdicts == before.verdicts
    named = [line for line in status.unfinished if "no run of this package: it carries the tag synth.stage" in line]
    assert len(named) == (len(STAGES) if experiment == "own" else 0)
    assert all(any(run_id in line for run_id in ids) for line in named)
    other = Workflow("other", done.project.server.tracking_uri)
    (tmp_path / "b").mkdir()
    other.define(shop.write_shop(tmp_path / "b", shop.customers(300, 5), name="other"))
    assert done.check() and done.verify().holds and len(done.batches()) == 1


@pytest.mark.slow
def test_another_projects_missing_files_are_said(uri, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    first, told = Workflow("shop", uri), []
    first.define(shop.write_shop(home, shop.customers(300, 1)))
    first.freeze()
    law = {"generator": "law", "version": "1", "params": {}, "seed": 2, "slice": None, "purpose": "x", "source": "none"}
    with first.batch(**law) as b:
        b.write(shop.customers(50, 2))
    shutil.rmtree(home / "mlruns")
    (tmp_path / "b").mkdir()
    second = Workflow("other", uri, say=told.append)
    second.define(shop.write_shop(tmp_path / "b", shop.customers(300, 5), name="other"))
    (line,) = (line for line in told if "not compared with" in line)
    assert f"not compared with batch run {b.batch.run_id} of experiment 'shop', which is broken" in line


@pytest.mark.parametrize("owner", ["host x y", "a b", "nonsense", "host/1/2 12x 5"])
def test_an_edited_owner_is_taken_for_one_elsewhere(owner):
    now = int(time.time() * 1000)
    assert not is_gone(owner, now)
    assert is_gone(owner, now - 25 * 3_600_000)
