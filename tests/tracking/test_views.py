"""The saved views of a project: written with it, repaired, and right about which runs they list."""

from __future__ import annotations

import json
from collections.abc import Iterator

import mlflow
import pytest

from synth_mlflow import Workflow
from synth_mlflow.tracking import names
from synth_mlflow.tracking.server import connect, make
from synth_mlflow.tracking.views import VIEWS, View


def tags_of(workflow: Workflow) -> dict[str, str]:
    server = workflow.project.server
    return dict(server.client.get_experiment(server.experiment_id).tags)


def state_of(text: str) -> dict[str, object]:
    return dict(json.loads(json.loads(text)["state"]))


def test_a_new_project_has_all_of_them(uri: str) -> None:
    server = connect("fresh", uri, create=True)
    tags = server.client.get_experiment(server.experiment_id).tags
    assert [json.loads(tags[view.tag])["name"] for view in VIEWS] == [
        "Start here",
        "Batches and verdicts",
        "Ratio curve",
        "Checks that failed",
        "Models and handoffs",
    ]
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert max(len(tags[view.tag]) for view in VIEWS) < 5_000  # what MLflow takes since tags are limited


def test_an_experiment_that_was_there_before_gets_them_with_its_first_stage(uri: str, write_project) -> None:
    client = mlflow.MlflowClient(uri)
    client.create_experiment("shop")
    make(client, "shop")
    workflow = Workflow("shop", uri)
    workflow.define(write_project())
    assert {view.tag for view in VIEWS} <= set(tags_of(workflow))


def test_a_later_verb_repairs_what_is_missing_and_leaves_what_people_have_changed(done: Workflow) -> None:
    client, experiment_id = done.project.server.client, done.project.server.experiment_id
    client.delete_experiment_tag(experiment_id, VIEWS[0].tag)
    client.set_experiment_tag(experiment_id, VIEWS[1].tag, "mine")
    done.report()
    tags = tags_of(done)
    assert state_of(tags[VIEWS[0].tag])["searchFilter"] == VIEWS[0].filter
    assert tags[VIEWS[1].tag] == "mine"


def test_the_description_links_each(frozen: Workflow) -> None:
    note = tags_of(frozen)[names.TAG_NOTE]
    assert [view.name for view in VIEWS if f"viewStateShareKey={view.id})" not in note] == []


def listed(workflow: Workflow, view: View) -> Iterator[str]:
    """The stages of the runs that a view lists, in its order."""
    server, order = workflow.project.server, "ASC" if view.ascending else "DESC"
    for run in server.client.search_runs([server.experiment_id], view.filter, order_by=[f"{view.order} {order}"]):
        yield run.data.tags[names.TAG_STAGE]


@pytest.mark.parametrize(
    ("view", "stages"),
    [
        ("Start here", ["problem", "baseline", "evaluation_set", "batch", "final", "sweep", "handoff"]),
        ("Batches and verdicts", ["batch"]),
        ("Ratio curve", ["ratio", "ratio", "ratio", "ratio", "sweep"]),
        ("Checks that failed", []),
        ("Models and handoffs", ["handoff", "final"]),
    ],
)
def test_they_list_the_right_runs_in_order(done: Workflow, view: str, stages: list[str]) -> None:
    (found,) = [each for each in VIEWS if each.name == view]
    assert list(listed(done, found)) == stages


def test_a_check_that_did_not_pass_is_listed(done: Workflow) -> None:
    check = done.project.reader.latest("fidelity")
    done.project.server.client.set_tag(check.run_id, names.TAG_VERDICT, "inconclusive")
    assert list(listed(done, VIEWS[3])) == ["fidelity"]


def test_every_column_and_chart_exists_in_the_runs(done: Workflow) -> None:
    """A name that was changed elsewhere would leave an empty column, and nobody would be told."""
    runs = done.project.reader.runs()
    known = {f"tags.`{tag}`" for run in runs for tag in run.tags} | {
        f"metrics.`{name}`" for run in runs for name in run.metrics
    }
    only_some = {f"tags.`{tag}`" for tag in (names.TAG_REASON, names.TAG_PURPOSE)}
    columns = {column for view in VIEWS for column in view.columns if not column.startswith("attributes.")}
    assert columns - only_some - known == set()
    metrics = {f"metrics.`{name}`" for view in VIEWS for chart in view.charts for name in chart.metrics}
    assert metrics - known - {"metrics.`synth.best_attack_auc`"} == set()  # of privacy, which the shop does not check
