"""What the rows of a rare class allow to decide, said before anything is generated."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from synth_mlflow.data.task import Task
from synth_mlflow.model.baseline import Baseline

FEW_ROWS = 20  # evaluation rows of a class; the spread of a score over fewer cannot be estimated
ALPHA = 0.005  # false alarms of the check of utility
Z_95 = float(stats.norm.isf(0.025))
HALF = 0.5  # of what real rows teach: utility must be able to see a batch that keeps no more than this


def rare_class_words(task: Task, training: pd.Series, evaluation: pd.Series, baseline: Baseline) -> str:
    """How many rows the rarest class has, what can be decided with them and what cannot; empty where it has enough.

    Parameters
    ----------
    task : Task
    training, evaluation : Series of shape (n_training,), (n_evaluation,)
        The target on both sides of the cut.
    baseline : Baseline
        Its interval says how many rows would do: it shrinks with the square root of their number.
    """
    if not task.is_classification:
        return ""
    counts = evaluation.value_counts()
    label, n_rows = counts.index[-1], int(counts.iloc[-1])
    if n_rows >= FEW_ROWS:
        return ""
    n_training = int((training == label).sum())
    needed = max(_needed(n_rows, baseline), FEW_ROWS)
    return (
        f"Class {str(label)!r} has {n_training:,} training rows and {n_rows:,} evaluation rows. That is enough to "
        "compare batches with the real rows (fidelity, privacy), and too few to decide whether synthetic rows help to "
        f"predict it: utility and the sweep need about {needed:,} evaluation rows of it. Add real rows of this class, "
        "or hold out a larger share, before `freeze`."
    )


def _needed(n_rows: int, baseline: Baseline) -> int:
    gain, error = (
        baseline.score - baseline.chance,
        max(baseline.score - baseline.low, baseline.high - baseline.score) / Z_95,
    )
    noticed = (float(stats.norm.isf(ALPHA)) + float(stats.norm.isf(0.2))) * np.sqrt(2) * error  # of two arms
    return int(np.ceil(n_rows * (noticed / (HALF * gain)) ** 2)) if gain > 0 else FEW_ROWS
