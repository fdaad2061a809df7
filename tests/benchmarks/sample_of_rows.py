"""What a fit on a sample of the real rows loses: run by hand, prints the score by the number of rows.

OMP_NUM_THREADS=1 python tests/benchmarks/sample_of_rows.py TABLE TARGET [--rows 25000 50000 100000] [--draws 3]

A fifth of the rows is held out. The model is LightGBM with the settings that the package takes for many rows.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from synth_mlflow.data.tables import read_table
from synth_mlflow.data.task import Task
from synth_mlflow.models.labels import classes_of, target_values
from synth_mlflow.models.lightgbm import fit_boosted
from synth_mlflow.models.scoring import score_codes
from synth_mlflow.models.tuning import coarse


def main() -> None:
    """Read the options and the table, fit, and print a line for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("target")
    parser.add_argument("--rows", type=int, nargs="+", default=[25_000, 50_000, 100_000])
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args()
    table = read_table(options.table).dropna(subset=[options.target], ignore_index=True)
    is_held_out = np.random.default_rng(0).random(len(table)) < 0.2
    real, evaluation = table[~is_held_out], table[is_held_out]
    task = Task(options.target, "binary" if real[options.target].nunique() == 2 else "regression")
    print(f"{len(evaluation):,} evaluation rows\n\n| real rows | score | of single draws | CPU s a fit |")
    print("|---|---|---|---|")
    for n_rows in [*options.rows, len(real)]:
        draws = 1 if n_rows == len(real) else options.draws
        begun = time.process_time()
        scores = [scored(real.sample(n_rows, random_state=draw), evaluation, task, draw) for draw in range(draws)]
        seconds = (time.process_time() - begun) / draws
        told = ", ".join(f"{score:.4f}" for score in scores)
        print(f"| {n_rows:,} | {np.mean(scores):.4f} | {told} | {seconds:.1f} |", flush=True)


def scored(rows: pd.DataFrame, evaluation: pd.DataFrame, task: Task, seed: int) -> float:
    """AUC, or R² of a number."""
    classes = classes_of(rows, task)
    model = fit_boosted(coarse({}), task, rows.reset_index(drop=True), classes, seed=seed, n_threads=1)
    metric = "roc_auc" if task.is_classification else "r2"
    return score_codes(metric, task, target_values(evaluation, task, classes), model.predict(evaluation))


if __name__ == "__main__":
    main()
