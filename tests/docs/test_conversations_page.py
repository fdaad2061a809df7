"""The worked example of the page on conversations runs as it stands there."""

from __future__ import annotations

import inspect
import json
import random
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
import scipy.special
import scipy.stats

from synth_mlflow.data.statement import parse_statement
from synth_mlflow.workflow import Workflow

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "conversations.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r'```\w+ title="([\w.]+)"\n(.*?)```', PAGE, re.DOTALL))
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = "".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)).replace("\\\n", "")
RECORD = 'generator: docs\nversion: "1"\nparams: {}\nseed: null\nslice: null\npurpose: more questions\nsource: none\n'


def conversations() -> Iterator[str]:
    """A line for each paragraph of the docstrings of functions."""
    seen: set[str] = set()
    for module in (np, np.linalg, np.random, scipy.stats, scipy.special):
        for name, found in inspect.getmembers(module, callable):
            parts = re.split(r"\n\s*\n", inspect.getdoc(found) or "")
            for number, part in enumerate(part for part in parts if len(part.split()) > 4):
                if part not in seen:
                    seen.add(part)
                    ask = f"What does {name} do?" if not number else f"What else is there to know of {name}, {number}?"
                    yield json.dumps(
                        {"messages": [{"role": "user", "content": ask}, {"role": "assistant", "content": part}]}
                    )


def test_the_statement_of_the_page_is_complete() -> None:
    facts = parse_statement(FILES["problem.md"]).facts
    assert (facts.task, facts.target, facts.metric) == ("scored", None, "mean_score")


@pytest.mark.slow
def test_the_example_of_the_page_runs(
    call: Callable[..., tuple[int, str, str]], uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = list(conversations())
    random.Random(1).shuffle(lines)
    for name, text in {**FILES, "record.yaml": RECORD}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "chat.jsonl").write_text("\n".join(lines[:1000]) + "\n")
    (tmp_path / "more.jsonl").write_text("\n".join(lines[1000:1700]) + "\n")
    for line in COMMANDS.splitlines():
        words = [word.replace("python ", f"{sys.executable} ", 1) for word in shlex.split(line)[1:]]
        code, out, err = call(*words, "--tracking-uri", uri)
        assert code == 0, (line, out, err)
    workflow = Workflow("chats", uri)
    curve = workflow.latest_curve()
    assert curve.chosen == 0.5 and curve.at(0.5).gain > 0.05
    (batch,) = workflow.project.batches()
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("chats")
    exec(compile(PYTHON[0], "conversations.md", "exec"), {"workflow": workflow, "batch": batch.id})
    written = (tmp_path / "train.jsonl").read_text().splitlines()
    assert len(written) == 800 and set(written) <= set(lines)
    assert (tmp_path / "batch.jsonl").read_text() == (tmp_path / "more.jsonl").read_text()
    made = [json.loads(line)["messages"] for line in lines[1700:1760]]
    exec(compile(PYTHON[1], "conversations.md", "exec"), {"workflow": workflow, "made": made})
    assert len(workflow.project.batches()) == 2
    workflow.report(tmp_path / "handoff.md")
    assert "none: a program scores each row" in (tmp_path / "handoff.md").read_text()
    assert workflow.verify().holds
