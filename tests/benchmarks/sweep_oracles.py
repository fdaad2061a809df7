"""Planted oracles of the ratio sweep at full size; prints a table; see `sweep_decisions.py` for decisions.

python tests/benchmarks/sweep_oracles.py --projects 100 --store /tmp/oracles.jsonl

Each simulated project is a line of the store; a killed run goes on with those that are missing.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

os.environ.setdefault("OMP_NUM_THREADS", "1")

import lightgbm
import numpy as np
from scipy.special import expit
from scipy.stats import rankdata

from synth_mlflow.data.mixing import FitRows
from synth_mlflow.data.task import Task
from synth_mlflow.sweep.analysis import analyse_sweep
from synth_mlflow.sweep.evaluator import Evaluator, Trainer
from synth_mlflow.sweep.plan import ALL_ROWS, FitKey, SweepPlan, fit_rows
from synth_mlflow.sweep.runner import run_fits

N_CELLS, REAL_PER_CELL, SYNTHETIC_PER_CELL = 200, 5, 15
EVALUATION_ROWS = 4_000
GRID = np.linspace(-8, 8, 401)  # of a standard normal
FURTHER_ROWS = 200_000  # on which the true AUC of trees is measured
ROUNDS = 20
TREES = {
    "objective": "binary",
    "num_leaves": 4,
    "min_data_in_leaf": 5,
    "learning_rate": 0.2,
    "feature_fraction": 0.7,
    "deterministic": True,
    "force_row_wise": True,
    "feature_pre_filter": False,
    "num_threads": 1,
    "verbosity": -1,
}
COEFFICIENTS = np.array([1.0, -0.8, 0.6, 0.5, -0.4, 0.3, 0.0, 0.0])


@dataclass(frozen=True)
class Project:
    """One simulated project: what its curve says, and what its models are truly worth."""

    ratios: list[float]
    chosen: float
    peak: float
    plateau: list[float]
    gains: list[list[float]]
    """Of every ratio above 0, with other rows of this kind: low end, estimate, high end."""
    models: list[list[float]]
    """Of every ratio: low and high end of the interval for this very model."""
    true: list[float]
    """Of every ratio: the score of this very model on infinitely many rows."""
    naive: float
    """Gain at the chosen ratio."""
    corrected: float

    @property
    def true_gain(self) -> float:
        """Of the chosen model over the baseline."""
        return self.true[self.ratios.index(self.chosen)] - self.true[0]


class Oracle(Trainer, Protocol):
    """A model whose true score is known."""

    def true_score(self, rows: FitRows) -> float:
        """Of the model fitted on these rows."""
        ...


def simulated(task: Task, metric: str, n_real: int, trainer: Oracle, truth: np.ndarray, plan: SweepPlan) -> Project:
    """Sweep with three synthetic rows for each real one."""
    bench = Evaluator(task, metric, (0, 1) if task.is_classification else (), n_real, 0, trainer, truth, "", {})
    batches = np.zeros(3 * n_real)
    fits = run_fits(bench, plan, plan.keys(n_real), batches, finished={})
    curve = analyse_sweep(bench, plan, fits, {"": len(batches)})
    whole = [FitKey("synthetic", ratio, ALL_ROWS) for ratio in plan.ratios]
    return Project(
        list(plan.ratios),
        curve.chosen,
        curve.peak,
        curve.plateau,
        [[point.recipe_gain_low, point.gain, point.recipe_gain_high] for point in curve.points[1:]],
        [[point.model_low, point.model_high] for point in curve.points],
        [trainer.true_score(fit_rows(key, n_real, batches, plan.mix, plan.seed)) for key in whole],
        curve.at(curve.chosen).gain,
        curve.corrected_gain,
    )


def weights_of(rows: FitRows) -> np.ndarray:
    """One weight a row."""
    return np.ones(len(rows.all)) if rows.weights is None else rows.weights


# ---------------------------------------------------------------------------------------------------------- closed form


@dataclass(frozen=True)
class CellMeans:
    """The mean label of each cell, as LightGBM with one leaf a cell would have it; the true means are 0."""

    cells: np.ndarray
    labels: np.ndarray
    evaluation: np.ndarray

    def predictions(self, rows: FitRows, seed: int) -> np.ndarray:
        """On the evaluation rows."""
        return self.means(rows)[self.evaluation]

    def means(self, rows: FitRows) -> np.ndarray:
        """Of every cell; 0 where a draw holds no row of it."""
        cells, weights = self.cells[rows.all], weights_of(rows)
        totals = np.bincount(cells, weights, N_CELLS)
        return np.bincount(cells, self.labels[rows.all] * weights, N_CELLS) / np.where(totals > 0, totals, 1)

    def true_score(self, rows: FitRows) -> float:
        """Negative mean squared error under noise of variance 1."""
        return -1.0 - float((self.means(rows) ** 2).mean())

    def model(self, rows: FitRows, seed: int) -> object:
        """Not asked for here."""
        raise NotImplementedError


def closed_form(bias: float, plan: SweepPlan) -> Callable[[int], Project]:
    """Cells whose synthetic labels are biased by ±``bias``: the best share is 1 / (10 bias²)."""

    def project(seed: int) -> Project:
        rng = np.random.default_rng([seed, round(1000 * bias)])
        cells = np.r_[np.repeat(np.arange(N_CELLS), REAL_PER_CELL), np.repeat(np.arange(N_CELLS), SYNTHETIC_PER_CELL)]
        labels = rng.normal(size=len(cells))
        n_real = N_CELLS * REAL_PER_CELL
        labels[n_real:] += np.where(cells[n_real:] % 2, bias, -bias)
        trainer = CellMeans(cells, labels, rng.integers(0, N_CELLS, EVALUATION_ROWS))
        truth = rng.normal(size=EVALUATION_ROWS)
        task = Task("y", "regression")
        return simulated(task, "neg_mean_squared_error", n_real, trainer, truth, replace(plan, seed=seed))

    return project


# ------------------------------------------------------------------------------------------------------ classification


@dataclass(frozen=True)
class Logistic:
    """Logistic regression: a fit takes a millisecond, so that hundreds of projects take minutes."""

    rows: np.ndarray
    labels: np.ndarray
    evaluation: np.ndarray

    def predictions(self, rows: FitRows, seed: int) -> np.ndarray:
        """Probabilities of both classes on the evaluation rows."""
        positive = expit(self.evaluation @ self.coefficients(rows))
        return np.column_stack([1 - positive, positive])

    def coefficients(self, rows: FitRows) -> np.ndarray:
        """By Newton's steps, with a ridge of 1."""
        X, y, weights = self.rows[rows.all], self.labels[rows.all], weights_of(rows)
        beta = np.zeros(X.shape[1])
        for _ in range(6):
            p = expit(X @ beta)
            hessian = (X.T * (weights * p * (1 - p))) @ X + np.eye(len(beta))
            beta += np.linalg.solve(hessian, X.T @ (weights * (y - p)) - beta)
        return beta

    def true_score(self, rows: FitRows) -> float:
        """The AUC, by quadrature: score and signal are normal, and the label follows the signal."""
        beta = self.coefficients(rows)
        along = float(beta @ COEFFICIENTS / np.linalg.norm(beta))
        across = np.sqrt(max(float(COEFFICIENTS @ COEFFICIENTS) - along**2, 0.0))
        density = np.exp(-(GRID**2) / 2)
        positive = density * (expit(along * GRID[:, None] + across * GRID) @ density / density.sum())
        negative = density - positive
        wins = positive @ (np.cumsum(negative) - negative / 2)
        return float(wins / (positive.sum() * negative.sum()))

    def model(self, rows: FitRows, seed: int) -> object:
        """Not asked for here."""
        raise NotImplementedError


