"""A server that fails, hangs, is cut off or restarted: one clear message, nothing half-valid, and a rerun completes."""

import pytest
import shop
from misbehaving import from_then_on, misbehaving, once
from started import mlflow_server

from synth_mlflow import Workflow
from synth_mlflow.errors import ServerError

pytestmark = [pytest.mark.xdist_group("servers"), pytest.mark.slow]

CREATE, LOG, ARTIFACT, UPDATE = "/runs/create", "/runs/log-batch", "/mlflow-artifacts/", "/runs/update"


def always(mood, part):
    """Misbehave at every request of a kind, and at no other."""
    return lambda method, path: mood if method == "POST" and part in path else "answer"


FAULTS = {
    "500 to everything": (from_then_on("500", "POST", CREATE), True),
    "503 at the first write, then well": (once("503", "POST", CREATE), False),
    "503 to everything after the data": (from_then_on("503", "POST", LOG), True),
    "hangs at the record": (from_then_on("hang", "POST", LOG), True),
    "cut in the middle of an upload, then well": (once("cut", "PUT", ARTIFACT, at=2), False),
    "cut in the middle of every upload": (from_then_on("cut", "PUT", ARTIFACT, at=2), True),
    "the answer to a new run is lost": (once("forget", "POST", CREATE), False),
    "the answer to the record is lost": (once("forget", "POST", LOG), False),
    "a new run is made and answered with an error": (once("done, 500", "POST", CREATE), False),
    "the record is written and answered with an error, always": (always("done, 500", LOG), True),
    "the run counts and that is answered with an error, always": (always("done, 500", UPDATE), False),
    "gone at the write that makes the run count": (from_then_on("cut", "POST", UPDATE), True),
}
"""What goes wrong, and whether the verb fails."""


SECONDS_FOR_AN_ANSWER = 120  # a busy machine takes its time
SECONDS_UNTIL_IT_HANGS = 3


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(SECONDS_FOR_AN_ANSWER))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_JITTER", "0")


@pytest.fixture(scope="session")
def uri(sqlite_server, tmp_path_factory):
    """A frozen project without batches, in which tests write one each."""
    folder = tmp_path_factory.mktemp("faults")
    workflow = Workflow("faults", sqlite_server.uri)
    workflow.define(shop.write_shop(folder, shop.customers(300, 1), name="faults"))
    workflow.freeze()
    return sqlite_server.uri


def write(uri, seed):
    law = {"generator": "law", "version": "1", "params": {}, "seed": seed, "slice": None, "purpose": "more"}
    with Workflow("faults", uri).batch(**law, source="none") as b:
        b.write(shop.customers(40, seed))
    return b.batch


@pytest.mark.parametrize(("seed", "fault"), list(enumerate(FAULTS, start=100)))
def test_a_batch_is_written_whole_or_not_at_all(uri, sqlite_server, seed, fault, monkeypatch):
    decide, fails = FAULTS[fault]
    if "hangs" in fault:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(SECONDS_UNTIL_IT_HANGS))
    with misbehaving(sqlite_server.port) as proxy:
        proxy.decide = decide
        if fails:
            with pytest.raises(ServerError, match="did not do what was asked") as told:
                write(proxy.uri, seed)
            assert proxy.uri in told.value.found and "was asked 3 times" in told.value.fix
        else:
            write(proxy.uri, seed)
        assert len(written(uri, seed)) == (0 if fails else 1)
        proxy.decide = lambda method, path: "answer"
        write(proxy.uri, seed)  # a rerun completes it, and makes no second one
    (batch,) = written(uri, seed)
    assert Workflow("faults", uri).verify(batch.run.run_id).holds


def written(uri, seed):
    """The batches of a seed that count."""
    batches = Workflow("faults", uri).project.batches()
    return [batch for batch in batches if batch.run.params["synth.seed"] == str(seed)]


@pytest.mark.slow
def test_a_report_whose_every_write_is_answered_with_an_error_leaves_one_handoff(sqlite_server, tmp_path):
    """Each write is done; MLflow sends it again, twice; the verb fails or not, and is repeated."""
    shop.write_shop(tmp_path, shop.customers(300, 1), name="lost answers")
    workflow = Workflow("lost answers", sqlite_server.uri)
    workflow.define(tmp_path / "problem.md")
    workflow.freeze()
    with workflow.batch(
        generator="law", version="1", params={}, seed=2, slice=None, purpose="more", source="none"
    ) as b:
        b.write(shop.customers(400, 2))
    with misbehaving(sqlite_server.port) as proxy:
        proxy.decide = always("done, 500", UPDATE)
        distant = Workflow("lost answers", proxy.uri)
        distant.validate()
        distant.sweep((0.0, 0.5), repeats=3, n_jobs=1)
        for _ in range(3):
            distant.report()
    finished = workflow.project.reader.finished("sweep", "final", "handoff")
    assert sorted(run.stage for run in finished) == ["final", "handoff", "sweep"]
    assert len(workflow.project.server.client.search_model_versions("name='lost answers'")) == 1
    assert workflow.verify().holds


def test_a_dead_server_is_not_asked_for_ever(sqlite_server, uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", str(SECONDS_UNTIL_IT_HANGS))
    with misbehaving(sqlite_server.port) as proxy:
        workflow = Workflow("faults", proxy.uri)
        proxy.asked.clear()
        proxy.decide = lambda method, path: "hang"
        with pytest.raises(ServerError, match="timed out"):
            workflow.status()
        assert len(proxy.asked) == 6  # two searches at once, of which both are waited for, each with two retries


def test_a_server_that_is_restarted_in_the_middle_of_a_sweep(empty_store, tmp_path):
    shop.write_shop(tmp_path, shop.customers(300, 1))
    (tmp_path / "server").mkdir()
    options = ("--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", f"{tmp_path}/files")
    with (
        mlflow_server(tmp_path / "server", *options) as server,
        misbehaving(server.port) as proxy,
    ):
        log = once("cut", "POST", LOG, at=8)

        def decide(method, path):
            mood = log(method, path)
            if mood == "cut":
                server.stop()
                server.start_again()
            return mood

        proxy.decide = decide
        shop.go_whole_way(proxy.uri, tmp_path)
        assert [mood for *_, mood in proxy.asked if mood != "answer"] == ["cut"]
        workflow = Workflow("shop", server.uri)
        assert workflow.verify().holds and workflow.status().unfinished == ()
