"""Runs are written whole or not at all, in few requests, and a killed one is completed and not duplicated."""

import dataclasses
import json
from collections import Counter
from contextlib import suppress

import pandas as pd
import pytest
from mlflow.exceptions import MlflowException

from synth_mlflow.data.digests import file_digest
from synth_mlflow.errors import ServerError
from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import TAG_MAX, Input
from synth_mlflow.tracking.long_lists import PARAM_MAX
from synth_mlflow.tracking.read import Reader
from synth_mlflow.tracking.server import connect
from synth_mlflow.tracking.write import (
    NewRun,
    adopted_as_workflow,
    create_children,
    create_run,
    describe_experiment,
    marking_failure,
    set_tags,
    writing,
)

PROBLEM = NewRun("problem", "the problem", "key-1", {names.TAG_PURPOSE: "why"})


class Counted:
    """A client that counts its requests and may fail at one of them."""

    def __init__(self, client, fail_at=None):
        self.client, self.fail_at, self.calls = client, fail_at, []

    def __getattr__(self, name):
        def call(*args, **kwargs):
            self.calls.append(name)
            if name == self.fail_at:
                raise ConnectionError(f"lost at {name}")
            return getattr(self.client, name)(*args, **kwargs)

        return call


@pytest.fixture
def server(uri):
    return connect("shop", uri, create=True)


@pytest.fixture
def read(server):
    return Reader(server)


def counted(server, fail_at=None):
    return dataclasses.replace(server, client=Counted(server.client, fail_at))


def fill(draft):
    draft.param("synth.rows", 3)
    draft.param("synth.slice", "")
    draft.metric("synth.score", 0.5)
    draft.metric("synth.repeat_score", 0.4, step=1)
    draft.tag("synth.verdict", "pass")
    draft.describe("**Three rows.**")
    draft.text("a/note.txt", "hello")
    draft.table("rows.json", ["x"], [[1], [None]])
    draft.inputs.append(Input("real", "ab" * 32, names.CONTEXT_REAL, "file:///x.csv", 3, 1))


@pytest.mark.slow
@pytest.mark.parametrize(("n_collisions", "is_written"), [(1, True), (3, True), (4, False)])
def test_a_dataset_that_others_log_in_the_same_moment_is_logged(server, read, monkeypatch, n_collisions, is_written):
    asked, log_inputs = Counter(), server.client.log_inputs

    def collides(run_id, datasets):
        asked["inputs"] += 1
        if asked["inputs"] <= n_collisions:
            raise MlflowException("UNIQUE constraint failed: datasets.experiment_id, datasets.name, datasets.digest")
        log_inputs(run_id, datasets)

    monkeypatch.setattr(server.client, "log_inputs", collides)
    with suppress(ServerError), writing(server, create_run(server, PROBLEM, parent=None)) as draft:
        fill(draft)
    assert (read.latest("problem") is not None) == is_written


def test_a_run_tells_all_that_was_drafted(server, read):
    with writing(server, create_run(server, PROBLEM, parent=None)) as draft:
        fill(draft)
    run = read.latest("problem")
    assert (run.name, run.status, run.stage, run.parent) == ("the problem", "FINISHED", "problem", None)
    assert run.metrics == {"synth.score": 0.5, "synth.repeat_score": 0.4}
    assert (run.params["synth.rows"], run.params["synth.slice"]) == ("3", "")
    assert (run.tags[names.TAG_PROJECT], run.tags[names.TAG_PURPOSE]) == ("shop", "why")
    assert run.tags[names.TAG_NOTE] == "**Three rows.**"
    assert json.loads(run.tags["mlflow.loggedArtifacts"]) == [{"path": "rows.json", "type": "table"}]
    assert run.artifacts["a/note.txt"] == file_digest(read.file(run, "a/note.txt"))
    assert json.loads(read.file(run, "rows.json").read_text()) == {"columns": ["x"], "data": [[1], [None]]}


