"""Texts from a language model: what comes with bad habits is rejected, and what is kept passes the checks of texts."""

import json
import shutil
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path

import pytest
import shop
from stand_in_endpoint import endpoint_server
from stand_in_texts import answers_of, labelled

from synth_mlflow import Workflow
from synth_mlflow.audit.replay import BatchReplayer
from synth_mlflow.errors import GeneratorError
from synth_mlflow.tracking import names

pytestmark = pytest.mark.slow
TEACHER = {"licence": "MIT", "training_allowed": "yes: section 1"}
QUICK = {"rows_per_request": 20, "patience": 3, "concurrency": 2}


@pytest.fixture(scope="session")
def folder_of_texts(empty_store, made_once):
    """A store with a frozen project of texts, made once a session."""

    def fill(folder):
        shutil.copy(empty_store, folder / "mlflow.db")
        more = "columns: {said: {role: text}}"
        shop.write_shop(folder, labelled(600, 0), more=more, target="label", slices="{}")
        with chdir(folder):
            workflow = Workflow("shop", f"sqlite:///{folder / 'mlflow.db'}")
            workflow.define(folder / "problem.md")
            workflow.freeze()

    return made_once("frozen-texts", fill)


@pytest.fixture
def texts(folder_of_texts, tmp_path, monkeypatch):
    """A project of texts whose set is frozen, and a server."""
    workflow = shop.on_copy(folder_of_texts, tmp_path)
    Path("prompt.j2").write_text("Write {{ rows }} sentences.")
    with endpoint_server() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        yield workflow, server


def ask(workflow, server, habit, rows=100, **changes):
    """A batch from a model with a habit."""
    real = list(workflow.training_rows()["said"])
    content = answers_of(habit, real)
    server.script = lambda handler, at, body: handler.complete(content(body["seed"], 20))
    given = {"prompt": "prompt.j2", "rows": rows, "purpose": habit, "journal": f"{habit}.jsonl", "params": QUICK}
    return workflow.generate_by_llm("tiny", **TEACHER, **{**given, **changes})


def test_each_habit_is_rejected_for_its_reason(texts):
    workflow, server = texts
    for habit, reason in (
        ("near duplicates", "'said' nearly repeats a (real text|text of this batch)"),
        ("off topic", "'said' is off topic"),
        ("refusals", "'said' is a refusal or a remark of an assistant"),
        ("other language", "'said' is in another language"),
        ("copies", "'said' nearly repeats a real text"),
        ("refuses all", "an answer without a whole row"),
    ):
        with pytest.raises(GeneratorError, match=reason):
            ask(workflow, server, habit)
    assert workflow.project.reader.runs("batch") == []


def test_what_is_kept_is_counted_by_reason_and_passes_the_checks_of_texts(texts):
    workflow, server = texts
    batch = ask(workflow, server, "drift", rows=200)
    told, run = batch.record.notes["llm"], workflow.project.reader.run(batch.run_id)
    assert told["rows_rejected"]["'said' is missing"] == run.metrics[names.M_REJECTED + "/_said_ is missing"] >= 190
    assert run.metrics[names.M_RECEIVED] == told["rows_received"] == 200 + run.metrics[names.M_REJECTED]
    assert told["outlook"] == []
    verdict = workflow.validate(batch)
    assert {check.check: check.verdict for check in verdict.checks}["contamination"] == "pass"
    assert {check.check: check.verdict for check in verdict.checks}["fidelity"] == "pass"


def test_texts_of_earlier_batches_do_not_come_again(texts):
    workflow, server = texts
    first = ask(workflow, server, "none", rows=60)
    assert ask(workflow, server, "none", rows=60).run_id == first.run_id  # the very same request
    second = ask(workflow, server, "none", rows=60, purpose="other", params={**QUICK, "patience": 10})
    told = second.record.notes["llm"]
    assert told["earlier_batches"] == [first.batch]
    assert told["rows_rejected"]["'said' repeats a text of an earlier batch"] >= 40
    schema = workflow.project.evaluation_set().schema
    batches = [workflow.project.batch(one.batch) for one in (first, second)]
    before, after = (set(workflow.project.batch_rows(batch, schema)["said"]) for batch in batches)
    assert not before & after
    replayer = BatchReplayer(workflow.project, workflow.project.evaluation_set(), {}, allow_external=True)
    assert replayer.remake(batches[1]).digest == second.digest  # held against the same batches, and not against itself
    rejected = workflow.project.reader.file(workflow.project.reader.run(second.run_id), names.A_REJECTED)
    lines = [json.loads(line) for line in rejected.read_text().splitlines()]
    assert any(line["reason"].endswith("of an earlier batch") and "said" in line["row"] for line in lines)


