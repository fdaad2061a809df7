"""Speed of the ratio sweep against the loop that people write and against pure training; prints what the README quotes.

python tests/benchmarks/sweep_speed.py --rows 200000
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import lightgbm
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from shop import write_shop
from watched import watched

from synth_mlflow import Workflow
from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.models.tuning import coarse
from synth_mlflow.sweep.analysis import analyse_sweep
from synth_mlflow.sweep.evaluator import Evaluator
from synth_mlflow.sweep.holdout import halve
from synth_mlflow.sweep.plan import FitKey, SweepPlan, fit_rows
from synth_mlflow.sweep.runner import run_fits, run_sweep

TOLD = {"model": "{params: {num_iterations: 100}}"}


def speed(n_rows: int, repeats: int, n_jobs: int) -> None:
    """The fits of the synthetic arm, against the loop that people write and against pure training; then the whole."""
    rng = np.random.default_rng(0)
    real, made, evaluation = (_wide(n, rng) for n in (n_rows // 4, 3 * n_rows // 4, 20_000))
    spec, task = ModelSpec(params={"n_estimators": 100, **coarse({})}), Task("y", "binary")
    plan = SweepPlan(repeats=repeats, n_jobs=n_jobs)
    keys = [FitKey("synthetic", ratio, repeat) for ratio in plan.ratios for repeat in range(repeats)]
    shared, binning = _Clock(), _Memory()
    bench = Evaluator.build(real, evaluation, task, "roc_auc", spec, synthetic=made)
    in_binning, fitting = binning.grown_mb(), _Memory()
    fits = run_fits(bench, plan, keys, np.zeros(len(made)), finished={})
    in_fits = fitting.grown_mb()
    shared.stop()
    print(f"{len(keys)} fits, up to {n_rows:,} rows x 30 columns, 100 rounds, {n_jobs} at a time: {shared}", flush=True)
    tables = sum(part.memory_usage().sum() for part in (real, made, evaluation)) / 1e6
    print(
        f"memory at most: {in_binning:,.0f} MB more while binning, then {in_fits:,.0f} MB more in the fits; "
        f"bins {n_rows * 30 / 1e6:.0f} MB, tables {tables:.0f} MB",
        flush=True,
    )
    floor = _Clock()
    for key in keys:
        bench.trainer.model(fit_rows(key, len(real), np.zeros(len(made)), plan.mix, plan.seed), 0)
    floor.stop()
    print(f"training alone: {floor}; the fits take {shared.cpu / floor.cpu:.2f} x its CPU time", flush=True)
    loop = _Clock()
    naive = {key: _naive_score(key, real, made, evaluation, plan) for key in keys}
    loop.stop()
    gaps = [abs(fits[key].score - naive[key]) for key in keys]
    print(
        f"the loop, one thread: {loop}; {loop.cpu / shared.cpu:.2f} x the CPU time of the fits, "
        f"{loop.wall / shared.wall:.2f} x the wall time; "
        f"scores differ by {np.mean(gaps):.4f} in the mean, {max(gaps):.4f} at most",
        flush=True,
    )


def whole(n_rows: int, n_jobs: int) -> None:
    """A sweep of the default plan on few rows: how much of it is not training."""
    rng = np.random.default_rng(0)
    tables = [_wide(n, rng) for n in (n_rows // 4, 3 * n_rows // 4, 2_000)]
    spec, task = ModelSpec(params={"n_estimators": 100}), Task("y", "binary")
    plan = SweepPlan(n_jobs=n_jobs)
    sweep = _Clock()
    outcome = run_sweep(*tables, task, "roc_auc", spec, plan)
    sweep.stop()
    reading = _Clock()
    analyse_sweep(outcome.bench, plan, outcome.fits, {"": len(tables[1])})
    reading.stop()
    fits = sum(fit.seconds for fit in outcome.fits.values())
    print(
        f"whole sweep, {len(outcome.fits)} fits of up to {n_rows:,} rows: {sweep}; {fits:.1f} s in fits; statistics "
        f"{reading}: {reading.cpu / (sweep.cpu - reading.cpu):.1%} of the rest",
        flush=True,
    )


def tracked(n_rows: int, repeats: int, n_jobs: int) -> None:
    """The stage on a real server: how much its tables, statistics, pictures and runs cost beside `lightgbm.train`."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # MLflow puts artifacts under the working directory
        workflow = _ready_to_sweep(Path(folder), n_rows)
        training, predicting, asked = _Sum(), _Sum(), _Sum()
        timed = watched(workflow, asked.around)
        with (
            mock.patch("lightgbm.train", training.around(lightgbm.train)),
            mock.patch("lightgbm.Booster.predict", predicting.around(lightgbm.Booster.predict)),
        ):
            stage = _Clock()
            timed.sweep(repeats=repeats, n_jobs=n_jobs)
            stage.stop()
    print(
        f"the stage `sweep` on SQLite, {training.calls} fits of up to {n_rows:,} rows: {stage}; training "
        f"{training.seconds:.1f} s CPU, all else {stage.cpu / training.seconds - 1:.1%} on top of it: predictions "
        f"{predicting.seconds / training.seconds:.1%}, {asked.calls} requests to MLflow "
        f"{asked.seconds / training.seconds:.1%}, tables, statistics and pictures the rest",
        flush=True,
    )


