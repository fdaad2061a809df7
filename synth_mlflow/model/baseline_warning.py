"""A baseline that asks for a second look: perfect, or no better than a constant; with the columns that do it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.model.baseline import Baseline
from synth_mlflow.model.fit import fit
from synth_mlflow.model.halves import halves_of
from synth_mlflow.model.labels import classes_of
from synth_mlflow.model.score import score

PERFECT = 0.99995  # of the way from a constant prediction to the best score: shown as 1.0000
CHANCE_DEVIATIONS = 1.645 / 1.96  # of the half-width of a 95 % interval: one-sided at 5 %
MAX_ROWS = 5_000  # that a model of one column learns from
MAX_COLUMNS = 200
N_TOLD = 3


def baseline_warning(baseline: Baseline, real: pd.DataFrame, evaluation: pd.DataFrame, task: Task, seed: int) -> str:
    """What to look at before anything is built on this baseline; nothing where it looks as baselines do.

    Parameters
    ----------
    baseline : Baseline
    real, evaluation : DataFrame
        Training rows and the frozen set.
    """
    if baseline.share_of_best >= PERFECT:
        told = _best_columns(baseline, real, evaluation, task, seed)
        return (
            f"The baseline of {baseline.score:.4f} is the best score there is: no synthetic row can add to it, and a "
            f"column may hold what is known only together with the target. Single columns alone score: {told}. Take "
            "such a column out of the table and start a new project, or make the task harder."
        )
    if baseline.score - baseline.chance > CHANCE_DEVIATIONS * (baseline.score - baseline.model_low):
        return ""
    than = "worse than" if baseline.model_high < baseline.chance else "not measurably better than"
    told = _best_columns(baseline, real, evaluation, task, seed)
    return (
        f"The baseline of {baseline.score:.4f} is {than} a constant prediction ({baseline.chance:.4f}): nothing was "
        f"learned that a sweep could compare with. Single columns alone score: {told}. Look at the target, the columns "
        "and how rows were split, and at how many evaluation rows there are."
    )


def column_scores(
    metric: str, real: pd.DataFrame, evaluation: pd.DataFrame, task: Task, seed: int
) -> list[tuple[str, float]]:
    """The score of a model of each column alone, best first; columns with an undefined score are left out.

    Parameters
    ----------
    real, evaluation : DataFrame
        Training rows, and rows to score on.
    """
    rng = np.random.default_rng([seed, 5])
    rows = real.iloc[np.sort(rng.permutation(len(real))[:MAX_ROWS])].reset_index(drop=True)
    classes = classes_of(real, task)
    names = [name for name in real.columns if name not in (task.target, task.group)][:MAX_COLUMNS]
    found = []
    for name in names:
        model = fit(ModelSpec(), task, rows[[name, task.target]], seed=seed, classes=classes or None)
        said = model.predict(evaluation[[name, task.target]])
        value = score(metric, task, evaluation[task.target], said, classes)
        if np.isfinite(value):
            found.append((str(name), value))
    return sorted(found, key=lambda item: -item[1])


def _best_columns(baseline: Baseline, real: pd.DataFrame, evaluation: pd.DataFrame, task: Task, seed: int) -> str:
    chosen = evaluation[halves_of(evaluation, task).select].reset_index(drop=True)
    best = column_scores(baseline.metric, real, chosen, task, seed)[:N_TOLD]
    return ", ".join(f"{name!r} {value:.4f}" for name, value in best) or "none is defined"
