"""The process of the caller: what it has set holds, what it has not set is as it was, and its runs stay its own."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
import warnings

import mlflow
import pytest
import shop
from mlflow.tracking import MlflowClient
from mlflow.utils.autologging_utils import disable_autologging
from stand_in_endpoint import endpoint_server

from synth_mlflow import UsageError, Workflow, load_batch
from synth_mlflow.errors import SynthError
from synth_mlflow.llm.parsing import as_objects
from synth_mlflow.review.answers import answers_csv
from synth_mlflow.review.sheet import SheetKey
from synth_mlflow.tracking import caller, models
from synth_mlflow.tracking.caller import undisturbed
from synth_mlflow.tracking.prompts import traces_to
from synth_mlflow.tracking.server import connect, guarded

STATE = """
import json, logging, os, warnings
import mlflow, mlflow.lightgbm, mlflow.sklearn, mlflow.data

def state():
    loggers = {name: logger.level for name, logger in logging.root.manager.loggerDict.items()
               if isinstance(logger, logging.Logger) and not name.startswith("synth_mlflow")}
    filters = [filter for filter in warnings.filters if "mlflow" in str(filter)]
    uris = [mlflow.tracking._tracking_service.utils._tracking_uri, mlflow.tracking._model_registry.utils._registry_uri]
    return [dict(os.environ), {name: loggers[name] for name in loggers if name.startswith("mlflow")}, filters, uris]

before = state()
"""


@pytest.mark.slow
def test_importing_the_package_changes_nothing():
    after = (
        "import synth_mlflow, synth_mlflow.workflow, synth_mlflow.cli.main\nafter = state()\n"
        "assert before[0] == after[0], set(after[0].items()) ^ set(before[0].items())\n"
        "assert all(after[1].get(name) == level for name, level in before[1].items())\n"
        "assert before[2:] == after[2:]"
    )
    done = subprocess.run([sys.executable, "-c", STATE + after], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_settings_last_as_long_as_the_work_and_end_with_the_last_who_is_in():
    logger, before = logging.getLogger(caller.TRACEBACKS), dict(os.environ)
    level = logger.level
    first_is_out = threading.Event()

    def other():
        with undisturbed():
            first_is_out.wait(20)
            inside.append(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"])

    inside: list[str] = []
    with undisturbed():
        thread = threading.Thread(target=other)
        thread.start()
        with undisturbed():
            assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "30" and logger.level == logging.CRITICAL
        assert caller.autologging._AUTOLOGGING_GLOBALLY_DISABLED
        while caller._settings_made.depth < 2:
            pass
    first_is_out.set()
    thread.join()
    assert inside == ["30"]
    assert dict(os.environ) == before and logger.level == level
    assert not caller.autologging._AUTOLOGGING_GLOBALLY_DISABLED


def test_what_the_caller_has_set_holds(monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    with disable_autologging():
        with guarded("sqlite:///x.db"):
            assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
        assert caller.autologging._AUTOLOGGING_GLOBALLY_DISABLED
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"


def test_traces_leave_no_uri_behind(uri):
    server = connect("shop", uri, create=True)
    assert mlflow.tracking._tracking_service.utils._tracking_uri is None
    with traces_to(server):
        assert mlflow.get_tracking_uri() == uri
    assert mlflow.tracking._tracking_service.utils._tracking_uri is None
    assert "MLFLOW_TRACKING_URI" not in os.environ


@pytest.mark.slow
def test_autologging_sees_none_of_our_fits(uri, tmp_path, write_project, monkeypatch):
    """Every verb that fits: no stray run, no logged model, no parameter in the run that the user has open."""
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("mine")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.sklearn.autolog()
        mlflow.lightgbm.autolog()
    try:
        with mlflow.start_run() as mine:
            workflow = Workflow("shop", uri)
            workflow.define(write_project())
            workflow.freeze()
            workflow.generate("forest", rows=400, purpose="more", params={})
            workflow.generate("smote", rows=60, purpose="more")
            with workflow.batch(
                generator="law", version="1", params={}, seed=2, slice=None, purpose="more", source="none"
            ) as b:
                b.write(shop.customers(1000, 2))
            workflow.validate()
            workflow.sweep((0.0, 0.5), repeats=3, n_jobs=1, batches=[b.batch])
            workflow.report()
            workflow.blame(ratio=0.5, repeats=3, n_jobs=1)
            workflow.reproduce()
            workflow.status(), workflow.check(), workflow.verify(), workflow.trace(b.batch.batch)
            workflow.export("prov-json"), workflow.identify(workflow.training_rows())
            _later_verbs(workflow, b.batch.batch, tmp_path)
            assert mlflow.active_run().info.run_id == mine.info.run_id
    finally:
        mlflow.sklearn.autolog(disable=True)
        mlflow.lightgbm.autolog(disable=True)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("mine").experiment_id
    (only,) = client.search_runs([experiment])
    assert only.info.run_id == mine.info.run_id
    assert (only.data.params, only.data.metrics) == ({}, {})
    assert len(client.search_logged_models([experiment])) == 0
    ours = client.search_runs([workflow.project.server.experiment_id])
    assert all("synth.stage" in run.data.tags for run in ours)


def _later_verbs(workflow, batch, folder):
    """What else fits, reads or writes: a search, a blind sheet, approvals, a signature, a retraction."""
    workflow.search_generators()
    workflow.review_sheet(batch, 20, output=folder)
    key = SheetKey(workflow.project.batch(batch).digest, workflow.project.evaluation_set().training_digest, 20)
    (folder / "answers.csv").write_text(answers_csv(key.sheet_id, [0.5] * 20))
    workflow.review(batch, folder / "answers.csv", rater="Ada")
    workflow.approve(batch, name="young")
    load_batch("shop/young@approved", tracking_uri=workflow.project.server.tracking_uri, deep=True)
    workflow.sign("Ada", role="owner", champion=True)
    workflow.verify(deep=True), workflow.watch("young"), workflow.log_production(0.9)
    workflow.retract(batch, reason="wrong rate", by="Ada")


@pytest.mark.slow
def test_autologging_sees_no_request_to_a_model(frozen, tmp_path, monkeypatch):
    """Rows asked of a language model and answers of a judge model leave no trace in the user's experiment."""
    openai = pytest.importorskip("openai")
    assert openai
    uri = frozen.project.server.tracking_uri
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("mine")
    mlflow.openai.autolog()
    rows = as_objects(shop.customers(20, 7).assign(since=lambda frame: frame["since"].astype("datetime64[us]")))

    def script(handler, at, body):
        handler.complete(json.dumps({"rows": rows if "Write" in body["messages"][-1]["content"] else []}))

    (tmp_path / "prompt.j2").write_text("Write {{ rows }} customers.")
    try:
        with endpoint_server() as server:
            server.script = script
            monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
            told = {"licence": "Apache-2.0", "training_allowed": "yes: section 2", "params": {"rows_per_request": 20}}
            batch = frozen.generate_by_llm("tiny", prompt=tmp_path / "prompt.j2", rows=20, purpose="x", **told)
            frozen.review_sheet(batch, 10, output=tmp_path)
            with contextlib.suppress(SynthError):  # it is asked, and gives no answers
                frozen.review_by_model(batch, "judge")
            assert len(server.asked) >= 2
    finally:
        mlflow.openai.autolog(disable=True)
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("mine").experiment_id
    assert client.search_runs([experiment]) == [] and client.search_traces(locations=[experiment]) == []