@dataclass(frozen=True)
class Boosted:
    """Twenty small trees of LightGBM; their true AUC is measured on many rows."""

    rows: np.ndarray
    labels: np.ndarray
    evaluation: np.ndarray
    further: tuple[np.ndarray, np.ndarray]
    seed: int
    """Of the fit on all rows."""

    def predictions(self, rows: FitRows, seed: int) -> np.ndarray:
        """Probabilities of both classes on the evaluation rows."""
        positive = self.fitted(rows, seed).predict(self.evaluation, num_threads=1)
        return np.column_stack([1 - positive, positive])

    def fitted(self, rows: FitRows, seed: int) -> lightgbm.Booster:
        """The trees."""
        data = lightgbm.Dataset(self.rows[rows.all], self.labels[rows.all], params=TREES)
        return lightgbm.train({**TREES, "seed": seed}, data, ROUNDS)

    def true_score(self, rows: FitRows) -> float:
        """AUC on many rows, from the ranks of the positive ones."""
        X, y = self.further
        ranks, n_positive = rankdata(self.fitted(rows, self.seed).predict(X, num_threads=1)), y.sum()
        below = ranks[y == 1].sum() - n_positive * (n_positive + 1) / 2
        return float(below / (n_positive * (len(y) - n_positive)))

    def model(self, rows: FitRows, seed: int) -> object:
        """Not asked for here."""
        raise NotImplementedError


