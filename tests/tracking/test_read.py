"""Files count only if their bytes are the recorded ones; searches page and sort."""

from pathlib import Path

import pytest

from synth_mlflow.errors import EvidenceError
from synth_mlflow.tracking import read
from synth_mlflow.tracking.names import slice_metric, unique_metric_names
from synth_mlflow.tracking.read import Reader
from synth_mlflow.tracking.server import MlflowProjectRun, connect, take_over_mlflow_run
from synth_mlflow.tracking.write import NewRun, create_run, writing


@pytest.fixture
def server(uri):
    return connect("shop", uri, create=True)


@pytest.fixture
def run(server):
    with writing(server, create_run(server, NewRun("problem", "the problem", "key"))) as draft:
        draft.text("note.txt", "hello")
    return Reader(server).latest("problem")


@pytest.fixture
def stored(server, run):
    folder = server.client.get_run(run.run_id).info.artifact_uri
    return Path(folder.removeprefix("file://")) / "note.txt"


def test_changed_bytes_are_detected(server, run, stored):
    stored.write_text("hullo")
    with pytest.raises(EvidenceError, match=r"note.txt of run .* has sha256 .*…, the record says .*…: someone changed"):
        Reader(server).file(run, "note.txt")


def test_a_file_that_is_gone_is_named(server, run, stored):
    stored.unlink()
    with pytest.raises(EvidenceError, match=r"note.txt of run .* cannot be fetched"):
        Reader(server).file(run, "note.txt")


def test_a_file_that_the_run_does_not_vouch_for_is_refused(server, run, stored):
    stored.with_name("more.txt").write_text("hello")
    with pytest.raises(EvidenceError, match=r"records no file 'more.txt'"):
        Reader(server).file(run, "more.txt")


def test_a_download_is_kept_and_checked_again(server, run, stored):
    reader = Reader(server)
    local = reader.file(run, "note.txt")
    stored.unlink()
    assert reader.file(run, "note.txt") == local
    local.write_text("hullo")
    with pytest.raises(EvidenceError, match="someone changed it"):
        reader.file(run, "note.txt")


def test_searches_page_sort_and_leave_out_deleted_runs(server, monkeypatch):
    monkeypatch.setattr(read, "PAGE", 2)
    made = [create_run(server, NewRun("batch", f"batch {n}", f"key-{n}")) for n in range(5)]
    server.client.delete_run(made.pop(1))
    found = Reader(server).runs("batch")
    assert {run.run_id for run in found} == set(made)
    assert [run.started for run in found] == sorted(run.started for run in found)
    assert Reader(server).finished("batch") == []
    assert Reader(server).latest("batch") is None


def test_other_peoples_runs_are_not_ours(server, run):
    server.client.create_run(server.experiment_id, run_name="a training of somebody else")
    assert Reader(server).runs() == [run]


def test_other_projects_are_found_only_when_asked_for(server, run, uri):
    elsewhere = Reader(connect("mill", uri, create=True))
    assert elsewhere.runs("problem") == []
    assert elsewhere.runs("problem", everywhere=True) == [run]


def test_the_run_of_mlflow_run_is_adopted_once(monkeypatch):
    assert take_over_mlflow_run() is None
    monkeypatch.setenv("MLFLOW_RUN_ID", "ab")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "1")
    assert take_over_mlflow_run() == MlflowProjectRun("ab", "1")
    assert take_over_mlflow_run() is None


@pytest.mark.parametrize(
    ("name", "metric"),
    [("young", "young"), ("under 25 (ü)", "under 25 _ü_"), ("a%b<c", "a_b_c"), ("a/../b/", "a/__/b/_")],
)
def test_slices_have_metrics_that_mlflow_takes(server, name, metric):
    assert slice_metric(name) == f"synth.slice_score/{metric}"
    with writing(server, create_run(server, NewRun("baseline", "b", "key"))) as draft:
        draft.metric(slice_metric(name), 0.5)
    assert Reader(server).latest("baseline").metrics == {slice_metric(name): 0.5}


def test_slices_whose_letters_mlflow_refuses_keep_metrics_of_their_own():
    assert list(unique_metric_names(slice_metric, ["a!", "a?", "a"]).values()) == [
        "synth.slice_score/a_",
        "synth.slice_score/a_:2",
        "synth.slice_score/a",
    ]