@pytest.mark.slow
def test_the_callers_registry_takes_the_model(done, empty_store, tmp_path, monkeypatch):
    registry = f"sqlite:///{tmp_path / 'registry.db'}"
    (tmp_path / "registry.db").write_bytes(empty_store.read_bytes())
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", registry)
    uri = done.project.server.tracking_uri
    workflow = Workflow("shop", uri)
    workflow.sweep((0.0, 0.5), repeats=3, n_jobs=1, seed=5)
    assert [found.version for found in MlflowClient(uri, registry).search_model_versions("name='shop'")] == [1]
    assert len(MlflowClient(uri, uri).search_model_versions("name='shop'")) == 1  # of the sweep before
    workflow.report()
    assert workflow.trace("models:/shop/1").root


@pytest.mark.parametrize(
    ("experiment", "schema", "name"),
    [
        ("main.ml.churn", "", "main.ml.churn"),
        ("churn", "main.ml", "main.ml.churn"),
        ("/Users/ann@example.com/cold start", "main.ml", "main.ml.cold-start"),
    ],
)
@pytest.mark.parametrize("registry", ["databricks-uc", "databricks-uc://work", "uc:http://127.0.0.1:1"])
def test_names_in_a_unity_catalog_have_three_parts(uri, monkeypatch, registry, experiment, schema, name):
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", registry)
    monkeypatch.setenv(models.UC_SCHEMA, schema)
    assert models.registered_name(connect("shop", uri, create=True), experiment) == name


def test_a_unity_catalog_asks_where_models_go(uri, monkeypatch):
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", "databricks-uc")
    with pytest.raises(UsageError, match=r"names have three parts.*\n.*`export SYNTH_MLFLOW_UC_SCHEMA=CATALOG.SCHEMA`"):
        models.registered_name(connect("shop", uri, create=True), "churn")


@pytest.mark.parametrize("verb", ["status", "check", "verify", "batches", "training_rows"])
def test_a_verb_that_reads_makes_no_experiment(uri, verb):
    workflow = Workflow("shp", uri)
    with pytest.raises(UsageError, match="there is no experiment 'shp'"):
        getattr(workflow, verb)()
    assert MlflowClient(uri).get_experiment_by_name("shp") is None
