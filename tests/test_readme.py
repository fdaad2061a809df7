"""What the README says is run here: its commands, its searches, its quoted output."""

from __future__ import annotations

import re
from pathlib import Path

import mlflow
import pytest

from synth_mlflow.cli.app import cli
from synth_mlflow.workflow import Workflow

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def masked(text: str) -> list[str]:
    """Lines without what may differ between machines: numbers, digests, the ratio that is marked, spaces."""
    plain = re.sub(r"copula-\w{4}|[-+]?\d[\d.,]*|\bchosen\b", "#", text)
    return [" ".join(line.replace("#", "").split()) for line in plain.splitlines() if line.strip()]


def test_first_screen_holds_both_commands() -> None:
    test_command = re.search(r"## Tests\n.*?```bash\n(.*?)```", README, re.DOTALL)
    assert test_command and README.count(test_command.group(1)) == 2
    assert README.index("synth-mlflow demo") < README.index("| stage | verb |")


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_every_verb_has_help_and_is_described(verb: str) -> None:
    assert cli.commands[verb].help
    assert re.search(rf"`{verb}`", README), f"{verb} is not in the README"


def test_quoted_output_is_what_the_demo_prints(demo: tuple[Path, str]) -> None:
    quoted = re.search(r"real output\):\n\n```text\n(.*?)```", README, re.DOTALL)
    assert quoted
    printed = masked(demo[1])
    assert [line for line in masked(quoted.group(1)) if line not in printed] == []


def test_searches_find_what_they_promise(demo_workflow: Workflow) -> None:
    server, batch = demo_workflow.project.server, demo_workflow.project.batches()[0]
    demo_workflow.generate("bootstrap_noise", rows=300, purpose="caught")
    demo_workflow.validate()
    demo_workflow.generate("forest", rows=300, purpose="not looked at")
    demo_workflow.sign("Ada Lind", role="owner")
    demo_workflow.retract(batch.id, reason="a unit was wrong", by="Ada Lind")
    server.client.create_run(server.experiment_id, tags={"synth.stage": "batch"})
    expected = {
        "batches that failed their validation": 0,
        "batches that nobody has judged": 1,
        "batches that could not be told": 1,
        "batches that were taken back": 1,
        "batches of one generator": 1,
        "the checks of one batch": 3,
        "runs that ate a batch": 9,  # its checks, the sweep, its ratios, the final model
        "ratios at which more than half": 1,
        "final models with synthetic rows": 1,
        "handoffs that nobody owes": 0,  # its batch was taken back
        "handoffs that somebody has signed": 1,
        "what a killed process left open": 1,
    }
    found = {}
    for which, text in re.findall(r"^\| (.*?) \| ``(.*?)`` \|$", README, re.MULTILINE):
        for name, value in {"BATCH": batch.id, "DIGEST": batch.digest[:32]}.items():
            text = text.replace(f"'{name}'", f"'{value}'")
        name = next(words for words in expected if which.startswith(words))
        found[name] = len(server.client.search_runs([server.experiment_id], text))
    assert found == expected


def test_registered_model_takes_raw_columns(demo: tuple[Path, str]) -> None:
    import pandas as pd

    mlflow.set_tracking_uri(f"sqlite:///{demo[0] / 'mlflow.db'}")
    uri = re.search(r'load_model\("(models:/.*?)"\)', README)
    assert uri
    rows = pd.read_csv(demo[0] / "synth-mlflow-demo" / "clinic.csv").drop(columns="diagnosis").head(4)
    rows.loc[0, "mean_texture"] = None
    predicted = mlflow.pyfunc.load_model(uri.group(1)).predict(rows)
    assert list(predicted.columns) == ["prediction", "probability_benign", "probability_malignant"]
    assert set(predicted["prediction"]) <= {"benign", "malignant"}


def test_python_block_of_the_door_runs(frozen: object, customers: object, monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.search(r"```python\n(from synth_mlflow import Workflow.*?)```", README, re.DOTALL)
    assert block
    code = block.group(1).replace('Workflow("churn-cold-start")', "frozen")
    names = {"frozen": frozen, "frame": customers(300, 5)}  # type: ignore[operator]
    exec(compile(code, "README.md", "exec"), names)
    assert names["b"].batch.n_rows == 300  # type: ignore[attr-defined]