def classification(
    synthetic: str, plan: SweepPlan, n_real: int = 60, *, trees: bool = False
) -> Callable[[int], Project]:
    """Eight numbers and a label; synthetic rows of the true process, by a wrong rule, or with random labels."""

    def project(seed: int) -> Project:
        rng = np.random.default_rng([seed, 11])
        real, made = _people(n_real, rng, "true process"), _people(3 * n_real, rng, synthetic)
        evaluation = _people(EVALUATION_ROWS, rng, "true process")
        tables = np.r_[real[0], made[0]], np.r_[real[1], made[1]], evaluation[0]
        further = _people(FURTHER_ROWS if trees else 0, rng, "true process")
        trainer = Boosted(*tables, further, seed) if trees else Logistic(*tables)
        return simulated(Task("y", "binary"), "roc_auc", n_real, trainer, evaluation[1], replace(plan, seed=seed))

    return project


def _people(n_rows: int, rng: np.random.Generator, how: str) -> tuple[np.ndarray, np.ndarray]:
    X = rng.normal(size=(n_rows, len(COEFFICIENTS)))
    signal = X @ (COEFFICIENTS[::-1] if how == "wrong rule" else COEFFICIENTS)
    label = (signal + rng.logistic(size=n_rows) > 0).astype(float)
    return X, rng.permutation(label) if how == "random labels" else label


# -------------------------------------------------------------------------------------------------------------- tables

PLAN = SweepPlan(n_jobs=1)
PEAK = SweepPlan(n_jobs=1, rule="peak")
REPLACE = SweepPlan(n_jobs=1, mix="replace")

ORACLES: dict[str, tuple[Callable[[int], Project], float | None]] = {
    "closed form, b = .365: 75 %": (closed_form(0.365, PLAN), 0.75),
    "closed form, b = .447: 50 %": (closed_form(0.447, PLAN), 0.50),
    "closed form, b = .632: 25 %": (closed_form(0.632, PLAN), 0.25),
    "closed form, b = 1: 10 %": (closed_form(1.0, SweepPlan((0.0, 0.1, 0.25, 0.5, 0.75), n_jobs=1)), 0.10),
    "closed form, b = .365, rule `peak`": (closed_form(0.365, PEAK), 0.75),
    "closed form, b = .447, rule `peak`": (closed_form(0.447, PEAK), 0.50),
    "true process: 75 %": (classification("true process", PLAN), 0.75),
    "true process, rule `peak`": (classification("true process", PEAK), 0.75),
    "wrong label rule: 0 %": (classification("wrong rule", PLAN), 0.0),
    "random labels: 0 %": (classification("random labels", PLAN), 0.0),
    "null: true process, `replace`": (classification("true process", REPLACE), None),
    "null: closed form, b = 0, `replace`": (closed_form(0.0, REPLACE), None),
    "trees, true process: 75 %": (classification("true process", PLAN, 200, trees=True), 0.75),
    "trees, null: true process, `replace`": (classification("true process", REPLACE, 200, trees=True), None),
}
"""The best of the swept ratios, by construction; None where no ratio may be said to help."""


