"""`trace`: from a model back to its rows, from a batch on to all that used it."""

import json

import pytest
from mlflow.entities import Dataset, DatasetInput

from synth_mlflow import Workflow
from synth_mlflow.cli.main import run as run_command
from synth_mlflow.errors import UsageError
from synth_mlflow.queries.trace import Node, tree_lines
from synth_mlflow.tracking import names
from synth_mlflow.tracking.write import NewRun, create_run, writing

MODEL = "models:/demo-breast-cancer/1"


@pytest.fixture
def batch(demo_workflow):
    return demo_workflow.project.batches()[0]


@pytest.fixture
def client(demo_workflow):
    return demo_workflow.project.server.client


@pytest.fixture
def outside(client, batch):
    """A training by somebody else that logged the batch as its input and registered a model."""
    run = client.create_run(client.create_experiment("somebody else"), run_name="their training")
    dataset = Dataset("their copy", batch.digest[:32], "local", "{}")
    client.log_inputs(run.info.run_id, [DatasetInput(dataset, [])])
    client.set_terminated(run.info.run_id)
    client.create_registered_model("theirs")
    client.create_model_version("theirs", "file:///nowhere", run.info.run_id)
    return run.info.run_id


def shape(node):
    """The kinds of a tree, nested."""
    return {node.kind: [shape(child) if child.children else child.kind for child in node.children]}


def test_model_back_to_the_statement(demo_workflow, batch):
    root = demo_workflow.trace(MODEL).root
    assert shape(root) == {"model": [{"sweep": [{"batch": ["record"]}, "problem", "evaluation set"]}, "handoff"]}
    assert root.facts["batches inside"] == batch.id
    sweep = root.children[0]
    assert sweep.facts["chosen ratio"] == root.facts["ratio"] > 0
    told = sweep.children[0].facts
    made_by = f"gaussian_copula {batch.run.params[names.P_GENERATOR_VERSION]}"
    assert (told["rows"], told["generator"], told["seed"], told["verdict"]) == (288, made_by, 0, "pass")


def test_every_way_to_name_a_model(demo_workflow, client):
    client.set_registered_model_alias("demo-breast-cancer", "best", 1)
    by_version = demo_workflow.trace(MODEL)
    assert demo_workflow.trace("models:/demo-breast-cancer@best").root == by_version.root
    assert demo_workflow.trace(by_version.root.run_id).root == by_version.root


def test_batch_on_to_its_models_and_handoffs(demo_workflow, batch):
    root = demo_workflow.trace(batch.id).root
    assert shape(root) == {"batch": ["record", "problem", "evaluation set", {"sweep": ["model", "handoff"]}]}
    assert demo_workflow.trace(batch.run.run_id).root == root
    check = demo_workflow.project.reader.latest("fidelity")
    assert demo_workflow.trace(check.run_id).root == root


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("sweep", {"sweep": [{"batch": ["record"]}, "problem", "evaluation set", "model", "handoff"]}),
        ("ratio", {"ratio": [{"sweep": [{"batch": ["record"]}, "problem", "evaluation set"]}]}),
        ("problem", {"problem": [{"batch": ["record"]}, {"sweep": ["model", "handoff"]}]}),
        ("evaluation_set", {"evaluation set": [{"batch": ["record"]}, {"sweep": ["model", "handoff"]}]}),
        ("baseline", {"evaluation set": [{"batch": ["record"]}, {"sweep": ["model", "handoff"]}]}),
    ],
)
def test_every_stage_has_its_tree(demo_workflow, stage, expected):
    run = demo_workflow.project.reader.latest(stage)
    assert shape(demo_workflow.trace(run.run_id).root) == expected


@pytest.mark.slow
def test_handoff_back_to_its_model(demo_workflow):
    root = demo_workflow.trace(demo_workflow.project.reader.latest("handoff").run_id).root
    assert root.name == "final" and [child.name for child in root.children] == [MODEL]


def test_sweep_that_chose_no_synthetic_rows_leads_to_no_model(demo_workflow, batch):
    server = demo_workflow.project.server
    chosen = {names.P_BATCHES: batch.id, names.P_CHOSEN: 0.0, names.P_RATIOS: [0.0, 0.5], names.P_METRIC: "r2"}
    with writing(server, create_run(server, NewRun("sweep", "sweep · nothing helped", "key"))) as draft:
        for name, value in {**chosen, names.P_CHOSEN_SCORE: [0.5, 0.4, 0.6]}.items():
            draft.param(name, value)
    uses = [child for child in demo_workflow.trace(batch.id).root.children if child.kind == "sweep"]
    assert [len(sweep.children) for sweep in uses] == [2, 0]


