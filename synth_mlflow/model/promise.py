"""The score that a handoff may promise, and how far its interval widens when the frozen set was used before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from synth_mlflow.data.splits import group_codes
from synth_mlflow.data.task import Task
from synth_mlflow.model.curve import Curve
from synth_mlflow.model.halves import halve
from synth_mlflow.model.inference import ALPHA
from synth_mlflow.model.labels import Labels, target_values
from synth_mlflow.model.resampling import resample
from synth_mlflow.model.score import best_score, score_codes
from synth_mlflow.model.score_interval import Sizes, score_interval


@dataclass(frozen=True)
class Promise:
    """What one model scores on rows that did not choose it."""

    score: float
    low: float
    high: float
    """Interval of this model on further rows; 95 % however often the set was used before."""
    n_rows: int
    shared: bool
    """Whether these rows chose as well, since the frozen set is small."""
    earlier_answers: tuple[int, ...]
    """What the interval is widened for, ascending: between how many ratios each earlier use of these rows decided."""
    n_other_sweeps: int
    """How many other sweeps chose on the frozen set."""
    words: str


def confirm(
    curve: Curve,
    evaluation: pd.DataFrame,
    task: Task,
    classes: Labels,
    predictions: npt.NDArray[np.float64],
    *,
    other_sweeps: Sequence[int] = (),
    earlier_openings: Sequence[int] = (),
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
    other_sweeps, earlier_openings : sequence of int
        Of every other sweep that chose on these rows, and of those whose model was promised a score on them: between
        how many ratios it decided. The former widen the interval where the rows are shared, else the latter.
    """
    truth, groups = target_values(evaluation, task, classes), group_codes(evaluation, task)
    halves = halve(truth, task.is_classification, groups)
    truth, said = truth[halves.confirm], predictions[halves.confirm]
    groups = None if groups is None else groups[halves.confirm]
    score = curve.corrected if halves.shared else score_codes(curve.metric, task, truth, said)
    earlier = tuple(sorted(other_sweeps if halves.shared else earlier_openings))
    rng = np.random.default_rng([curve.seed, 4])
    draws = resample(curve.metric, task, truth, [said], rng, groups=groups).inside
    error = float(np.nanstd(draws[:, 0], ddof=1)) * worn_quantile(earlier) / worn_quantile([])
    sizes, best = Sizes.of(task, truth, groups), best_score(curve.metric, task, truth)
    low, high = score_interval(curve.metric, score, error, sizes, best=best)
    words = (
        f"Promised of this model on further rows: {curve.metric} {score:.4g} (95 % interval {low:.4g} to {high:.4g}). "
        f"{curve.halves} {_use_words(len(earlier), len(other_sweeps), halves.shared)}"
    )
    return Promise(score, low, high, len(truth), halves.shared, earlier, len(other_sweeps), words)


def unopened(curve: Curve, best: float) -> tuple[float, float, float]:
    """What can be said of the chosen model while the half that confirms is closed: score, low and high end.

    The score corrected for the choice, and around it the interval of this very model on further rows.

    Parameters
    ----------
    curve : Curve
    best : float
        What predictions that are all right would score.
    """
    point = curve.at(curve.chosen)
    below, above = point.of_model - point.model_low, point.model_high - point.of_model
    return curve.corrected, curve.corrected - below, min(curve.corrected + above, best)


def worn_quantile(earlier_answers: Sequence[int], alpha: float = ALPHA) -> float:
    """Half-width of an interval, in standard errors, that holds however the earlier uses were reacted to.

    Parameters
    ----------
    earlier_answers : sequence of int
        Of every earlier use of the same rows: between how many answers it decided, one a ratio.

    Notes
    -----
    Whoever acts on what earlier uses have shown, by taking another ratio of that sweep or by keeping to its choice, can
    arrive at as many models as the product of the numbers of their ratios at most; the interval holds for all of them
    at once (union bound over descriptions: C. Dwork et al., Generalization in Adaptive Data Analysis and Holdout Reuse,
    NeurIPS 2015, arXiv:1506.02629). Unlike the Ladder (A. Blum, M. Hardt, ICML 2015, arXiv:1502.04585) it needs no
    noise and no rounding of what people see.

    Examples
    --------
    >>> round(worn_quantile([]), 2), round(worn_quantile([4]), 2), round(worn_quantile([4] * 10), 2)
    (1.96, 2.5, 5.46)
    """
    log_tail = np.log(alpha / 2) - np.log(np.array(earlier_answers, dtype=float)).sum()
    return float(-stats.norm.ppf(np.exp(log_tail))) if log_tail > -700 else float(np.sqrt(-2 * log_tail))


def _use_words(n_earlier: int, n_other_sweeps: int, shared: bool) -> str:
    """How often the rows were used before: those that are shared to choose, a half of their own for other promises."""
    widened = "; the interval is widened accordingly." if n_earlier else "."
    if shared:
        return f"They chose in {_others(n_earlier, 'sweep')} before{widened}"
    opened = f"were opened for {_others(n_earlier, 'model')} before" if n_earlier else "are opened for the first time"
    return f"The former chose in {_others(n_other_sweeps, 'sweep')}, the latter {opened}{widened}"


def _others(n: int, noun: str) -> str:
    """Counted others.

    >>> _others(0, "sweep"), _others(1, "model"), _others(2, "model")
    ('no other sweep', 'one other model', '2 other models')
    """
    return f"{n:,} other {noun}s" if n > 1 else f"{'one' if n else 'no'} other {noun}"
