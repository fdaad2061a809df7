"""Two people at the same moment: one evaluation set, every batch once, nothing mixed up."""

import json
import os
import time
from pathlib import Path

import pytest
import shop
from crowd import write_at_once
from started import PATIENT, fork

from synth_mlflow import Workflow
from synth_mlflow.errors import GateError, SynthError
from synth_mlflow.gate.verdicts import IS_CHECK
from synth_mlflow.tracking import names
from synth_mlflow.tracking.write import NewRun, create_run, end_run, set_param_once

pytestmark = [pytest.mark.xdist_group("servers"), pytest.mark.slow]
SECONDS = 10  # of eight writers; 60 by `tests/benchmarks/faults.py`


@pytest.fixture
def started(sqlite_server, tmp_path):
    """A function that begins a project of its own on the server."""

    def begin(name, *, freeze):
        workflow = Workflow(name, sqlite_server.uri)
        workflow.define(shop.write_shop(tmp_path, shop.customers(300, 1), name=name))
        if freeze:
            workflow.freeze()
        return workflow

    return begin


def told(act, uri, name, folder, who, n_all, *arguments):
    """Run one verb in a process of its own, once all others are ready too; its outcome goes to a file."""
    os.environ.update({"MLFLOW_LOGGING_LEVEL": "ERROR", "OMP_NUM_THREADS": "1", **PATIENT})
    workflow = Workflow(name, uri)
    Path(folder, f"ready-{who}").touch()
    while len(list(Path(folder).glob("ready-*"))) < n_all:
        time.sleep(0.001)
    try:
        outcome = ["done", act(workflow, *arguments)]
    except SynthError as error:
        outcome = [type(error).__name__, str(error)]
    Path(folder, f"outcome-{who}").write_text(json.dumps(outcome))


def both(folder, uri, name, *acts):
    """The outcomes of two or more verbs at the same moment."""
    folder.mkdir()
    processes = [
        fork(told, act, uri, name, str(folder), who, len(acts), *given) for who, (act, *given) in enumerate(acts)
    ]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return [json.loads((folder / f"outcome-{who}").read_text()) for who in range(len(acts))]


def freeze(workflow, seed):
    return workflow.freeze(seed=seed).run.run_id


def generate(workflow, seed):
    return workflow.generate("bootstrap_noise", rows=50, seed=seed, purpose="more").run_id


def validate(workflow):
    found = workflow.validate()
    return [verdict.verdict for verdict in found]


def sweep(workflow):
    return workflow.sweep((0.0, 0.5), repeats=3, n_jobs=1).chosen


def test_of_two_freezes_exactly_one_wins(started, tmp_path):
    workflow = started("two freezes", freeze=False)
    outcomes = both(tmp_path / "both", workflow.project.server.tracking_uri, "two freezes", (freeze, 1), (freeze, 2))
    assert sorted(kind for kind, _ in outcomes) == ["GateError", "done"]
    (winner,) = (text for kind, text in outcomes if kind == "done")
    (loser,) = (text for kind, text in outcomes if kind != "done")
    assert ("is frozen" in loser or "at the same moment" in loser) and winner in loser
    assert workflow.project.evaluation_set().run.run_id == winner
    assert [run.run_id for run in workflow.project.reader.finished("evaluation_set")] == [winner]
    assert [run.parent for run in workflow.project.reader.finished("baseline")] == [winner]
    assert workflow.verify().holds


def test_the_server_decides_a_claim(started):
    """Also on PostgreSQL and whatever a client believes: a parameter is written once."""
    workflow = started("a claim", freeze=False)
    server, run_id = workflow.project.server, workflow.project.problem().run.run_id
    assert set_param_once(server, run_id, names.P_EVALUATION_RUN, "first") == "first"
    assert set_param_once(server, run_id, names.P_EVALUATION_RUN, "second") == "first"


def test_two_generates_of_the_same_batch_leave_one(started, tmp_path):
    workflow = started("two generates", freeze=True)
    uri = workflow.project.server.tracking_uri
    outcomes = both(tmp_path / "same", uri, "two generates", (generate, 1), (generate, 1))
    assert [kind for kind, _ in outcomes] == ["done", "done"], outcomes
    assert len(workflow.project.batches()) == len(workflow.batches()) == 1
    outcomes = both(tmp_path / "other", uri, "two generates", (generate, 2), (generate, 3))
    assert [kind for kind, _ in outcomes] == ["done", "done"], outcomes
    assert len(workflow.project.batches()) == 3
    assert workflow.verify().holds and workflow.status().unfinished == ()


