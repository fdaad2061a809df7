"""A project that has gone the whole way once a session; every test works on a copy of its store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from synth_mlflow import Workflow


@pytest.fixture(scope="session")
def done_folder(
    frozen_folder: Path, customers: Callable[..., pd.DataFrame], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A store whose project has a batch that passed, a sweep and a handoff."""
    folder = tmp_path_factory.mktemp("done")
    for name in ("mlflow.db", "rows.csv", "problem.md", "limits.md"):
        shutil.copy(frozen_folder / name, folder / name)
    before = Path.cwd()
    os.chdir(folder)
    try:
        workflow = Workflow("shop", f"sqlite:///{folder / 'mlflow.db'}")
        law = {"generator": "law", "version": "1", "params": {"rate": 3}, "seed": 2, "slice": None}
        with workflow.batch(**law, purpose="more rows", source="none") as b:
            b.write(customers(1000, 2))  # a perfect generator: further rows of the same law
        workflow.validate()
        workflow.sweep(repeats=3)
        workflow.report(folder / "handoff.html")
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def done(done_folder: Path, tmp_path: Path) -> Workflow:
    """The whole way, on a copy of its store; artifacts are shared and never rewritten."""
    for name in ("mlflow.db", "rows.csv", "problem.md", "limits.md"):
        shutil.copy(done_folder / name, tmp_path / name)
    return Workflow("shop", f"sqlite:///{tmp_path / 'mlflow.db'}")
