"""`mlflow run` for real: from a folder without git, in another working directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files without git, as somebody who downloaded them has."""
    folder = tmp_path_factory.mktemp("checkout") / "synth mlflow"
    shutil.copytree(ROOT / "synth_mlflow", folder / "synth_mlflow", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("MLproject", "conda.yaml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def mlflow_run(checkout: Path, uri: str, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls `mlflow run` in the environment of these tests, as if it had been activated."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        scripts = str(Path(sys.executable).parent)
        known = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "MLFLOW_TRACKING_URI": uri}
        command = [f"{scripts}/mlflow", "run", str(checkout), "--env-manager", "local", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=known, capture_output=True, text=True, timeout=300)

    return call


def runs_of(uri: str, experiment: str) -> dict[str, list[Run]]:
    """Every run of an experiment by its stage."""
    client = MlflowClient(uri)
    found: dict[str, list[Run]] = {}
    for run in client.search_runs([client.get_experiment_by_name(experiment).experiment_id]):
        found.setdefault(run.data.tags.get("synth.stage", ""), []).append(run)
    return found


@pytest.mark.slow
def test_stages_adopt_the_run_that_mlflow_made(
    mlflow_run: Callable[..., subprocess.CompletedProcess[str]], uri: str, write_project: Callable[..., Path]
) -> None:
    problem = write_project()
    done = mlflow_run("--experiment-name", "my shop", "-e", "define", "-P", f"problem={problem}")
    assert done.returncode == 0, done.stderr
    done = mlflow_run("--experiment-name", "my shop", "-e", "freeze")
    assert done.returncode == 0, done.stderr
    refused = mlflow_run("--experiment-name", "my shop", "-e", "sweep")
    assert refused.returncode != 0 and "no synthetic batch" in refused.stderr

    found = runs_of(uri, "my shop")
    assert set(found) == {"workflow", "problem", "evalset", "baseline"}
    assert sorted(run.info.status for run in found["workflow"]) == ["FAILED", "FINISHED", "FINISHED"]
    adopted = {run.info.run_id: run.info.run_name for run in found["workflow"]}
    assert adopted[found["problem"][0].data.tags["mlflow.parentRunId"]] == "define"
    assert adopted[found["evalset"][0].data.tags["mlflow.parentRunId"]] == "freeze"


@pytest.mark.slow
def test_main_does_everything(
    mlflow_run: Callable[..., subprocess.CompletedProcess[str]],
    uri: str,
    write_project: Callable[..., Path],
    customers: Callable[..., object],
    tmp_path: Path,
) -> None:
    problem = write_project()
    customers(600, 9).to_csv(tmp_path / "silo.csv", index=False)  # type: ignore[attr-defined]
    handoff = tmp_path / "handoff.html"
    done = mlflow_run(
        *("--experiment-name", "shop", "-P", f"problem={problem}", "-P", "generator=gaussian_copula"),
        *("-P", f"source={tmp_path / 'silo.csv'}", "-P", "repeats=3", "-P", f"output={handoff}"),
    )
    assert done.returncode == 0, done.stderr
    assert "Too few customers yet." in handoff.read_text()
    found = runs_of(uri, "shop")
    assert len(found["workflow"]) == 1 and found["workflow"][0].info.status == "FINISHED"
    assert {"problem", "evalset", "batch", "fidelity", "utility", "sweep", "ratio", "final", "handoff"} <= set(found)
    root = found["workflow"][0].info.run_id
    assert found["sweep"][0].data.tags["mlflow.parentRunId"] == root


def test_conda_names_what_pyproject_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"]
    python, _, pip = conda
    assert pip["pip"] == project["dependencies"]
    assert python.removeprefix("python=") == project["requires-python"].removeprefix(">=")


def test_every_entry_point_calls_a_verb_with_options_that_it_has() -> None:
    from synth_mlflow.cli.app import cli

    for name, entry in yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"].items():
        words = entry["command"].split()
        verb = cli.commands[words[3]]
        options = {option for parameter in verb.params for option in parameter.opts}
        assert [word for word in words if word.startswith("--") and word not in options] == [], name
        used = {word.strip("{}") for word in words if word.startswith("{")}
        assert used == set(entry["parameters"]), name
