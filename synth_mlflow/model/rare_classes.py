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
LARGEST_DEVIATION = 0.5  # of a number between 0 and 1, as what each row adds to a score between 0 and 1
SMALLEST_GAIN = 0.25  # few rows cannot show a smaller gain, so it is planned with


def few_rows(task: Task, evaluation: pd.Series) -> tuple[object, int] | None:
    """The rarest class and its number of evaluation rows, where they are too few for any spread."""
    if not task.is_classification:
        return None
    counts = evaluation.value_counts()
    label, n_rows = counts.index[-1], int(counts.iloc[-1])
    return (label, n_rows) if n_rows < FEW_ROWS else None


def rows_needed(metric: str, n_rows: int, gain: float, error: float) -> int:
    """About how many evaluation rows of a class utility needs to see a batch that keeps half of the gain.

    Scores between 0 and 1 are means over the rows of the class, of deviation 0.5 at most: few rows say less about it
    than that. For other metrics the error of the score shrinks with the square root of the number of rows.

    Parameters
    ----------
    metric : str
    n_rows : int
        Of the class, behind the error.
    gain, error : float
        Of real rows over a constant prediction; the error of that score.

    Examples
    --------
    >>> [rows_needed("average_precision", 4, gain, 0.2) for gain in (0.97, 0.5, 0.0)]
    [25, 94, 374]
    """
    is_bounded = not metric.startswith("neg_")
    deviation = LARGEST_DEVIATION if is_bounded else error * np.sqrt(n_rows)
    planned = max(gain, SMALLEST_GAIN) if is_bounded else gain
    if planned <= 0:
        return FEW_ROWS
    noticed = (float(stats.norm.isf(ALPHA)) + float(stats.norm.isf(0.2))) * np.sqrt(2) * deviation  # of two arms
    return max(int(np.ceil((noticed / (HALF * planned)) ** 2)), FEW_ROWS)


def needed_by(baseline: Baseline, metric: str, n_rows: int) -> int:
    """The same, from the real-only baseline."""
    error = max(baseline.score - baseline.low, baseline.high - baseline.score) / Z_95
    return rows_needed(metric, n_rows, baseline.score - baseline.chance, error)


def rare_class_words(label: object, n_training: int, n_rows: int, needed: int) -> str:
    """How many rows the rarest class has, what can be decided with them and what cannot."""
    return (
        f"Class {str(label)!r} has {n_training:,} training rows and {n_rows:,} evaluation rows. That is enough to "
        "compare batches with the real rows (fidelity, privacy), and too few to decide whether synthetic rows help to "
        f"predict it: utility and the sweep need about {needed:,} evaluation rows of it. Add real rows of this class, "
        "or hold out a larger share, before `freeze`."
    )
