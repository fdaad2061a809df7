"""Planted oracles and speed of the ratio sweep; prints the tables that the documentation quotes.

python tests/benchmarks/sweep.py oracles --projects 100
python tests/benchmarks/sweep.py speed --rows 200000
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

os.environ.setdefault("OMP_NUM_THREADS", "1")

import lightgbm
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.metrics import roc_auc_score

from synth_mlflow.data.columns import normalise
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.model.bench import Bench
from synth_mlflow.model.curve import Curve
from synth_mlflow.model.final import final_of
from synth_mlflow.model.halves import halve
from synth_mlflow.model.plan import ALL_ROWS, Fit, FitKey, FitRows, SweepPlan, fit_rows
from synth_mlflow.model.reading import read_curve
from synth_mlflow.model.settings import COARSE
from synth_mlflow.model.sweep import run_fits, run_sweep

N_CELLS, REAL_PER_CELL, SYNTHETIC_PER_CELL = 200, 5, 15


@dataclass(frozen=True)
class Project:
    """One simulated project: its curve, and what the chosen model is truly worth."""

    curve: Curve
    true_gain: float
    """Of the chosen model over the baseline, on infinitely many, or very many, rows."""


# ---------------------------------------------------------------------------------------------------------- closed form


@dataclass(frozen=True)
class CellMeans:
    """The model of the closed form: the mean label of each cell, as LightGBM with one leaf a cell would have it."""

    cells: np.ndarray
    labels: np.ndarray
    evaluation: np.ndarray

    def means(self, rows: FitRows) -> np.ndarray:
        """Of every cell; 0, the true mean, where a draw holds no row of it."""
        chosen = rows.all
        sums = np.bincount(self.cells[chosen], self.labels[chosen], N_CELLS)
        return sums / np.maximum(np.bincount(self.cells[chosen], minlength=N_CELLS), 1)

    def predictions(self, rows: FitRows, seed: int) -> np.ndarray:
        """On the evaluation rows."""
        return self.means(rows)[self.evaluation]

    def model(self, rows: FitRows, seed: int) -> object:
        """Not asked for here."""
        raise NotImplementedError


def closed_form(bias: float, mix: str = "augment", rule: str = "plateau") -> Callable[[int], Project]:
    """Cells whose synthetic labels are biased by ±``bias``: the best share is 1 / (10 bias²)."""

    def project(seed: int) -> Project:
        rng = np.random.default_rng([seed, round(1000 * bias)])
        n_evaluation = 4_000
        cells = np.r_[np.repeat(np.arange(N_CELLS), REAL_PER_CELL), np.repeat(np.arange(N_CELLS), SYNTHETIC_PER_CELL)]
        labels = rng.normal(size=len(cells))
        n_real = N_CELLS * REAL_PER_CELL
        labels[n_real:] += np.where(cells[n_real:] % 2, bias, -bias)
        trainer = CellMeans(cells, labels, rng.integers(0, N_CELLS, n_evaluation))
        bench = Bench(
            Task("y", "regression"),
            "neg_mean_squared_error",
            (),
            n_real,
            0,
            trainer,
            rng.normal(size=n_evaluation),
            "",
            {},
        )
        plan = SweepPlan(seed=seed, n_jobs=1, mix=mix, rule=rule)
        fits = run_fits(bench, plan, plan.keys(), np.zeros(len(cells) - n_real), finished={})
        curve = read_curve(bench, plan, fits)
        chosen, baseline = (fits[FitKey("synthetic", ratio, ALL_ROWS)] for ratio in (curve.chosen, 0.0))
        return Project(curve, _true_cell_score(trainer, chosen) - _true_cell_score(trainer, baseline))

    return project


def _true_cell_score(trainer: CellMeans, fit: Fit) -> float:
    """The true mean of every cell is 0 and the noise has variance 1."""
    means = np.zeros(N_CELLS)
    means[trainer.evaluation] = fit.predictions
    return -1.0 - float((means**2).mean())


# ------------------------------------------------------------------------------------------------------ classification


def classification(synthetic: str, mix: str = "augment", n_real: int = 300) -> Callable[[int], Project]:
    """Eight numbers and one label with LightGBM; synthetic rows of the true process, inverted, random or shifted."""

    def project(seed: int) -> Project:
        rng = np.random.default_rng([seed, 11])
        real, evaluation, further = (_people(n, rng, "true") for n in (n_real, 2_000, 20_000))
        made = _people(3 * n_real, rng, synthetic)
        params = {"num_leaves": 4, "min_data_in_leaf": 5, "n_estimators": 40, "feature_fraction": 0.7}
        task, plan = Task("y", "binary"), SweepPlan(seed=seed, n_jobs=1, mix=mix)
        outcome = run_sweep(real, made, evaluation, task, "roc_auc", ModelSpec(params=params), plan)
        models = (final_of(outcome, ratio).model for ratio in (outcome.curve.chosen, 0.0))
        chosen, baseline = (roc_auc_score(further["y"], model.predict(further)[:, 1]) for model in models)
        return Project(outcome.curve, float(chosen - baseline))

    return project


def _people(n_rows: int, rng: np.random.Generator, how: str) -> pd.DataFrame:
    X = rng.normal(size=(n_rows, 8))
    signal = X @ np.array([1.0, -0.8, 0.6, 0.5, -0.4, 0.3, 0.0, 0.0]) + 0.5 * X[:, 0] * X[:, 1]
    if how == "inverted":
        signal = -signal
    label = signal + rng.logistic(size=n_rows) > 0
    if how == "random":
        label = rng.permutation(label)
    return normalise(pd.DataFrame(X, columns=[f"x{i}" for i in range(8)]).assign(y=label.astype(int)))


# -------------------------------------------------------------------------------------------------------------- tables

ORACLES: dict[str, tuple[Callable[[int], Project], float | None]] = {
    "closed form, b = .365 (best of the four: 75 %)": (closed_form(0.365), 0.75),
    "closed form, b = .447 (50 %)": (closed_form(0.447), 0.50),
    "closed form, b = .632 (25 %)": (closed_form(0.632), 0.25),
    "closed form, b = 1 (0 %)": (closed_form(1.0), 0.0),
    "closed form, b = .447, rule peak": (closed_form(0.447, rule="peak"), 0.50),
    "closed form, b = 0, replace": (closed_form(0.0, "replace"), 0.0),
    "true process (75 %)": (classification("true"), 0.75),
    "true process, replace: an exact null": (classification("true", "replace"), None),
    "inverted labels (0 %)": (classification("inverted"), 0.0),
    "random labels (0 %)": (classification("random"), 0.0),
}


def oracles(n_projects: int, n_jobs: int, only: str) -> None:
    """Simulate every oracle and print one line each."""
    print("| oracle | chosen 0, 25, 50, 75 % | claims | best in plateau | peak best | cover | naive bias | corrected |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (simulate, best) in ORACLES.items():
        if only in name:
            projects = Parallel(n_jobs=n_jobs)(delayed(simulate)(seed) for seed in range(n_projects))
            print(f"| {name} | {' | '.join(_columns(projects, best))} |", flush=True)


def _columns(projects: list[Project], best: float | None) -> Iterator[str]:
    curves = [project.curve for project in projects]
    ratios = [point.ratio for point in curves[0].points]
    yield " / ".join(f"{np.mean([curve.chosen == ratio for curve in curves]):.0%}" for ratio in ratios)
    yield f"{np.mean([curve.chosen > 0 for curve in curves]):.0%}"
    yield "–" if best is None else f"{np.mean([best in curve.plateau for curve in curves]):.0%}"
    yield "–" if best is None else f"{np.mean([best == curve.peak for curve in curves]):.0%}"
    yield f"{_coverage(curves):.1%}"
    naive = np.array([p.curve.at(p.curve.chosen).gain - p.true_gain for p in projects])
    corrected = np.array([p.curve.corrected_gain - p.true_gain for p in projects])
    yield from (f"{bias.mean():+.5f} (± {bias.std() / len(bias) ** 0.5:.5f})" for bias in (naive, corrected))


def _coverage(curves: list[Curve]) -> float:
    """How often an interval for a gain covers the mean gain of all projects, over the ratios above 0."""
    table = np.array([[(p.gain_low, p.gain, p.gain_high) for p in curve.points[1:]] for curve in curves])
    truth = table[:, :, 1].mean(axis=0)
    return float(((table[:, :, 0] <= truth) & (truth <= table[:, :, 2])).mean())


# --------------------------------------------------------------------------------------------------------------- speed


def speed(n_rows: int, repeats: int, n_jobs: int) -> None:
    """The synthetic arm of four ratios against the loop that people write, and against pure training time."""
    rng = np.random.default_rng(0)
    real, made, evaluation = (_wide(n, rng) for n in (n_rows // 4, 3 * n_rows // 4, 20_000))
    spec, task = ModelSpec(params={"n_estimators": 100, **COARSE}), Task("y", "binary")
    plan = SweepPlan(repeats=repeats, n_jobs=n_jobs)
    shared = _Clock()
    bench = Bench.build(real, evaluation, task, "roc_auc", spec, synthetic=made)
    keys = [FitKey("synthetic", ratio, repeat) for ratio in plan.ratios for repeat in range(repeats)]
    fits = run_fits(bench, plan, keys, np.zeros(len(made)), finished={})
    shared.stop()
    print(f"{len(keys)} fits, up to {n_rows:,} rows x 30 columns, 100 rounds, {n_jobs} cores: {shared}")
    floor = _Clock()
    for key in keys:
        bench.trainer.model(fit_rows(key, len(real), np.zeros(len(made)), plan.mix, plan.seed), 0)
    floor.stop()
    print(f"training alone: {floor}; the sweep takes {shared.cpu / floor.cpu:.2f} x its CPU time")
    for n_threads in (1, n_jobs):
        loop = _Clock()
        naive = {key: _naive_score(key, real, made, evaluation, plan, n_threads) for key in keys}
        loop.stop()
        gaps = [abs(fits[key].score - naive[key]) for key in keys]
        print(f"naive loop, {n_threads} threads a fit: {loop}; {loop.wall / shared.wall:.2f} x the wall time,")
        print(f"    {loop.cpu / shared.cpu:.2f} x the CPU time; scores differ by {np.mean(gaps):.4f} in the mean")
    sweep = _Clock()
    outcome = run_sweep(real, made, evaluation, task, "roc_auc", spec, plan)
    sweep.stop()
    reading = _Clock()
    read_curve(outcome.bench, plan, outcome.fits)
    reading.stop()
    print(f"whole sweep, {len(outcome.fits)} fits: {sweep}; statistics {reading}: {reading.cpu / sweep.cpu:.1%}")


class _Clock:
    """Wall and CPU seconds; the second does not depend on who else uses the machine."""

    def __init__(self) -> None:
        self.wall, self.cpu = -time.perf_counter(), -time.process_time()

    def stop(self) -> None:
        self.wall += time.perf_counter()
        self.cpu += time.process_time()

    def __str__(self) -> str:
        return f"{self.wall:.1f} s wall, {self.cpu:.1f} s CPU"


def _naive_score(key: FitKey, real: pd.DataFrame, made: pd.DataFrame, evaluation: pd.DataFrame, plan, n_jobs) -> float:
    """What people write: concatenate, fit, predict, score; on the same rows as the sweep."""
    rows = fit_rows(key, len(real), np.zeros(len(made)), plan.mix, plan.seed)
    mix = pd.concat([real.iloc[rows.real], made.iloc[rows.added - len(real)]])
    model = lightgbm.LGBMClassifier(n_jobs=n_jobs, verbosity=-1).fit(mix.drop(columns="y"), mix["y"])
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
    parser.add_argument("what", choices=["oracles", "speed"])
    parser.add_argument("--projects", type=int, default=100)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="oracles whose name contains this")
    given = parser.parse_args()
    if given.what == "oracles":
        oracles(given.projects, given.jobs, given.only)
    else:
        speed(given.rows, given.repeats, given.jobs)


if __name__ == "__main__":
    main()
