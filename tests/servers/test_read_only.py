"""Somebody who may only read: every verb that writes says so before it works, every verb that reads works."""

import pytest
import shop
from started import ADMIN, READER

from synth_mlflow import Workflow, load_batch
from synth_mlflow.cli.main import _exit_code
from synth_mlflow.errors import GateError, ServerError
from synth_mlflow.stages.publish import publish

pytestmark = [pytest.mark.xdist_group("servers"), pytest.mark.slow]

AS_READER = dict(zip(("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"), READER, strict=True))
LAW = {"generator": "law", "version": "1", "params": {}, "seed": 9, "slice": None, "purpose": "more", "source": "none"}


@pytest.fixture
def reader(auth_site, monkeypatch, tmp_path):
    for name, value in AS_READER.items():
        monkeypatch.setenv(name, value)
    shop.write_shop(tmp_path, shop.customers(300, 1))
    return Workflow("shop", auth_site.uri)


def in_a_block(workflow):
    with workflow.batch(**LAW) as b:
        b.write(shop.customers(20, 3))


WRITES = {
    "define": lambda workflow: workflow.define("problem.md"),
    "freeze": lambda workflow: workflow.freeze(),
    "generate": lambda workflow: workflow.generate("bootstrap_noise", rows=10, purpose="x"),
    "generate in a block": in_a_block,
    "generate by a command": lambda workflow: workflow.generate_by_command(
        "x", generator="x", version="1", rows=1, purpose="x"
    ),
    "generate --from": lambda workflow: workflow.adopt_file("rows.csv", "record.yaml"),
    "generate auto": lambda workflow: workflow.search_generators(),
    "validate": lambda workflow: workflow.validate(),
    "validate --review": lambda workflow: workflow.review_sheet(workflow.batches().loc[0, "batch"], rows=20),
    "review": lambda workflow: workflow.review(workflow.batches().loc[0, "batch"], "answers.csv", rater="Ann"),
    "review --judge": lambda workflow: workflow.review_by_model(workflow.batches().loc[0, "batch"], "judge"),
    "sweep": lambda workflow: workflow.sweep(),
    "approve": lambda workflow: workflow.approve(workflow.batches().loc[0, "batch"], name="x"),
    "watch --webhook": lambda workflow: workflow.add_webhook("x", "https://host/x"),
    "watch --no-webhook": lambda workflow: workflow.remove_webhook("x", "https://host/x"),
    "report": lambda workflow: workflow.report(),
    "report a draft": lambda workflow: workflow.draft_handoff(GateError("x")),
    "sign": lambda workflow: workflow.sign(name="Ann", role="owner"),
    "log-production": lambda workflow: workflow.log_production(0.5),
    "retract": lambda workflow: workflow.retract(workflow.batches().loc[0, "batch"], reason="x"),
    "blame": lambda workflow: workflow.blame(),
    "reproduce": lambda workflow: workflow.reproduce(),
    "status --repair": lambda workflow: workflow.repair(),
}


@pytest.mark.parametrize("verb", WRITES)
def test_verbs_that_write_say_what_is_needed(reader, verb):
    before = [(run.run_id, run.status) for run in reader.project.reader.runs()]
    with pytest.raises(ServerError, match=rf"`{verb.partition(' ')[0]}.*` writes to experiment 'shop'; .*403") as told:
        WRITES[verb](reader)
    assert "permission EDIT" in told.value.fix and "MLFLOW_TRACKING_USERNAME" in told.value.fix
    assert [(run.run_id, run.status) for run in reader.project.reader.runs()] == before


def test_every_method_that_writes_is_among_them():
    """A verb that is added later is tested too."""
    reads = {"of", "status", "check", "verify", "identify", "trace", "batches", "checks", "curve", "latest_curve"}
    reads |= {
        "watch",
        "next_steps",
        "training_rows",
        "evaluation_rows",
        "training_data",
        "write_jsonl",
        "diff",
        "export",
        "project",
        "allow_code",
    }
    tested = {
        "batch",
        "search_generators",
        "draft_handoff",
        "generate_by_command",
        "generate_by_llm",
        "adopt_file",
        "review_sheet",
        "review_by_model",
        "add_webhook",
        "remove_webhook",
        "log_production",
        "repair",
        *WRITES,
    }
    assert {name for name in vars(Workflow) if not name.startswith("_")} - reads <= tested


def test_verbs_that_read_work(reader, tmp_path):
    assert [stage.done for stage in reader.status().stages] == [True] * 6
    assert reader.verify().holds and reader.check()
    assert len(reader.batches()) and len(reader.curve()) == 2  # other tests may have written batches there
    assert len(reader.training_rows()) + len(reader.evaluation_rows()) == 300
    assert reader.identify(shop.customers(300, 1)).counts["evaluation"] == len(reader.evaluation_rows())
    assert "law" in str(reader.trace(reader.batches().loc[0, "batch"]))


def test_approved_data_are_loaded_by_a_reader(reader, auth_site, monkeypatch):
    for name, value in zip(AS_READER, ADMIN, strict=True):
        monkeypatch.setenv(name, value)
    owner = Workflow("shop", auth_site.uri)
    approved = owner.approve(owner.batches().loc[0, "batch"], name="young")
    for name, value in AS_READER.items():
        monkeypatch.setenv(name, value)
    found = load_batch("shop/young@approved", tracking_uri=auth_site.uri, deep=True)
    assert len(found) == approved.rows and reader.watch("young").versions[0].digest == approved.digest
    assert _exit_code(["fetch", "shop/young/1", "--output", "x.parquet", "--tracking-uri", auth_site.uri, "-q"]) == 0
    with pytest.raises(ServerError, match=r"`publish --format mlflow` writes to experiment 'shop'; .*403"):
        publish("shop/young@approved", "mlflow", tracking_uri=auth_site.uri)


def test_the_command_line_exits_with_1(reader, auth_site, capfd):
    assert _exit_code(["freeze", "--tracking-uri", auth_site.uri, "-q"]) == 1
    assert "`freeze` writes to experiment 'shop'" in capfd.readouterr().err
    assert _exit_code(["status", "--tracking-uri", auth_site.uri, "-q"]) == 0


def test_a_wrong_password_is_told_without_it(reader, auth_site, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wr0ng-Pass-word")
    with pytest.raises(ServerError, match=r"error code 401") as told:
        Workflow("shop", auth_site.uri)
    assert "MLFLOW_TRACKING_PASSWORD" in told.value.fix
    assert "wr0ng" not in str(told.value) + repr(told.value.__cause__)
