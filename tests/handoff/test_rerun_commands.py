"""The commands of a handoff, run as they stand: they rebuild the model for somebody who has nothing else."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from synth_mlflow import Workflow
from synth_mlflow.cli.main import run as run_command

pytestmark = pytest.mark.slow

PURPOSE = 'it\'s "odd": $HOME `id` \\ 5 % | more'


@pytest.fixture
def commands(frozen: Workflow, customers: Callable[..., pd.DataFrame]) -> list[str]:
    """Those of a project with a batch that was made here and one that was made elsewhere."""
    frozen.generate("forest", rows=150, purpose=PURPOSE, seed=4, slice="age < 60", params={"text": "refuse"})
    with frozen.batch(generator="law", version="1", params={}, seed=2, slice=None, purpose="more", source="none") as b:
        b.write(customers(600, 2))
    frozen.validate()
    passed = [verdict.batch for verdict in frozen.status().verdicts if verdict.gate_open]
    assert len(passed) == 2, frozen.checks()
    frozen.sweep(ratios=(0, 0.3, 0.6), repeats=3, rule="peak")
    return [step.command for step in frozen.report().document.commands]


def forget_what_can_be_made_again(workflow: Workflow) -> None:
    reader, client = workflow.project.reader, workflow.project.server.client
    made = next(batch for batch in workflow.project.batches() if batch.run.params["synth.ingestion"] == "generator")
    for run in reader.runs():
        if run.stage in {"sweep", "ratio", "final", "handoff"} or made.run.run_id in {run.run_id, run.parent}:
            client.delete_run(run.run_id)


def test_the_commands_rebuild_the_model(
    frozen: Workflow, commands: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    first, batches = frozen.latest_curve(), frozen.batches().set_index("batch")["digest"].to_dict()
    forget_what_can_be_made_again(frozen)
    for command in commands:
        words = shlex.split(command)
        if words[0] == "export":
            name, _, uri = words[1].partition("=")
            monkeypatch.setenv(name, uri)
        elif words[0] == "synth-mlflow" and words[1] != "reproduce" and "NEW-NAME" not in words:
            with pytest.raises(SystemExit) as left:
                run_command(words[1:])
            assert left.value.code == 0, command
    assert frozen.batches().set_index("batch")["digest"].to_dict() == batches
    assert frozen.latest_curve().to_json() == first.to_json()
    assert (tmp_path / "elsewhere" / "handoff.html").is_file()


def test_a_new_project_begins_with_the_downloaded_statement(commands: list[str]) -> None:
    told = [shlex.split(command) for command in commands]
    downloads = [words for words in told if words[0] == "mlflow"]
    assert [words[1:3] for words in downloads] == [["artifacts", "download"]] * 2
    assert ["synth-mlflow", "define", "problem.md", "--experiment", "NEW-NAME"] in told
    assert json.dumps(told).count("freeze") == 1
