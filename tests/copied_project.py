"""Projects that were copied with their artifacts, so that tests may change everything behind the tool's back."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from synth_mlflow import Workflow
from synth_mlflow.tracking.moved import PATHS


def whole_copy(source: Path, target: Path) -> Workflow:
    """A project with its artifacts in another folder."""
    shutil.copytree(source, target)
    return Workflow(None, with_paths(target, source))


def with_paths(folder: Path, before: Path) -> str:
    """Let a copied database name the files beside it; returns its URI."""
    with sqlite3.connect(folder / "mlflow.db") as database:
        for table, column in PATHS:
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(before), str(folder)))
    return f"sqlite:///{folder / 'mlflow.db'}"
