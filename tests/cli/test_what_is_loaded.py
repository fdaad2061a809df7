"""Verbs load what they use: asked of the modules, not of the clock."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from synth_mlflow import Workflow
from synth_mlflow.plugins import BUILT_IN, installed

HEAVY = ("scipy.stats", "sklearn", "matplotlib", "lightgbm", "skops", "synth_mlflow.stages.sweep", "pytest")
OF_ROWS = (
    "narwhals", "pyarrow.dataset", "synth_mlflow.data.tables", "synth_mlflow.data.splits",
    "synth_mlflow.data.column_inference",
)  # fmt: skip
"""What reads rows, or divides them."""
CODE = """
import contextlib, io, sys
from synth_mlflow.cli.main import _exit_code
with contextlib.redirect_stdout(io.StringIO()):
    _exit_code(sys.argv[2:])
print(*(name for name in sys.argv[1].split(",") if name in sys.modules))
"""


def loaded(watched: tuple[str, ...], *arguments: str) -> list[str]:
    command = [sys.executable, "-c", CODE, ",".join(watched), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["status", "check"])
def test_what_only_reads_runs_loads_no_statistics_no_models_and_no_tables(done: Workflow, verb: str) -> None:
    assert (
        loaded((*HEAVY, *OF_ROWS, "synth_mlflow.models.base"), verb, "--tracking-uri", done.project.server.tracking_uri)
        == []
    )


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("list",), ("frobnicate",), ("generate",), ("show", "nowhere.parquet")])
def test_without_a_project_mlflow_is_not_loaded_either(arguments: tuple[str, ...]) -> None:
    assert loaded((*HEAVY, "mlflow"), *arguments) == []


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("frobnicate",), ("status", "--frobnicate"), ("--help",)])
def test_an_error_of_usage_loads_no_tables_either(arguments: tuple[str, ...]) -> None:
    assert loaded((*HEAVY, *OF_ROWS, "mlflow", "numpy", "pandas", "pydantic", "rich"), *arguments) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "names"), [("checks", ("defaults", "version")), ("generators", ("version", "leaky"))]
)
def test_what_plugins_say_in_their_source_is_what_their_classes_say(folder: str, names: tuple[str, ...]) -> None:
    code = (
        "import json, sys; from synth_mlflow.plugins import installed\n"
        f"print(json.dumps({{name: {{one: getattr(plugin.declared(), one) for one in {names!r}}} "
        f"for name, plugin in installed({folder!r}).items() if plugin.origin == {BUILT_IN!r}}}))\n"
        "assert 'sklearn' not in sys.modules"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    declared: dict[str, dict[str, Any]] = json.loads(told)
    assert declared
    for name, constants in declared.items():
        loaded_one = installed(folder)[name].load()
        assert constants == {one: getattr(loaded_one, one) for one in names}
