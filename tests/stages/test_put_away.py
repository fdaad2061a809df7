"""What a rerun puts away never counts again, is archived with its model, and can still be traced."""

from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException

from synth_mlflow import Workflow
from synth_mlflow.handoff.holdout_score import _distinct
from synth_mlflow.tracking import names, write
from synth_mlflow.tracking.models import keep_model
from synth_mlflow.tracking.stored_run import StoredRun


@pytest.fixture
def killed(done):
    """A sweep that was killed after it had registered its model, with the batch in it, and run again."""
    client, reader = done.project.server.client, done.project.reader
    client.set_model_version_tag("shop", "1", names.TAG_BATCHES, done.batches()["batch"][0])
    for run in (reader.latest("final"), reader.latest("sweep")):
        client.update_run(run.run_id, status="RUNNING")
    write.discard_run(done.project.server, reader.latest("handoff").run_id)
    done.sweep(repeats=3)
    return done


@pytest.mark.slow
def test_its_model_is_archived_and_found_by_its_own_tags(killed):
    client, batch = killed.project.server.client, killed.batches()["batch"][0]
    first, second = (client.get_model_version("shop", version) for version in ("1", "2"))
    assert first.current_stage == "Archived" and first.tags[names.TAG_DISCARDED] == "true"
    assert first.description.startswith("Put away") and names.TAG_DISCARDED not in second.tags
    assert "its run was put away" in "\n".join(killed.trace(batch).lines())
    assert "models:/shop/1" in killed.retract(batch, reason="wrong units", by="Ann").models


@pytest.mark.slow
def test_restored_runs_do_not_count(killed):
    server, reader = killed.project.server, killed.project.reader
    before = [(run.run_id, run.counts) for run in reader.runs() if run.counts]
    server.client.delete_experiment(server.experiment_id)
    server.client.restore_experiment(server.experiment_id)
    for run in reader.deleted(f"tags.`{names.TAG_STAGE}` != ''"):
        server.client.restore_run(run.run_id)
    restored = [run for run in reader.runs() if run.discarded]
    assert {run.stage for run in restored} >= {"sweep", "final", "ratio"}
    assert [(run.run_id, run.counts) for run in reader.runs() if run.counts] == before
    workflow = Workflow("shop", server.tracking_uri)
    assert workflow.report().document.sweep.run_id == reader.latest("sweep").run_id
    assert workflow.verify().holds and workflow.status().unfinished == () and workflow.repair().killed == ()


def test_a_kill_while_a_run_is_put_away_leaves_none_open(done, monkeypatch):
    def killed(run_id):
        raise SystemExit(run_id)

    server, run = done.project.server, done.project.reader.latest("handoff")
    server.client.update_run(run.run_id, status="RUNNING")
    monkeypatch.setattr(server.client, "delete_run", killed)
    with pytest.raises(SystemExit):
        write._delete_whole(server, done.project.reader.run(run.run_id))
    left = done.project.reader.run(run.run_id)
    assert left.status == "KILLED" and left.discarded and not left.deleted
    assert done.status().unfinished == () and done.repair().left == ()


@pytest.mark.slow
def test_an_open_run_below_a_finished_sweep_is_listed(done):
    """A finished sweep says why a ratio failed; of a run that is open it says nothing."""
    ratio = done.project.reader.latest("ratio")
    done.project.server.client.update_run(ratio.run_id, status="RUNNING")
    assert [ratio.run_id in words for words in done.status().unfinished] == [True]


def lost(method):
    """A request that is done, and whose answer is an error."""

    def do_and_fail(*args, **kwargs):
        method(*args, **kwargs)
        raise MlflowException("INTERNAL_ERROR: too many 500 error responses")

    return do_and_fail


def test_writes_whose_answer_is_lost_are_looked_for(done, monkeypatch):
    server, run = done.project.server, done.project.reader.latest("batch")
    for name in ("delete_tag", "set_terminated", "delete_run"):
        monkeypatch.setattr(server.client, name, lost(getattr(server.client, name)))
    write.delete_tag(server, run.run_id, names.TAG_VERDICT)
    assert names.TAG_VERDICT not in done.project.reader.run(run.run_id).tags
    server.client.update_run(run.run_id, status="RUNNING")
    write.end_run(server, run.run_id, "FINISHED")
    assert done.project.reader.run(run.run_id).counts
    monkeypatch.setattr(server.client, "update_run", lost(server.client.update_run))
    write._set_status(server, run.run_id, "SCHEDULED")
    assert done.project.reader.run(run.run_id).status == "SCHEDULED"
    write.discard_run(server, run.run_id)
    assert done.project.reader.run(run.run_id).deleted


def test_writes_that_did_not_happen_still_fail(done, monkeypatch):
    server, run = done.project.server, done.project.reader.latest("batch")
    server.client.update_run(run.run_id, status="RUNNING")
    for name in ("delete_tag", "set_terminated", "delete_run", "update_run"):
        monkeypatch.setattr(server.client, name, lost(lambda *_, **__: None))
    for attempt in (
        lambda: write.delete_tag(server, run.run_id, names.TAG_VERDICT),
        lambda: write.end_run(server, run.run_id, "FINISHED"),
        lambda: write._set_status(server, run.run_id, "SCHEDULED"),
    ):
        with pytest.raises(MlflowException, match="too many 500"):
            attempt()


@pytest.mark.slow
def test_a_report_that_is_repeated_is_the_same_handoff(done, tmp_path):
    first, again = done.report(tmp_path / "a.html"), done.report(tmp_path / "b.html")
    assert first.run_id == again.run_id and first.document.sha256 == again.document.sha256
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    done.sign("Ada", role="owner")
    assert done.report().run_id != first.run_id  # it says more


@pytest.mark.slow
def test_a_version_that_was_registered_twice_stays_once(done, monkeypatch):
    client, final = done.project.server.client, done.project.reader.latest("final")
    make = client.create_model_version

    def twice(*args, **kwargs):
        make(*args, **kwargs)
        return make(*args, **kwargs)

    monkeypatch.setattr(client, "create_model_version", twice)
    run = client.create_run(done.project.server.experiment_id)
    monkeypatch.setattr("synth_mlflow.tracking.models.save_model", lambda model, example, folder, *_: folder.mkdir())
    kept = keep_model(done.project.server, run.info.run_id, None, None, name="shop", tags={})  # type: ignore[arg-type]
    versions = [found for found in client.search_model_versions("name='shop'") if found.run_id == run.info.run_id]
    assert [str(found.version) for found in versions] == [kept.version]
    assert final.params[names.P_MODEL_VERSION] == "1"


def test_sweeps_under_one_key_are_one_earlier_look():
    runs = [StoredRun(name, "sweep", "FINISHED", {}, {}, {}, at, at) for at, name in enumerate("abcde")]
    keys = {"a": "mine", "b": "other", "c": "other", "d": "mine", "e": "third"}
    assert sorted(run.run_id for run in _distinct(keys, runs, "mine")) == ["b", "e"]