def table(projects: dict[str, list[Project]]) -> Iterator[str]:
    """A Markdown table, one line an oracle."""
    yield (
        "| oracle: the best share | no gain claimed | chosen | peak is best | plateau holds the best "
        "| intervals cover the recipe | and the model | naive gain is off by | corrected by |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, found in projects.items():
        if found:
            yield f"| {name} | {' | '.join(_columns(found, ORACLES[name][1]))} |"


def _columns(projects: list[Project], best: float | None) -> Iterator[str]:
    ratios = projects[0].ratios
    yield f"{np.mean([project.chosen == 0 for project in projects]):.0%}"
    yield " / ".join(f"{100 * np.mean([project.chosen == ratio for project in projects]):.0f}" for ratio in ratios)
    yield "–" if best is None else f"{np.mean([best == project.peak for project in projects]):.0%}"
    yield "–" if best is None else f"{np.mean([best in project.plateau for project in projects]):.0%}"
    yield f"{coverage_of_recipe(projects):.1%}"
    yield f"{coverage_of_models(projects):.1%}"
    yield from (_mean(biases(projects, what)) for what in ("naive", "corrected"))


def coverage_of_recipe(projects: list[Project]) -> float:
    """How often an interval for a gain holds the mean true gain of all projects, over the ratios above 0."""
    gains = np.array([project.gains for project in projects])
    true = np.array([project.true for project in projects])
    expected = (true[:, 1:] - true[:, :1]).mean(axis=0)
    return float(((gains[:, :, 0] <= expected) & (expected <= gains[:, :, 2])).mean())


def coverage_of_models(projects: list[Project]) -> float:
    """How often an interval for a model holds its true score, over all ratios."""
    intervals, true = (np.array([getattr(project, name) for project in projects]) for name in ("models", "true"))
    return float(((intervals[:, :, 0] <= true) & (true <= intervals[:, :, 1])).mean())


def biases(projects: list[Project], what: str) -> np.ndarray:
    """How much the ``naive`` or the ``corrected`` gain is above the true one."""
    return np.array([getattr(project, what) - project.true_gain for project in projects])


def _mean(values: np.ndarray) -> str:
    return f"{values.mean():+.4f} ± {values.std(ddof=1) / len(values) ** 0.5:.4f}"


def simulate(n_projects: int, only: str, store: Path | None) -> dict[str, list[Project]]:
    """Every oracle, those whose name contains ``only``; projects in the store are read, the others appended."""
    kept = _kept(store)
    found: dict[str, list[Project]] = {}
    for name, (oracle, _) in ORACLES.items():
        seeds = range(n_projects if only in name else 0)
        found[name] = []
        for seed in seeds:
            project = kept.get((name, seed)) or oracle(seed)
            if store and (name, seed) not in kept:
                with store.open("a") as file:
                    file.write(json.dumps({"oracle": name, "seed": seed, "project": asdict(project)}) + "\n")
            found[name].append(project)
    return found


def _kept(store: Path | None) -> dict[tuple[str, int], Project]:
    if store is None or not store.exists():
        return {}
    records = [json.loads(line) for line in store.read_text().splitlines()]
    return {(record["oracle"], record["seed"]): Project(**record["project"]) for record in records}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=int, default=100)
    parser.add_argument("--only", default="", help="oracles whose name contains this")
    parser.add_argument("--store", type=Path, help="a file of JSON lines to go on from")
    given = parser.parse_args()
    print("\n".join(table(simulate(given.projects, given.only, given.store))))


if __name__ == "__main__":
    main()
