"""The whole way works on every server that teams run, and so does every question about it."""

import pytest
import shop

from synth_mlflow import Workflow
from synth_mlflow.tracking import names

pytestmark = pytest.mark.xdist_group("servers")


@pytest.fixture
def workflow(site):
    return Workflow(None if "s3" not in str(site.folder) else "shop on s3", site.uri)


def test_whole_way_stands_and_verifies(site, workflow):
    assert [stage.done for stage in workflow.status().stages] == [True] * 6
    assert workflow.status().unfinished == ()
    assert workflow.verify().findings == ()


def test_reruns_add_nothing(site, workflow):
    before = {run.run_id for run in workflow.project.reader.runs() if run.stage != "handoff"}
    shop.go_whole_way(site.uri, site.folder, workflow.project.server.experiment)
    assert {run.run_id for run in workflow.project.reader.runs() if run.stage != "handoff"} == before


def test_questions_are_answered(site, workflow):
    batch = workflow.batches().loc[0, "batch"]
    final = workflow.project.reader.finished("final")[-1]
    model = f"models:/{final.params[names.P_MODEL_NAME]}/{final.params[names.P_MODEL_VERSION]}"
    assert batch in str(workflow.trace(model)) and final.run_id in str(workflow.trace(batch))
    assert workflow.identify(shop.customers(400, 2)).counts["synthetic"] == 400
    assert {state.state for state in workflow.check()} <= {"due", "not due", "cannot tell"}
    assert list(workflow.curve()["ratio"]) == [0.0, 0.5]
