"""Shell completion, as shells ask for it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from synth_mlflow import Workflow
from synth_mlflow.cli.main import cli
from synth_mlflow.tracking.completion import batch_ids


def _completed(*words: str, incomplete: str = "") -> list[str]:
    found = BashComplete(cli, {}, "synth-mlflow", "_SYNTH_MLFLOW_COMPLETE").get_completions(list(words), incomplete)
    return [item.value for item in found]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_gets_its_script(shell: str) -> None:
    result = CliRunner().invoke(cli, ["completion", shell])
    assert result.exit_code == 0
    assert "_SYNTH_MLFLOW_COMPLETE" in result.output
    assert f"synth-mlflow completion {shell}" in result.output


def test_bash_takes_the_script() -> None:
    script = CliRunner().invoke(cli, ["completion", "bash"]).output
    assert shutil.which("bash")
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_verbs_options_and_generators() -> None:
    assert "sweep" in _completed(incomplete="sw")
    assert "--ratios" in _completed("sweep", incomplete="--ra")
    assert _completed("generate", incomplete="for") == ["forest"]


def test_batches_are_asked_of_the_database(done: Workflow) -> None:
    known = list(done.batches()["batch"])
    uri = done.project.server.tracking_uri
    assert _completed("validate", "--tracking-uri", uri) == known
    assert _completed("retract", "--tracking-uri", uri, incomplete="zzz") == []


@pytest.mark.parametrize("uri", ["sqlite:///absent.db", "http://127.0.0.1:9", "postgresql://nobody", "nonsense"])
def test_a_server_that_cannot_be_asked_completes_nothing(uri: str, tmp_path: Path) -> None:
    assert batch_ids(uri) == []
    assert list(tmp_path.iterdir()) == []


def test_completion_does_not_import_mlflow(done: Workflow) -> None:
    code = (
        "import sys; from synth_mlflow.tracking.completion import batch_ids; "
        f"assert batch_ids({done.project.server.tracking_uri!r}); assert 'mlflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