def test_a_dataset_is_found_by_its_digest(server):
    with writing(server, create_run(server, PROBLEM)) as draft:
        fill(draft)
    found = server.client.search_runs([server.experiment_id], f"dataset.digest = '{'ab' * 16}'")
    assert [run.info.run_id for run in found] == [draft.run_id]


def test_a_run_costs_one_batch_and_its_status_comes_last(server):
    watched = counted(server)
    with writing(watched, create_run(server, PROBLEM)) as draft:
        fill(draft)
        assert watched.client.calls == []
    assert watched.client.calls == REQUESTS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n_params", "n_metrics", "n_tags", "n_requests"),
    [(101, 0, 0, 2), (1, 901, 0, 2), (0, 0, 99, 1), (250, 1801, 0, 3)],
)
def test_what_exceeds_one_request_is_split_and_nothing_is_lost(server, read, n_params, n_metrics, n_tags, n_requests):
    watched = counted(server)
    with writing(watched, create_run(server, PROBLEM)) as draft:
        for at in range(n_params):
            draft.param(f"p{at}", at)
        for at in range(n_metrics):
            draft.metric(f"m{at}", at)
        for at in range(n_tags):
            draft.tag(f"t{at}", str(at))
    run = read.latest("problem")
    assert Counter(watched.client.calls)["log_batch"] == n_requests
    assert (len(run.params), len(run.metrics)) == (n_params + 1, n_metrics)  # the seal is one more
    assert {f"t{at}" for at in range(n_tags)} <= set(run.tags)


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError("boom"), "FAILED"), (KeyboardInterrupt(), "KILLED"), (SystemExit(1), "KILLED")]
)
def test_a_run_that_fails_holds_no_evidence(server, read, error, status):
    watched = counted(server)
    with pytest.raises(type(error), match=r"boom|1|^$"), writing(watched, create_run(server, PROBLEM)) as draft:
        fill(draft)
        raise error
    (run,) = read.runs("problem")
    assert (run.status, run.params, run.metrics) == (status, {}, {})
    assert run.tags[names.TAG_ERROR] == (str(error) or type(error).__name__)
    assert server.client.list_artifacts(run.run_id) == []
    assert watched.client.calls == ["get_run", "set_tag", "set_terminated"]


REQUESTS = ["log_artifacts", "log_inputs", "log_batch", "set_terminated"]


@pytest.mark.parametrize("fail_at", REQUESTS)
def test_a_server_that_is_lost_midway_leaves_a_run_that_does_not_count(server, read, fail_at):
    with pytest.raises(ServerError, match=f"lost at {fail_at}"):
        write_once(counted(server, fail_at), salt="1")
    assert [run.counts for run in read.runs("problem")] == [False]


@pytest.mark.parametrize("fail_at", [pytest.param(REQUESTS[0], marks=pytest.mark.slow), *REQUESTS[1:]])
def test_what_a_killed_process_left_is_completed_and_not_duplicated(server, read, fail_at):
    with pytest.raises(ServerError, match="lost at"):
        write_once(counted(server, fail_at), salt="1")
    write_once(server, salt="2")
    (run,) = read.runs("problem")
    assert (run.counts, run.params["synth.salt"]) == (True, "2")
    assert names.TAG_ERROR not in run.tags


def write_once(server, salt):
    with writing(server, create_run(server, PROBLEM)) as draft:
        fill(draft)
        draft.param("synth.salt", salt)  # evidence that no second process would make the same


def test_a_finished_run_is_never_written_again(server, read):
    for _ in range(2):
        with writing(server, create_run(server, PROBLEM)) as draft:
            draft.param("x", 1)
    assert [run.counts for run in read.runs("problem")] == [True, True]


@pytest.mark.parametrize(("whole", "n_children"), [("sweep", 1), ("workflow", 2)])
def test_only_parts_of_what_was_never_completed_are_made_anew(server, read, whole, n_children):
    for _ in range(2):
        parent = create_run(server, NewRun(whole, whole, "whole"))
        (child,) = create_children(server, parent, [NewRun("ratio", "25 %", "child")])
        with writing(server, child) as draft:
            draft.param("x", 1)
    assert len(read.runs(whole)) == 1
    assert [run.counts for run in read.children(parent)] == [True] * n_children


