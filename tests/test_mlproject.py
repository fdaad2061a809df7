"""`mlflow run` for real: from a folder without git, in another working directory."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from synth_mlflow import Workflow

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
    assert set(found) == {"workflow", "problem", "evaluation_set", "baseline"}
    assert sorted(run.info.status for run in found["workflow"]) == ["FAILED", "FINISHED", "FINISHED"]
    adopted = {run.info.run_id: run.info.run_name for run in found["workflow"]}
    assert adopted[found["problem"][0].data.tags["mlflow.parentRunId"]] == "define"
    assert adopted[found["evaluation_set"][0].data.tags["mlflow.parentRunId"]] == "freeze"


@pytest.mark.slow
def test_a_trainer_of_ones_own_is_named_with_its_places(
    mlflow_run: Callable[..., subprocess.CompletedProcess[str]], uri: str, done: Workflow, tmp_path: Path
) -> None:
    script = tmp_path / "a trainer.py"
    script.write_text("import sys; sys.exit(' '.join(['seen:', *sys.argv[1:]]))")
    refused = mlflow_run(
        *("--experiment-name", "shop", "-e", "sweep", "-P", "ratios=0,50", "-P", "repeats=3", "-P", "timeout=100"),
        *("-P", f"train_command='{sys.executable}' '{script}' --rows={{train}}.csv {{model}} '{{task}} task'"),
        *("-P", "predict_command=predict {model} {rows}.csv {predictions}.csv"),
    )
    assert refused.returncode != 0 and "the train command ended with exit code 1" in refused.stderr
    assert re.search(r"seen: --rows=\S+train\.csv \S+model binary task", refused.stderr)


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
    assert {"problem", "evaluation_set", "batch", "fidelity", "utility", "sweep", "ratio", "final", "handoff"} <= set(
        found
    )
    (root,) = found["workflow"]
    assert found["sweep"][0].data.tags["mlflow.parentRunId"] == root.info.run_id
    assert root.info.run_name.startswith("shop: ") and "synth.score" in root.data.metrics


def test_conda_names_what_pyproject_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    conda = yaml.safe_load((ROOT / "conda.yaml").read_text())["dependencies"]
    python, _, pip = conda
    assert pip["pip"] == project["dependencies"]
    assert python.removeprefix("python=") == project["requires-python"].removeprefix(">=")


def test_every_entry_point_calls_a_verb_with_options_that_it_has() -> None:
    from synth_mlflow.cli.main import cli

    for name, entry in yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"].items():
        words = entry["command"].split()
        verb = cli.commands[words[3]]
        options = {option for parameter in verb.params for option in parameter.opts}
        assert [word for word in words if word.startswith("--") and word not in options] == [], name
        used = {word.strip("{}") for word in words if word.startswith("{")}
        assert used == set(entry["parameters"]), name


SAME_IN_CLI = ("allow_code", "data", "train_command", "predict_command")


def test_entry_points_have_what_lets_code_run_and_says_where_the_rows_and_the_trainer_are() -> None:
    from synth_mlflow.cli.main import cli

    for name, entry in yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"].items():
        options = {
            option for parameter in cli.commands[entry["command"].split()[3]].params for option in parameter.opts
        }
        wanted = {each for each in SAME_IN_CLI if f"--{each.replace('_', '-')}" in options and name != "demo"}
        assert wanted <= set(entry["parameters"]), name
        assert ("timeout" in entry["parameters"]) is ("train_command" in entry["parameters"]), name
        assert ("--allow-external" in options) is ("allow_external" in entry["parameters"]), name


def test_entry_points_have_the_defaults_of_the_command() -> None:
    from synth_mlflow.cli.main import cli

    for name, entry in yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"].items():
        words = entry["command"].split()
        shown = [each for each in cli.commands[words[3]].params if getattr(each, "show_default", False)]
        defaults = {option: each.default for each in shown for option in each.opts}
        for option, word in itertools.pairwise(words):
            default = entry["parameters"].get(word.strip("{}"), {}).get("default", "")
            if option in defaults and default != "":
                assert str(default) == str(defaults[option]), (name, option)


def test_one_text_allows_several_modules(
    call: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr("synth_mlflow.cli.options.allowing", lambda names: seen.append(list(names)) or nullcontext())
    for given in ("", "one", "one, two.three"):
        call("list", "--allow-code", given)
    assert seen == [[], ["one"], ["one", "two.three"]]


def test_the_form_of_a_project_calls_the_installed_command(tmp_path: Path) -> None:
    """Whoever installed a wheel has no MLproject of ours: `init` writes one with the same entry points."""
    from synth_mlflow.cli.templates import write_templates

    written = write_templates(tmp_path / "mine")
    assert [path.name for path in written] == ["problem.md", "limits.md", "MLproject"]
    ours, theirs = (yaml.safe_load(path.read_text()) for path in (ROOT / "MLproject", written[-1]))
    for entry in ours["entry_points"].values():
        entry["command"] = entry["command"].replace("python -m synth_mlflow", "synth-mlflow")
    assert theirs["entry_points"] == ours["entry_points"] and "conda_env" not in theirs


def test_an_mlproject_of_the_users_own_is_left_alone(tmp_path: Path) -> None:
    from synth_mlflow.cli.templates import write_templates

    (tmp_path / "MLproject").write_text("name: mine")
    assert [path.name for path in write_templates(tmp_path)] == ["problem.md", "limits.md"]
    assert (tmp_path / "MLproject").read_text() == "name: mine"


@pytest.mark.slow
def test_a_project_that_init_wrote_is_run_by_mlflow(
    uri: str, write_project: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from synth_mlflow.cli.templates import MLPROJECT, _text

    write_project()
    (tmp_path / MLPROJECT).write_text(_text(MLPROJECT))
    command = tmp_path / "bin" / "synth-mlflow"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m synth_mlflow "$@"\n')
    command.chmod(0o755)
    scripts = str(Path(sys.executable).parent)
    path = os.pathsep.join([str(command.parent), scripts, os.environ["PATH"]])
    run = [f"{scripts}/mlflow", "run", str(tmp_path), "--env-manager", "local", "--experiment-name", "shop"]
    known = {**os.environ, "PATH": path, "MLFLOW_TRACKING_URI": uri}
    done = subprocess.run([*run, "-e", "define"], env=known, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert set(runs_of(uri, "shop")) == {"workflow", "problem"}


@pytest.mark.slow
def test_a_verb_that_reads_marks_no_experiment(
    mlflow_run: Callable[..., subprocess.CompletedProcess[str]], uri: str, write_project: Callable[..., Path]
) -> None:
    refused = mlflow_run("-e", "check")
    assert refused.returncode != 0
    assert "experiment 'Default' is no project; those on this server: none" in refused.stderr
    client = MlflowClient(uri)
    assert "synth.schema" not in client.get_experiment("0").tags
    (run,) = client.search_runs(["0"])
    assert not [tag for tag in run.data.tags if tag.startswith("synth.")]


def test_the_source_distribution_holds_what_mlflow_run_and_readers_need() -> None:
    manifest = (ROOT / "MANIFEST.in").read_text()
    for name in ("MLproject", "conda.yaml", "SECURITY.md", "CHANGELOG.md", "docs"):
        assert name in manifest
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "**/MLproject" in named["tool"]["setuptools"]["package-data"]["synth_mlflow"]
    assert "Programming Language :: Python :: 3.13" in named["project"]["classifiers"]
