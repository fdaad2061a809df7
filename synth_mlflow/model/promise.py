"""The score that a handoff may promise, and how far its interval widens when the frozen set was used before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from synth_mlflow.data.task import Task
from synth_mlflow.model.curve import Curve
from synth_mlflow.model.halves import halve
from synth_mlflow.model.inference import ALPHA
from synth_mlflow.model.labels import Labels, target_values
from synth_mlflow.model.resampling import resample
from synth_mlflow.model.score import best_score, score_codes


@dataclass(frozen=True)
class Promise:
    """What one model scores on rows that did not choose it."""

    score: float
    low: float
    high: float
    """Interval of this model on further rows; 95 % however often the set was used before."""
    n_rows: int
    n_earlier_uses: int
    words: str


def confirm(
    curve: Curve,
    evaluation: pd.DataFrame,
    task: Task,
    classes: Labels,
    predictions: npt.NDArray[np.float64],
    *,
    earlier_answers: Sequence[int] = (),
) -> Promise:
    """Open the half of the frozen set that chose nothing, and score the final model on it.

    In a small set, whose rows both chose and confirm, the promise is the score corrected for the choice.

    Parameters
    ----------
    curve : Curve
    evaluation : DataFrame
        The whole frozen set.
    task : Task
    classes : tuple
        Labels in the order of the probabilities; empty for regression.
    predictions : array of shape (n_rows,) or (n_rows, n_classes)
        Of the final model on the whole frozen set.
    earlier_answers : sequence of int
        Of every earlier sweep that looked at these rows: between how many ratios it decided.
    """
    truth = target_values(evaluation, task, classes)
    halves = halve(truth, task.is_classification)
    truth, said = truth[halves.confirm], predictions[halves.confirm]
    score = curve.corrected if halves.shared else score_codes(curve.metric, task, truth, said)
    draws = resample(curve.metric, task, truth, [said], np.random.default_rng([curve.seed, 4])).inside[:, 0]
    half = float(np.nanstd(draws, ddof=1)) * worn_quantile(earlier_answers)
    low, high = score - half, min(score + half, best_score(curve.metric, task, truth))
    words = (
        f"Promised of this model on further rows: {curve.metric} {score:.4g} (95 % interval {low:.4g} to {high:.4g}). "
        f"{curve.halves} {_use_words(len(earlier_answers), halves.shared)}"
    )
    return Promise(score, low, high, len(truth), len(earlier_answers), words)


def worn_quantile(earlier_answers: Sequence[int], alpha: float = ALPHA) -> float:
    """Half-width of an interval, in standard errors, that holds however the earlier uses were reacted to.

    Parameters
    ----------
    earlier_answers : sequence of int
        Of every earlier use of the same rows: between how many answers it decided, one a ratio.

    Notes
    -----
    Whoever acts on the decisions of earlier sweeps can arrive at as many models as the product of the numbers of their
    ratios at most; the interval holds for all of them at once (union bound over descriptions: C. Dwork et al.,
    Generalization in Adaptive Data Analysis and Holdout Reuse, NeurIPS 2015, arXiv:1506.02629). Unlike the Ladder
    (A. Blum, M. Hardt, ICML 2015, arXiv:1502.04585) it needs no noise and no rounding of what people see.

    Examples
    --------
    >>> round(worn_quantile([]), 2), round(worn_quantile([4]), 2), round(worn_quantile([4] * 10), 2)
    (1.96, 2.5, 5.46)
    """
    log_tail = np.log(alpha / 2) - np.log(np.array(earlier_answers, dtype=float)).sum()
    return float(-stats.norm.ppf(np.exp(log_tail))) if log_tail > -700 else float(np.sqrt(-2 * log_tail))


def _use_words(n_earlier_uses: int, shared: bool) -> str:
    """Every sweep chooses on the one half and opens the other, so that both wear alike."""
    if not n_earlier_uses:
        return "They had been used for nothing before." if shared else "The latter are opened here for the first time."
    times = "once" if n_earlier_uses == 1 else f"{n_earlier_uses:,} times"
    opened = "They had been used" if shared else "The latter had been opened"
    return f"{opened} {times} before, once a sweep; the interval is widened accordingly."
