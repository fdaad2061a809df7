"""A project of conversations with a label: frozen, judged, served, and what cannot write them says what can."""

import json

import numpy as np
import pandas as pd
import pytest

from synth_mlflow import Workflow
from synth_mlflow.data.conversation_text import canonical
from synth_mlflow.data.task import Task
from synth_mlflow.errors import GeneratorError, UsageError
from synth_mlflow.llm.parsing import MisfitError, answer_schema, columns_of, fitted
from synth_mlflow.models.raw_command import write_table
from synth_mlflow.tracking import names

TOPICS = {"boats": "sail keel mast harbour tide rope", "bread": "flour oven yeast crust dough salt"}
STATEMENT = """---
name: chats
data: chat.jsonl
target: topic
task: binary
metric: accuracy
success: {gain_at_least: 0.01}
gap: coverage hole
privacy: "not relevant: made up"
evaluation: {share: 0.4}
%s---
## What gap are we filling?
A.
## Why can't real data solve it?
B.
## What metric decides success, and why?
C.
## Who owns this, and who may change the evaluation set?
D.
"""


def chats(n, seed):
    rng = np.random.default_rng(seed)
    for _ in range(n):
        topic = str(rng.choice(list(TOPICS)))
        words = [*TOPICS[topic].split(), "the", "a", "of", "with"] + [f"word{at}" for at in range(30)]
        said = [" ".join(rng.choice(words, rng.integers(8, 16))) for _ in range(2)]
        turns = [{"role": role, "content": text} for role, text in zip(("user", "assistant"), said, strict=True)]
        yield {"messages": turns, "topic": topic}


def lines(rows):
    return "".join(f"{json.dumps(row)}\n" for row in rows)


@pytest.fixture
def frozen_chats(uri, tmp_path):
    (tmp_path / "chat.jsonl").write_text(lines(chats(250, 1)))
    (tmp_path / "problem.md").write_text(STATEMENT % "model: {params: {text: linear}}\n")
    workflow = Workflow("chats", uri)
    workflow.define(tmp_path / "problem.md")
    workflow.freeze()
    return workflow


@pytest.mark.slow
def test_conversations_are_learned_from_and_written_back(frozen_chats, tmp_path):
    real = frozen_chats.write_jsonl(frozen_chats.training_rows(), tmp_path / "a.jsonl").read_text().splitlines()
    assert len(real) == 150 and set(real) <= set((tmp_path / "chat.jsonl").read_text().splitlines())
    made = list(chats(40, 2))
    with frozen_chats.batch(**RECORD, source="none") as batch:
        batch.write(pd.DataFrame(made))
    assert frozen_chats.write_jsonl(batch.batch, tmp_path / "b.jsonl").read_text() == lines(made)
    with pytest.raises(UsageError, match="column 'topic' is missing"):
        frozen_chats.write_jsonl(frozen_chats.training_rows().drop(columns="topic"), tmp_path / "c.jsonl")
    assert frozen_chats.project.find_evaluation_set().run.metrics[names.M_SCORE] > 0.8
    with pytest.raises(GeneratorError, match="holds free text, which this generator cannot write") as refusal:
        frozen_chats.generate("forest", rows=20, purpose="more")
    assert "language model" in refusal.value.fix and "--from FILE" in refusal.value.fix


def test_a_benchmark_or_a_command_that_is_missing_is_said_first(uri, tmp_path):
    (tmp_path / "chat.jsonl").write_text(lines(chats(80, 1)))
    (tmp_path / "problem.md").write_text(STATEMENT % "benchmarks: [quiz.jsonl]\n")
    workflow = Workflow("chats", uri)
    with pytest.raises(UsageError, match=r"the benchmark .*quiz\.jsonl is not there"):
        workflow.define(tmp_path / "problem.md")
    text = (STATEMENT % "").replace("target: topic\n", "").replace("binary", "scored").replace("accuracy", "mean_score")
    (tmp_path / "problem.md").write_text(text)
    workflow.define(tmp_path / "problem.md")
    with pytest.raises(UsageError, match="--train-command is missing"):
        workflow.freeze()


RECORD = {"generator": "m", "version": "1", "params": {}, "seed": None, "slice": None, "purpose": "more"}
TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def test_a_language_model_is_asked_for_turns():
    members = pd.DataFrame({"messages": [canonical(TURNS)] * 12})
    columns = columns_of(members, Task("", "scored", roles={"messages": "conversation"}))
    told = answer_schema(columns)["properties"]["rows"]["items"]["properties"]["messages"]
    assert told["type"] == "array" and told["items"]["required"] == ["role", "content"]
    assert fitted({"messages": TURNS}, columns) == ({"messages": canonical(TURNS)}, False)
    assert fitted({"messages": json.dumps(TURNS)}, columns) == ({"messages": canonical(TURNS)}, True)
    with pytest.raises(MisfitError, match="is no conversation: it turn 1 has no 'role'"):
        fitted({"messages": [{"content": "Hi"}]}, columns)


def test_a_command_gets_lists_of_turns(tmp_path):
    rows = pd.DataFrame({"messages": [canonical(TURNS)], "n": [3], "note": pd.Series([None], dtype="str")})
    write_table(rows, tmp_path / "a.jsonl")
    assert json.loads((tmp_path / "a.jsonl").read_text()) == {"messages": TURNS, "n": 3}