def test_handoff_of_real_rows_alone_is_named_by_the_batch_that_it_rejected(done):
    (batch,) = done.project.batches()
    (sweep,) = (child for child in done.trace(batch.id).root.children if child.kind == "sweep")
    assert sweep.facts["chosen ratio"] == 0
    (handoff,) = sweep.children
    assert handoff.kind == "handoff" and handoff.facts["this batch"] == "was compared, and is not in the model"


def test_runs_of_other_tools_that_read_a_batch(demo_workflow, batch, outside):
    found = demo_workflow.trace(batch.id).root.children[-1]
    assert (found.kind, found.name, found.run_id) == ("outside run", "their training", outside)
    assert found.facts["experiment"] == "somebody else"
    assert [model.name for model in found.children] == ["models:/theirs/1"]


def test_model_of_another_tool_back_to_the_batch(demo_workflow, batch, outside):
    root = demo_workflow.trace("models:/theirs/1").root
    assert root.run_id == outside
    assert [(child.kind, child.name) for child in root.children] == [
        ("model", "models:/theirs/1"), ("batch", batch.id)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "match"),
    [
        ("gaussian-copla-afba", "Did you mean 'gaussian-copula-"),
        ("models:/demo-breast-cancr/1", "Did you mean 'models:/demo-breast-cancer/1'"),
        ("models:/demo-breast-cancer/7", "Did you mean 'models:/demo-breast-cancer/1'"),
        ("models:/demo-breast-cancer@best", "Did you mean 'models:/demo-breast-cancer/1'"),
        ("models:/demo-breast-cancer", "is no registered model"),
        ("", "there is no batch, run or model ''"),
    ],
)
def test_unknown_things_name_the_nearest(demo_workflow, what, match):
    with pytest.raises(UsageError, match=match):
        demo_workflow.trace(what)


def test_the_beginning_of_a_run_id_names_the_whole(demo_workflow, batch):
    assert demo_workflow.trace(batch.run.run_id[:20]).lines() == demo_workflow.trace(batch.run.run_id).lines()
    with pytest.raises(UsageError, match=batch.run.run_id):
        demo_workflow.trace(batch.run.run_id[:7])


def test_runs_that_lead_nowhere_are_refused_with_the_reason(demo_workflow, client):
    server = demo_workflow.project.server
    unfinished = create_run(server, NewRun("batch", "half a batch", "half"))
    with pytest.raises(UsageError, match="RUNNING: it was not written to its end"):
        demo_workflow.trace(unfinished)
    workflow_run = demo_workflow.project.reader.latest("workflow")
    produced = demo_workflow.log_production(0.9)
    for run_id in [produced, *([workflow_run.run_id] if workflow_run else [])]:
        with pytest.raises(UsageError, match="nothing was made from it"):
            demo_workflow.trace(run_id)


def test_a_deleted_run_is_said_to_be_deleted(demo_workflow, client):
    handoff = demo_workflow.project.reader.latest("handoff")
    client.delete_run(handoff.run_id)
    with pytest.raises(UsageError, match="was deleted"):
        demo_workflow.trace(handoff.run_id)
    assert "handoff" not in str(demo_workflow.trace(MODEL).lines())


def test_another_projects_run_names_its_project(demo_workflow, batch):
    demo_workflow.project.server.client.create_experiment("mill")
    elsewhere = Workflow("mill", demo_workflow.project.server.tracking_uri)
    with pytest.raises(UsageError, match="belongs to project 'demo-breast-cancer'"):
        elsewhere.trace(batch.run.run_id)


def test_printed_tree_keeps_numbers_and_cuts_long_texts():
    leaf = Node("batch", "law-1", "b", {"rows": 12_000, "seed": 12_000, "purpose": "x" * 80})
    lines = tree_lines(Node("model", "m", "a", {"score": 0.5, "low": 0.25, "high": 0.75}, (leaf,)))
    assert lines[1] == "│   score 0.5000 (0.2500 to 0.7500)"
    assert lines[3] == f"        rows 12,000 · seed 12000 · purpose {'x' * 59}…"


def test_command_line(demo_workflow, batch, capsys):
    at = ("--tracking-uri", demo_workflow.project.server.tracking_uri)
    for options in ([], ["--json"]):
        with pytest.raises(SystemExit) as leaving:
            run_command(["trace", MODEL, *options, *at])
        assert not leaving.value.code
        printed = capsys.readouterr().out
        assert batch.id in printed and batch.run.run_id in printed
    assert json.loads(printed)["root"]["children"][0]["kind"] == "sweep"
    assert batch.id in demo_workflow.trace(MODEL)._repr_html_()
