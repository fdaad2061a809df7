"""What a sweep may meet, by the command line against a server: a guardrail, a ratio that fails, a Dask cluster."""

import json

import pytest
import shop
from distributed import LocalCluster

from synth_mlflow import Workflow
from synth_mlflow.tracking import names

pytestmark = [pytest.mark.xdist_group("servers"), pytest.mark.slow]

TOUCHY = """
from sklearn.linear_model import LogisticRegression


class Touchy(LogisticRegression):
    def fit(self, X, y):
        if len(X) > 450:
            raise MemoryError(f"{len(X)} rows are too many for me")
        return super().fit(X, y)
"""


@pytest.fixture
def prepare(sqlite_server, tmp_path, monkeypatch):
    """Brings a project of this name as far as a batch that passed; gives what its command lines end with."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_server.uri)

    def prepare(name, *, allow_code=(), **changes):
        shop.write_shop(tmp_path, shop.customers(600, seed=1), name=name, **changes)
        workflow = Workflow(name, sqlite_server.uri, allow_code=allow_code)
        workflow.define(tmp_path / "problem.md")
        workflow.freeze()
        with workflow.batch(
            generator="law", version="1", params={}, seed=2, slice=None, purpose="more rows", source="none"
        ) as b:
            b.write(shop.customers(400, 2))
        workflow.validate()
        return workflow, ("--experiment", name, "-q")

    return prepare


def test_guardrail_that_no_slice_can_show_to_hold_shuts_every_ratio_out(prepare, call):
    workflow, at = prepare("guarded", more="guardrail: {max_slice_drop: 0.0001}")
    code, out, _ = call("sweep", "--ratios", "0,50", "--repeats", "3", *at)
    assert code == 0 and "chosen" in out
    curve = workflow.latest_curve()
    assert curve.chosen == 0 and "slice 'young'" in curve.at(0.5).forbidden
    sweep = workflow.project.latest_sweep().run
    told = {run.name: _description(workflow, run.run_id) for run in workflow.project.reader.children(sweep.run_id)}
    assert "The guardrail does not let it be chosen: slice 'young'" in told["50 % synthetic"]
    assert workflow.verify().findings == ()


def test_ratio_at_which_the_estimator_fails_is_left_out(prepare, call, tmp_path, monkeypatch):
    (tmp_path / "touchy.py").write_text(TOUCHY)
    monkeypatch.syspath_prepend(tmp_path)
    model = '{estimator: "touchy:Touchy", params: {max_iter: 500}}'
    workflow, at = prepare("touchy", allow_code=("touchy",), model=model)
    assert call("sweep", "--ratios", "0,25,50", "--repeats", "3", *at)[0] == 2
    at = (*at, "--allow-code", "touchy")
    code, out, _ = call("sweep", "--ratios", "0,25,50", "--repeats", "3", *at)
    assert code == 0 and "50 % was left out" in out and "rows are too many for me" in out
    curve = workflow.latest_curve()
    assert [point.ratio for point in curve.points] == [0, 0.25] and [lost.ratio for lost in curve.failed] == [0.5]
    sweep = workflow.project.latest_sweep().run
    assert json.loads(sweep.params[names.P_FAILED]) == [0.5]
    children = workflow.project.reader.children(sweep.run_id)
    ended = {run.name.partition(" · ")[0]: run.status for run in children}
    assert "left unfinished" not in call("status", *at)[1]
    assert ended == {"0 % synthetic": "FINISHED", "25 % synthetic": "FINISHED", "50 % synthetic": "FAILED",
                     "final model": "FINISHED"}  # fmt: skip


def test_fits_on_a_cluster_give_the_numbers_of_one_machine(prepare, call):
    here, at = prepare("here")
    there, on_cluster = prepare("there")
    arguments = ("sweep", "--ratios", "0,50", "--repeats", "3")
    assert call(*arguments, "--jobs", "1", *at)[0] == 0
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        code, out, err = call(*arguments, "--engine", "dask", "--scheduler", cluster.scheduler_address, *on_cluster)
    assert code == 0, (out, err)
    assert there.latest_curve() == here.latest_curve()
    assert "dask" in there.project.latest_sweep().run.params[names.P_ENGINE]


def _description(workflow, run_id):
    return workflow.project.server.client.get_run(run_id).data.tags["mlflow.note.content"]
