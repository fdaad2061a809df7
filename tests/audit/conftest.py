"""The demo's project with files of its own, so that tests may change everything behind the tool's back."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from synth_mlflow import Workflow
from synth_mlflow.tracking.moved import PATHS


@pytest.fixture
def own(demo: tuple[Path, str], tmp_path: Path) -> Workflow:
    """A whole copy of the demo's project."""
    folder = tmp_path / "own"
    shutil.copytree(demo[0], folder)
    with sqlite3.connect(folder / "mlflow.db") as database:
        for table, column in PATHS:
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(demo[0]), str(folder)))
    return Workflow(None, f"sqlite:///{folder / 'mlflow.db'}")


@pytest.fixture
def change(own: Workflow) -> Callable[..., None]:
    """Runs one statement on the database behind the server."""

    def change(statement: str, *values: object) -> None:
        with sqlite3.connect(own.project.server.tracking_uri.removeprefix("sqlite:///")) as database:
            assert database.execute(statement, values).rowcount > 0

    return change


@pytest.fixture
def path_of(own: Workflow) -> Callable[[str, str], Path]:
    """Where an artifact of the newest run of a stage lies."""

    def path_of(stage: str, artifact: str) -> Path:
        run = own.project.reader.finished(stage)[-1]
        uri = own.project.server.client.get_run(run.run_id).info.artifact_uri
        return Path(uri.removeprefix("file://")) / artifact

    return path_of
