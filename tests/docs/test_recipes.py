"""The recipes are run as they stand, each on a project whose evaluation set is frozen."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import shop
import yaml
from stand_in_endpoint import endpoint_server
from stand_in_peer import STAND_IN, environment
from started import mlflow_server

from synth_mlflow import Workflow
from synth_mlflow.cli.main import run
from synth_mlflow.llm.parsing import as_objects

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "recipes.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE))
"""Each recipe by its heading."""


def blocks(recipe: str, language: str) -> list[str]:
    """The blocks of a recipe in a language."""
    return re.findall(rf"```{language}\n(.*?)```", RECIPES[recipe], re.DOTALL)


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Runs the commands of a recipe; what stands behind `||` is for exit code 5."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")

    def follow(recipe: str, known: dict[str, str] | None = None) -> None:
        for line in "\n".join(blocks(recipe, "bash")).replace("\\\n", "").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "export":
                for name, _, value in (word.partition("=") for word in words[1:]):
                    monkeypatch.setenv(name, (known or {}).get(name, value))
            if not words or words[0] == "export":
                continue
            assert words[0] == "synth-mlflow", line
            end = next((at for at, word in enumerate(words) if word in {"||", ">"}), len(words))
            with pytest.raises(SystemExit) as left:
                run(words[1:end])
            assert left.value.code == (5 if "||" in words else 0), line

    return follow


@pytest.fixture
def begin(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Workflow]:
    """A frozen project whose statement has what the recipe puts into it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)

    def begin(recipe: str, n_rows: int = 2000) -> Workflow:
        facts = {
            key: json.dumps(value) for text in blocks(recipe, "yaml") for key, value in yaml.safe_load(text).items()
        }
        known = {line.split(":")[0] for line in shop.STATEMENT.splitlines() if ":" in line}
        more = "\n".join(f"{key}: {value}" for key, value in facts.items() if key not in known)
        changes = {key: value for key, value in facts.items() if key in known}
        workflow = Workflow("shop", uri)
        workflow.define(shop.write_shop(tmp_path, shop.customers(n_rows, 1), more=more, **changes))
        workflow.freeze()
        return workflow

    return begin


def open_gates(workflow: Workflow) -> int:
    """How many batches may enter training."""
    return sum(verdict.gate_open for verdict in workflow.status().verdicts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "n_rows"), [("A hole in the coverage", 4000), ("A cold start", 120), ("Privacy-bound rows", 8000)]
)
def test_a_recipe_opens_its_gate(begin, follow, recipe: str, n_rows: int) -> None:
    workflow = begin(recipe, n_rows)
    follow(recipe)
    assert open_gates(workflow) == 1


@pytest.mark.slow
def test_rows_in_a_silo(begin, follow) -> None:
    workflow = begin("Real rows in a silo")
    shop.customers(2000, 7).to_csv("partner.csv", index=False)
    follow("Real rows in a silo")
    assert open_gates(workflow) == 1
    assert json.loads(workflow.project.batches()[0].run.params["synth.source"])["kind"] == "file"


@pytest.mark.slow
def test_a_simulator(begin, follow) -> None:
    workflow = begin("A simulator")
    Path("make.py").write_text(blocks("A simulator", "python")[0])
    follow("A simulator")
    assert open_gates(workflow) == 1


@pytest.mark.slow
def test_sdv(begin, follow, tmp_path: Path) -> None:
    workflow = begin("SDV", 600)
    there = environment(tmp_path / "stand-in", STAND_IN)
    Path("sdv-env/bin").mkdir(parents=True)
    Path("sdv-env/bin/python").write_text(f'#!/bin/sh\nexec {shlex.quote(there)} "$@"\n')
    Path("sdv-env/bin/python").chmod(0o755)
    follow("SDV")
    assert workflow.project.batches()[0].n_rows == 300


@pytest.mark.slow
def test_a_language_model(begin, follow) -> None:
    workflow = begin("A language model", 600)
    Path("customers.j2").write_text(blocks("A language model", "jinja")[0])
    with endpoint_server() as server:
        server.script = lambda handler, at, _: handler.complete(
            json.dumps({"rows": as_objects(shop.customers(20, 1000 + at).astype({"since": "datetime64[us]"}))})
        )
        follow("A language model", {"OPENAI_BASE_URL": f"http://127.0.0.1:{server.server_port}/v1"})
    assert workflow.project.batches()[0].n_rows == 20


@pytest.mark.slow
def test_a_first_look(begin, follow) -> None:
    workflow = begin("A first look before millions")
    follow("A first look before millions")
    assert workflow.project.batches()[0].n_rows == 200


@pytest.mark.slow
def test_the_gate_in_ci(done: Workflow, follow, customers: Callable[..., pd.DataFrame]) -> None:
    record = {"generator": "law", "version": "1", "params": {}, "seed": 8, "slice": None}
    with done.batch(**record, purpose="more", source="none") as batch:
        batch.write(customers(1000, 8))
    follow("A gate in CI")
    assert open_gates(done) == 2


@pytest.mark.slow
def test_the_check_by_cron(done: Workflow, follow, customers: Callable[..., pd.DataFrame]) -> None:
    customers(900, 9).to_csv("rows-of-today.csv", index=False)
    follow("A check by cron")
    assert len(done.project.reader.runs("production")) == 1


@pytest.mark.slow
def test_a_remote_server(done: Workflow, follow, tmp_path: Path) -> None:
    with mlflow_server(tmp_path / "server", "--backend-store-uri", done.project.server.tracking_uri) as server:
        follow("A remote server", {"MLFLOW_TRACKING_URI": server.uri})


def test_every_recipe_has_a_test() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert [recipe for recipe in RECIPES if f'"{recipe}"' not in source] == []
