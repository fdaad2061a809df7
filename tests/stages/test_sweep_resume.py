"""A sweep that was killed goes on with the fits that are missing, and ends as an undisturbed one does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from synth_mlflow import Workflow
from synth_mlflow.errors import EvidenceError
from synth_mlflow.sweep.evaluator import Failed, FitJob, RawFit
from synth_mlflow.sweep.plan import FitKey, SweepPlan
from synth_mlflow.tracking import names
from synth_mlflow.tracking.fit_store import FitCache
from synth_mlflow.tracking.read import StoredRun

pytestmark = pytest.mark.slow

REPEATS = 12
SLOWLY = """
import sys, time
from synth_mlflow.cli.main import run
from synth_mlflow.sweep.evaluator import FitJob

do = FitJob.do
FitJob.do = lambda work, key: (time.sleep(0.1), do(work, key))[1]
run(sys.argv[1:])
"""
"""The command line with fits that take a while: on a quick machine all would be kept before the kill."""


def unfinished_sweep(workflow: Workflow) -> StoredRun | None:
    return next((run for run in workflow.project.reader.runs("sweep") if not run.counts), None)


def kept_files(run: StoredRun | None) -> list[str]:
    return [] if run is None else [name for name in run.params if names.vouches_for_fits(name)]


@pytest.fixture(scope="module")
def killed_store(done_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store after `kill -9` of a sweep that had written fits."""
    folder = tmp_path_factory.mktemp("killed")
    shutil.copy(done_folder / "mlflow.db", folder / "mlflow.db")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    command = [sys.executable, "-c", SLOWLY, "sweep", "--repeats", str(REPEATS), "--jobs", "1"]
    sweeping = subprocess.Popen(command, cwd=folder, env={**os.environ, "MLFLOW_TRACKING_URI": uri})
    deadline, workflow = time.monotonic() + 300, Workflow("shop", uri)
    try:
        while not kept_files(unfinished_sweep(workflow)):
            assert sweeping.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        sweeping.send_signal(signal.SIGKILL)
        sweeping.wait()
    return folder / "mlflow.db"


@pytest.fixture
def killed(killed_store: Path, tmp_path: Path) -> Workflow:
    """The same on a copy of the store."""
    shutil.copy(killed_store, tmp_path / "mlflow.db")
    return Workflow("shop", f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FitKey]:
    """The keys of the fits that are made from now on."""
    keys: list[FitKey] = []
    do = FitJob.do

    def noted(self: FitJob, key: FitKey) -> RawFit | Failed:
        keys.append(key)
        return do(self, key)

    monkeypatch.setattr(FitJob, "do", noted)
    return keys


def test_killed_sweep_makes_the_missing_fits_alone(
    killed: Workflow, made: list[FitKey], done_folder: Path, tmp_path: Path
) -> None:
    left = unfinished_sweep(killed)
    assert left is not None
    curve = killed.sweep(repeats=REPEATS, n_jobs=1)
    after = killed.project.reader.run(left.run_id)
    assert after.counts and len(killed.project.reader.runs("sweep")) == 2
    kept = FitCache(killed.project.server, left.run_id, "somebody else's")
    assert kept.finished == {}  # other versions made them
    plan = SweepPlan(repeats=REPEATS, n_jobs=1)
    n_made, everything = len(made), len(plan.keys(300))
    assert 0 < n_made < everything
    assert len(set(made)) == n_made
    shutil.copy(done_folder / "mlflow.db", tmp_path / "undisturbed.db")
    made.clear()
    assert Workflow("shop", f"sqlite:///{tmp_path / 'undisturbed.db'}").sweep(repeats=REPEATS, n_jobs=1) == curve
    assert len(made) == everything
    assert killed.verify().holds


def test_fits_that_somebody_changed_are_refused(killed: Workflow) -> None:
    left = unfinished_sweep(killed)
    assert left is not None
    path = kept_files(left)[0].removeprefix(names.P_ARTIFACT_PREFIX)
    local = Path(killed.project.reader.file(left, path))
    local.write_bytes(local.read_bytes()[:-1] + b"x")
    killed.project.server.client.log_artifact(left.run_id, str(local), names.A_FITS)
    with pytest.raises(EvidenceError, match=r"fits/0000.npz .* someone changed it"):
        Workflow("shop", killed.project.server.tracking_uri).sweep(repeats=REPEATS, n_jobs=1)
