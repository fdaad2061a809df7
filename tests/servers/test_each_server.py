"""The whole way works on every server that teams run, and so does every question about it."""

import boto3
import pytest
import shop

from synth_mlflow import Workflow
from synth_mlflow.errors import EvidenceError
from synth_mlflow.tracking import names

pytestmark = [pytest.mark.xdist_group("servers"), pytest.mark.slow]


@pytest.fixture
def workflow(site):
    return Workflow("shop", site.uri)


def test_whole_way_stands_and_verifies(site, workflow):
    assert [stage.done for stage in workflow.status().stages] == [True] * 6
    assert workflow.status().unfinished == ()
    assert workflow.verify().findings == ()


def test_reruns_add_nothing(site, workflow):
    before = {run.run_id for run in workflow.project.reader.runs() if run.stage != "handoff"}
    shop.go_whole_way(site.uri, site.folder, "shop")
    assert {run.run_id for run in workflow.project.reader.runs() if run.stage != "handoff"} == before


def test_questions_are_answered(site, workflow):
    batch = workflow.batches().loc[0, "batch"]
    final = workflow.project.reader.finished("final")[-1]
    model = f"models:/{final.params[names.P_MODEL_NAME]}/{final.params[names.P_MODEL_VERSION]}"
    assert batch in str(workflow.trace(model)) and final.run_id in str(workflow.trace(batch))
    assert workflow.identify(shop.customers(400, 2)).counts["synthetic"] == 400
    assert {state.state for state in workflow.check()} <= {"due", "not due", "cannot tell"}
    assert list(workflow.curve()["ratio"]) == [0.0, 0.5]


def test_a_batch_replaced_on_the_object_store_is_found(s3_site, bucket, monkeypatch):
    """By the stage that would use it, with the reason; and put back, it counts again."""
    for name, value in s3_site.environment.items():
        monkeypatch.setenv(name, value)
    workflow = Workflow("shop", s3_site.uri)
    uri = workflow.project.server.client.get_run(workflow.project.batches()[0].run.run_id).info.artifact_uri
    kept = {"Bucket": "evidence", "Key": f"{uri.removeprefix('s3://evidence/')}/{names.A_BATCH}"}
    store = boto3.client("s3", endpoint_url=bucket)
    before = store.get_object(**kept)["Body"].read()
    for change, match in (
        (lambda: store.put_object(**kept, Body=before + b" "), "someone changed it"),
        (lambda: store.delete_object(**kept), "cannot be fetched"),
    ):
        change()
        with pytest.raises(EvidenceError, match=match):
            Workflow("shop", s3_site.uri).sweep((0.0, 0.5), repeats=3, n_jobs=1, seed=5)
    store.put_object(**kept, Body=before)
    assert Workflow("shop", s3_site.uri).verify().holds
