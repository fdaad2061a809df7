"""What the README says is run here: its commands, its searches, its quoted output."""

from __future__ import annotations

import re
from pathlib import Path

import mlflow
import pytest

from synth_mlflow.cli.app import cli

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


def test_searches_find_what_they_promise(demo: tuple[Path, str]) -> None:
    mlflow.set_tracking_uri(f"sqlite:///{demo[0] / 'mlflow.db'}")
    batch = mlflow.search_runs(search_all_experiments=True, filter_string="tags.`synth.stage` = 'batch'").iloc[0]
    known = {"BATCH": batch["tags.synth.batch"], "DIGEST": batch["params.synth.batch_digest"][:32]}
    found = []
    for text in re.findall(r'filter_string="(.*?)"\s*\)', README):
        for name, value in known.items():
            text = text.replace(f"'{name}'", f"'{value}'")
        found.append(len(mlflow.search_runs(search_all_experiments=True, filter_string=text)))
    assert len(found) == 5
    assert found[0] == 0 and found[1] == 3 and found[2] >= 5 and found[3] == 1 and found[4] == 1


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