def _ready_to_sweep(folder: Path, n_rows: int) -> Workflow:
    """A project with a batch that has passed: three rows of the same law for each real one."""
    rng = np.random.default_rng(0)
    write_shop(folder, _wide(n_rows // 4 + 20_000, rng), target="y", slices='{low: "x0 < 0"}', **TOLD)
    statement = (folder / "problem.md").read_text().replace("share: 0.5", f"share: {20_000 / (n_rows // 4 + 20_000)}")
    (folder / "problem.md").write_text(statement)
    workflow = Workflow("speed", f"sqlite:///{folder / 'mlflow.db'}")
    workflow.define(folder / "problem.md")
    workflow.freeze()
    law = {"generator": "law", "version": "1", "params": {}, "seed": 1, "slice": None, "purpose": "more"}
    with workflow.batch(**law, source="none") as batch:  # type: ignore[arg-type]
        batch.write(_wide(3 * n_rows // 4, rng))
    print(f"the batch: {workflow.validate()[0].verdict}", flush=True)
    return workflow


class _Sum:
    """CPU seconds of the calling threads in some function, and how often it was called."""

    def __init__(self) -> None:
        self.seconds, self.calls, self.lock = 0.0, 0, threading.Lock()

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **options: Any) -> Any:
            begun = time.thread_time()
            try:
                return function(*args, **options)
            finally:
                with self.lock:
                    self.seconds += time.thread_time() - begun
                    self.calls += 1

        return timed


class _Memory:
    """How far the resident memory rises from here on; Linux alone lets its mark be set back."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self.before = self._mb("VmRSS")

    def grown_mb(self) -> float:
        return self._mb("VmHWM") - self.before

    def _mb(self, what: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


class _Clock:
    """Wall and CPU seconds; the second does not depend on who else uses the machine."""

    def __init__(self) -> None:
        self.wall, self.cpu = -time.perf_counter(), -time.process_time()

    def stop(self) -> None:
        self.wall += time.perf_counter()
        self.cpu += time.process_time()

    def __str__(self) -> str:
        return f"{self.wall:.1f} s wall, {self.cpu:.1f} s CPU"


def _naive_score(
    key: FitKey, real: pd.DataFrame, made: pd.DataFrame, evaluation: pd.DataFrame, plan: SweepPlan
) -> float:
    """What people write: concatenate, fit, predict, score; on the same rows as the sweep."""
    rows = fit_rows(key, len(real), np.zeros(len(made)), plan.mix, plan.seed)
    mix = pd.concat([real.iloc[rows.real], made.iloc[rows.added - len(real)]])
    model = lightgbm.LGBMClassifier(n_jobs=1, verbosity=-1).fit(mix.drop(columns="y"), mix["y"])
    said = model.predict_proba(evaluation.drop(columns="y"))[:, 1]
    chosen = halve(evaluation["y"].to_numpy(dtype=float), True).select
    return float(roc_auc_score(evaluation["y"][chosen], said[chosen]))


def _wide(n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
    X = rng.normal(size=(n_rows, 30))
    signal = X[:, :10] @ np.linspace(1, 0.1, 10) + X[:, 0] * X[:, 1]
    label = (signal + 2 * rng.logistic(size=n_rows) > 0).astype(int)
    return normalise(pd.DataFrame(X, columns=[f"x{i}" for i in range(30)]).assign(y=label))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    tracked(given.rows, given.repeats, given.jobs)
    whole(2_000, given.jobs)
    speed(given.rows, given.repeats, given.jobs)


if __name__ == "__main__":
    main()