def test_finished_parts_go_with_a_whole_that_cannot_be_completed(server, read):
    new = NewRun("sweep", "sweep", "whole")
    for watched in (counted(server, "set_terminated"), server):
        parent = create_run(server, new)
        (child,) = create_children(server, parent, [NewRun("ratio", "25 %", "child")])
        with writing(server, child) as draft:
            draft.param("x", 1)
        with suppress(ServerError), writing(watched, parent) as draft:
            draft.param("y", 1)  # written when the process dies
    assert [run.run_id for run in read.runs("sweep")] == [parent]
    assert [(run.run_id, run.parent) for run in read.runs("ratio")] == [(child, parent)]


def test_children_are_made_together_and_taken_up_again(server, read):
    parent = create_run(server, NewRun("sweep", "sweep", "key-s"))
    new = [NewRun("ratio", f"{ratio} %", f"key-{ratio}") for ratio in (0, 25)]
    children = create_children(server, parent, new)
    assert [(read.run(run_id).status, read.run(run_id).parent) for run_id in children] == [("RUNNING", parent)] * 2
    with pytest.raises(RuntimeError, match="boom"), marking_failure(server, children[0]):
        raise RuntimeError("boom")
    assert create_children(server, parent, new) == children
    assert read.run(children[0]).status == "RUNNING"


def test_an_error_is_not_hidden_by_a_server_that_is_gone(server):
    run_id = create_run(server, PROBLEM)
    with pytest.raises(RuntimeError, match="boom"), marking_failure(counted(server, "set_terminated"), run_id):
        raise RuntimeError("boom")


def test_parameters_that_mlflow_would_cut_are_refused(server):
    with pytest.raises(ValueError, match=r"parameter synth.split_method has 6,001 characters, at most 6,000 are kept"):
        _draft(server).param("synth.split_method", "x" * (PARAM_MAX + 1))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused(server, value):
    with pytest.raises(ValueError, match=r"metric synth.score is .*; only finite numbers are logged"):
        _draft(server).metric("synth.score", value)
    with pytest.raises(ValueError, match="not JSON compliant"):
        _draft(server).param("synth.thresholds", {"ks": value})


def _draft(server):
    with writing(server, create_run(server, PROBLEM)) as draft:
        return draft


def test_longest_values_arrive_uncut(server, read):
    with writing(server, create_run(server, PROBLEM)) as draft:
        draft.param("synth.split_method", "ü" * PARAM_MAX)
        draft.tag("synth.reason", "x" * (TAG_MAX + 5))
    run = read.latest("problem")
    assert run.params["synth.split_method"] == "ü" * PARAM_MAX
    assert (len(run.tags["synth.reason"]), run.tags["synth.reason"][-2:]) == (TAG_MAX, " …")


def test_tags_and_descriptions_may_change(server, read):
    run_id = create_run(server, PROBLEM)
    set_tags(server, run_id, {names.TAG_VERDICT: "fail"})
    describe_experiment(server, "**A shop.**")
    adopted_as_workflow(server, run_id, "all six")
    run = read.run(run_id)
    assert (run.tags[names.TAG_VERDICT], run.stage, run.name) == ("fail", "workflow", "all six")
    assert server.client.get_experiment(server.experiment_id).tags[names.TAG_NOTE] == "**A shop.**"


def test_frames_are_tables_whatever_their_cells_are(server, read):
    rows = pd.DataFrame({"n": [1, 2], "x": [0.5, None], "when": [pd.Timestamp("2024-01-02"), None]})
    with writing(server, create_run(server, PROBLEM)) as draft:
        draft.frame("rows.json", rows)
    found = json.loads(read.file(read.latest("problem"), "rows.json").read_text())
    assert found == {"columns": ["n", "x", "when"], "data": [[1, 0.5, "2024-01-02 00:00:00"], [2, None, None]]}