def test_validate_while_a_sweep_reads(started, tmp_path):
    workflow = started("validate and sweep", freeze=True)
    law = {"generator": "law", "version": "1", "params": {}, "slice": None, "purpose": "more", "source": "none"}
    for seed in (2, 3):
        with workflow.batch(**law, seed=seed) as b:
            b.write(shop.customers(400, seed))
        if seed == 2:
            workflow.validate()
    uri = workflow.project.server.tracking_uri
    outcomes = both(tmp_path / "both", uri, "validate and sweep", (validate,), (sweep,))
    assert [kind for kind, _ in outcomes] == ["done", "done"], outcomes
    (swept,) = workflow.project.reader.finished("sweep")
    assert len(swept.params[names.P_BATCHES].split()) in (1, 2)  # with the second or without, and it says which
    assert workflow.verify().holds


def test_eight_processes_judge_and_sweep_once(started, tmp_path):
    workflow = started("eight", freeze=True)
    law = {"generator": "law", "version": "1", "params": {}, "slice": None, "purpose": "more", "source": "none"}
    for seed in (2, 3):
        with workflow.batch(**law, seed=seed) as b:
            b.write(shop.customers(400, seed))
    uri, reader = workflow.project.server.tracking_uri, workflow.project.reader
    outcomes = both(tmp_path / "validate", uri, "eight", *[(validate,)] * 8)
    assert {str(outcome) for outcome in outcomes} == {"['done', ['pass', 'pass']]"}
    checks = reader.runs(where=IS_CHECK)
    assert len(checks) == len({run.tags[names.TAG_KEY] for run in checks}) == len(workflow.checks())
    assert all(run.counts for run in checks)
    outcomes = both(tmp_path / "sweep", uri, "eight", *[(sweep,)] * 8)
    assert {kind for kind, _ in outcomes} == {"done"}, outcomes
    assert len({chosen for _, chosen in outcomes}) == 1
    assert [run.counts for run in reader.runs("sweep", "final")] == [True, True]
    assert len(workflow.project.server.client.search_model_versions("name='eight'")) == 1
    assert workflow.verify().holds and workflow.status().unfinished == ()


def test_eight_processes_write_batches_at_once(started, tmp_path):
    workflow = started("crowd", freeze=True)
    found = write_at_once(workflow.project.server.tracking_uri, "crowd", tmp_path, SECONDS)
    assert found.wrong == ()
    assert found.written == found.found >= 8


def test_a_run_that_somebody_alive_writes_is_not_taken_over(started, monkeypatch):
    workflow = started("alive", freeze=False)
    server, new = workflow.project.server, NewRun("batch", "batch", "key")
    monkeypatch.setattr("synth_mlflow.tracking.write.this_process", lambda: "elsewhere/x/1 77 123")
    first = create_run(server, new)
    monkeypatch.undo()
    assert create_run(server, new) != first
    left = workflow.repair()
    assert first in left.left and first not in left.killed


def test_what_counts_goes_on_counting_when_a_twin_fails(started):
    workflow = started("twin", freeze=False)
    run_id = workflow.project.problem().run.run_id
    end_run(workflow.project.server, run_id, "FAILED", "a twin failed")
    assert workflow.project.reader.run(run_id).counts


def test_a_freeze_that_was_killed_before_its_last_write_is_completed(started):
    workflow = started("last write", freeze=True)
    project, frozen = workflow.project, workflow.project.evaluation_set()
    project.server.client.update_run(frozen.run.run_id, status="RUNNING")
    with pytest.raises(GateError, match="no frozen evaluation set"):
        workflow.generate("bootstrap_noise", rows=5, purpose="x")
    workflow.repair()
    assert workflow.freeze().run.run_id == frozen.run.run_id
    project.server.client.update_run(frozen.run.run_id, status="RUNNING")
    with pytest.raises(GateError, match=rf"is frozen \(run {frozen.run.run_id}"):
        workflow.freeze(seed=5)


def test_two_batches_never_share_a_short_id(started, monkeypatch):
    workflow = started("short ids", freeze=True)
    first = workflow.generate("bootstrap_noise", rows=5, seed=1, purpose="x")
    monkeypatch.setattr("synth_mlflow.backends.batch_writer._short_id", lambda *_: first.batch)
    with pytest.raises(GateError, match=f"short id {first.batch} was taken by another batch, run {first.run_id}"):
        workflow.generate("bootstrap_noise", rows=5, seed=2, purpose="x")
    assert [batch.id for batch in workflow.project.batches()] == [first.batch]
