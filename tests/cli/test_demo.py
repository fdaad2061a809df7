"""`synth-mlflow demo` as a program of its own prints what it prints in the process of these tests."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def without_ids(text: str) -> list[str]:
    """Lines without run ids and folders, which differ from run to run."""
    return [re.sub(r"\b[0-9a-f]{32}\b|/\S*/", "#", line) for line in text.splitlines()]


@pytest.mark.slow
def test_a_program_of_its_own_prints_the_same(demo: tuple[Path, str], empty_store: Path, tmp_path: Path) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    known = {**os.environ, "MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}
    command = [sys.executable, "-m", "synth_mlflow", "demo"]
    done = subprocess.run(command, env=known, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert without_ids(done.stdout) == without_ids(demo[1])
