"""The structure that `docs/contributing/rooms.md` describes, where import-linter cannot say it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import synth_mlflow

PACKAGE = Path(synth_mlflow.__file__).parent
ROOMS = (Path(__file__).parents[1] / "docs" / "contributing" / "rooms.md").read_text(encoding="utf-8")


def imports_of(path: Path) -> Iterator[str]:
    """The full names of everything of the package that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("synth_mlflow."):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_room_imports_a_private_file_of_another() -> None:
    found = []
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).parts[0]
        for name in imports_of(path):
            _, other, *parts = name.split(".")
            if other != room and any(part.startswith("_") for part in parts):
                found.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert found == []


def test_every_room_stands_in_the_table() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert sorted(room for room in rooms if f"`{room}/`" not in ROOMS) == []


@pytest.mark.slow
def test_nothing_that_an_extra_brings_is_needed_to_start() -> None:
    """Where the extras are not installed, only the file that needs one refuses to load."""
    absent = (
        "'distributed', 'dask', 'catboost', 'duckdb', 'openai', 'httpx2', 'py3langid', 'polars', 'deltalake', "
        "'datasets'"
    )
    code = f"import sys; sys.modules.update(dict.fromkeys([{absent}])); import pkgutil, importlib, synth_mlflow\n" + (
        "for each in pkgutil.walk_packages(synth_mlflow.__path__, 'synth_mlflow.'):\n"
        "    if not each.name.endswith(('__main__', '.dask_executor')):\n"
        "        importlib.import_module(each.name)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