def test_it_is_said_that_the_model_knows_the_evaluation_texts(texts):
    workflow, server = texts
    evaluation = list(workflow.evaluation_rows()["said"])
    content = answers_of("copies", evaluation)
    server.script = lambda handler, at, body: handler.complete(content(body["seed"], 20))
    batch = workflow.generate_by_llm("tiny", prompt="prompt.j2", rows=60, purpose="x", params=QUICK, **TEACHER)
    assert any(reason.startswith("contamination: near_texts") for reason in batch.record.notes["llm"]["outlook"])


def test_rejected_rows_stay_away_where_real_rows_do(texts):
    workflow, server = texts
    labelled(300, 7).to_csv("silo.csv", index=False)
    batch = ask(workflow, server, "drift", rows=40, source="silo.csv")
    artifacts = workflow.project.reader.run(batch.run_id).artifacts
    assert names.A_REJECTED not in artifacts and names.A_ANSWERS in artifacts


def test_a_kill_between_steps_costs_no_paid_answer(texts):
    workflow, server = texts
    Path("steps.yaml").write_text(
        "steps:\n  - {columns: [said], prompt: 'Write {{ rows }}.'}\n"
        "  - {columns: [label], prompt: 'Label {% for row in given %}{{ row }}{% endfor %}'}\n"
    )

    def script(handler, at, body):
        if "Label" not in body["messages"][1]["content"]:
            return handler.complete(answers_of("none", [""])(body["seed"], 20))
        if at < 2:
            time.sleep(20)
        return handler.complete(json.dumps({"rows": [{"row": n, "label": "plain"} for n in range(1, 21)]}))

    server.script = script
    code = "from synth_mlflow import Workflow; import sys; Workflow('shop', sys.argv[1]).generate_by_llm('tiny', "
    code += f"prompt='steps.yaml', rows=10, purpose='x', journal='k.jsonl', params={QUICK!r}, **{TEACHER!r})"
    child = subprocess.Popen([sys.executable, "-c", code, workflow.project.server.tracking_uri])
    until = time.monotonic() + 120
    while len(server.asked) < 2 and time.monotonic() < until:
        time.sleep(0.1)
    child.kill()
    child.wait()
    server.asked.clear()
    server.script = lambda handler, at, body: script(handler, 2, body)
    batch = workflow.generate_by_llm(
        "tiny", prompt="steps.yaml", rows=10, purpose="x", journal="k.jsonl", params=QUICK, **TEACHER
    )
    assert (batch.n_rows, batch.record.notes["llm"]["from_journal"], len(server.asked)) == (10, 1, 1)


CODE = """
import zlib
import numpy as np

def encode(texts):
    found = np.zeros((len(texts), 256))
    for row, text in enumerate(texts):
        for word in text.lower().split():
            found[row, zlib.crc32("".join(sorted(word)).encode()) % 256] += 1
    return found
"""


def test_an_embedding_of_the_statement_screens_as_well(uri, write_project, tmp_path, monkeypatch):
    """Words with their letters in another order: the embedding takes them for the same."""
    (tmp_path / "letter_vectors.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    more = 'columns: {said: {role: text}}\nembedding: "letter_vectors:encode"'
    problem = write_project(labelled(600, 0), more=more, target="label", slices="{}", model="{params: {text: linear}}")
    workflow = Workflow("shop", uri, allow_code=("letter_vectors",))
    workflow.define(problem)
    workflow.freeze()
    (tmp_path / "prompt.j2").write_text("Write {{ rows }} sentences.")
    real = workflow.training_rows()
    rows = [
        {"said": " ".join(word[::-1] for word in row.said.split()), "label": row.label} for row in real.itertuples()
    ]
    with endpoint_server() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        server.script = lambda handler, at, body: handler.complete(
            json.dumps({"rows": rows[20 * at : 20 * at + 20]}, default=str)
        )
        with pytest.raises(GeneratorError, match="'said' nearly repeats a real text by its vector"):
            workflow.generate_by_llm(
                "tiny",
                **TEACHER,
                prompt=tmp_path / "prompt.j2",
                rows=100,
                purpose="words",
                params={**QUICK, "off_topic": 0},
            )
